"""Read a component's annotations at run time.

Recognised by shape and name, not by identity: the annotation may come from `headrace.dsl`,
from the shim or from a real `kfp` in the user's environment.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Kinds of arguments.
PARAMETER = "parameter"
FINAL_STATUS = "final status"
TASK_CONFIG = "task config"
INPUT_ARTIFACT = "input artifact"
INPUT_ARTIFACTS = "input artifacts"
OUTPUT_ARTIFACT = "output artifact"
INPUT_PATH = "input path"
OUTPUT_PATH = "output path"
EMBEDDED = "embedded"


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The function's annotations by name, `return` included; those written as text are resolved."""
    raw = getattr(function, "__annotations__", {})
    if not any(isinstance(annotation, str) for annotation in raw.values()):
        return dict(raw)
    from typing import get_type_hints

    return get_type_hints(function, include_extras=True)


def origin_of(annotation: Any) -> Any:
    """As `typing.get_origin`. While `typing` is not loaded, no annotation can be one of its own."""
    typing = sys.modules.get("typing")
    return getattr(annotation, "__origin__", None) if typing is None else typing.get_origin(annotation)


def is_of_typing(origin: Any, name: str) -> bool:
    """Whether an origin is `typing.<name>`."""
    typing = sys.modules.get("typing")
    return typing is not None and origin is getattr(typing, name)


def strip_optional(annotation: Any) -> Any:
    """`X` of `Optional[X]` and of `X | None`; anything else as it is."""
    if not _is_union(annotation):
        return annotation
    members = [member for member in annotation.__args__ if member is not type(None)]
    return members[0] if len(members) == 1 else annotation


def accepts_none(annotation: Any) -> bool:
    """True for `Optional[X]`, `X | None` and `None`."""
    return annotation is None or (_is_union(annotation) and type(None) in annotation.__args__)


def _is_union(annotation: Any) -> bool:
    return is_of_typing(origin_of(annotation), "Union") or type(annotation).__name__ in ("UnionType", "Union")


def is_artifact_class(annotation: Any) -> bool:
    """Any class with KFP's two class attributes."""
    return (
        isinstance(annotation, type) and hasattr(annotation, "schema_title") and hasattr(annotation, "schema_version")
    )


def artifact_class(annotation: Any) -> Any:
    """The artifact class within `Input[…]`, `List[…]` and so on; None when there is none."""
    annotation = strip_optional(annotation)
    if is_artifact_class(annotation):
        return annotation
    members = getattr(annotation, "__args__", ())
    return artifact_class(members[0]) if members else None


def of_title(annotation: Any, schema_title: str) -> Any:
    """The class to make for an artifact of `schema_title` that was annotated so.

    A known class of that title wins over the annotation, so that `Input[Artifact]` gets a `Dataset`.
    """
    declared = artifact_class(annotation)
    if declared is None or declared.schema_title == schema_title:
        return declared
    for module in [sys.modules.get(base.__module__) for base in declared.__mro__]:
        for known in vars(module).values() if module else ():
            if is_artifact_class(known) and known.schema_title == schema_title:
                return known
    return declared


def kind_of(annotation: Any) -> str:
    """The kind of argument that the annotation asks for."""
    annotation = strip_optional(annotation)
    named = annotation if isinstance(annotation, type) else type(annotation)
    if named.__name__ in _BY_NAME:
        return _BY_NAME[named.__name__]
    marker = _marker(annotation)
    if marker == "OutputAnnotation":
        return OUTPUT_ARTIFACT
    if marker == "EmbeddedAnnotation":
        return EMBEDDED
    inner = strip_optional(annotation.__origin__) if marker else annotation
    if is_artifact_class(inner):
        return INPUT_ARTIFACT
    if origin_of(inner) is list and artifact_class(inner) is not None:
        return INPUT_ARTIFACTS
    return PARAMETER


_BY_NAME = {
    "PipelineTaskFinalStatus": FINAL_STATUS,
    "TaskConfig": TASK_CONFIG,
    "InputPath": INPUT_PATH,
    "OutputPath": OUTPUT_PATH,
}


def _marker(annotation: Any) -> str:
    """Name of the marker in `Annotated[T, marker]`; "" for anything else."""
    for marker in getattr(annotation, "__metadata__", ()):
        name: str = getattr(marker, "__name__", type(marker).__name__)
        if name.endswith("Annotation"):
            return name
    return ""
