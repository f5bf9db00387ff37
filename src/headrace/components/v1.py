"""KFP 1's component YAML as a KFP 2 component: names, types, defaults and the placeholders of its command."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from headrace.dsl.constants import PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER
from headrace.dsl.errors import DslNotImplementedError, DslTypeError, DslValueError
from headrace.dsl.placeholders import (
    CommandLineElement,
    ConcatPlaceholder,
    IfPresentPlaceholder,
    InputPathPlaceholder,
    InputUriPlaceholder,
    InputValuePlaceholder,
    OutputParameterPlaceholder,
    OutputPathPlaceholder,
    OutputUriPlaceholder,
)
from headrace.dsl.structures import ComponentSpec, ContainerImplementation, InputSpec, OutputSpec
from headrace.dsl.types import artifact_types
from headrace.dsl.types.type_utils import (
    BOOLEAN,
    DOUBLE,
    INTEGER,
    LIST,
    STRING,
    STRUCT,
    TASK_FINAL_STATUS,
    ArtifactType,
    ParameterType,
    ValueType,
    artifact_type,
)
from headrace.spec.reading import read_json

Json: TypeAlias = Any

_PARAMETER_KINDS: Final = {
    "integer": INTEGER, "int": INTEGER,
    "double": DOUBLE, "float": DOUBLE,
    "string": STRING, "str": STRING, "text": STRING,
    "bool": BOOLEAN, "boolean": BOOLEAN,
    "dict": STRUCT, "jsonobject": STRUCT,
    "list": LIST, "jsonarray": LIST,
}  # fmt: skip
_ARTIFACTS: Final = {
    cls.__name__.lower(): cls
    for cls in (
        artifact_types.Artifact,
        artifact_types.Model,
        artifact_types.Dataset,
        artifact_types.Metrics,
        artifact_types.ClassificationMetrics,
        artifact_types.SlicedClassificationMetrics,
        artifact_types.HTML,
        artifact_types.Markdown,
    )
}
_GOOGLE_TYPE: Final = re.compile(r"google\.[A-Za-z]+")
_TRUE: Final = frozenset(("y", "yes", "t", "true", "on", "1"))
_FALSE: Final = frozenset(("n", "no", "f", "false", "off", "0"))
#: Fields of KFP 1's backend that KFP 2's document does not have.
_GONE: Final = ("inputMetadata", "inputOutputPortName", "outputMetadata")


def is_v1(document: Mapping[str, Json]) -> bool:
    """True for KFP 1's component YAML."""
    return "implementation" in document


def component_spec(document: Mapping[str, Json]) -> ComponentSpec:
    """The component that a v1 document describes; raises DslError."""
    implementation = document.get("implementation")
    if not isinstance(implementation, Mapping) or not isinstance(implementation.get("container"), Mapping):
        raise DslNotImplementedError(
            "The component file has no `implementation.container`; graph components of KFP 1 cannot be loaded.",
            code="V1_NOT_A_CONTAINER",
            hint="write the graph as a @dsl.pipeline and call that like a component.",
        )
    spec = _ComponentReader(document).spec(implementation["container"])
    spec.check_placeholders()
    return spec


def sanitized_name(name: str) -> str:
    """The name of an input or output as tasks know it: small letters, digits and `_`."""
    return re.sub(r"[^_0-9a-z]+", "_", name.lower()).strip("_")


def value_type(name: Json) -> ValueType:
    """The type a v1 file writes; an unknown type is a generic artifact."""
    if not isinstance(name, str):
        return artifact_type(artifact_types.Artifact)
    short = _outer(name)
    if short == "PipelineTaskFinalStatus":
        return ParameterType(kind=TASK_FINAL_STATUS)
    if short.lower() in _PARAMETER_KINDS:
        return ParameterType(kind=_PARAMETER_KINDS[short.lower()])
    if _GOOGLE_TYPE.match(short):
        return ArtifactType(schema_title=short)
    return artifact_type(_ARTIFACTS.get(short.lower(), artifact_types.Artifact))


def _outer(name: str) -> str:
    name = name.removeprefix("typing.")
    return name.split("[")[0] if name.lower().startswith(("list", "dict")) else name


def default_value(name: str, type_: ValueType, default: Json) -> Json:
    """A default, which v1 files may write as text, as a value of the input's type."""
    if default is None or not isinstance(type_, ParameterType):
        return default
    cast = _CASTS.get(type_.kind)
    try:
        return default if cast is None else cast(default)
    except (ValueError, TypeError, OverflowError):
        raise DslValueError(
            f"The default {default!r} of input {name!r} is no {type_.text}.", code="V1_DEFAULT_INVALID"
        ) from None


def _truth(default: Json) -> Json:
    if not isinstance(default, str):
        return default
    if default.lower() in _TRUE:
        return True
    if default.lower() in _FALSE:
        return False
    raise ValueError(default)


def _from_json(kind: type) -> Callable[[Json], Json]:
    def read(default: Json) -> Json:
        value = read_json(default) if isinstance(default, str) else default
        if not isinstance(value, kind):
            raise ValueError(default)
        return value

    return read


_CASTS: Final[dict[str, Callable[[Json], Json]]] = {
    INTEGER: int,
    DOUBLE: float,
    STRING: str,
    BOOLEAN: _truth,
    LIST: _from_json(list),
    STRUCT: _from_json(dict),
}


class _ComponentReader:
    """Reads one document; `_inputs` and `_outputs` are its entries by the names the file uses."""

    def __init__(self, document: Mapping[str, Json]) -> None:
        self._document = document
        self._inputs = _by_name(document, "inputs")
        self._outputs = _by_name(document, "outputs")

    def spec(self, container: Mapping[str, Json]) -> ComponentSpec:
        image = container.get("image")
        if not isinstance(image, str) or not image:
            raise DslValueError("`implementation.container.image` is missing.", code="V1_IMAGE_MISSING")
        if container.get("fileOutputs"):
            warnings.warn(
                "`fileOutputs` of KFP 1's component files does nothing; use {outputPath: name} in the command.",
                stacklevel=4,
            )
        name = self._document.get("name")
        return ComponentSpec(
            name=str(name) if name else "name",
            description=self._document.get("description"),
            inputs={sanitized_name(key): self._input(key, one) for key, one in self._inputs.items()},
            outputs={
                sanitized_name(key): OutputSpec(type=value_type(one.get("type"))) for key, one in self._outputs.items()
            },
            implementation=ContainerImplementation(
                image=image,
                command=self._elements(container, "command"),
                args=self._elements(container, "args"),
                env=self._env(container.get("env") or {}),
            ),
        )

    def _input(self, name: str, one: Mapping[str, Json]) -> InputSpec:
        type_ = value_type(one.get("type"))
        if type_ == ParameterType(kind=TASK_FINAL_STATUS):
            return InputSpec(type=type_, optional=True)
        default = default_value(name, type_, one.get("default"))
        return InputSpec(
            type=type_, default=default, optional=bool(one.get("optional")) or one.get("default") is not None
        )

    def _env(self, env: Mapping[str, Json]) -> dict[str, Any]:
        return {str(key): value if isinstance(value, str) else self._element(value) for key, value in env.items()}

    def _elements(self, container: Mapping[str, Json], part: str) -> list[CommandLineElement]:
        items = container.get(part) or []
        if not isinstance(items, list):
            raise DslTypeError(f"`implementation.container.{part}` must be a list.", code="V1_COMMAND_INVALID")
        return [self._element(item) for item in items]

    def _element(self, item: Json) -> CommandLineElement:
        if isinstance(item, str):
            return item
        if isinstance(item, bool | int | float):
            return str(item)
        if not isinstance(item, Mapping) or len(item) != 1:
            raise DslTypeError(
                f"Unexpected element {item!r} in the command: expected a text or one placeholder.",
                code="V1_COMMAND_INVALID",
            )
        ((kind, value),) = item.items()
        return self._placeholder(kind, value)

    def _placeholder(self, kind: str, value: Json) -> CommandLineElement:
        match kind:
            case "inputValue":
                return InputValuePlaceholder(self._known(value, self._inputs, "input"))
            case "inputPath":
                return InputPathPlaceholder(self._known(value, self._inputs, "input"))
            case "inputUri":
                return InputUriPlaceholder(self._known(value, self._inputs, "input"))
            case "outputPath":
                return self._output_path(value)
            case "outputUri":
                return OutputUriPlaceholder(self._known(value, self._outputs, "output"))
            case "executorInput":
                return PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER
            case "concat" if isinstance(value, list):
                return ConcatPlaceholder([self._element(part) for part in value])
            case "if" if isinstance(value, Mapping):
                return self._if(value)
        gone = "KFP 2 has nothing like it" if kind in _GONE else "it is not known"
        raise DslTypeError(f"The placeholder {kind!r} cannot be used: {gone}.", code="V1_PLACEHOLDER_UNKNOWN")

    def _known(self, name: Json, known: Mapping[str, Json], side: str) -> str:
        if name not in known:
            raise DslTypeError(
                f"The command names the {side} {name!r}, which the component has not; it has: "
                f"{', '.join(map(repr, known)) or 'none'}.",
                code="PLACEHOLDER_UNKNOWN_NAME",
            )
        return sanitized_name(name)

    def _output_path(self, value: Json) -> CommandLineElement:
        name = self._known(value, self._outputs, "output")
        if isinstance(value_type(self._outputs[value].get("type")), ParameterType):
            return OutputParameterPlaceholder(name)
        return OutputPathPlaceholder(name)

    def _if(self, choice: Mapping[str, Json]) -> CommandLineElement:
        condition = choice.get("cond")
        if not isinstance(condition, Mapping) or "isPresent" not in condition:
            raise DslNotImplementedError(
                f"Only `cond: {{isPresent: input}}` can be used in `if`, not {condition!r}.", code="V1_CONDITION"
            )
        return IfPresentPlaceholder(
            self._known(condition["isPresent"], self._inputs, "input"),
            self._branch(choice.get("then", [])),
            None if choice.get("else") is None else self._branch(choice["else"]),
        )

    def _branch(self, branch: Json) -> CommandLineElement | list[CommandLineElement]:
        return [self._element(item) for item in branch] if isinstance(branch, list) else self._element(branch)


def _by_name(document: Mapping[str, Json], side: str) -> dict[str, Mapping[str, Json]]:
    entries = document.get(side) or []
    if not isinstance(entries, list):
        raise DslTypeError(f"`{side}` must be a list.", code="V1_INTERFACE_INVALID")
    found: dict[str, Mapping[str, Json]] = {}
    for one in entries:
        name = one.get("name") if isinstance(one, Mapping) else None
        if not isinstance(name, str) or not sanitized_name(name):
            raise DslTypeError(f"An entry of `{side}` has no name: {one!r}.", code="V1_INTERFACE_INVALID")
        if name in found:
            raise DslValueError(f"Two {side} are named {name!r}.", code="V1_NAME_TWICE")
        found[name] = one
    return found
