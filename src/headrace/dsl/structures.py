"""A component as a value: its interface, and what its tasks run."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Iterable
from typing import Any, TypeAlias

from headrace.dsl.component_task_config import TaskConfigPassthrough
from headrace.dsl.errors import DslTypeError, DslValueError, SourceLocation
from headrace.dsl.placeholders import (
    CommandLineElement,
    ConcatPlaceholder,
    ContainerComponentArtifactChannel,
    IfPresentPlaceholder,
    Placeholder,
    _Named,
)
from headrace.dsl.types.type_utils import (
    TASK_CONFIG,
    TASK_FINAL_STATUS,
    ArtifactType,
    ParameterType,
    ValueType,
    checked_artifact_type,
)

IR: TypeAlias = dict[str, Any]


@dataclasses.dataclass(kw_only=True)
class InputSpec:
    """One input of a component."""

    type: ValueType
    default: Any = None
    optional: bool = False
    description: str | None = None

    @property
    def is_artifact_list(self) -> bool:
        return isinstance(self.type, ArtifactType) and self.type.is_list

    @property
    def is_system_filled(self) -> bool:
        """Whether the backend fills it in, not the author of the pipeline."""
        return isinstance(self.type, ParameterType) and self.type.kind in (TASK_FINAL_STATUS, TASK_CONFIG)

    @property
    def is_final_status(self) -> bool:
        return isinstance(self.type, ParameterType) and self.type.kind == TASK_FINAL_STATUS


@dataclasses.dataclass(kw_only=True)
class OutputSpec:
    """One output of a component."""

    type: ValueType
    description: str | None = None

    @property
    def is_artifact_list(self) -> bool:
        return isinstance(self.type, ArtifactType) and self.type.is_list


@dataclasses.dataclass
class ResourceSpec:
    """Resources of a task: texts, or channels."""

    cpu_request: Any = None
    cpu_limit: Any = None
    memory_request: Any = None
    memory_limit: Any = None
    accelerator_type: Any = None
    accelerator_count: Any = None


@dataclasses.dataclass
class ContainerSpec:
    """Image, command and arguments of a container component.

    Texts of `command` and `args` may be f-strings that use the function's parameters.

    Args:
        image: The image, such as `python:3.11`.
        command: The command. Default: the image's own entry point.
        args: The arguments after the command. Default: none.

    Example:
        >>> from headrace import dsl
        >>> @dsl.container_component
        ... def copy(data: dsl.Input[dsl.Dataset], result: dsl.Output[dsl.Dataset]):
        ...     return dsl.ContainerSpec(image="alpine", command=["cp"], args=[data.path, result.path])
    """

    image: str
    command: list[CommandLineElement] | None = None
    args: list[CommandLineElement] | None = None


@dataclasses.dataclass
class ContainerImplementation:
    """A container: image, command, arguments, and settings of one task."""

    image: Any
    command: list[CommandLineElement]
    args: list[CommandLineElement]
    env: dict[str, Any] = dataclasses.field(default_factory=dict)
    resources: ResourceSpec | None = None

    @property
    def container(self) -> ContainerImplementation:
        """The container itself: `component_spec.implementation.container.image` is how KFP's SDK spells it."""
        return self

    def for_task(self) -> ContainerImplementation:
        """A copy whose settings a task may change."""
        return dataclasses.replace(self, env=dict(self.env), resources=copy.copy(self.resources))


@dataclasses.dataclass
class ImporterImplementation:
    """An artifact that already exists, brought into the run."""

    artifact_uri: Any
    type: ArtifactType
    reimport: bool
    metadata: Any = None
    download_to_workspace: bool = False


@dataclasses.dataclass
class GraphImplementation:
    """A pipeline used as a component: its documents, which merging copies and never changes."""

    pipeline_spec: IR
    platform_spec: IR


Implementation: TypeAlias = ContainerImplementation | ImporterImplementation | GraphImplementation


@dataclasses.dataclass(kw_only=True)
class ComponentSpec:
    """A component: name, inputs, outputs, implementation."""

    name: str
    implementation: Implementation | None = None
    description: str | None = None
    inputs: dict[str, InputSpec] = dataclasses.field(default_factory=dict)
    outputs: dict[str, OutputSpec] = dataclasses.field(default_factory=dict)
    task_config_passthroughs: list[TaskConfigPassthrough] = dataclasses.field(default_factory=list)
    location: SourceLocation | None = None

    def __post_init__(self) -> None:
        self.name = sanitized(self.name)

    @classmethod
    def from_ir(
        cls, pipeline_spec: IR, platform_spec: IR | None = None, description: str | None = None
    ) -> ComponentSpec:
        """The component that a compiled document describes."""
        name = pipeline_spec["pipelineInfo"]["name"]
        interface = pipeline_spec.get("components", {}).get(f"comp-{sanitized(name)}", pipeline_spec["root"])
        return cls(
            name=name,
            description=description,
            inputs={key: _input_from_ir(one) for key, one in _definitions(interface, "inputDefinitions")},
            outputs={key: _output_from_ir(one) for key, one in _definitions(interface, "outputDefinitions")},
            implementation=_implementation_from_ir(name, pipeline_spec, platform_spec or {}),
        )

    def check_placeholders(self) -> None:
        """Every placeholder names an input or output that exists."""
        if isinstance(self.implementation, ContainerImplementation):
            for element in (*self.implementation.command, *self.implementation.args):
                _check_element(element, self)


def _definitions(interface: IR, side: str) -> Iterable[tuple[str, IR]]:
    definitions = interface.get(side, {})
    return [*definitions.get("parameters", {}).items(), *definitions.get("artifacts", {}).items()]


def _type_from_ir(ir: IR) -> ValueType:
    if "parameterType" in ir:
        return ParameterType(kind=ir["parameterType"], literals=tuple(ir.get("literals", ())))
    return checked_artifact_type(
        ArtifactType(
            schema_title=ir["artifactType"]["schemaTitle"],
            schema_version=ir["artifactType"]["schemaVersion"],
            is_list=ir.get("isArtifactList", False),
        )
    )


def _input_from_ir(ir: IR) -> InputSpec:
    optional = ir.get("isOptional", "defaultValue" in ir)
    return InputSpec(type=_type_from_ir(ir), default=ir.get("defaultValue"), optional=optional)


def _output_from_ir(ir: IR) -> OutputSpec:
    return OutputSpec(type=_type_from_ir(ir))


def _implementation_from_ir(name: str, pipeline_spec: IR, platform_spec: IR) -> Implementation:
    executor = pipeline_spec.get("deploymentSpec", {}).get("executors", {}).get(f"exec-{sanitized(name)}")
    if executor is None or "container" not in executor:
        return GraphImplementation(pipeline_spec, platform_spec)
    container = executor["container"]
    env = {one["name"]: one.get("value", "") for one in container.get("env", [])}
    return ContainerImplementation(container["image"], container.get("command", []), container.get("args", []), env)


def _check_element(element: Any, spec: ComponentSpec) -> None:
    if isinstance(element, ContainerComponentArtifactChannel):
        raise DslValueError(
            "Cannot access artifact by itself in the container definition.",
            code="ARTIFACT_WITHOUT_ATTRIBUTE",
            hint="use .uri or .path of the artifact.",
            location=spec.location,
        )
    if isinstance(element, IfPresentPlaceholder):
        _check_exists(element, element.input_name, spec.inputs, "input", spec)
        for inner in element.branches():
            _check_element(inner, spec)
    elif isinstance(element, ConcatPlaceholder):
        for inner in element.items:
            _check_element(inner, spec)
    elif isinstance(element, _Named):
        known = spec.inputs if element.side == "inputs" else spec.outputs
        _check_exists(element, element.io_name, known, element.side.removesuffix("s"), spec)
    elif not isinstance(element, str):
        raise DslTypeError(
            f'Unexpected argument "{element}" of type {type(element).__name__} in the command of {spec.name!r}.',
            code="COMMAND_ELEMENT_INVALID",
            hint="each element of command and args is a text or a parameter of the function.",
            location=spec.location,
        )


def _check_exists(placeholder: Placeholder, name: str, known: dict[str, Any], side: str, spec: ComponentSpec) -> None:
    if name not in known:
        raise DslValueError(
            f'Argument "{type(placeholder).__name__}" references nonexistent {side}: "{name}". '
            f"Known: {', '.join(known) or 'none'}.",
            code="PLACEHOLDER_UNKNOWN_NAME",
            location=spec.location,
        )


_NOT_NAME = re.compile("[^-0-9a-z]+")
_DASHES = re.compile("-+")


def sanitized(name: str) -> str:
    """The name, reduced to the characters that Kubernetes allows."""
    return _DASHES.sub("-", _NOT_NAME.sub("-", name.lower())).strip("-")


_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+)(\D+)")


def seconds_of(duration: str) -> int:
    """Seconds in '30s', '1h', '2 weeks', ..."""
    found = _DURATION.fullmatch(str(duration).replace(" ", ""))
    if found is None:
        raise DslValueError(
            f"Invalid duration string: {duration!r}.",
            code="DURATION_INVALID",
            hint="one whole number and one unit, such as '30s', '1 hour' or '2 weeks'.",
        )
    unit = found[2][0]
    if unit not in _UNIT_SECONDS:
        raise DslValueError(
            f"Unsupported duration unit: {unit!r} for {duration!r}.",
            code="DURATION_UNIT_UNKNOWN",
            hint="seconds, minutes, hours, days or weeks.",
        )
    return int(found[1]) * _UNIT_SECONDS[unit]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often, and after which waits, a failed task runs again."""

    max_retry_count: int | None = None
    backoff_duration: str | None = None
    backoff_factor: float | None = None
    backoff_max_duration: str | None = None

    def to_ir(self) -> IR:
        ir: IR = {
            "backoffDuration": f"{seconds_of(self.backoff_duration or '0s')}s",
            "backoffFactor": float(self.backoff_factor or 2.0),
            "backoffMaxDuration": f"{seconds_of(self.backoff_max_duration or '3600s')}s",
        }
        if self.max_retry_count:
            ir["maxRetryCount"] = self.max_retry_count
        return ir
