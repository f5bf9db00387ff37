"""What stands for a value at run time, as type checkers see it: as that value."""

# ruff: noqa: N802 (the names users write)
from __future__ import annotations

from typing import Any, TypeVar, overload


class AnyValue(Any):  # type: ignore[misc]  # it is meant to have any attribute and to go anywhere
    """A value of a type that no checker can know. Unlike Any, returning it needs no cast under `mypy --strict`."""


_Value = TypeVar("_Value")


@overload
def Collected(output: AnyValue) -> Any: ...


@overload
def Collected(output: _Value) -> list[_Value]: ...


def Collected(output: Any) -> Any:
    """All outputs of a task inside a loop, as one list, for use outside the loop."""
    raise NotImplementedError


def OneOf(*channels: _Value) -> _Value:
    """The output of whichever branch of an If/Else chain ran, as one channel."""
    raise NotImplementedError
