"""Markers for how a component's parameter is used: as input, as output, by path, or embedded."""

from __future__ import annotations

import typing
from typing import Annotated, Any, TypeVar

from headrace.dsl.types import artifact_types
from headrace.dsl.types.type_utils import (
    ParameterType,
    ValueType,
    artifact_type,
    is_artifact_class,
    known_type,
    type_named,
)

T = TypeVar("T")


class InputAnnotation:
    """Marks an input artifact."""


class OutputAnnotation:
    """Marks an output artifact."""


class EmbeddedAnnotation:
    """Marks an argument that is filled from what was shipped with the component."""


Input = Annotated[T, InputAnnotation]
Output = Annotated[T, OutputAnnotation]
EmbeddedInput = Annotated[T, EmbeddedAnnotation]


def _path_type(type_: Any) -> ValueType:
    if isinstance(type_, str) or type_ is None:
        return type_named(type_)
    if is_artifact_class(type_):
        return artifact_type(type_)
    found = known_type(type_)
    return found if isinstance(found, ParameterType) else artifact_type(artifact_types.Artifact)


class _PathMarker:
    def __init__(self, type: Any = None) -> None:
        self.type = _path_type(type)

    def __class_getitem__(cls, type: Any) -> Any:
        """`OutputPath[str]` is `OutputPath(str)`, in the form that type checkers expect."""
        return cls(type)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.type == other.type

    def __hash__(self) -> int:
        return hash((type(self), self.type))

    def __call__(self) -> None:
        """Typing accepts only callables where a string annotation is resolved."""


class InputPath(_PathMarker):
    """Annotates a parameter that receives the path of a file instead of the input itself.

    Args:
        type: What is in the file: a type such as `str` or `list`, or an artifact class. Default: any artifact.

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def count(lines: dsl.InputPath(dsl.Dataset)) -> int:
        ...     with open(lines) as file:
        ...         return len(file.readlines())
    """


class OutputPath(_PathMarker):
    """Annotates a parameter that receives a path; what the function writes there becomes the output.

    Args:
        type: What is written: a type such as `str` or `int`, for a parameter, or an artifact class. Default: any
            artifact.

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def write(text: str, copy: dsl.OutputPath(str)):
        ...     with open(copy, "w") as file:
        ...         file.write(text)
    """


def marker(annotation: Any) -> type | None:
    """The marker of `Input[...]`, `Output[...]` or `EmbeddedInput[...]`, also those of the kfp package."""
    metadata = getattr(annotation, "__metadata__", None)
    if not metadata:
        return None
    for ours in (InputAnnotation, OutputAnnotation, EmbeddedAnnotation):
        if metadata[0] is ours or getattr(metadata[0], "__name__", "") == ours.__name__:
            return ours
    return None


def unmarked(annotation: Any) -> Any:
    """`X` for `Input[X]`."""
    return typing.get_args(annotation)[0] if marker(annotation) else annotation
