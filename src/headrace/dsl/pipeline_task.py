"""A component used in a pipeline: its inputs, its outputs, and the settings of this one use."""

from __future__ import annotations

import difflib
import re
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
    python_name,
    type_of_constant,
)
from headrace.spec.quantities import QuantityError, read_quantity

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    from headrace.dsl.as_values import AnyValue
    from headrace.dsl.tasks_group import ExitHandler, TasksGroup

    #: Parameters of the pipeline's function.
    Parameters = ParamSpec("Parameters", default=...)
    #: What the component's function returns.
    Answer = TypeVar("Answer", covariant=True, default=Any)
else:
    from typing import ParamSpec, TypeVar

    Parameters = ParamSpec("Parameters")
    Answer = TypeVar("Answer", covariant=True)


#: Names that Kubernetes takes, and that reach a process on every system.
_VARIABLE = re.compile(r"[!-<>-~]+")


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
    """`task.output`: to a type checker it is what the component's function returns."""

    @overload
    def __get__(self, task: None, owner: object) -> Self: ...

    @overload
    def __get__(self, task: PipelineTask[None], owner: object) -> AnyValue: ...

    @overload
    def __get__(self, task: PipelineTask[Answer], owner: object) -> Answer: ...

    def __get__(self, task: Any, owner: object) -> Any:
        return self if task is None else task.only_output()


class PipelineTask(Generic[Answer]):
    """One use of a component in a pipeline. Calling a component makes it; every setter returns the task itself.

    `platform_config` holds settings of one platform by its name, as the document's second part writes them, one
    dict a platform (`task.platform_config['kubernetes'] = {...}`). Wherever that format has a task-input spec
    (`secretNameParameter` and its like), a channel object may be a value of the dict: the compiler writes the right
    reference for the position of the task, passes the value into every group around it and adds the dependency.
    `register_pipeline_channels` is not needed for those. A text with a channel inside it is refused there.

    Args:
        component_spec: The component.
        args: The arguments by name: constants, or values of the pipeline.

    Raises:
        DslError: An argument does not fit its input.

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def train(rate: float) -> float:
        ...     return rate
        >>> @dsl.pipeline
        ... def training(rate: float = 0.1):
        ...     first = train(rate=rate).set_memory_limit("1Gi").set_retry(2, backoff_duration="10s")
        ...     train(rate=first.output).set_caching_options(False)
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
        """The only output of the task, which `.output` is.

        Raises:
            DslAttributeError: The task has no output (`NO_SUCH_OUTPUT`), or several (`OUTPUT_AMBIGUOUS`).
        """
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
        """The outputs by name: `task.outputs["model"]` or `task.outputs.model`."""
        return TaskOutputs(self.name, self._outputs)

    @property
    def channel_inputs(self) -> list[PipelineChannel]:
        """Every channel the task reads: in inputs, image, resources and platform settings."""
        return [*channels_in(list(self.inputs.values())), *self.setting_channels()]

    def setting_channels(self) -> Iterator[PipelineChannel]:
        """The channels that the task's settings read: image, resources and platform settings."""
        if self.container_spec is not None:
            yield from channels_in(self.container_spec.image)
            if self.container_spec.resources is not None:
                yield from channels_in(list(vars(self.container_spec.resources).values()))
        yield from self._registered
        if self.platform_config:
            yield from channels_in(self.platform_config)

    @property
    def dependent_tasks(self) -> list[str]:
        """The names of the tasks and groups that were passed to `after`."""
        return [task.name for task in self.after_dependencies]

    @property
    def platform_spec(self) -> Any:
        """The platform settings of a nested pipeline, as KFP's protobuf message.

        Raises:
            DslValueError: The task is not a nested pipeline (`NOT_A_PIPELINE_TASK`).
        """
        from headrace.dsl import hooks

        if self.graph is None:
            raise DslValueError(
                "Can only access '.platform_spec' on tasks created from pipelines.",
                code="NOT_A_PIPELINE_TASK",
                hint="use .platform_config of a task created from a component.",
            )
        return hooks.message("PlatformSpec", self.graph.platform_spec)

    def depends_on_tasks(self) -> bool:
        """Whether the task starts only after another task or group."""
        return bool(self.after_dependencies) or any(channel.producer for channel in self.channel_inputs)

    def register_pipeline_channels(self, pipeline_channels: list[PipelineChannel]) -> None:
        """Add channels that the task reads, so that it depends on their producers. For authors of SDK extensions.

        Args:
            pipeline_channels: The channels.
        """
        known = {id(channel) for channel in self._registered}
        self._registered.extend(channel for channel in pipeline_channels if id(channel) not in known)

    # Settings

    def set_caching_options(self, enable_caching: bool, cache_key: str | None = None) -> Self:
        """Decide whether the result of an earlier task with the same inputs may be reused.

        Without this call, results are reused, unless the environment variable
        `KFP_DISABLE_EXECUTION_CACHING_BY_DEFAULT` is true where the pipeline is compiled. Who starts a run can
        overrule both.

        Args:
            enable_caching: Whether an earlier result may be reused.
            cache_key: A text that replaces the fingerprint of component and inputs: tasks with the same key share
                results. Default: None: the fingerprint.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslTypeError: It is not True or False, or the key is not a constant text (`CACHING_INVALID`).
        """
        if not isinstance(enable_caching, bool):
            raise DslTypeError(
                f"Whether results are reused must be True or False, not {_shown(enable_caching)}.",
                code="CACHING_INVALID",
                hint="write set_caching_options(False).",
            )
        self.enable_caching = enable_caching
        self.cache_key = None if cache_key is None else _plain_text(cache_key, "A cache key", "CACHING_INVALID")
        return self

    def set_retry(
        self,
        num_retries: int,
        backoff_duration: str | None = None,
        backoff_factor: float | None = None,
        backoff_max_duration: str | None = None,
    ) -> Self:
        """Start the task again when it fails.

        The wait before the second attempt is `backoff_duration`; each further wait is
        `backoff_factor` times as long as the one before.

        Args:
            num_retries: How many attempts there may be after the first one.
            backoff_duration: The first wait: a whole number and a unit, such as `30s`, `5 minutes` or `1h`.
                Default: `0s`.
            backoff_factor: How many times as long each wait is as the one before. Default: 2.0.
            backoff_max_duration: The longest wait. Default: `3600s`.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslValueError: A duration cannot be read (`DURATION_INVALID`, `DURATION_UNIT_UNKNOWN`), or a number is none
                that counts (`RETRIES_INVALID`).
        """
        if isinstance(num_retries, bool) or not isinstance(num_retries, int) or num_retries < 0:
            raise DslValueError(
                f"The number of retries must be a whole number from 0 on, not {_shown(num_retries)}.",
                code="RETRIES_INVALID",
                hint="write set_retry(3).",
            )
        if backoff_factor is not None and not _is_positive(backoff_factor):
            raise DslValueError(
                f"The factor of the waits must be a number above 0, not {_shown(backoff_factor)}.",
                code="RETRIES_INVALID",
                hint="write backoff_factor=2.0.",
            )
        self.retry_policy = RetryPolicy(
            max_retry_count=num_retries,
            backoff_duration=backoff_duration,
            backoff_factor=backoff_factor,
            backoff_max_duration=backoff_max_duration,
        )
        self.retry_policy.to_ir()  # a duration that cannot be read is refused here, at its line
        return self

    def set_display_name(self, name: str) -> Self:
        """Change the name that the UI shows for the task.

        Args:
            name: The name. Without this call the UI shows the task's name, which follows from the component's.

        Returns:
            The task itself, so that calls can be chained.
        """
        self.display_name = _plain_text(name, "A display name", "DISPLAY_NAME_INVALID")
        return self

    def set_env_variable(self, name: str, value: str) -> Self:
        """Set an environment variable of the task.

        Do not put a password here: it would be in the document. See `headrace.kubernetes.use_secret_as_env`.

        Args:
            name: The variable's name.
            value: Its value, a constant text. A value of the pipeline is refused.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslTypeError: The value is not a text (`ENV_NOT_TEXT`) or not a constant (`ENV_NOT_CONSTANT`).
            DslValueError: The name cannot be one (`ENV_NAME_INVALID`), the value holds a NUL character
                (`ENV_VALUE_INVALID`), or the task has no container of its own (`NOT_A_CONTAINER_TASK`).
        """
        container = self._container("set_env_variable")
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise DslValueError(
                f"{_shown(name)} cannot be the name of an environment variable: at least one visible ASCII "
                "character, and no '='.",
                code="ENV_NAME_INVALID",
                hint="use letters, digits and '_'.",
            )
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
        if "\0" in value:
            raise DslValueError(
                f"The value of the environment variable {name!r} holds a NUL character, which no system can pass on.",
                code="ENV_VALUE_INVALID",
                hint="take it out, or give the value to an input of the component.",
            )
        container.env[name] = value
        return self

    def set_debug_pause(self, before: bool = False, after: bool = True, on_error: bool = False) -> Self:
        """Pause the task's pod, so that you can look inside. Kubernetes with Argo Workflows 3.5 or later only.

        Args:
            before: Pause before the task's command starts. Default: False.
            after: Pause after it ended. Default: True.
            on_error: Pause after it ended only if it failed; needs `after`. Default: False.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslValueError: Neither `before` nor `after` is true (`DEBUG_PAUSE_EMPTY`), or `on_error` is true without
                `after` (`DEBUG_PAUSE_CONTRADICTION`).
        """
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
        """Run this task in another image than its component says.

        Args:
            name: The image, such as `python:3.11`, or a text parameter of the pipeline.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslTypeError: `name` is neither a text nor a value of the pipeline (`IMAGE_INVALID`).
            DslValueError: The task has no container of its own (`NOT_A_CONTAINER_TASK`).
        """
        container = self._container("set_container_image")
        if not isinstance(name, str | PipelineChannel):
            raise DslTypeError(
                f"An image is a text or a pipeline value, not {name!r}.",
                code="IMAGE_INVALID",
                hint="write 'python:3.11'.",
            )
        if isinstance(name, str) and (not name or any(one.isspace() for one in name)):
            raise DslValueError(
                f"{name!r} cannot be the name of an image.", code="IMAGE_INVALID", hint="write 'python:3.11'."
            )
        container.image = name
        return self

    def set_cpu_request(self, cpu: str | PipelineChannel) -> Self:
        """Set how many cores must be free before the task starts.

        Args:
            cpu: Cores, as a Kubernetes quantity: `2`, `0.5` or `500m`; or a text parameter of the pipeline. Without
                this call: the limit, or else none.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslValueError: The text is not a quantity (`CPU_INVALID`), or the task has no container of its own
                (`NOT_A_CONTAINER_TASK`).
        """
        self._resources("set_cpu_request").cpu_request = _quantity(cpu, "cpu", "'2', '0.5' or '500m'")
        return self

    def set_cpu_limit(self, cpu: str | PipelineChannel) -> Self:
        """Set how many cores the task may use; it is slowed down at the limit, not ended.

        Args:
            cpu: Cores, as a Kubernetes quantity: `2`, `0.5` or `500m`; or a text parameter of the pipeline. Without
                this call: no limit.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslValueError: The text is not a quantity (`CPU_INVALID`), or the task has no container of its own
                (`NOT_A_CONTAINER_TASK`).
        """
        self._resources("set_cpu_limit").cpu_limit = _quantity(cpu, "cpu", "'2', '0.5' or '500m'")
        return self

    def set_memory_request(self, memory: str | PipelineChannel) -> Self:
        """Set how much memory must be free before the task starts.

        Args:
            memory: Bytes, as a Kubernetes quantity: `500Mi`, `4G` or `1.5Gi`; or a text parameter of the pipeline.
                Without this call: the limit, or else none.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslValueError: The text is not a quantity (`MEMORY_INVALID`), or the task has no container of its own
                (`NOT_A_CONTAINER_TASK`).
        """
        self._resources("set_memory_request").memory_request = _quantity(memory, "memory", "'500Mi' or '4G'")
        return self

    def set_memory_limit(self, memory: str | PipelineChannel) -> Self:
        """Set how much memory the task may use; a task that uses more is ended (`OUT_OF_MEMORY`).

        Args:
            memory: Bytes, as a Kubernetes quantity: `500Mi`, `4G` or `1.5Gi`; or a text parameter of the pipeline.
                Without this call: no limit.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslValueError: The text is not a quantity (`MEMORY_INVALID`), or the task has no container of its own
                (`NOT_A_CONTAINER_TASK`).
        """
        self._resources("set_memory_limit").memory_limit = _quantity(memory, "memory", "'500Mi' or '4G'")
        return self

    def set_accelerator_type(self, accelerator: str | PipelineChannel) -> Self:
        """Set which kind of accelerator the task needs; one of them, unless `set_accelerator_limit` says how many.

        Args:
            accelerator: The kind, such as `nvidia.com/gpu`, or a text parameter of the pipeline.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslValueError: The task has no container of its own (`NOT_A_CONTAINER_TASK`).
        """
        resources = self._resources("set_accelerator_type")
        resources.accelerator_type = accelerator
        if resources.accelerator_count is None:
            resources.accelerator_count = "1"
        return self

    def set_accelerator_limit(self, limit: int | str | PipelineChannel) -> Self:
        """Set how many accelerators the task gets. Without `set_accelerator_type` they are `nvidia.com/gpu`.

        Args:
            limit: A whole number, 0 or more, also as a text; or a parameter of the pipeline.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslValueError: It is not such a number (`ACCELERATOR_LIMIT_INVALID`), or the task has no container of
                its own (`NOT_A_CONTAINER_TASK`).
        """
        resources = self._resources("set_accelerator_limit")
        if not isinstance(limit, PipelineChannel):
            limit = str(limit)
            if not (limit.isascii() and limit.isdigit()) and next(channels_in(limit), None) is None:
                raise DslValueError("limit must be a non-negative integer.", code="ACCELERATOR_LIMIT_INVALID")
        resources.accelerator_count = limit
        return self

    def set_gpu_limit(self, gpu: str) -> Self:
        """The old name of `set_accelerator_limit`; it warns when it is used.

        Args:
            gpu: A whole number, 0 or more, as a text.

        Returns:
            The task itself, so that calls can be chained.
        """
        warnings.warn(
            "'set_gpu_limit' is deprecated. Use 'set_accelerator_limit' instead.", DeprecationWarning, stacklevel=2
        )
        return self.set_accelerator_limit(gpu)

    def add_node_selector_constraint(self, accelerator: str) -> Self:
        """The old name of `set_accelerator_type`; it warns when it is used.

        Args:
            accelerator: The kind, such as `nvidia.com/gpu`.

        Returns:
            The task itself, so that calls can be chained.
        """
        warnings.warn(
            "'add_node_selector_constraint' is deprecated. Use 'set_accelerator_type' instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.set_accelerator_type(accelerator)

    def after(self, *tasks: PipelineTask | ExitHandler) -> Self:
        """Start the task only after these have ended, although it uses none of their outputs.

        Args:
            *tasks: Tasks, or `dsl.ExitHandler` groups.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslValueError: Something else was passed (`AFTER_GROUP`, `AFTER_INVALID`), or the task itself
                (`AFTER_SELF`).

        Example:
            >>> from headrace import dsl
            >>> @dsl.component
            ... def step(name: str):
            ...     print(name)
            >>> @dsl.pipeline
            ... def ordered():
            ...     prepare = step(name="prepare")
            ...     step(name="use").after(prepare)
        """
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
        """Run the task after the tasks it depends on have ended, also when they failed.

        Inputs that take outputs of those tasks need default values, which are used if a task made no output.

        Returns:
            The task itself, so that calls can be chained.

        Raises:
            DslValueError: Such an input has no default value (`IGNORE_FAILURE_NEEDS_DEFAULT`).

        Example:
            >>> from headrace import dsl
            >>> @dsl.component
            ... def risky() -> str:
            ...     return "result"
            >>> @dsl.component
            ... def report(result: str = "no result"):
            ...     print(result)
            >>> @dsl.pipeline
            ... def careful():
            ...     report(result=risky().output).ignore_upstream_failure()
        """
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


def _shown(value: object) -> str:
    """A value as a message shows it."""
    return value.described() if isinstance(value, PipelineChannel) else repr(value)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _plain_text(value: object, what: str, code: str) -> Any:
    if isinstance(value, str) and next(channels_in(value), None) is None:
        return value
    raise DslTypeError(
        f"{what} must be a constant text, not {_shown(value)}.", code=code, hint="write a str without pipeline values."
    )


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
    """Whether the argument is left out: None for an optional input."""
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
        source = f" from {value.described()}" if isinstance(value, PipelineChannel) else ""
        raise InconsistentTypeException(
            f"Incompatible argument passed to the input {name!r} of component {spec.name!r}: "
            f"Argument type {python_name(given)!r}{source} is incompatible with the input type "
            f"{python_name(expected.type)!r}",
            hint=_type_hint(value, expected),
        )
    _check_literals(spec, name, value, expected)
    return value


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
    """A constant of the pipeline as the document writes it; refused if no task can receive it."""
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
