"""Parameter values: what fits which declared type, and how a value looks as text."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from headrace.engine.model import Json

#: Whole doubles up to here are exact integers.
_EXACT = 2**53
_ENCODER = msgspec.json.Encoder(order="sorted")


class Mismatch(Exception):
    """The value does not fit the type; says what was expected and what came."""

    def __init__(self, expected: str, value: Json) -> None:
        self.expected = expected
        self.got = f"{kind_of(value)} {shown(value)}"
        super().__init__(f"expected {expected}, got {self.got}")


def kind_of(value: Json) -> str:
    """The word for a JSON value's kind."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "text"
        case list() | tuple():
            return "list"
        case dict():
            return "object"
        case _:
            return type(value).__name__


def shown(value: Json, limit: int = 120) -> str:
    """A value for a message, cut when long."""
    text = repr(value) if isinstance(value, str) else as_text(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def as_text(value: Json) -> str:
    """A value as a placeholder or a STRING input shows it: texts as they are, the rest as compact JSON."""
    if isinstance(value, str):
        return value
    return _ENCODER.encode(whole(value)).decode()


def whole(value: Json) -> Json:
    """The value with whole doubles as integers, at any depth.

    Compilers pass constants through protobuf's Value, which knows only doubles: `[1]` is written `[1.0]`.
    """
    match value:
        case float() if value.is_integer() and abs(value) <= _EXACT:
            return int(value)
        case list() | tuple():
            return [whole(item) for item in value]
        case dict():
            return {key: whole(item) for key, item in value.items()}
        case _:
            return value


def doubles(value: Json) -> Json:
    """The value as protobuf's Value holds it: all numbers doubles. Conditions are written for that."""
    match value:
        case bool():
            return value
        case int():
            try:
                return float(value)
            except OverflowError:
                return math.inf if value > 0 else -math.inf
        case list() | tuple():
            return [doubles(item) for item in value]
        case dict():
            return {key: doubles(item) for key, item in value.items()}
        case _:
            return value


def fit(value: Json, kind: str) -> Json:
    """The value as a parameter of this declared type; raises Mismatch. The value must not be None."""
    return _FITS.get(kind, _anything)(value)


def fit_strictly(value: Json, kind: str) -> Json:
    """Like `fit`, but a STRING must be a text: for arguments that users give."""
    if kind == "STRING" and not isinstance(value, str):
        raise Mismatch("a text", value)
    return fit(value, kind)


def same(a: Json, b: Json) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _anything(value: Json) -> Json:
    return value


def _integer(value: Json) -> Json:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**63:
        return int(value)
    raise Mismatch("an integer", value)


def _double(value: Json) -> Json:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Mismatch("a number", value)
    try:
        number = float(value)
    except OverflowError:
        raise Mismatch("a number that fits a double", value) from None
    if not math.isfinite(number):
        raise Mismatch("a finite number", str(number))
    return number


def _boolean(value: Json) -> Json:
    if not isinstance(value, bool):
        raise Mismatch("true or false", value)
    return value


def _list(value: Json) -> Json:
    if not isinstance(value, list | tuple):
        raise Mismatch("a list", value)
    return list(value)


def _struct(value: Json) -> Json:
    if not isinstance(value, dict):
        raise Mismatch("an object", value)
    return value


_FITS: dict[str, Callable[[Json], Json]] = {
    "STRING": as_text,
    "NUMBER_INTEGER": _integer,
    "NUMBER_DOUBLE": _double,
    "BOOLEAN": _boolean,
    "LIST": _list,
    "STRUCT": _struct,
    "TASK_FINAL_STATUS": _struct,
    "TASK_CONFIG": _struct,
}
