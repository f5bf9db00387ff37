"""Headrace: machine-learning pipelines, wire-compatible with Kubeflow Pipelines. Rooms are imported when first used."""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` has it, which takes as long to load as Python itself; every task loads this file
if TYPE_CHECKING:
    from typing import Any

    from headrace import client as client
    from headrace import compiler as compiler
    from headrace import components as components
    from headrace import dsl as dsl
    from headrace import kubernetes as kubernetes
    from headrace import local as local
    from headrace.client import Client as Client

__version__ = "0.1.0"

__all__ = ["Client", "client", "compiler", "components", "dsl", "kubernetes", "local"]

_ROOMS = frozenset({"dsl", "compiler", "components", "kubernetes", "local", "client"})


def _room(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"headrace.{name}")
    except ModuleNotFoundError as error:
        if name != "local" or (error.name or "").startswith("headrace"):
            raise
        message = (
            "Running pipelines needs the server part of Headrace, which is not installed here "
            f"(there is no module {error.name!r}): pip install 'headrace[server]'"
        )
        raise ImportError(message, name=error.name) from None


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return _room(name)
    if name == "Client":
        return _room("client").Client
    raise AttributeError(f"module 'headrace' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS, "Client"})


# The wiring that `headrace.dsl.hooks` asks for.


def _run_locally(component: Any, arguments: dict[str, Any]) -> Any:
    return _room("local").run_component(component, arguments)


def _try_component(component: Any, arguments: dict[str, Any]) -> Any:
    return _room("local").try_component(component, **arguments)


def _call_of_kfp(component: Any, arguments: dict[str, Any]) -> Any:
    return _room("components").from_kfp(component)(**arguments)


def _lower_pipeline(*traced: Any) -> Any:
    return _room("compiler.lowering").lower_pipeline(*traced)


def _lower_component(component: Any) -> Any:
    return _room("compiler.lowering").lower_component(component)


def _message(kind: str, document: dict[str, Any]) -> Any:
    return _room("compiler.messages").message(kind, document)


def _write_component(component: Any, path: str) -> None:
    _room("compiler").Compiler().compile(component, path)
