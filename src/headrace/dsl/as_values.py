"""What stands for a value at run time, as type checkers see it: as that value."""

# ruff: noqa: N802 (the names users write)
from __future__ import annotations

from typing import TypeVar

_Value = TypeVar("_Value")


def Collected(output: _Value) -> list[_Value]:
    """All outputs of a task inside a loop, as one list, for use outside the loop."""
    raise NotImplementedError


def OneOf(*channels: _Value) -> _Value:
    """The output of whichever branch of an If/Else chain ran, as one channel."""
    raise NotImplementedError
