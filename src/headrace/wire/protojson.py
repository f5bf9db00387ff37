"""JSON as protobuf's mapping writes and reads it: what KFP's clients send and expect.

Out: snake_case, empty fields left out (`omit_defaults` of the shapes). In: snake_case and
camelCase, null means absent, unknown fields are refused.
"""

from __future__ import annotations

import re
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from headrace.slices import decode_json

T = TypeVar("T", bound=msgspec.Struct)

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


class WireError(ValueError):
    """A body that is not of the expected shape; the message names its path."""


def parse(kind: type[T], body: bytes) -> T:
    """The message in `body`; an empty body is an empty message. Raises WireError."""
    try:
        raw = decode_json(body) if body.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"The body is not JSON: {error}") from error
    return convert(kind, raw)


def convert(kind: type[T], raw: Any) -> T:
    """The message in plain JSON objects. Raises WireError."""
    try:
        return msgspec.convert(_fitted(kind, raw, "$"), kind)
    except msgspec.ValidationError as error:
        raise WireError(str(error)) from error


def snake_case(name: str) -> str:
    """`displayName` -> `display_name`."""
    return _HUMP.sub(lambda hump: "_" + hump[1].lower(), name)


def _fitted(kind: type[msgspec.Struct], raw: Any, place: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise WireError(f"Expected an object at `{place}`")
    fields = _messages(kind)
    out: dict[str, Any] = {}
    for key, value in raw.items():
        name = snake_case(key)
        if name not in fields:
            raise WireError(f'Unknown field "{key}" at `{place}`; known are: {", ".join(sorted(fields))}')
        if name in out:
            raise WireError(f'Field "{name}" is given twice at `{place}`')
        if value is not None:
            out[name] = _fitted_value(fields[name], value, f"{place}.{key}")
    return out


def _fitted_value(inner: type[msgspec.Struct] | None, value: Any, place: str) -> Any:
    if inner is None:
        return value
    if isinstance(value, list):
        return [_fitted(inner, item, f"{place}[{index}]") for index, item in enumerate(value)]
    return _fitted(inner, value, place)


@cache
def _messages(kind: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct] | None]:
    """Field -> the shape inside it, None for plain values and free JSON."""
    hints = get_type_hints(kind)
    names = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
    return {written: _message(hints[name]) for name, written in names}


def _message(hint: Any) -> type[msgspec.Struct] | None:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    if get_origin(hint) in (list, Union, UnionType):
        return next((found for arg in get_args(hint) if (found := _message(arg))), None)
    return None
