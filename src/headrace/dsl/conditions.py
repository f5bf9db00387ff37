"""Conditions as values: comparisons of channels, combined with `&`, `|`, `~`, and their text in CEL."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.dsl.errors import DslTypeError, DslValueError
from headrace.dsl.types.type_utils import BOOLEAN, DOUBLE, INTEGER, STRING, ParameterType, type_of_constant

if TYPE_CHECKING:
    from headrace.dsl.pipeline_channel import PipelineChannel


@dataclass(frozen=True, slots=True, eq=False)
class ConditionExpression:
    """Something that is true or false once the pipeline runs."""

    def channels(self) -> Iterator[PipelineChannel]:
        raise NotImplementedError

    def cel(self) -> str:
        raise NotImplementedError

    def __and__(self, other: object) -> ConditionExpression:
        return Combined(operator="&&", left=self, right=condition(other))

    def __rand__(self, other: object) -> ConditionExpression:
        return Combined(operator="&&", left=condition(other), right=self)

    def __or__(self, other: object) -> ConditionExpression:
        return Combined(operator="||", left=self, right=condition(other))

    def __ror__(self, other: object) -> ConditionExpression:
        return Combined(operator="||", left=condition(other), right=self)

    def __invert__(self) -> ConditionExpression:
        return Negated(inner=self)

    def __bool__(self) -> bool:
        raise DslTypeError(
            "Python asked whether a condition is true, but that is known only when the pipeline runs "
            "(`if`, `and`, `or`, `not` and chains such as `1 < x < 5` all ask this).",
            code="CONDITION_BOOL",
            hint="use `with dsl.If(condition):`; combine with `(a > 1) & (a < 5)`, `|` and `~`.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Comparison(ConditionExpression):
    """One comparison."""

    operator: str
    left_operand: Any
    right_operand: Any

    def channels(self) -> Iterator[PipelineChannel]:
        return (operand for operand in (self.left_operand, self.right_operand) if _is_channel(operand))

    def cel(self) -> str:
        left, right = _operands(self.left_operand, self.right_operand)
        return f"{left} {self.operator} {right}"


#: The name kfp gives to a comparison.
ConditionOperation = Comparison


@dataclass(frozen=True, slots=True, eq=False)
class Membership(ConditionExpression):
    """Whether a channel's value is one of some constants."""

    channel: PipelineChannel
    values: tuple[Any, ...]

    def channels(self) -> Iterator[PipelineChannel]:
        return iter((self.channel,))

    def cel(self) -> str:
        pairs = [_operands(self.channel, value) for value in self.values]
        return f"{pairs[0][0]} in [{', '.join(right for _, right in pairs)}]"


@dataclass(frozen=True, slots=True, eq=False)
class Combined(ConditionExpression):
    """Two conditions joined by `&&` or `||`."""

    operator: str
    left: ConditionExpression
    right: ConditionExpression

    def channels(self) -> Iterator[PipelineChannel]:
        yield from self.left.channels()
        yield from self.right.channels()

    def cel(self) -> str:
        return f"{self._side(self.left)} {self.operator} {self._side(self.right)}"

    def _side(self, side: ConditionExpression) -> str:
        text = side.cel()
        plain = isinstance(side, Negated) or (isinstance(side, Combined) and side.operator == self.operator)
        return text if plain else f"({text})"


@dataclass(frozen=True, slots=True, eq=False)
class Negated(ConditionExpression):
    """The opposite of a condition."""

    inner: ConditionExpression

    def channels(self) -> Iterator[PipelineChannel]:
        return self.inner.channels()

    def cel(self) -> str:
        return f"!({self.inner.cel()})"


def _is_channel(value: object) -> bool:
    from headrace.dsl.pipeline_channel import PipelineChannel

    return isinstance(value, PipelineChannel)


def comparison(operator: str, left: PipelineChannel, right: Any) -> Comparison:
    if isinstance(right, ConditionExpression):
        raise DslTypeError(
            "A value was compared with a condition.",
            code="CONDITION_COMPARED",
            hint="`&` and `|` bind tighter than comparisons: put each in parentheses, `(a > 1) & (a < 5)`.",
        )
    return Comparison(operator, left, right)


def membership(channel: PipelineChannel, values: Any) -> Membership:
    if not isinstance(values, list | tuple | set | frozenset) or not values:
        raise DslValueError("in_() needs a list of at least one constant.", code="IN_NEEDS_CONSTANTS")
    return Membership(channel, tuple(values))


def truth(channel: PipelineChannel) -> ConditionExpression:
    """A BOOLEAN channel as a condition."""
    kind = getattr(channel.type, "kind", None)
    if kind != BOOLEAN:
        raise DslTypeError(
            f"{channel.described()} is not a condition: it is not a bool.",
            code="CONDITION_NOT_BOOL",
            hint="compare it: `value == ...`; put comparisons in parentheses before `&` and `|`.",
        )
    return Comparison("==", channel, True)


def condition(value: object) -> ConditionExpression:
    """The argument of `dsl.If` as a condition."""
    if isinstance(value, ConditionExpression):
        return value
    if _is_channel(value):
        return truth(value)  # type: ignore[arg-type]
    if isinstance(value, bool):
        raise DslValueError(
            f"Got constant boolean {value} as a condition. This is likely because the provided condition evaluated "
            "immediately. At least one of the operands must be an output from an upstream task or a pipeline "
            "parameter.",
            code="CONDITION_CONSTANT",
        )
    raise DslTypeError(
        f"A condition must compare a pipeline value with something; got {value!r}.", code="CONDITION_INVALID"
    )


def conjunction(parts: tuple[ConditionExpression, ...]) -> str:
    """All must be true. A single comparison has no parentheses, as KFP writes it."""
    if len(parts) == 1:
        return parts[0].cel()
    return " && ".join(f"({part.cel()})" if isinstance(part, Combined) else part.cel() for part in parts)


def _type(operand: Any) -> str:
    if _is_channel(operand):
        found = operand.type
        if not isinstance(found, ParameterType) or found.kind not in (STRING, INTEGER, DOUBLE, BOOLEAN):
            raise DslValueError(
                f"Conditional requires primitive parameter values for comparison. Found {operand.described()} of "
                f"type {found} instead.",
                code="CONDITION_NOT_PRIMITIVE",
                hint="let a component look into the value and return a str, int, float or bool.",
            )
        return found.kind
    constant = type_of_constant(operand)
    if constant is None or constant.kind not in (STRING, INTEGER, DOUBLE, BOOLEAN):
        raise DslValueError(
            f"A condition can compare with a str, int, float or bool; got {operand!r}.", code="CONDITION_NOT_PRIMITIVE"
        )
    return constant.kind


def _operands(left: Any, right: Any) -> tuple[str, str]:
    kinds = (_type(left), _type(right))
    common = next(kind for kind in (STRING, BOOLEAN, DOUBLE, INTEGER) if kind in kinds)
    if common == BOOLEAN and set(kinds) != {BOOLEAN}:
        return _boolean_and_number(left, kinds[0], right, kinds[1])
    return _operand(left, kinds[0], common), _operand(right, kinds[1], common)


def _boolean_and_number(left: Any, left_kind: str, right: Any, right_kind: str) -> tuple[str, str]:
    """0 and 1 are false and true; other numbers and number channels are compared as numbers."""
    for number, kind in ((left, left_kind), (right, right_kind)):
        if kind != BOOLEAN and not _is_channel(number):
            if number not in (0, 1):
                raise DslValueError(
                    f"A bool is compared with {number!r}: that can never be equal.", code="CONDITION_BOOL_NUMBER"
                )
            swap = {id(number): bool(number)}
            return _operand(swap.get(id(left), left), BOOLEAN, BOOLEAN), _operand(
                swap.get(id(right), right), BOOLEAN, BOOLEAN
            )
    number_kind = left_kind if left_kind != BOOLEAN else right_kind
    sides = [
        _operand(int(side), INTEGER, number_kind)
        if isinstance(side, bool)
        else (f"({_cel_value(side, BOOLEAN)} ? 1 : 0)" if kind == BOOLEAN else _cel_value(side, kind))
        for side, kind in ((left, left_kind), (right, right_kind))
    ]
    return sides[0], sides[1]


def _operand(operand: Any, kind: str, common: str) -> str:
    text = _cel_value(operand, kind)
    if kind == common:
        return text
    if common == DOUBLE:
        return f"double({text})"
    # The other side is a STRING: constants become texts, channels are converted when it runs.
    return f"string({text})" if _is_channel(operand) else f"'{text}'"


def _cel_value(operand: Any, kind: str) -> str:
    if _is_channel(operand):
        from headrace.dsl.pipeline_channel import additional_input_name_for_pipeline_channel

        text = f"inputs.parameter_values['{additional_input_name_for_pipeline_channel(operand)}']"
        return f"int({text})" if kind == INTEGER else text
    operand = getattr(operand, "value", operand)  # a member of a str or int Enum
    if kind == STRING:
        return _cel_string(operand)
    if kind == BOOLEAN:
        return str(operand).lower()
    if isinstance(operand, float) and not math.isfinite(operand):
        raise DslValueError(f"A condition cannot compare with {operand}.", code="CONDITION_NOT_FINITE")
    return str(operand)


def _cel_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"
