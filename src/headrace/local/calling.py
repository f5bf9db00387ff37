"""Calls a component's Python function in this process, the way the runtime does it in a task."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headrace
from headrace.runtime.arguments import Files, arguments_for
from headrace.runtime.names import OneName
from headrace.runtime.returns import write_executor_output

_KFP_SHIM = str(Path(headrace.__file__).parent / "runtime" / "kfp_shim")


def call_function(function: Callable[..., Any], executor_input: dict[str, Any]) -> None:
    """Read the inputs, call, write the outputs. Raises what the function raises, and the runtime's Problem."""
    _make_kfp_importable()
    files = Files(executor_input, function)
    result = function(**arguments_for(function, executor_input, files))
    write_executor_output(function, result, files)


def _make_kfp_importable() -> None:
    """The runtime, and component code, import names of `kfp.dsl`; the shim serves where kfp is not installed."""
    if "kfp" not in sys.modules and importlib.util.find_spec("kfp") is None:
        sys.meta_path.append(OneName("kfp", _KFP_SHIM))
