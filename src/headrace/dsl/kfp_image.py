"""Inside an image of components, KFP's own executor calls their functions and knows only its own types."""

from __future__ import annotations

import importlib
import sys
from typing import Any

_EXECUTOR = "kfp.dsl.executor_main"
_NAMES = (
    "HTML",
    "Artifact",
    "ClassificationMetrics",
    "Dataset",
    "Input",
    "InputPath",
    "Markdown",
    "Metrics",
    "Model",
    "Output",
    "OutputPath",
    "PipelineTaskFinalStatus",
    "SlicedClassificationMetrics",
    "TaskConfig",
    "get_uri",
)


def borrowed() -> dict[str, Any]:
    """KFP's types, which replace ours while KFP's executor runs the program; else none."""
    program = getattr(sys.modules.get("__main__"), "__spec__", None)
    if program is None or program.name != _EXECUTOR:
        return {}
    kfp_dsl = importlib.import_module("kfp.dsl")
    return {name: getattr(kfp_dsl, name) for name in _NAMES}
