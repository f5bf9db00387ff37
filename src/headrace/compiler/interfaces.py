"""A component's interface as the document writes it."""

from __future__ import annotations

from typing import Any

from headrace.compiler.values import wire_value
from headrace.dsl.structures import IR, ComponentSpec, InputSpec, OutputSpec
from headrace.dsl.types.type_utils import TASK_CONFIG, TASK_FINAL_STATUS, ArtifactType, ValueType


def interface_ir(spec: ComponentSpec) -> IR:
    """Input and output definitions, and settings passed through."""
    ir: IR = {}
    for name, input_spec in spec.inputs.items():
        define(ir, "inputDefinitions", name, input_spec.type).update(_input_details(name, input_spec))
    for name, output_spec in spec.outputs.items():
        define(ir, "outputDefinitions", name, output_spec.type).update(_described(output_spec))
    if spec.task_config_passthroughs:
        ir["taskConfigPassthroughs"] = [one.to_ir() for one in spec.task_config_passthroughs]
    return ir


def define(ir: IR, side: str, name: str, found: ValueType) -> IR:
    """Declare an input or output; returns its definition."""
    artifact = isinstance(found, ArtifactType)
    definition = found.to_ir() if isinstance(found, ArtifactType) else _parameter(found)
    ir.setdefault(side, {}).setdefault("artifacts" if artifact else "parameters", {})[name] = definition
    return definition


def _parameter(found: Any) -> IR:
    definition: IR = {"parameterType": found.kind}
    if found.literals:
        definition["literals"] = [wire_value(value, what="a Literal") for value in found.literals]
    return definition


def _input_details(name: str, spec: InputSpec) -> IR:
    details = _described(spec)
    kind = getattr(spec.type, "kind", None)
    if spec.optional or kind in (TASK_FINAL_STATUS, TASK_CONFIG):
        details["isOptional"] = True
        if spec.default is not None and kind is not None:
            details["defaultValue"] = wire_value(spec.default, what=f"the default of {name!r}")
    return details


def _described(spec: InputSpec | OutputSpec) -> IR:
    return {"description": spec.description} if spec.description else {}
