"""Conditions and selectors in CEL, as KFP writes them. User text is compiled by the CEL library, never by Python."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, cast

from cel_expr_python import cel

from headrace.engine.model import Artifact, Bundle, Json
from headrace.engine.values import as_text, doubles, shown

#: Longest condition or selector, in characters.
MAX_EXPRESSION = 10_000
_REFERENCE = re.compile(r"parameter_values(?:\[\s*['\"]([^'\"]+)['\"]\s*\]|\.(\w+))")


class ExpressionError(Exception):
    """The expression is malformed, or cannot be evaluated on these values."""


def holds(condition: str, inputs: Bundle) -> bool:
    """Whether a trigger condition is true for a task's inputs; raises ExpressionError."""
    value = _evaluate(condition, {"inputs": _inputs(condition, inputs)})
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
    return _evaluate(
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


def _evaluate(expression: str, names: Mapping[str, Json]) -> Json:
    compiled = _compiled(expression)
    try:
        value = compiled.eval(data=dict(names))
        failed = value.type() == cel.Type.ERROR
        result = value.value() if failed else value.plain_value()
    except Exception as error:
        raise ExpressionError(str(error)) from None
    if failed:
        raise ExpressionError(str(result))
    return cast(Json, result)


@functools.lru_cache(maxsize=1024)
def _compiled(expression: str) -> Any:
    if len(expression) > MAX_EXPRESSION:
        raise ExpressionError(f"the expression has more than {MAX_EXPRESSION} characters")
    try:
        # Unchecked: the checker refuses macros and mixed numbers that KFP's own evaluator accepts on these values.
        return _environment().compile(expression, disable_check=True)
    except Exception as error:
        raise ExpressionError(str(error).strip()) from None


@functools.lru_cache(maxsize=1)
def _environment() -> Any:
    parse = cel.Overload(
        "parse_json_string", return_type=cel.Type.DYN, parameters=[cel.Type.STRING], impl=_parse_json
    )  # fmt: skip
    return cel.NewEnv(
        variables={
            "inputs": cel.Type.DYN,
            "string_value": cel.Type.STRING,
            "struct_value": cel.Type.DYN,
            "list_value": cel.Type.DYN,
            "number_value": cel.Type.DOUBLE,
            "bool_value": cel.Type.BOOL,
            "null_value": cel.Type.NULL,
        },
        functions=[cel.FunctionDecl("parseJson", [parse])],
    )


def _parse_json(text: str) -> Json:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("the JSON text is nested too deep") from None
