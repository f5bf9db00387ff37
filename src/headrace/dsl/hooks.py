"""Calls into rooms above this one, which the language itself must not import."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.dsl.base_component import BaseComponent

#: Runs a component that is called outside a pipeline: (component, arguments) -> the finished task.
local_hook: Callable[[BaseComponent, dict[str, Any]], Any] | None = None


def run_locally(component: BaseComponent, arguments: dict[str, Any]) -> Any:
    """Run with `local_hook` if there is one, else with the package's own local runner."""
    return (local_hook or _front_door("_run_locally"))(component, arguments)


def try_component(component: BaseComponent, arguments: dict[str, Any]) -> Any:
    """Call a component's function in this process, for a test."""
    return _front_door("_try_component")(component, arguments)


def call_of_kfp(component: Any, arguments: dict[str, Any]) -> Any:
    """Call a component that was made with the `kfp` package, in a pipeline of Headrace."""
    return _front_door("_call_of_kfp")(component, arguments)


def lower(*traced: Any) -> Any:
    """Compile a traced pipeline to documents."""
    return _front_door("_lower_pipeline")(*traced)


def lower_component(component: BaseComponent) -> Any:
    """Compile a single component to a document that runs it once."""
    return _front_door("_lower_component")(component)


def message(kind: str, document: dict[str, Any]) -> Any:
    """Convert a document to a protobuf message, if their package is installed."""
    return _front_door("_message")(kind, document)


def write_component(component: BaseComponent, path: str) -> None:
    """Compile a component to a file."""
    _front_door("_write_component")(component, path)


def _front_door(name: str) -> Callable[..., Any]:
    """A function of the package's root, the only module that may import upwards."""
    function: Callable[..., Any] = getattr(importlib.import_module("headrace"), name)
    return function
