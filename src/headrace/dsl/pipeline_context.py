"""The pipeline being traced, and the decorator that traces one."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, overload

from headrace.dsl.errors import DslRuntimeError, DslValueError, function_location
from headrace.dsl.structures import sanitized

if TYPE_CHECKING:
    from headrace.dsl.base_component import GraphComponent
    from headrace.dsl.pipeline_channel import PipelineChannel
    from headrace.dsl.pipeline_config import PipelineConfig
    from headrace.dsl.pipeline_task import Answer, Parameters, PipelineTask
    from headrace.dsl.tasks_group import TasksGroup

_TRUE_WORDS = frozenset({"1", "true", "t", "yes", "y", "on"})
NO_CACHING_VARIABLE = "KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT"


class Pipeline:
    """The tasks and groups that a pipeline function has made so far."""

    _current: Pipeline | None = None

    def __init__(self, name: str) -> None:
        from headrace.dsl.tasks_group import TasksGroup

        self.name = name
        self.tasks: dict[str, PipelineTask] = {}
        self.root = TasksGroup(name)
        #: The channels that its function got as arguments.
        self.inputs: set[PipelineChannel] = set()
        self._open: list[TasksGroup] = [self.root]
        self._group_number = 0
        self._next_suffix: dict[str, int] = {}

    @staticmethod
    def get_default_pipeline() -> Pipeline | None:
        return Pipeline._current

    @staticmethod
    def get_execution_caching_default() -> bool:
        return os.environ.get(NO_CACHING_VARIABLE, "").strip().lower() not in _TRUE_WORDS

    def __enter__(self) -> Pipeline:
        if Pipeline._current is not None:
            raise DslRuntimeError(
                "A pipeline cannot be defined inside another pipeline's function.",
                code="PIPELINE_INSIDE_PIPELINE",
                hint="define it at the top of the module and call it here.",
            )
        Pipeline._current = self
        return self

    def __exit__(self, *_: object) -> None:
        Pipeline._current = None

    @property
    def current_group(self) -> TasksGroup:
        return self._open[-1]

    @property
    def groups(self) -> list[TasksGroup]:
        """The open groups, from the root inwards."""
        return self._open

    def add_task(self, task: PipelineTask) -> str:
        """Put a task into the current group. Returns its name, unique in the pipeline."""
        name = self._unique(sanitized(task.component_spec.name) or "task")
        self.tasks[name] = task
        task.parent_task_group = self.current_group
        self.current_group.tasks.append(task)
        return name

    def _unique(self, base: str) -> str:
        if base not in self.tasks:
            return base
        suffix = self._next_suffix.get(base, 2)
        while f"{base}-{suffix}" in self.tasks:
            suffix += 1
        self._next_suffix[base] = suffix + 1
        return f"{base}-{suffix}"

    def take_out(self, task: PipelineTask) -> None:
        """Remove an exit task from its group: it belongs to none."""
        group = task.parent_task_group
        if group is not None:
            group.tasks.remove(task)
        task.parent_task_group = None

    def push(self, group: TasksGroup) -> None:
        group.parent_task_group = self.current_group
        self.current_group.groups.append(group)
        self._open.append(group)

    def pop(self) -> None:
        self._open.pop()

    def close(self, group: TasksGroup) -> None:
        """Close a group, and every group that is still open inside it."""
        while self._open.pop() is not group:
            pass

    def last_group(self) -> TasksGroup | None:
        groups = self.current_group.groups
        return groups[-1] if groups else None

    def next_group_number(self) -> int:
        self._group_number += 1
        return self._group_number


def current(what: str) -> Pipeline:
    """The pipeline being traced."""
    if Pipeline._current is None:
        raise DslRuntimeError(
            f"{what} can only be used inside a function decorated with @dsl.pipeline.", code="OUTSIDE_PIPELINE"
        )
    return Pipeline._current


class PipelineDecorator(Protocol):
    """The result of `@dsl.pipeline(...)`, before it is applied to a function."""

    def __call__(self, func: Callable[Parameters, Answer], /) -> GraphComponent[Parameters, Answer]: ...


@overload
def pipeline(func: Callable[Parameters, Answer]) -> GraphComponent[Parameters, Answer]: ...


@overload
def pipeline(
    func: None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    pipeline_root: str | None = None,
    display_name: str | None = None,
    pipeline_config: PipelineConfig | None = None,
) -> PipelineDecorator: ...


def pipeline(
    func: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    pipeline_root: str | None = None,
    display_name: str | None = None,
    pipeline_config: PipelineConfig | None = None,
) -> Any:
    """Make a pipeline of a function that calls components; decorate the function with it.

    The function runs once, now, with channels instead of values. Its annotated parameters are the inputs of the
    pipeline, and what it returns is the output: an output of a task, or a NamedTuple of several.

    Args:
        func: The function. Left out when the decorator has arguments.
        name: The pipeline's name. Default: the function's name, with `-` for `_`.
        description: What the pipeline does. Default: the function's docstring.
        pipeline_root: Where runs store their artifacts, such as `s3://bucket/folder`. Default: as the server is
            configured.
        display_name: The name that the UI shows. Default: `name`.
        pipeline_config: Workspace, deadline and clean-up times of the runs. Default: none.

    Returns:
        The pipeline. Compile it, call it to run it, or call it in another pipeline.

    Raises:
        DslError: The pipeline cannot be compiled; the message has the file and the line.

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def add(a: int, b: int) -> int:
        ...     return a + b
        >>> @dsl.pipeline(name="adding", description="Adds three numbers.")
        ... def add_three(a: int = 1, b: int = 2, c: int = 3) -> int:
        ...     return add(a=add(a=a, b=b).output, b=c).output
    """
    if func is None:
        return functools.partial(
            pipeline,
            name=name,
            description=description,
            pipeline_root=pipeline_root,
            display_name=display_name,
            pipeline_config=pipeline_config,
        )
    from headrace.dsl.base_component import GraphComponent
    from headrace.dsl.component_factory import interface_of

    if pipeline_root:
        func.pipeline_root = pipeline_root  # type: ignore[attr-defined]
    spec = interface_of(func, name=name, description=description)
    if not spec.name:
        raise DslValueError(
            f"Invalid pipeline name: {name or func.__name__!r}. It has none of the letters a to z and the digits.",
            code="PIPELINE_NAME_INVALID",
            hint="@dsl.pipeline(name=...) with 1 to 128 lower-case letters, digits and dashes.",
            location=function_location(func),
        )
    return GraphComponent(spec, func, display_name=display_name, pipeline_config=pipeline_config)
