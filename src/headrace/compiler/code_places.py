"""Adds to a platform spec where the sources of components come from, for a server that shows their failures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from headrace.dsl.code_places import CodePlace, place_of, places_of
from headrace.dsl.structures import IR


def with_code_places(pipeline_spec: IR, platform_spec: IR | None) -> IR | None:
    """The platform spec, with the files and lines of the components that this process has defined.

    They are in `platforms.headrace.deploymentSpec.executors.<label>.source`, a list of `{row, rows, file, line}`. A
    compiled file does not have them, so that it is what KFP's compiler writes; other backends pass over them.
    """
    executors = (pipeline_spec.get("deploymentSpec") or {}).get("executors") or {}
    kfp = _of_kfp() if "kfp" in sys.modules else {}
    found = {}
    for label, executor in executors.items():
        words = (executor.get("container") or {}).get("command") or []
        places = next((got for word in words if (got := places_of(word) or kfp.get(word, ()))), ())
        if places:
            found[label] = {"source": [place._asdict() for place in places]}
    if not found:
        return platform_spec
    platforms = (platform_spec or {}).get("platforms") or {}
    own = {"deploymentSpec": {"executors": found}}
    return {**(platform_spec or {}), "platforms": {**platforms, "headrace": own}}


def _of_kfp() -> dict[str, tuple[CodePlace, ...]]:
    """By source: the places of components that were made with the package `kfp`, in any module."""
    return {source: (place,) for component in _kfp_components() for source, place in _placed(component)}


def _kfp_components() -> Iterator[Any]:
    for module in list(sys.modules.values()):
        for value in list(vars(module).values()) if hasattr(module, "__dict__") else ():
            if type(value).__name__ == "PythonComponent" and type(value).__module__.startswith("kfp."):
                yield value


def _placed(component: Any) -> Iterator[tuple[str, CodePlace]]:
    """The source is the last word of the command, and the function the last thing in it."""
    function, container = component.python_func, component.component_spec.implementation.container
    source = container.command[-1] if container.command else ""
    before, found, text = source.rpartition(f"\ndef {function.__name__}(")
    lines = _lines_of(function)
    left_out = next((number for number, line in enumerate(lines) if line.lstrip().startswith("def ")), None)
    if found and left_out is not None:
        place = place_of(function, row=before.count("\n") + 2, text=text, left_out=left_out)
        if place is not None:
            yield source, place


def _lines_of(function: Any) -> list[str]:
    import inspect

    try:
        return inspect.getsourcelines(function)[0]
    except (OSError, TypeError):
        return []
