"""Types as values: what an annotation means in the document, and which types fit which."""

from __future__ import annotations

import collections.abc
import enum
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from headrace.dsl.errors import DslError, DslTypeError
from headrace.dsl.task_config import TaskConfig
from headrace.dsl.task_final_status import PipelineTaskFinalStatus
from headrace.dsl.types import artifact_types

PARAMETER_TYPES: TypeAlias = str | int | float | bool | dict[str, Any] | list[Any]
DEFAULT_ARTIFACT_SCHEMA_VERSION: Final = "0.0.1"

DOUBLE: Final = "NUMBER_DOUBLE"
INTEGER: Final = "NUMBER_INTEGER"
STRING: Final = "STRING"
BOOLEAN: Final = "BOOLEAN"
LIST: Final = "LIST"
STRUCT: Final = "STRUCT"
TASK_FINAL_STATUS: Final = "TASK_FINAL_STATUS"
TASK_CONFIG: Final = "TASK_CONFIG"

#: How the header comment of a document names each kind.
COMMENT_NAMES: Final = {
    STRING: "str",
    INTEGER: "int",
    DOUBLE: "float",
    LIST: "list",
    STRUCT: "dict",
    BOOLEAN: "bool",
    TASK_FINAL_STATUS: "PipelineTaskFinalStatus",
    TASK_CONFIG: "TaskConfig",
}

#: Type names in texts (v1 component files, `InputPath('Dataset')`), lower-cased.
PARAMETER_NAMES: Final = {
    "integer": INTEGER,
    "int": INTEGER,
    "double": DOUBLE,
    "float": DOUBLE,
    "string": STRING,
    "str": STRING,
    "text": STRING,
    "bool": BOOLEAN,
    "boolean": BOOLEAN,
    "dict": STRUCT,
    "list": LIST,
    "jsonobject": STRUCT,
    "jsonarray": LIST,
}

ARTIFACT_CLASSES_MAPPING: Final = {cls.__name__.lower(): cls for cls in artifact_types.BUILT_IN}

_IN_MEMORY_NAMES: Final = {
    STRING: "String",
    INTEGER: "Integer",
    DOUBLE: "Float",
    LIST: "List",
    STRUCT: "Dict",
    BOOLEAN: "Boolean",
    TASK_FINAL_STATUS: "PipelineTaskFinalStatus",
    TASK_CONFIG: "TaskConfig",
}


class InconsistentTypeException(DslError):
    """A value of one type was given where another is expected."""

    code = "TYPE_MISMATCH"


class InconsistentTypeWarning(Warning):
    """A value of one type was given where another is expected, and it was accepted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterType:
    """A small value's type."""

    #: The document's name of the type.
    kind: str
    #: Type of a list's items, where known.
    item: ValueType | None = None
    #: Type of a dict's values, where all are the same.
    value: ValueType | None = None
    #: Types of a dict's values by key, where known.
    keys: tuple[tuple[str, ValueType], ...] = ()
    #: The only values allowed, if not empty.
    literals: tuple[str | int | float | bool, ...] = ()
    #: True if the type is not known; its kind is STRING then.
    unknown: bool = False

    @property
    def text(self) -> str:
        return _IN_MEMORY_NAMES[self.kind]

    def __str__(self) -> str:
        return self.text

    def member(self, key: str) -> ValueType:
        """Type of `value[key]`."""
        return dict(self.keys).get(key) or self.value or UNKNOWN


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactType:
    """An artifact's type."""

    schema_title: str
    schema_version: str = DEFAULT_ARTIFACT_SCHEMA_VERSION
    is_list: bool = False

    @property
    def text(self) -> str:
        return f"{self.schema_title}@{self.schema_version}"

    def __str__(self) -> str:
        return f"List[{self.text}]" if self.is_list else self.text

    def to_ir(self) -> dict[str, Any]:
        ir: dict[str, Any] = {"artifactType": {"schemaTitle": self.schema_title, "schemaVersion": self.schema_version}}
        if self.is_list:
            ir["isArtifactList"] = True
        return ir

    def as_list(self) -> ArtifactType:
        return replace(self, is_list=True)

    def as_item(self) -> ArtifactType:
        return replace(self, is_list=False)


ValueType: TypeAlias = ParameterType | ArtifactType

UNKNOWN: Final = ParameterType(kind=STRING, unknown=True)
_SIMPLE: Final[dict[Any, ParameterType]] = {
    str: ParameterType(kind=STRING),
    int: ParameterType(kind=INTEGER),
    float: ParameterType(kind=DOUBLE),
    bool: ParameterType(kind=BOOLEAN),
    list: ParameterType(kind=LIST),
    dict: ParameterType(kind=STRUCT),
    PipelineTaskFinalStatus: ParameterType(kind=TASK_FINAL_STATUS),
    TaskConfig: ParameterType(kind=TASK_CONFIG),
}


def is_artifact_class(annotation: object) -> bool:
    return (
        isinstance(annotation, type) and hasattr(annotation, "schema_title") and hasattr(annotation, "schema_version")
    )


def artifact_type(cls: Any, *, is_list: bool = False) -> ArtifactType:
    """The type an artifact class stands for."""
    title, version = cls.schema_title, cls.schema_version
    return checked_artifact_type(ArtifactType(schema_title=title, schema_version=version, is_list=is_list))


def checked_artifact_type(found: ArtifactType) -> ArtifactType:
    """Refuse titles and versions that no backend accepts."""
    if not isinstance(found.schema_title, str) or len(found.schema_title.split(".")) != 2:
        raise DslTypeError(
            f"Artifact schema_title must have both a namespace and a name, separated by `.`. Got: {found.schema_title}",
            code="ARTIFACT_TITLE_INVALID",
        )
    if found.schema_title.split(".")[0] not in {"system", "google"}:
        raise DslTypeError(
            f"Artifact schema_title must belong to `system` or `google` namespace. Got: {found.schema_title}",
            code="ARTIFACT_NAMESPACE_UNKNOWN",
        )
    if len(str(found.schema_version).split(".")) != 3:
        raise DslTypeError(
            f"Artifact schema_version must use three-part semantic versioning. Got: {found.schema_version}",
            code="ARTIFACT_VERSION_INVALID",
        )
    return found


def strip_optional(annotation: Any) -> Any:
    """`X` for `Optional[X]` and `X | None`."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
        if len(rest) == 1:
            return rest[0]
    return annotation


def _is_pydantic_model(annotation: object) -> bool:
    return isinstance(annotation, type) and any(
        base.__name__ == "BaseModel" and base.__module__.startswith("pydantic") for base in annotation.__mro__
    )


def _literal_type(values: tuple[Any, ...], what: str) -> ParameterType:
    kinds = {type(value) for value in values}
    if len(kinds) != 1 or not kinds <= {str, int, float, bool}:
        raise DslTypeError(
            f"{what}: all values of a Literal must be str, or int, or float, or bool; got {list(values)!r}.",
            code="LITERAL_MIXED",
            hint="write the values all as texts, or all as numbers.",
        )
    return replace(_SIMPLE[kinds.pop()], literals=values)


_REFUSALS: Final[tuple[tuple[Callable[[Any], bool], str, str], ...]] = (
    (lambda a: a is Any, "Any says nothing about the value", "name the type: str, int, float, bool, list or dict."),
    (
        lambda a: typing.get_origin(a) in (typing.Union, types.UnionType),
        "a value of several types cannot be described to the backend",
        "choose one type; `X | None` is fine.",
    ),
    (
        lambda a: a is tuple or typing.get_origin(a) is tuple,
        "tuples do not survive the trip between tasks (they become lists)",
        "use `list`.",
    ),
    (
        lambda a: isinstance(a, type) and issubclass(a, enum.Enum),
        "an Enum member is not a value the backend can carry",
        "use Literal['a', 'b'] (checked before the run) or str.",
    ),
    (
        lambda a: hasattr(a, "__dataclass_fields__"),
        "a dataclass is not a value the backend can carry",
        "take a `dict` and build the object inside the component.",
    ),
    (
        lambda a: a in (set, frozenset) or typing.get_origin(a) in (set, frozenset),
        "sets do not survive the trip between tasks",
        "use `list`.",
    ),
    (
        lambda a: isinstance(a, typing.NewType),
        "a NewType exists in this module only, and not where the task runs",
        "write the type that it stands for.",
    ),
    (
        lambda a: typing.is_typeddict(a) or typing.get_origin(a) is collections.abc.Mapping,
        "only plain dicts travel between tasks",
        "use `dict`.",
    ),
    (
        lambda a: isinstance(a, str | typing.ForwardRef),
        "the name in quotes cannot be resolved where the component is defined",
        "import the type at the top of the module.",
    ),
)


def value_type(annotation: Any, *, what: str) -> ValueType:
    """The type an annotation stands for; `what` names the annotated thing in refusals."""
    annotation = strip_optional(annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    found = known_type(annotation, what=what)
    if found is None:
        raise refused_annotation(annotation, what=what)
    return found


def refused_annotation(annotation: Any, *, what: str) -> DslTypeError:
    for matches, why, hint in _REFUSALS:
        if matches(annotation):
            return DslTypeError(
                f"{what} has type {_shown(annotation)}: {why}.", code="UNSUPPORTED_ANNOTATION", hint=hint
            )
    return DslTypeError(
        f"{what} has type {_shown(annotation)}, which is neither a parameter type nor an artifact class.",
        code="UNSUPPORTED_ANNOTATION",
        hint="use str, int, float, bool, list, dict, or an artifact class such as dsl.Dataset.",
    )


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def known_type(annotation: Any, *, what: str = "it") -> ValueType | None:
    """The type an annotation stands for, or None."""
    try:
        if annotation in _SIMPLE:
            return _SIMPLE[annotation]
    except TypeError:  # an unhashable annotation
        return None
    if is_artifact_class(annotation):
        return artifact_type(annotation)
    return _generic_type(annotation, what=what)


def _generic_type(annotation: Any, *, what: str) -> ValueType | None:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return _literal_type(args, what)
    if origin is list or annotation is typing.List:  # noqa: UP006
        if args and is_artifact_class(args[0]):
            return artifact_type(args[0], is_list=True)
        return ParameterType(kind=LIST, item=_inner(args[0]) if args else None)
    if origin is dict or annotation is typing.Dict:  # noqa: UP006
        return ParameterType(kind=STRUCT, value=_inner(args[1]) if len(args) == 2 else None)
    if _is_pydantic_model(annotation):
        root = getattr(annotation, "model_fields", {}).get("root")
        return known_type(root.annotation) if root is not None else ParameterType(kind=STRUCT)
    return _kfp_twin(annotation)


def _kfp_twin(annotation: Any) -> ValueType | None:
    """Files that mix both packages may name the other one's marker classes."""
    if getattr(annotation, "__module__", "").startswith("kfp."):
        for ours in (PipelineTaskFinalStatus, TaskConfig):
            if annotation.__name__ == ours.__name__:
                return _SIMPLE[ours]
    return None


def _inner(annotation: Any) -> ValueType | None:
    return known_type(strip_optional(annotation))


def type_named(name: str | None) -> ValueType:
    """The type a text stands for, as v1 component files and `InputPath('Dataset')` write it."""
    lowered = (name or "").lower()
    if lowered in ARTIFACT_CLASSES_MAPPING:
        return artifact_type(ARTIFACT_CLASSES_MAPPING[lowered])
    short = re.match(r"(typing\.)?(\w+)", lowered)
    if short and short[2] in PARAMETER_NAMES:
        return ParameterType(kind=PARAMETER_NAMES[short[2]])
    return artifact_type(artifact_types.Artifact)


def type_of_constant(value: Any) -> ParameterType | None:
    """The type of a value written in the pipeline, or None if no task can receive it."""
    if isinstance(value, enum.Enum):
        value = value.value
    for cls in (bool, int, float, str):
        if isinstance(value, cls):
            return _SIMPLE[cls]
    if isinstance(value, dict):
        return ParameterType(
            kind=STRUCT, keys=tuple((str(k), type_of_constant(v) or UNKNOWN) for k, v in value.items())
        )
    if isinstance(value, list | tuple):
        return _SIMPLE[list]  # as in KFP, the items of a constant list are not checked
    return None


def python_name(found: Any) -> str:
    """A type as messages say it: `int`, `system.Dataset@0.0.1`."""
    return COMMENT_NAMES.get(found.kind, found.kind) if isinstance(found, ParameterType) else str(found)


def fits(given: ValueType, expected: ValueType) -> bool:
    """Whether a value of one type may be given where the other is expected."""
    match given, expected:
        case ParameterType(), ParameterType():
            if given.unknown:
                return True
            return _as_value(given.kind) == _as_value(expected.kind) or (given.kind, expected.kind) == (INTEGER, DOUBLE)
        case ArtifactType(), ArtifactType():
            return given.is_list == expected.is_list and _same_schema(given, expected)
        case _:
            return False


def _as_value(kind: str) -> str:
    """A final status or task config is a dict for the task."""
    return STRUCT if kind in (TASK_FINAL_STATUS, TASK_CONFIG) else kind


def _same_schema(given: ArtifactType, expected: ArtifactType) -> bool:
    if artifact_types.Artifact.schema_title in (given.schema_title, expected.schema_title):
        return True
    same_major = given.schema_version.split(".")[0] == expected.schema_version.split(".")[0]
    return given.schema_title == expected.schema_title and same_major
