"""Where settings are kept on a task, and how their values are written."""

from __future__ import annotations

from typing import Any, TypeAlias

from headrace.dsl.errors import DslTypeError
from headrace.dsl.pipeline_channel import PipelineChannel
from headrace.dsl.pipeline_task import PipelineTask
from headrace.dsl.text import channels_in
from headrace.dsl.types.type_utils import ParameterType

IR: TypeAlias = dict[str, Any]
#: A text written in the pipeline, or a parameter known when it runs.
Text: TypeAlias = str | PipelineChannel
#: An object written in the pipeline, or a parameter known when it runs.
Object: TypeAlias = dict[str, Any] | PipelineChannel


def of(task: PipelineTask) -> IR:
    """The task's settings, which may be changed in place."""
    if task.container_spec is None:
        raise DslTypeError(
            f"Task {task.name!r} runs no container of its own, so Kubernetes settings cannot be put on it.",
            code="NOT_A_CONTAINER_TASK",
            hint="put them on the tasks inside the nested pipeline.",
        )
    settings: IR = task.platform_config.setdefault("kubernetes", {})
    return settings


def append(task: PipelineTask, name: str, *items: IR) -> PipelineTask:
    """One more entry in a list of settings."""
    of(task).setdefault(name, []).extend(items)
    return task


def without(**fields: Any) -> IR:
    """The fields with a value: the format leaves out empty texts, lists and maps."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [], {})}


def parameter(value: Any, *, what: str) -> Any:
    """A value as the format's task-input spec; a channel stays itself, and the compiler writes the reference."""
    if isinstance(value, PipelineChannel):
        if not isinstance(value.type, ParameterType):
            raise DslTypeError(f"The {what} must be a parameter, not an artifact.", code="SETTING_NOT_A_PARAMETER")
        return value
    constant(value, what=what)
    return {"runtimeValue": {"constant": value}}


def named(field: str, value: Text, *, what: str) -> IR:
    """A name as the format has it: the parameter, and for constants the older plain field too."""
    if not isinstance(value, str | PipelineChannel):
        raise DslTypeError(
            f"The {what} must be a str or a parameter of the pipeline, not {type(value).__name__}.",
            code="SETTING_TYPE",
        )
    entry = {f"{field}Parameter": parameter(value, what=what)}
    if isinstance(value, str):
        entry.update(without(**{field: value}))
    return entry


def constant(value: Any, *, what: str) -> None:
    """Refuse a value that is known only when the pipeline runs."""
    if next(channels_in(value), None) is not None:
        raise DslTypeError(
            f"The {what} cannot hold a pipeline value: Kubernetes settings take constants there.",
            code="SETTING_NOT_CONSTANT",
            hint="give the value as a whole, where the function takes a parameter.",
        )


def constants(**values: Any) -> None:
    """Refuse values that are known only when the pipeline runs."""
    for name, value in values.items():
        constant(value, what=f"argument {name!r}")
