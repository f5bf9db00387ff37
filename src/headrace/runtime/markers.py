"""The markers of annotations. At run time only their names and shapes matter, so they load nothing else."""

from typing import Annotated, Any, TypeVar

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


class InputPath:
    """An input by its path."""

    def __init__(self, type: Any = None) -> None:
        self.type = type


class OutputPath:
    """An output by its path."""

    def __init__(self, type: Any = None) -> None:
        self.type = type
