"""Where rooms above plug in: the language itself imports none of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.dsl.base_component import BaseComponent

#: Runs a component that is called outside a pipeline: (component, arguments) -> the finished task.
local_hook: Callable[[BaseComponent, dict[str, Any]], Any] | None = None


def run_locally(component: BaseComponent, arguments: dict[str, Any]) -> Any:
    """What `local_hook` answers, or else the package's own local runner."""
    return (local_hook or _front_door("_run_locally"))(component, arguments)


def try_component(component: BaseComponent, arguments: dict[str, Any]) -> Any:
    """One component's function called in this process, for a test."""
    return _front_door("_try_component")(component, arguments)


def lower(*traced: Any) -> Any:
    """A traced pipeline as documents."""
    return _front_door("_lower_pipeline")(*traced)


def lower_component(component: BaseComponent) -> Any:
    """A single component as a document that runs it once."""
    return _front_door("_lower_component")(component)


def message(kind: str, document: dict[str, Any]) -> Any:
    """A document as a protobuf message, where those are installed."""
    return _front_door("_message")(kind, document)


def write_component(component: BaseComponent, path: str) -> None:
    """A component as a file."""
    _front_door("_write_component")(component, path)


def _front_door(name: str) -> Callable[..., Any]:
    """The package's root wires the rooms together; only it may import upwards."""
    function: Callable[..., Any] = getattr(importlib.import_module("headrace"), name)
    return function
