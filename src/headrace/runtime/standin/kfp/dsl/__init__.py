"""What `from kfp.dsl import *` gives a running component."""

from headrace.dsl.constants import *
from headrace.dsl.task_config import TaskConfig
from headrace.dsl.task_final_status import PipelineTaskFinalStatus
from kfp.dsl.types.artifact_types import (
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
from kfp.dsl.types.type_annotations import EmbeddedInput, Input, InputPath, Output, OutputPath


def run_notebook(**parameters: object) -> None:
    """Rebound inside notebook components; anywhere else there is no notebook to run."""
    raise RuntimeError("dsl.run_notebook works only inside a @dsl.notebook_component")


def __getattr__(name: str) -> object:
    raise AttributeError(
        f"this task's environment has no kfp package, only Headrace's stand-in, which has no kfp.dsl.{name}; "
        "add 'kfp' to the component's packages_to_install"
    )
