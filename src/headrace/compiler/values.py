"""Python values as the document writes them: every number is a double."""

from __future__ import annotations

import math
from typing import Any

from headrace.dsl.errors import DslValueError


def wire_value(value: Any, *, what: str) -> Any:
    """The value as the document's JSON-like value type has it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | float):
        return _number(value, what)
    if isinstance(value, dict):
        return {str(key): wire_value(item, what=what) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [wire_value(item, what=what) for item in value]
    raise DslValueError(
        f"Value must be one of the following types: str, int, float, bool, dict, and list. Got: {value!r} of type "
        f"{type(value).__name__} in {what}.",
        code="CONSTANT_INVALID",
    )


def _number(value: float, what: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise DslValueError(f"{value} in {what} cannot be carried by the document.", code="NUMBER_NOT_FINITE")
    return number
