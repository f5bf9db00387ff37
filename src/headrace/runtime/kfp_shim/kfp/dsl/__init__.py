"""The names that `from kfp.dsl import *` gives a running component, and `from headrace.dsl import …` too.

Loaded under both names, so it imports from neither.
"""

from headrace.dsl.constants import *
from headrace.dsl.types.artifact_types import (
    HTML,
    Artifact,
    ClassificationMetrics,
    Dataset,
    Markdown,
    Metrics,
    Model,
    SlicedClassificationMetrics,
    get_uri,
)
from headrace.runtime.markers import EmbeddedInput, Input, InputPath, Output, OutputPath


def run_notebook(**parameters: object) -> None:
    """Replaced inside notebook components; refused anywhere else."""
    raise RuntimeError("dsl.run_notebook works only inside a @dsl.notebook_component")


#: Data classes, whose machinery is slow to load; the runtime asks for those that the source names.
_LATE = {
    "PipelineTaskFinalStatus": "headrace.dsl.task_final_status",
    "TaskConfig": "headrace.dsl.task_config",
}


def __getattr__(name: str) -> object:
    if name in _LATE:
        from importlib import import_module

        globals()[name] = getattr(import_module(_LATE[name]), name)
        return globals()[name]
    raise AttributeError(
        f"this task's environment has no kfp package, only Headrace's stand-in, which has no kfp.dsl.{name}; "
        "add 'kfp' to the component's packages_to_install"
    )
