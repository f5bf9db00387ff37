"""A component used in a pipeline: its inputs, its outputs, and the settings of this one use."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, Self, overload

from headrace.dsl import pipeline_context
from headrace.dsl.conditions import ConditionExpression
from headrace.dsl.errors import DslAttributeError, DslKeyError, DslTypeError, DslValueError, user_location
from headrace.dsl.pipeline_channel import PipelineChannel, create_pipeline_channel
from headrace.dsl.structures import (
    ComponentSpec,
    ContainerImplementation,
    GraphImplementation,
    ImporterImplementation,
    InputSpec,
    ResourceSpec,
    RetryPolicy,
)
from headrace.dsl.text import channels_in, check_undamaged
from headrace.dsl.types import artifact_types
from headrace.dsl.types.type_utils import (
    DOUBLE,
    INTEGER,
    LIST,
    STRING,
    ArtifactType,
    InconsistentTypeException,
    ParameterType,
    fits,
    type_of_constant,
)
from headrace.spec.quantities import QuantityError, read_quantity

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    from headrace.dsl.as_values import AnyValue
    from headrace.dsl.tasks_group import ExitHandler, TasksGroup

    #: What the pipeline's function takes.
    Parameters = ParamSpec("Parameters", default=...)
    #: What the component's function answers.
    Answer = TypeVar("Answer", covariant=True, default=Any)
else:
    from typing import ParamSpec, TypeVar

    Parameters = ParamSpec("Parameters")
    Answer = TypeVar("Answer", covariant=True)


class TaskOutputs(Mapping[str, "AnyValue"]):
    """A task's outputs by name: `outputs['model']` or `outputs.model`."""

    def __init__(self, task_name: str, channels: dict[str, PipelineChannel]) -> None:
        self._task_name = task_name
        self._channels = channels

    def __getitem__(self, name: str) -> AnyValue:
        if name not in self._channels:
            raise DslKeyError(*self._unknown(name)[:1], hint=self._unknown(name)[1])
        return self._channels[name]  # type: ignore[return-value]  # it stands for the value

    def __getattr__(self, name: str) -> AnyValue:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._channels:
            raise DslAttributeError(self._unknown(name)[0], code="NO_SUCH_OUTPUT", hint=self._unknown(name)[1])
        return self._channels[name]  # type: ignore[return-value]  # it stands for the value

    def _unknown(self, name: str) -> tuple[str, str]:
        close = difflib.get_close_matches(str(name), self._channels, n=1)
        known = ", ".join(map(repr, self._channels)) or "none"
        return (
            f"Task {self._task_name!r} has no output {name!r}; it has: {known}.",
            f"did you mean {close[0]!r}?" if close else "declare it in the component, as a return type or dsl.Output.",
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._channels)

    def __len__(self) -> int:
        return len(self._channels)

    def __repr__(self) -> str:
        return f"<outputs of {self._task_name}: {', '.join(self._channels)}>"


class _OutputAttribute:
    """`task.output`: to a type checker it is what the component's function answers."""

    @overload
    def __get__(self, task: None, owner: object) -> Self: ...

    @overload
    def __get__(self, task: PipelineTask[None], owner: object) -> AnyValue: ...

    @overload
    def __get__(self, task: PipelineTask[Answer], owner: object) -> Answer: ...

    def __get__(self, task: Any, owner: object) -> Any:
        return self if task is None else task.only_output()


class PipelineTask(Generic[Answer]):
    """One use of a component in a pipeline. Calling a component makes it; every setter answers the task itself.

    `platform_config` holds settings of one platform by its name, as the document's second part writes them, one
    dict a platform (`task.platform_config['kubernetes'] = {...}`). Wherever that format has a task-input spec
    (`secretNameParameter` and its like), a channel object may stand in the dict itself: the compiler writes
    the right reference for the place of the task, passes the value into every group around it and adds the
    dependency. `register_pipeline_channels` is not needed for those. A text with a channel inside it is refused there.
    """

    def __init__(self, component_spec: ComponentSpec, args: dict[str, Any]) -> None:
        self.component_spec = component_spec
        self.location = user_location()
        self.parent_task_group: TasksGroup | None = None
        self.is_exit_handler = False
        self.inputs: dict[str, Any] = {
            name: _checked_argument(component_spec, name, value)
            for name, value in args.items()
            if not _omitted(component_spec, name, value)
        }
        self.name = pipeline_context.current("A task").add_task(self)
        implementation = component_spec.implementation
        self.container_spec = implementation.for_task() if isinstance(implementation, ContainerImplementation) else None
        self.importer_spec = implementation if isinstance(implementation, ImporterImplementation) else None
        self.graph = implementation if isinstance(implementation, GraphImplementation) else None
        self.platform_config: dict[str, Any] = {}
        self.enable_caching = pipeline_context.Pipeline.get_execution_caching_default()
        self.cache_key: str | None = None
        self.display_name: str | None = None
        self.retry_policy: RetryPolicy | None = None
        self.ignores_upstream_failure = False
        self.after_dependencies: list[PipelineTask | ExitHandler] = []
        self._registered: list[PipelineChannel] = []
        self._outputs = {
            name: create_pipeline_channel(name=name, type=spec.type, producer=self)
            for name, spec in component_spec.outputs.items()
        }

    # What it has

    #: The only output.
    output = _OutputAttribute()

    def only_output(self) -> PipelineChannel:
        if len(self._outputs) != 1:
            count = "no outputs" if not self._outputs else f"{len(self._outputs)} outputs: {', '.join(self._outputs)}"
            raise DslAttributeError(
                f"Task {self.name!r} has {count}, so .output does not say which.",
                code="OUTPUT_AMBIGUOUS" if self._outputs else "NO_SUCH_OUTPUT",
                hint="use task.outputs['name']." if self._outputs else "give the component a return type.",
            )
        return next(iter(self._outputs.values()))

    @property
    def outputs(self) -> TaskOutputs:
        return TaskOutputs(self.name, self._outputs)

    @property
    def channel_inputs(self) -> list[PipelineChannel]:
        """Every channel the task reads: inputs, image, resources, platform settings."""
        return [*channels_in(list(self.inputs.values())), *self.setting_channels()]

    def setting_channels(self) -> Iterator[PipelineChannel]:
        if self.container_spec is not None:
            yield from channels_in(self.container_spec.image)
            if self.container_spec.resources is not None:
                yield from channels_in(list(vars(self.container_spec.resources).values()))
        yield from self._registered
        if self.platform_config:
            yield from channels_in(self.platform_config)

    @property
    def dependent_tasks(self) -> list[str]:
        """Names given to `after`."""
        return [task.name for task in self.after_dependencies]

    @property
    def platform_spec(self) -> Any:
        """A nested pipeline's platform settings."""
        from headrace.dsl import hooks

        if self.graph is None:
            raise DslValueError(
                "Can only access '.platform_spec' on tasks created from pipelines.",
                code="NOT_A_PIPELINE_TASK",
                hint="use .platform_config of a task created from a component.",
            )
        return hooks.message("PlatformSpec", self.graph.platform_spec)

    def depends_on_tasks(self) -> bool:
        return bool(self.after_dependencies) or any(channel.producer for channel in self.channel_inputs)

    def register_pipeline_channels(self, pipeline_channels: list[PipelineChannel]) -> None:
        """More channels this task reads."""
        known = {id(channel) for channel in self._registered}
        self._registered.extend(channel for channel in pipeline_channels if id(channel) not in known)

    # Settings

    def set_caching_options(self, enable_caching: bool, cache_key: str | None = None) -> Self:
        """Whether an earlier result for the same inputs may be used, and under which key."""
        self.enable_caching = enable_caching
        self.cache_key = cache_key
        return self

    def set_retry(
        self,
        num_retries: int,
        backoff_duration: str | None = None,
        backoff_factor: float | None = None,
        backoff_max_duration: str | None = None,
    ) -> Self:
        """How often to try again, and how long to wait: first, growth, longest."""
        self.retry_policy = RetryPolicy(
            max_retry_count=num_retries,
            backoff_duration=backoff_duration,
            backoff_factor=backoff_factor,
            backoff_max_duration=backoff_max_duration,
        )
        self.retry_policy.to_ir()  # a duration that cannot be read is refused here, at its line
        return self

    def set_display_name(self, name: str) -> Self:
        self.display_name = name
        return self

    def set_env_variable(self, name: str, value: str) -> Self:
        container = self._container("set_env_variable")
        if next(channels_in(value), None) is not None:
            raise DslTypeError(
                f"The environment variable {name!r} cannot hold a pipeline value: the backend takes constants only.",
                code="ENV_NOT_CONSTANT",
                hint="give the value to an input of the component and set os.environ there.",
            )
        if not isinstance(value, str):
            raise DslTypeError(
                f"The environment variable {name!r} must be a str, not {type(value).__name__}.",
                code="ENV_NOT_TEXT",
                hint=f"write {str(value)!r}.",
            )
        container.env[name] = value
        return self

    def set_debug_pause(self, before: bool = False, after: bool = True, on_error: bool = False) -> Self:
        """Keep the pod for a look inside (Argo Workflows 3.5 or later)."""
        if on_error and not after:
            raise DslValueError(
                "'on_error' pauses after the task ended and requires after=True. Got after=False, on_error=True.",
                code="DEBUG_PAUSE_CONTRADICTION",
            )
        if not (before or after):
            raise DslValueError("At least one of 'before' or 'after' must be True.", code="DEBUG_PAUSE_EMPTY")
        if before:
            self.set_env_variable("ARGO_DEBUG_PAUSE_BEFORE", "true")
        if after:
            self.set_env_variable("ARGO_DEBUG_PAUSE_ON_ERROR" if on_error else "ARGO_DEBUG_PAUSE_AFTER", "true")
        return self

    def set_container_image(self, name: str | PipelineChannel) -> Self:
        container = self._container("set_container_image")
        if not isinstance(name, str | PipelineChannel):
            raise DslTypeError(
                f"An image is a text or a pipeline value, not {name!r}.",
                code="IMAGE_INVALID",
                hint="write 'python:3.11'.",
            )
        container.image = name
        return self

    def set_cpu_request(self, cpu: str | PipelineChannel) -> Self:
        self._resources("set_cpu_request").cpu_request = _quantity(cpu, "cpu", "'2', '0.5' or '500m'")
        return self

    def set_cpu_limit(self, cpu: str | PipelineChannel) -> Self:
        self._resources("set_cpu_limit").cpu_limit = _quantity(cpu, "cpu", "'2', '0.5' or '500m'")
        return self

    def set_memory_request(self, memory: str | PipelineChannel) -> Self:
        self._resources("set_memory_request").memory_request = _quantity(memory, "memory", "'500Mi' or '4G'")
        return self

    def set_memory_limit(self, memory: str | PipelineChannel) -> Self:
        self._resources("set_memory_limit").memory_limit = _quantity(memory, "memory", "'500Mi' or '4G'")
        return self

    def set_accelerator_type(self, accelerator: str | PipelineChannel) -> Self:
        resources = self._resources("set_accelerator_type")
        resources.accelerator_type = accelerator
        if resources.accelerator_count is None:
            resources.accelerator_count = "1"
        return self

    def set_accelerator_limit(self, limit: int | str | PipelineChannel) -> Self:
        resources = self._resources("set_accelerator_limit")
        if not isinstance(limit, PipelineChannel):
            limit = str(limit)
            if not (limit.isascii() and limit.isdigit()) and next(channels_in(limit), None) is None:
                raise DslValueError("limit must be a non-negative integer.", code="ACCELERATOR_LIMIT_INVALID")
        resources.accelerator_count = limit
        return self

    def set_gpu_limit(self, gpu: str) -> Self:
        warnings.warn(
            "'set_gpu_limit' is deprecated. Use 'set_accelerator_limit' instead.", DeprecationWarning, stacklevel=2
        )
        return self.set_accelerator_limit(gpu)

    def add_node_selector_constraint(self, accelerator: str) -> Self:
        warnings.warn(
            "'add_node_selector_constraint' is deprecated. Use 'set_accelerator_type' instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.set_accelerator_type(accelerator)

    def after(self, *tasks: PipelineTask | ExitHandler) -> Self:
        """Start only once these have ended."""
        from headrace.dsl.tasks_group import ExitHandler, TasksGroup

        for task in tasks:
            if isinstance(task, TasksGroup) and not isinstance(task, ExitHandler):
                raise DslValueError(
                    f'".after()" on task group "{task.name}" of type dsl.{type(task).__name__} is not supported. '
                    "Only dsl.ExitHandler groups can be used as .after() dependencies.",
                    code="AFTER_GROUP",
                )
            if not isinstance(task, PipelineTask | ExitHandler):
                raise DslValueError(
                    "PipelineTask.after() only supports PipelineTask and dsl.ExitHandler dependencies. "
                    f"Got {type(task).__name__}.",
                    code="AFTER_INVALID",
                    hint="give the task itself, not its output." if isinstance(task, PipelineChannel) else None,
                )
            if task is self:
                raise DslValueError(
                    f"Task {self.name!r} cannot wait for itself.", code="AFTER_SELF", hint="name another task."
                )
            self.after_dependencies.append(task)
        return self

    def ignore_upstream_failure(self) -> Self:
        """Run once the tasks before have ended, however they ended."""
        for name, spec in self.component_spec.inputs.items():
            value = self.inputs.get(name)
            if isinstance(value, PipelineChannel) and value.producer is not None and not spec.optional:
                raise DslValueError(
                    "Tasks can only use .ignore_upstream_failure() if all input parameters that accept arguments "
                    "created by an upstream task have a default value, in case the upstream task fails to produce its "
                    f"output. Input parameter {name!r} of task {self.name!r} takes {value.described()}.",
                    code="IGNORE_FAILURE_NEEDS_DEFAULT",
                    hint=f"give {name!r} a default value in the component.",
                )
        self.ignores_upstream_failure = True
        return self

    def _container(self, method: str) -> ContainerImplementation:
        if self.container_spec is None:
            raise DslValueError(
                f"{method} can only be used on single-step components, not pipelines used as components, or special "
                "components like importers.",
                code="NOT_A_CONTAINER_TASK",
            )
        return self.container_spec

    def _resources(self, method: str) -> ResourceSpec:
        container = self._container(method)
        if container.resources is None:
            container.resources = ResourceSpec()
        return container.resources

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<task {self.name}>"


def _quantity(value: Any, what: str, examples: str) -> Any:
    if isinstance(value, PipelineChannel) or next(channels_in(value), None) is not None:
        return value
    try:
        read_quantity(value if isinstance(value, str) else "")
    except QuantityError:
        raise DslValueError(
            f"Invalid {what} string: {value!r}.",
            code=f"{what.upper()}_INVALID",
            hint=f"write a text such as {examples}.",
        ) from None
    return value.strip()


def _omitted(spec: ComponentSpec, name: str, value: object) -> bool:
    """None for an optional input means: not given."""
    if value is not None:
        return False
    found = spec.inputs.get(name)
    if found is None or found.optional:
        return True
    raise DslValueError(
        f"None was given for input {name!r} of component {spec.name!r}, which is not optional.",
        code="NONE_NOT_ALLOWED",
        hint=f"give {name!r} the default None in the component: `{name}: Optional[...] = None`.",
    )


def _checked_argument(spec: ComponentSpec, name: str, value: Any) -> Any:
    expected = spec.inputs[name]
    if isinstance(value, PipelineChannel):
        given: Any = value.type
    else:
        value = constant(value, what=f"input {name!r} of component {spec.name!r}", expected=expected)
        given = type_of_constant(value)
    if not fits(given, expected.type):
        raise InconsistentTypeException(
            f"Incompatible argument passed to the input {name!r} of component {spec.name!r}: "
            f"Argument type {_ir_name(given)!r} is incompatible with the input type {_ir_name(expected.type)!r}",
            hint=_type_hint(value, expected),
        )
    _check_literals(spec, name, value, expected)
    return value


def _ir_name(found: Any) -> str:
    return found.kind if isinstance(found, ParameterType) else str(found)


def _type_hint(value: Any, expected: InputSpec) -> str | None:
    if isinstance(value, PipelineTask):
        return "give an output of the task: task.output or task.outputs['name']."
    if isinstance(expected.type, ArtifactType) and not isinstance(value, PipelineChannel):
        return "an artifact comes from a task's output or from dsl.importer(...)."
    if isinstance(expected.type, ParameterType) and expected.type.kind == LIST and isinstance(value, PipelineChannel):
        return "outputs of tasks in a loop are gathered with dsl.Collected(task.output)."
    if isinstance(expected.type, ArtifactType):
        return "give an artifact of that type, or declare the input as dsl.Artifact, which takes any."
    if not isinstance(value, PipelineChannel):
        return "give a value of that type."
    if isinstance(value.type, ArtifactType):
        return "declare the input as dsl.Input[...], or give an output parameter of the task."
    if isinstance(expected.type, ParameterType) and expected.type.kind == STRING:
        return 'write f"{value}" to hand it over as text.'
    return "let a component convert it, or change the type of the input."


def _check_literals(spec: ComponentSpec, name: str, value: Any, expected: InputSpec) -> None:
    allowed = expected.type.literals if isinstance(expected.type, ParameterType) else ()
    if (
        allowed
        and not isinstance(value, PipelineChannel)
        and next(channels_in(value), None) is None
        and value not in allowed
    ):
        raise DslValueError(
            f"{value!r} was given for input {name!r} of component {spec.name!r}; it allows only "
            f"{', '.join(map(repr, allowed))}.",
            code="LITERAL_NOT_ALLOWED",
        )


def constant(value: Any, *, what: str, expected: InputSpec | None = None) -> Any:
    """A value written in the pipeline, in the shape documents carry; refused if no task can take it."""
    if isinstance(value, Enum) and type_of_constant(value) is not None:
        value = value.value
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, artifact_types.Artifact):
        raise DslValueError(
            f"Input artifacts are not supported. Got input artifact of type {type(value).__name__!r} for {what}.",
            code="ARTIFACT_CONSTANT",
            hint="use dsl.importer(artifact_uri=..., artifact_class=...).",
        )
    if isinstance(value, ConditionExpression | PipelineTask) or type_of_constant(value) is None:
        hint = "give an output: task.output or task.outputs['name']." if isinstance(value, PipelineTask) else None
        raise DslValueError(
            f"Constant argument inputs must be one of str, int, float, bool, list, dict. Got: {value!r} of type "
            f"{type(value).__name__} for {what}.",
            code="CONSTANT_INVALID",
            hint=hint,
        )
    _check_nested(value, what)
    kind = expected.type.kind if expected is not None and isinstance(expected.type, ParameterType) else None
    return float(value) if kind == DOUBLE and type(value) is int and kind != INTEGER else value


def _check_nested(value: Any, what: str) -> None:
    if isinstance(value, str):
        check_undamaged(value)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        if isinstance(item, PipelineTask | ConditionExpression) or (
            item is not None and not isinstance(item, PipelineChannel | str | int | float | list | tuple | dict)
        ):
            raise DslValueError(
                f"{item!r} of type {type(item).__name__} inside {what} cannot be carried by the document.",
                code="CONSTANT_INVALID",
            )
        _check_nested(item, what)
