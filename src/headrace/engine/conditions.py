"""Conditions and selectors in CEL, as KFP writes them. User text is compiled by the CEL library, never by Python."""

from __future__ import annotations

import re

from headrace.engine.expressions import ExpressionError, evaluate
from headrace.engine.model import Artifact, Bundle, Json
from headrace.engine.values import as_text, doubles, shown

_REFERENCE = re.compile(r"parameter_values(?:\[\s*['\"]([^'\"]+)['\"]\s*\]|\.(\w+))")


def holds(condition: str, inputs: Bundle) -> bool:
    """Whether a trigger condition is true for a task's inputs; raises ExpressionError."""
    value = evaluate(condition, {"inputs": _inputs(condition, inputs)})
    if not isinstance(value, bool):
        raise ExpressionError(f"the condition must be true or false, but it is {shown(value)}")
    return value


def referenced(condition: str, inputs: Bundle) -> dict[str, Json]:
    """The parameters a condition names, with the values they have."""
    names = [a or b for a, b in _REFERENCE.findall(condition)]
    return {name: inputs.parameters.get(name) for name in names}


def select(selector: str, value: Json) -> Json:
    """Part of a value, by a `parameterExpressionSelector`; raises ExpressionError."""
    numbers = doubles(value)
    text = as_text(value)
    return evaluate(
        selector,
        {
            # KFP hands structured values to `parseJson(string_value)` as JSON text.
            "string_value": text,
            "struct_value": numbers if isinstance(value, dict) else {},
            "list_value": numbers if isinstance(value, list) else [],
            "number_value": numbers if isinstance(numbers, float) else 0.0,
            "bool_value": value if isinstance(value, bool) else False,
            "null_value": None,
        },
    )


def _inputs(condition: str, inputs: Bundle) -> dict[str, Json]:
    # Only what the condition names is converted: other inputs may be large.
    names = {a or b for a, b in _REFERENCE.findall(condition)}
    whole = condition.count("parameter_values") != len(_REFERENCE.findall(condition))
    parameters = {n: doubles(v) for n, v in inputs.parameters.items() if whole or n in names}
    artifacts = inputs.artifacts if "artifacts" in condition else {}
    return {
        "parameter_values": parameters,
        "artifacts": {name: {"artifacts": [_artifact(a) for a in found]} for name, found in artifacts.items()},
    }


def _artifact(artifact: Artifact) -> dict[str, Json]:
    return {
        "name": artifact.name,
        "uri": artifact.uri,
        "type": {"schema_title": artifact.type.schema_title, "schema_version": artifact.type.schema_version},
        "metadata": doubles(artifact.metadata),
    }
