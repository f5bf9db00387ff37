"""Components that were made with the `kfp` package, called in a pipeline function of Headrace."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headrace.dsl import hooks


@contextmanager
def usable() -> Iterator[None]:
    """While a pipeline is defined, calling a component of `kfp` makes a task of that pipeline.

    `kfp` looks for a pipeline of its own and knows nothing of Headrace's, so the call of its components is replaced,
    and put back at the end. Where `kfp` is not imported, there are none of its components.
    """
    module = sys.modules.get("kfp.dsl.base_component")
    kind: Any = getattr(module, "BaseComponent", None)
    if kind is None or kind.__module__ != "kfp.dsl.base_component":
        yield
        return
    before = kind.__call__

    def call(component: Any, *args: Any, **arguments: Any) -> Any:
        # Positional arguments are refused by kfp itself, in its own words.
        return before(component, *args, **arguments) if args else hooks.call_of_kfp(component, arguments)

    kind.__call__ = call
    try:
        yield
    finally:
        kind.__call__ = before
