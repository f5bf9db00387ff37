"""Channels: a pipeline function has them instead of values, which exist only once the pipeline runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from headrace.dsl import conditions
from headrace.dsl.errors import DslAttributeError, DslError, DslIndexError, DslTypeError, DslValueError
from headrace.dsl.text import readable_token, token
from headrace.dsl.types.type_utils import ArtifactType, ParameterType, ValueType

if TYPE_CHECKING:
    from headrace.dsl.pipeline_task import PipelineTask
    from headrace.dsl.tasks_group import ConditionBranches, TasksGroup

INJECTED_PREFIX = "pipelinechannel--"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9\s_-]*")

Producer: TypeAlias = "PipelineTask | TasksGroup"


def additional_input_name_for_pipeline_channel(channel_or_name: PipelineChannel | str) -> str:
    """The name under which a value from outside enters a group."""
    name = channel_or_name.full_name if isinstance(channel_or_name, PipelineChannel) else channel_or_name
    return INJECTED_PREFIX + name


class PipelineChannel:
    """A value of the running pipeline: a pipeline input, an output of a task, or an item of a loop.

    The value does not exist while the pipeline function runs. A channel can be passed to a component, compared (which
    makes a condition for `dsl.If`), looped over with `dsl.ParallelFor`, returned, and put into an f-string that is
    passed to a component. Everything that would need the value now raises a DslTypeError.

    Args:
        name: The name of the input or output.
        type: The type of the value.
        producer: The task or the group that the value comes from. Default: it is an input of the pipeline.

    Raises:
        DslValueError: The name has other characters than letters, digits, spaces, `_` and `-`
            (`CHANNEL_NAME_INVALID`).

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def greet(name: str) -> str:
        ...     return f"Hello {name}"
        >>> @dsl.pipeline
        ... def hello(name: str = "Ada") -> str:
        ...     greeting = greet(name=f"{name}!")
        ...     with dsl.If(greeting.output != ""):
        ...         greet(name=greeting.output)
        ...     return greeting.output
    """

    __slots__ = ("name", "producer", "type")

    name: str
    type: ValueType
    producer: Producer | None

    def __init__(self, *, name: str, type: ValueType, producer: Producer | None = None) -> None:
        if not _NAME.fullmatch(name):
            raise DslValueError(
                f"{name!r} cannot be the name of an input or output: only letters, digits, spaces, '_' and '-', "
                "beginning with a letter.",
                code="CHANNEL_NAME_INVALID",
            )
        self.name = name
        self.type = type
        self.producer = producer

    @property
    def full_name(self) -> str:
        """The name of the producer and of the output; no other channel of the pipeline has it."""
        return f"{self.producer.name}-{self.name}" if self.producer is not None else self.name

    @property
    def task_name(self) -> str | None:
        """The name of the task that the value comes from; None for an input of the pipeline."""
        return None if self.producer is None else self.producer.name

    @property
    def task(self) -> Producer | None:
        """The task that the value comes from; None for an input of the pipeline."""
        return self.producer

    @property
    def channel_type(self) -> str:
        """The type as a text, such as `NUMBER_INTEGER` or `system.Dataset@0.0.1`."""
        return self.type.text

    @property
    def is_artifact_list(self) -> bool:
        """Whether the value is a list of artifacts."""
        return isinstance(self.type, ArtifactType) and self.type.is_list

    @property
    def pattern(self) -> str:
        """The text that represents this channel inside other texts, as in an f-string."""
        return token(self)

    def chain(self) -> tuple[PipelineChannel, ...]:
        """This channel, then the channel it is an item or a member of, and so on to the source."""
        return (self,)

    def __str__(self) -> str:
        return token(self)

    def __repr__(self) -> str:
        return readable_token(self)

    def __format__(self, spec: str) -> str:
        if spec:
            raise DslTypeError(
                f"A format ({spec!r}) cannot be applied to {self.described()}: its value is known only when the "
                "pipeline runs.",
                code="CHANNEL_FORMAT",
                hint="format it inside a component.",
            )
        return token(self)

    def described(self) -> str:
        """How error messages name this channel."""
        owner = f"output {self.name!r} of {self.producer.name!r}" if self.producer else f"pipeline input {self.name!r}"
        return f"the {owner}"

    # Comparisons make conditions; everything else that would need the value now is refused.

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __eq__(self, other: object) -> conditions.Comparison:  # type: ignore[override]
        return conditions.comparison("==", self, other)

    def __ne__(self, other: object) -> conditions.Comparison:  # type: ignore[override]
        return conditions.comparison("!=", self, other)

    def __lt__(self, other: object) -> conditions.Comparison:
        return conditions.comparison("<", self, other)

    def __le__(self, other: object) -> conditions.Comparison:
        return conditions.comparison("<=", self, other)

    def __gt__(self, other: object) -> conditions.Comparison:
        return conditions.comparison(">", self, other)

    def __ge__(self, other: object) -> conditions.Comparison:
        return conditions.comparison(">=", self, other)

    def in_(self, values: list[Any] | tuple[Any, ...]) -> conditions.Membership:
        """A condition that is true if the value is one of these.

        Args:
            values: Constants: str, int, float or bool.

        Returns:
            A condition for `dsl.If`.

        Raises:
            DslError: A value cannot be compared.

        Example:
            >>> from headrace import dsl
            >>> @dsl.component
            ... def deploy(stage: str):
            ...     print(stage)
            >>> @dsl.pipeline
            ... def release(stage: str = "test"):
            ...     with dsl.If(dsl.in_(stage, ["test", "live"])):
            ...         deploy(stage=stage)
        """
        return conditions.membership(self, values)

    def __and__(self, other: object) -> conditions.ConditionExpression:
        return conditions.truth(self) & other

    def __rand__(self, other: object) -> conditions.ConditionExpression:
        return conditions.truth(self) & other

    def __or__(self, other: object) -> conditions.ConditionExpression:
        return conditions.truth(self) | other

    def __ror__(self, other: object) -> conditions.ConditionExpression:
        return conditions.truth(self) | other

    def __invert__(self) -> conditions.ConditionExpression:
        return ~conditions.truth(self)

    def __bool__(self) -> bool:
        raise DslTypeError(
            f"Python asked whether {self.described()} is true, but its value is known only when the pipeline runs "
            "(`if`, `and`, `or`, `not` and `in` all ask this).",
            code="CHANNEL_BOOL",
            hint="use `with dsl.If(value == ...):`, and `&`, `|`, `~`, `.in_([...])` to combine conditions.",
        )

    def __len__(self) -> int:
        self._unknown_now("has no length yet", "CHANNEL_LEN")

    def __iter__(self) -> Iterator[Any]:
        raise DslTypeError(
            f"{self._subject()} cannot be iterated: its value is known only when the pipeline runs.",
            code="CHANNEL_ITERATED",
            hint="use `with dsl.ParallelFor(items) as item:`.",
        )

    def __contains__(self, item: object) -> bool:
        self._unknown_now("cannot be searched with `in`", "CHANNEL_CONTAINS")

    def __getitem__(self, key: object) -> Any:
        raise DslIndexError(
            f"{self._subject()} cannot be indexed with {key!r}: its value is known only when the pipeline runs.",
            hint="pass the whole value to a component and take the part there, or loop with dsl.ParallelFor.",
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._unknown_now(f"has no attribute {name!r}", "CHANNEL_ATTRIBUTE", DslAttributeError)

    def __fspath__(self) -> str:
        # No TypeError: `os.path.join` would put one of its own in its place.
        self._unknown_now("cannot be part of a path", "CHANNEL_CONVERTED", DslValueError)

    def __int__(self) -> int:
        self._unknown_now("cannot become an int", "CHANNEL_CONVERTED")

    def __float__(self) -> float:
        self._unknown_now("cannot become a float", "CHANNEL_CONVERTED")

    def __index__(self) -> int:
        self._unknown_now("cannot be used as a position or count", "CHANNEL_CONVERTED")

    def _subject(self) -> str:
        text = self.described()
        return text[0].upper() + text[1:]

    def _unknown_now(self, what: str, code: str, kind: Callable[..., DslError] = DslTypeError) -> NoReturn:
        raise kind(
            f"{self._subject()} {what}: its value is known only when the pipeline runs.",
            code=code,
            hint="do this inside a component that takes the value as an input.",
        )


def _refuse_arithmetic(self: PipelineChannel, *_: object) -> Any:
    self._unknown_now("cannot take part in arithmetic or text concatenation", "CHANNEL_ARITHMETIC")


for _operator in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "xor", "lshift", "rshift"):
    setattr(PipelineChannel, f"__{_operator}__", _refuse_arithmetic)
    setattr(PipelineChannel, f"__r{_operator}__", _refuse_arithmetic)
for _operator in ("neg", "pos", "abs", "round"):
    setattr(PipelineChannel, f"__{_operator}__", _refuse_arithmetic)


class PipelineParameterChannel(PipelineChannel):
    """A parameter: a str, int, float, bool, list or dict that exists once the pipeline runs.

    Args:
        name: The name of the input or output.
        type: The type of the value.
        producer: The task or the group that the value comes from. Default: it is an input of the pipeline.
    """

    __slots__ = ()
    type: ParameterType


class PipelineArtifactChannel(PipelineChannel):
    """An artifact, or a list of artifacts, that exists once the pipeline runs.

    Args:
        name: The name of the input or output.
        type: The artifact's type.
        producer: The task or the group that the value comes from. Default: it is an input of the pipeline.
    """

    __slots__ = ()
    type: ArtifactType


def in_(value: Any, values: list[Any] | tuple[Any, ...]) -> conditions.Membership:
    """A condition that is true if a value of the pipeline is one of these.

    The same as `value.in_(values)`; type checkers accept this form, because to them a channel is its value.

    Args:
        value: A pipeline input, an output of a task, or an item of a loop.
        values: Constants: str, int, float or bool.

    Returns:
        A condition for `dsl.If`.

    Raises:
        DslTypeError: `value` is not a value of the pipeline (`IN_NEEDS_A_CHANNEL`).

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def deploy(stage: str):
        ...     print(stage)
        >>> @dsl.pipeline
        ... def release(stage: str = "test"):
        ...     with dsl.If(dsl.in_(stage, ["test", "live"])):
        ...         deploy(stage=stage)
    """
    if not isinstance(value, PipelineChannel):
        raise DslTypeError(
            f"dsl.in_ takes a pipeline value first; got {value!r}.", code="IN_NEEDS_A_CHANNEL", hint="dsl.in_(x, [1])."
        )
    return value.in_(values)


def create_pipeline_channel(*, name: str, type: ValueType, producer: Producer | None = None) -> PipelineChannel:
    if isinstance(type, ArtifactType):
        return PipelineArtifactChannel(name=name, type=type, producer=producer)
    return PipelineParameterChannel(name=name, type=type, producer=producer)


class OneOfMixin(PipelineChannel):
    """The output of the branch of an If/Else chain that ran."""

    __slots__ = ()
    channels: tuple[PipelineChannel, ...]
    producer: ConditionBranches

    @property
    def condition_branches_group(self) -> ConditionBranches:
        return self.producer

    def __str__(self) -> str:
        raise DslTypeError(
            "dsl.OneOf cannot be put into a text.",
            code="ONEOF_IN_TEXT",
            hint="give it to a component's own input and build the text there.",
        )

    def __format__(self, spec: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"OneOf({self.full_name})"


class OneOfParameter(OneOfMixin, PipelineParameterChannel):
    __slots__ = ("channels",)


class OneOfArtifact(OneOfMixin, PipelineArtifactChannel):
    __slots__ = ("channels",)


def OneOf(*channels: PipelineChannel) -> OneOfParameter | OneOfArtifact:  # noqa: N802 (the name users write)
    """The output of the one branch of an If/Elif/Else chain that ran, as one channel.

    Give it one output of every branch. The chain needs a `dsl.Else`, so that one of the branches always runs.

    Args:
        *channels: Outputs of tasks that are directly inside the branches; all of the same type.

    Returns:
        A channel: pass it to a component, or return it from the pipeline.

    Raises:
        DslValueError: There is no output, the outputs are not of one chain's branches, or the chain has no `dsl.Else`
            (`ONEOF_WITHOUT_ELSE`).
        DslTypeError: The outputs have different types (`ONEOF_MIXED`).

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def say(text: str) -> str:
        ...     return text
        >>> @dsl.pipeline
        ... def choose(loud: bool = False) -> str:
        ...     with dsl.If(loud == True):
        ...         first = say(text="HELLO")
        ...     with dsl.Else():
        ...         second = say(text="hello")
        ...     return dsl.OneOf(first.output, second.output)
    """
    from headrace.dsl.tasks_group import branches_of

    if not channels:
        raise DslValueError("dsl.OneOf needs at least one channel.", code="ONEOF_EMPTY")
    _check_oneof(channels)
    branches = branches_of(channels)
    name = additional_input_name_for_pipeline_channel(f"{branches.name}-oneof-{branches.next_oneof()}")
    cls = OneOfArtifact if isinstance(channels[0], PipelineArtifactChannel) else OneOfParameter
    oneof = cls(name=name, type=channels[0].type, producer=branches)
    oneof.channels = channels
    return oneof


def _check_oneof(channels: tuple[Any, ...]) -> None:
    from headrace.dsl.for_loop import Collected

    for channel in channels:
        if isinstance(channel, Collected):
            raise DslValueError("dsl.Collected cannot be used inside of dsl.OneOf.", code="ONEOF_OF_COLLECTED")
        if isinstance(channel, OneOfMixin):
            raise DslValueError("dsl.OneOf cannot be used inside of another dsl.OneOf.", code="ONEOF_OF_ONEOF")
        if not isinstance(channel, PipelineChannel):
            raise DslValueError(
                f"Got unknown input to dsl.OneOf with type {type(channel).__name__}.", code="ONEOF_NOT_A_CHANNEL"
            )
    first = channels[0]
    for index, channel in enumerate(channels):
        if isinstance(channel, PipelineArtifactChannel) != isinstance(first, PipelineArtifactChannel):
            raise DslTypeError(
                "Task outputs passed to dsl.OneOf must be the same type. "
                "Found a mix of parameters and artifacts passed to dsl.OneOf.",
                code="ONEOF_MIXED",
            )
        if str(channel.type) != str(first.type):
            raise DslTypeError(
                "Task outputs passed to dsl.OneOf must be the same type. Got two channels with different types: "
                f"{first.type} at index 0 and {channel.type} at index {index}.",
                code="ONEOF_MIXED",
            )
