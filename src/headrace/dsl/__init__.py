"""What authors write: components, pipelines, control flow, artifact types; no document files, servers or runs."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from headrace.dsl import kfp_image as _kfp_image
from headrace.dsl.constants import (
    PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
    PIPELINE_JOB_ID_PLACEHOLDER,
    PIPELINE_JOB_NAME_PLACEHOLDER,
    PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
    PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
    PIPELINE_ROOT_PLACEHOLDER,
    PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER,
    PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER,
    PIPELINE_TASK_ID_PLACEHOLDER,
    PIPELINE_TASK_NAME_PLACEHOLDER,
    WORKSPACE_PATH_PLACEHOLDER,
)
from headrace.dsl.task_config import TaskConfig
from headrace.dsl.task_final_status import PipelineTaskFinalStatus
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
from headrace.dsl.types.type_annotations import EmbeddedInput, Input, InputPath, Output, OutputPath

#: Set in every task, as KFP sets it: a running component uses artifacts and annotations, rarely the rest.
_AT_RUN_TIME = os.environ.get("_KFP_RUNTIME") == "true"

if TYPE_CHECKING or not _AT_RUN_TIME:
    from headrace.dsl.base_component import (
        BaseComponent,
        ContainerComponent,
        GraphComponent,
        ImporterComponent,
        PythonComponent,
        YamlComponent,
    )
    from headrace.dsl.component_decorator import component, container_component, notebook_component
    from headrace.dsl.component_task_config import TaskConfigField, TaskConfigPassthrough
    from headrace.dsl.errors import DslError
    from headrace.dsl.importer_node import importer
    from headrace.dsl.notebook import run_notebook
    from headrace.dsl.pipeline_channel import PipelineArtifactChannel, PipelineChannel, PipelineParameterChannel, in_
    from headrace.dsl.pipeline_config import KubernetesWorkspaceConfig, PipelineConfig, WorkspaceConfig
    from headrace.dsl.pipeline_context import pipeline
    from headrace.dsl.pipeline_task import PipelineTask
    from headrace.dsl.placeholders import ConcatPlaceholder, IfPresentPlaceholder
    from headrace.dsl.structures import ContainerSpec
    from headrace.dsl.tasks_group import Condition, Elif, Else, ExitHandler, If, ParallelFor

    if TYPE_CHECKING:
        from headrace.dsl.as_values import Collected, OneOf
    else:
        from headrace.dsl.for_loop import Collected
        from headrace.dsl.pipeline_channel import OneOf
else:
    _AUTHORING = (
        "base_component",
        "component_decorator",
        "component_task_config",
        "errors",
        "for_loop",
        "importer_node",
        "notebook",
        "pipeline_channel",
        "pipeline_config",
        "pipeline_context",
        "pipeline_task",
        "placeholders",
        "structures",
        "tasks_group",
    )

    def __getattr__(name: str) -> Any:
        if name in __all__:
            for module in _AUTHORING:
                found = getattr(importlib.import_module(f"headrace.dsl.{module}"), name, None)
                if found is not None:
                    return found
        raise AttributeError(f"module 'headrace.dsl' has no attribute {name!r}")


globals().update(_kfp_image.borrowed())

__all__ = [
    "HTML",
    "PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER",
    "PIPELINE_JOB_ID_PLACEHOLDER",
    "PIPELINE_JOB_NAME_PLACEHOLDER",
    "PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER",
    "PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER",
    "PIPELINE_ROOT_PLACEHOLDER",
    "PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER",
    "PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER",
    "PIPELINE_TASK_ID_PLACEHOLDER",
    "PIPELINE_TASK_NAME_PLACEHOLDER",
    "WORKSPACE_PATH_PLACEHOLDER",
    "Artifact",
    "BaseComponent",
    "ClassificationMetrics",
    "Collected",
    "ConcatPlaceholder",
    "Condition",
    "ContainerComponent",
    "ContainerSpec",
    "Dataset",
    "DslError",
    "Elif",
    "Else",
    "EmbeddedInput",
    "ExitHandler",
    "GraphComponent",
    "If",
    "IfPresentPlaceholder",
    "ImporterComponent",
    "Input",
    "InputPath",
    "KubernetesWorkspaceConfig",
    "Markdown",
    "Metrics",
    "Model",
    "OneOf",
    "Output",
    "OutputPath",
    "ParallelFor",
    "PipelineArtifactChannel",
    "PipelineChannel",
    "PipelineConfig",
    "PipelineParameterChannel",
    "PipelineTask",
    "PipelineTaskFinalStatus",
    "PythonComponent",
    "SlicedClassificationMetrics",
    "TaskConfig",
    "TaskConfigField",
    "TaskConfigPassthrough",
    "WorkspaceConfig",
    "YamlComponent",
    "component",
    "container_component",
    "get_uri",
    "importer",
    "in_",
    "notebook_component",
    "pipeline",
    "run_notebook",
]
