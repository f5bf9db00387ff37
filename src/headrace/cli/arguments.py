"""`--arg name=value`: text into values, by the types the pipeline declares for its inputs."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from headrace.cli.errors import CliError

Json: TypeAlias = Any

#: The document's word for a parameter's type -> how to say it.
TYPE_WORDS = {
    "STRING": "a text",
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a JSON list",
    "STRUCT": "a JSON object",
}


def declared(pipeline_spec: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """The pipeline's input parameters as the document declares them, by name."""
    root = pipeline_spec.get("root") or {}
    return (root.get("inputDefinitions") or {}).get("parameters") or {}


def collect(pipeline_spec: Mapping[str, Json], texts: Iterable[str], args_file: Path | None) -> dict[str, Json]:
    """The run's arguments: those of the file, then those of the command line; checked against the document."""
    inputs = declared(pipeline_spec)
    values = {} if args_file is None else _from_file(inputs, args_file)
    values |= given(pipeline_spec, texts)
    _check_missing(inputs, values)
    return values


def given(pipeline_spec: Mapping[str, Json], texts: Iterable[str]) -> dict[str, Json]:
    """The arguments of the command line alone; more may come from elsewhere."""
    inputs = declared(pipeline_spec)
    return {name: parse(name, text, _declaration(inputs, name)) for name, text in pairs("--arg", texts).items()}


def pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """`name=value` of an option that may be given several times; raises CliError."""
    found: dict[str, str] = {}
    for pair in texts:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise CliError(
                f"{option} {pair!r} is not name=value.",
                code="ARGUMENT_SYNTAX",
                fix=f"Write {option} name=value, one for each.",
            )
        if name in found:
            raise CliError(f"{option} {name} is given twice.", code="ARGUMENT_REPEATED", fix="Leave one of them out.")
        found[name] = text
    return found


def parse_as(name: str, text: str, outputs: Mapping[str, Mapping[str, Json]]) -> Json:
    """The value that `text` means for an output; a text for one that is not declared, which the server refuses."""
    return parse(name, text, outputs.get(name, {}))


def parse(name: str, text: str, declaration: Mapping[str, Json]) -> Json:
    """The value that `text` means for an input; raises CliError."""
    kind = str(declaration.get("parameterType", "STRING"))
    try:
        value = _PARSERS.get(kind, _structured)(text)
    except ValueError:
        raise _wrong(name, text, kind) from None
    check(name, value, declaration)
    return value


def check(name: str, value: Json, declaration: Mapping[str, Json]) -> None:
    """Raises CliError where a value is not of its input's type, or not one of its literals."""
    kind = str(declaration.get("parameterType", "STRING"))
    if value is None and declaration.get("isOptional"):
        return
    if kind in _CHECKS and not _CHECKS[kind](value):
        raise _wrong(name, json.dumps(value)[:200], kind)
    literals = declaration.get("literals")
    if literals and value not in literals:
        raise CliError(
            f"Argument {name!r} is {value!r}, which is none of the values it may have.",
            code="ARGUMENT_NOT_ALLOWED",
            fix="Use one of: " + ", ".join(str(literal) for literal in literals) + ".",
        )


def _declaration(inputs: Mapping[str, dict[str, Json]], name: str) -> dict[str, Json]:
    if name in inputs:
        return inputs[name]
    near = difflib.get_close_matches(name, inputs, n=1)
    fix = f"Did you mean {near[0]}? " if near else ""
    listed = ", ".join(sorted(inputs)) or "none"
    raise CliError(f"The pipeline has no input {name!r}.", code="ARGUMENT_UNKNOWN", fix=f"{fix}Its inputs: {listed}.")


def _check_missing(inputs: Mapping[str, dict[str, Json]], values: Mapping[str, Json]) -> None:
    missing = [
        name
        for name, declaration in inputs.items()
        if name not in values and "defaultValue" not in declaration and not declaration.get("isOptional")
    ]
    if not missing:
        return
    named = ", ".join(
        f"{name} ({TYPE_WORDS.get(str(inputs[name].get('parameterType')), 'a value')})" for name in missing
    )
    raise CliError(
        f"No value for the pipeline's input{'s' if len(missing) > 1 else ''} {named}.",
        code="ARGUMENT_MISSING",
        fix="Give " + " ".join(f"--arg {name}=…" for name in missing),
    )


def _from_file(inputs: Mapping[str, dict[str, Json]], path: Path) -> dict[str, Json]:
    from headrace.spec.reading import DocumentError, read_one

    try:
        values = read_one(path.read_bytes())
    except OSError as error:
        raise CliError(
            f"The arguments' file cannot be read: {error.strerror}.", code="FILE_UNREADABLE", where=str(path)
        ) from None
    except DocumentError as error:
        raise CliError(str(error), code=error.code, where=str(path)) from None
    if not isinstance(values, dict):
        raise CliError(
            "The arguments' file must hold one YAML or JSON object: input names and their values.",
            code="ARGUMENT_SYNTAX",
            where=str(path),
        )
    for name, value in values.items():
        check(name, value, _declaration(inputs, name))
    return values


def _wrong(name: str, text: str, kind: str) -> CliError:
    examples = {
        "NUMBER_INTEGER": "3",
        "NUMBER_DOUBLE": "0.5",
        "BOOLEAN": "true",
        "LIST": "'[1, 2]'",
        "STRUCT": """'{"key": 1}'""",
    }
    return CliError(
        f"Argument {name!r} must be {TYPE_WORDS.get(kind, kind)}, got {text!r}.",
        code="ARGUMENT_TYPE",
        fix=f"For example --arg {name}={examples.get(kind, 'text')}",
    )


def _whole(text: str) -> int:
    return int(text.strip())


def _number(text: str) -> float:
    value = float(text.strip())
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _truth(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        return words[text.strip().lower()]
    except KeyError:
        raise ValueError(text) from None


def _structured(text: str) -> Json:
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError(text) from None


def _refuse(constant: str) -> Json:
    raise ValueError(constant)


_PARSERS: dict[str, Callable[[str], Json]] = {
    "STRING": str,
    "NUMBER_INTEGER": _whole,
    "NUMBER_DOUBLE": _number,
    "BOOLEAN": _truth,
    "LIST": _structured,
    "STRUCT": _structured,
}


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: dict[str, Callable[[Json], bool]] = {
    "STRING": lambda value: isinstance(value, str),
    "NUMBER_INTEGER": lambda value: _is_number(value) and value == int(value),
    "NUMBER_DOUBLE": _is_number,
    "BOOLEAN": lambda value: isinstance(value, bool),
    "LIST": lambda value: isinstance(value, list),
    "STRUCT": lambda value: isinstance(value, dict),
}
