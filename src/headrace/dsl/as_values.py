"""Channels as type checkers see them: as the values they will have at run time."""

# ruff: noqa: N802 (the names users write)
from __future__ import annotations

from typing import Any, TypeVar, overload


class AnyValue(Any):  # type: ignore[misc]  # it is meant to have any attribute and to go anywhere
    """A value whose type a checker cannot know. Unlike Any, returning it needs no cast under `mypy --strict`."""


_Value = TypeVar("_Value")


@overload
def Collected(output: AnyValue) -> Any: ...


@overload
def Collected(output: _Value) -> list[_Value]: ...


def Collected(output: Any) -> Any:
    """The outputs of a task inside a loop, one for each iteration, as one list for use outside the loop.

    Args:
        output: An output of a task inside a `dsl.ParallelFor`.

    Raises:
        NotImplementedError: Never at run time: this is the function as type checkers see it.
    """
    raise NotImplementedError


def OneOf(*channels: _Value) -> _Value:
    """The output of the one branch of an If/Elif/Else chain that ran, as one channel.

    Args:
        *channels: One output of every branch, all of the same type. The chain needs a `dsl.Else`.

    Raises:
        NotImplementedError: Never at run time: this is the function as type checkers see it.
    """
    raise NotImplementedError
