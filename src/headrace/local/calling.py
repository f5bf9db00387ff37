"""Calls a component's Python function in this process, the way the runtime does it in a task."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headrace
from headrace.dsl.types.artifact_types import MIRRORS
from headrace.runtime.arguments import Files, arguments_for
from headrace.runtime.names import OneName
from headrace.runtime.returns import write_executor_output

_KFP_SHIM = str(Path(headrace.__file__).parent / "runtime" / "kfp_shim")


def call_function(
    function: Callable[..., Any], executor_input: dict[str, Any], root: dict[str, str] | None = None
) -> None:
    """Read the inputs, call, write the outputs. Raises what the function raises, and the runtime's Problem.

    `root` is what the URIs of the outputs begin with (`uri`), and the folder where they are written (`path`); without
    it the URIs are paths in that folder.
    """
    _make_kfp_importable()
    try:
        files = Files(executor_input, function, root)
        result = function(**arguments_for(function, executor_input, files))
        write_executor_output(function, result, files)
    finally:
        MIRRORS.clear()  # what this call has made lies elsewhere soon


def _make_kfp_importable() -> None:
    """The runtime, and component code, import names of `kfp.dsl`; the shim serves where kfp is not installed."""
    if "kfp" not in sys.modules and importlib.util.find_spec("kfp") is None:
        sys.meta_path.append(OneName("kfp", _KFP_SHIM))
