"""Values of a loop: its item, the members of a dict item, and the outputs collected after it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

from headrace.dsl.errors import DslAttributeError, DslTypeError, DslValueError
from headrace.dsl.pipeline_channel import (
    OneOfMixin,
    PipelineArtifactChannel,
    PipelineChannel,
    PipelineParameterChannel,
)
from headrace.dsl.text import channels_in
from headrace.dsl.types.type_utils import (
    DOUBLE,
    INTEGER,
    LIST,
    STRUCT,
    UNKNOWN,
    ArtifactType,
    ParameterType,
    ValueType,
    type_of_constant,
)

if TYPE_CHECKING:
    from headrace.dsl.tasks_group import ParallelFor

LOOP_ITEM_NAME_BASE = "loop-item"
LOOP_ITEM_PARAM_NAME_BASE = "loop-item-param"
_MEMBER = re.compile(r"[a-zA-Z_][0-9a-zA-Z_]*")


class _LoopItem(PipelineChannel):
    """One item of a loop: of a constant list (`items`) or of another channel (`source`)."""

    __slots__ = ()
    source: PipelineChannel | None
    items: list[Any] | None
    loop: ParallelFor | None

    def chain(self) -> tuple[PipelineChannel, ...]:
        return (self, *self.source.chain()) if self.source is not None else (self,)

    @property
    def items_or_pipeline_channel(self) -> Any:
        return self.items if self.source is None else self.source

    @property
    def is_with_items_loop_argument(self) -> bool:
        return self.source is None

    def described(self) -> str:
        return f"the loop item {self.full_name!r}"


class LoopParameterArgument(_LoopItem, PipelineParameterChannel):
    """An item that is a small value; `item.key` is a member of a dict item."""

    __slots__ = ("_members", "items", "loop", "source")
    _members: dict[str, LoopArgumentVariable]

    def __getattr__(self, name: str) -> LoopArgumentVariable:
        if name.startswith("__") or name in LoopParameterArgument.__slots__:
            raise AttributeError(name)
        return self.member(name)

    def member(self, key: str) -> LoopArgumentVariable:
        if self.items is not None and not any(_may_have(item, key) for item in self.items):
            keys = sorted({str(name) for item in self.items if isinstance(item, dict) for name in item})
            raise DslAttributeError(
                f"The loop's items have no member {key!r}.",
                code="LOOP_ITEM_KEY_UNKNOWN",
                hint=f"they have: {', '.join(keys)}." if keys else "they are no dicts; use the item itself.",
            )
        if key not in self._members:
            self._members[key] = LoopArgumentVariable(self, key)
        return self._members[key]

    def __getitem__(self, key: object) -> Any:
        if isinstance(key, str) and isinstance(self.type, ParameterType) and self.type.kind in (STRUCT, UNKNOWN.kind):
            return self.member(key)
        return super().__getitem__(key)


def _may_have(item: Any, key: str) -> bool:
    """Whether a constant item has the member: a dict, or the JSON text of one."""
    if isinstance(item, str):
        try:
            item = json.loads(item)
        except (ValueError, RecursionError):
            return False
    return isinstance(item, dict) and key in item


class LoopArtifactArgument(_LoopItem, PipelineArtifactChannel):
    """An item that is an artifact."""

    __slots__ = ("items", "loop", "source")


class LoopArgumentVariable(PipelineParameterChannel):
    """One member of a dict item."""

    __slots__ = ("loop_argument", "subvar_name")

    def __init__(self, loop_argument: LoopParameterArgument, subvar_name: str) -> None:
        if not _MEMBER.fullmatch(subvar_name):
            raise DslValueError(
                f"{subvar_name!r} is not a legal Python variable name, so it cannot be taken from a loop item.",
                code="LOOP_ITEM_KEY_INVALID",
            )
        found = loop_argument.type.member(subvar_name)
        super().__init__(
            name=f"{loop_argument.name}-subvar-{subvar_name}",
            type=found if isinstance(found, ParameterType) else UNKNOWN,
            producer=loop_argument.producer,
        )
        self.loop_argument = loop_argument
        self.subvar_name = subvar_name

    @property
    def expression(self) -> str:
        """How the backend takes the member out of the item."""
        return f'parseJson(string_value)["{self.subvar_name}"]'

    def chain(self) -> tuple[PipelineChannel, ...]:
        return (self, *self.loop_argument.chain())

    def described(self) -> str:
        return f"{self.subvar_name!r} of {self.loop_argument.described()}"


def item_of(items: Any, *, next_number: Any) -> LoopParameterArgument | LoopArtifactArgument:
    """The item of a loop over `items`. A constant list gets a number of its own, before the loop's."""
    if isinstance(items, PipelineChannel):
        return _item_of_channel(items)
    return _item_of_constants(items, next_number)


def _item_of_channel(source: PipelineChannel) -> LoopParameterArgument | LoopArtifactArgument:
    name = f"{source.name}-{LOOP_ITEM_NAME_BASE}"
    found = source.type
    if isinstance(found, ArtifactType):
        if not found.is_list:
            raise DslValueError(
                "Cannot iterate over a single artifact using `dsl.ParallelFor`. "
                "Expected a list of artifacts as argument to `items`.",
                code="LOOP_OVER_ONE",
                hint="gather artifacts of a loop with dsl.Collected(task.output), or use the artifact without a loop.",
            )
        artifact = LoopArtifactArgument(name=name, type=found.as_item(), producer=source.producer)
        return _bound(artifact, source, None)
    if found.kind != LIST and not isinstance(source, LoopArgumentVariable) and not found.unknown:
        raise DslValueError(
            "Cannot iterate over a single parameter using `dsl.ParallelFor`. "
            f"Expected a list of parameters as argument to `items`; got {source.described()}, a {found}.",
            code="LOOP_OVER_ONE",
            hint="annotate it as a list, or use it without a loop.",
        )
    parameter = LoopParameterArgument(name=name, type=_parameter(found.item), producer=source.producer)
    parameter._members = {}
    return _bound(parameter, source, None)


def _item_of_constants(items: Any, next_number: Any) -> LoopParameterArgument:
    if not isinstance(items, list | tuple):
        raise DslTypeError(
            f"Expected list, tuple, or a pipeline value to loop over, got {items!r}.",
            code="LOOP_ITEMS_INVALID",
            hint="loop over a list, or over a pipeline value annotated `list`.",
        )
    if not items:
        raise DslValueError(
            "Got an empty item list for loop argument.",
            code="LOOP_ITEMS_EMPTY",
            hint="leave the loop out, or make the list a pipeline parameter, which may be empty.",
        )
    values = list(items)
    if next(channels_in(values), None) is not None:
        raise DslValueError(
            "The items of a loop are constants with pipeline values among them, which the document cannot hold.",
            code="LOOP_ITEMS_WITH_CHANNELS",
            hint="let a component build the list and loop over its output, or use the value inside the loop.",
        )
    name = f"{LOOP_ITEM_PARAM_NAME_BASE}-{next_number()}"
    argument = LoopParameterArgument(name=name, type=_constants_type(values))
    argument._members = {}
    return _bound(argument, None, values)


_Item = TypeVar("_Item", LoopParameterArgument, LoopArtifactArgument)


def _bound(item: _Item, source: PipelineChannel | None, items: list[Any] | None) -> _Item:
    item.source, item.items, item.loop = source, items, None
    return item


def _parameter(found: ValueType | None) -> ParameterType:
    return found if isinstance(found, ParameterType) else UNKNOWN


def _constants_type(values: list[Any]) -> ParameterType:
    """The first item's type, as KFP has it; members of dicts are checked in every item."""
    first = type_of_constant(values[0])
    if first is None:
        raise DslTypeError(
            f"Items of a loop must be str, int, float, bool, list or dict; got {values[0]!r}.",
            code="LOOP_ITEMS_INVALID",
        )
    if first.kind != STRUCT:
        return first
    keys = [str(key) for key in values[0]]
    return ParameterType(kind=STRUCT, keys=tuple((key, _member_type(values, key)) for key in keys))


def _member_type(values: list[Any], key: str) -> ParameterType:
    found = [type_of_constant(value[key]) for value in values if isinstance(value, dict) and key in value]
    kinds = {one.kind for one in found if one is not None}
    if kinds == {INTEGER, DOUBLE}:
        return ParameterType(kind=DOUBLE)
    return _parameter(found[0]) if len(kinds) == 1 else UNKNOWN


class Collected(PipelineChannel):
    """The outputs of a task inside a loop, one for each iteration, as one list for use outside the loop.

    In nested loops it collects over all loops around the task, into one flat list.

    Args:
        output: An output of a task inside a `dsl.ParallelFor`.

    Raises:
        DslValueError: The output is itself a `dsl.Collected` or a `dsl.OneOf`.
        DslTypeError: It is not an output of a task (`COLLECTED_NOT_AN_OUTPUT`).

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def square(x: int) -> int:
        ...     return x * x
        >>> @dsl.component
        ... def total(numbers: list[int]) -> int:
        ...     return sum(numbers)
        >>> @dsl.pipeline
        ... def squares() -> int:
        ...     with dsl.ParallelFor([1, 2, 3]) as x:
        ...         squared = square(x=x)
        ...     return total(numbers=dsl.Collected(squared.output)).output
    """

    __slots__ = ("output",)

    def __init__(self, output: PipelineChannel) -> None:
        if isinstance(output, OneOfMixin):
            raise DslValueError("dsl.OneOf cannot be used inside of dsl.Collected.", code="COLLECTED_OF_ONEOF")
        if isinstance(output, Collected):
            raise DslValueError(
                "dsl.Collected cannot be used inside of dsl.Collected: one of them collects from every loop around "
                "the task.",
                code="COLLECTED_OF_COLLECTED",
            )
        if not isinstance(output, PipelineChannel) or output.producer is None:
            raise DslTypeError("dsl.Collected takes the output of a task in a loop.", code="COLLECTED_NOT_AN_OUTPUT")
        found: ValueType = (
            output.type.as_list()
            if isinstance(output.type, ArtifactType)
            else ParameterType(kind=LIST, item=output.type)
        )
        super().__init__(name=output.name, type=found, producer=output.producer)
        self.output = output

    @property
    def is_artifact_channel(self) -> bool:
        """Whether it collects artifacts; otherwise it collects parameters."""
        return isinstance(self.type, ArtifactType)

    def described(self) -> str:
        """How error messages name this channel."""
        return f"the collected {self.output.described().removeprefix('the ')}"
