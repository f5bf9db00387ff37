"""`{{$...}}` in commands, arguments and constants, replaced; and the `Concat` and `IfPresent` clauses of commands.

Every text is scanned once: a value that was put in is not scanned again, so no value can refer to another.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from headrace.spec.reading import DocumentError, read_json

Json: TypeAlias = Any

_PLACEHOLDER: Final = re.compile(r"""\{\{\$((?:\.[A-Za-z_]\w*|\[(?:'[^'\n]*'|"[^"\n]*"|[0-9]{1,9})\])*)\}\}""")
_STEP: Final = re.compile(r"""\.([A-Za-z_]\w*)|\[(?:'([^'\n]*)'|"([^"\n]*)"|([0-9]{1,9}))\]""")
_CLAUSE: Final = re.compile(r'\s*\{\s*"(?:Concat|IfPresent)"\s*:')

#: Facts of a run and a task that a placeholder can name.
FACTS: Final = (
    "pipeline_job_name",
    "pipeline_job_resource_name",
    "pipeline_job_uuid",
    "pipeline_job_create_time_utc",
    "pipeline_job_schedule_time_utc",
    "pipeline_task_name",
    "pipeline_task_uuid",
    "pipeline_root",
    "workspace_path",
)


class PlaceholderError(ValueError):
    """A placeholder refers to nothing that exists; `placeholder` is its text."""

    code = "PLACEHOLDER_UNKNOWN"

    def __init__(self, placeholder: str, message: str) -> None:
        super().__init__(f"{placeholder}: {message}")
        self.placeholder = placeholder
        self.message = message


class Placeholder(msgspec.Struct, frozen=True, kw_only=True):
    """One `{{$...}}`: `{{$.inputs.parameters['x']}}` has the steps inputs, parameters, x."""

    text: str
    steps: tuple[str, ...]


def find(text: str) -> Iterator[Placeholder]:
    """The placeholders of a text, in order."""
    for match in _PLACEHOLDER.finditer(text):
        yield _parsed(match)


def find_in_command(item: str) -> Iterator[Placeholder]:
    """The placeholders of a command's element, also those in its clauses; an `IfPresent` counts as an input's name."""
    clause = _clause(item)
    if clause is None:
        yield from find(item)
    else:
        yield from _in_clause(clause)


def render(
    text: str,
    executor_input: Mapping[str, Json],
    facts: Mapping[str, str],
    paths: Mapping[str, str] | None = None,
) -> str:
    """The text with every placeholder replaced; an input that is not given becomes an empty text.

    `paths` maps an artifact's URI to its path in the task. Raises PlaceholderError.
    """
    return _Renderer(executor_input, facts, paths or {}).text(text)


def render_command(
    items: Iterable[str],
    executor_input: Mapping[str, Json],
    facts: Mapping[str, str],
    paths: Mapping[str, str] | None = None,
) -> list[str]:
    """A command or its arguments with all placeholders replaced and all clauses decided.

    An element that consists only of an input that is not given is left out. Raises PlaceholderError.
    """
    renderer = _Renderer(executor_input, facts, paths or {})
    return [word for item in items for word in renderer.element(item)]


def as_text(value: Json) -> str:
    """A parameter's value as a text of a command."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, float):
        return json.dumps(value, ensure_ascii=False)
    if not math.isfinite(value):
        return str(value)
    if value.is_integer():
        return str(int(value))
    return format(Decimal(repr(value)), "f")


def _parsed(match: re.Match[str]) -> Placeholder:
    steps = tuple(next(part for part in step.groups() if part is not None) for step in _STEP.finditer(match[1]))
    return Placeholder(text=match[0], steps=steps)


def _clause(item: str) -> dict[str, Json] | None:
    """The item as a `Concat` or `IfPresent` clause, or None when it is an ordinary text."""
    if not _CLAUSE.match(item):
        return None
    try:
        value = read_json(item)
    except DocumentError:
        return None
    return value if isinstance(value, dict) and len(value) == 1 else None


def _in_clause(clause: Json) -> Iterator[Placeholder]:
    if isinstance(clause, str):
        yield from find(clause)
    elif isinstance(clause, list):
        for item in clause:
            yield from _in_clause(item)
    elif isinstance(clause, dict):
        if isinstance(name := clause.get("InputName"), str):
            yield Placeholder(text=f'IfPresent "{name}"', steps=("inputs", "any", name))
        for key, item in clause.items():
            if key != "InputName":
                yield from _in_clause(item)


class _Renderer:
    """Replaces placeholders by the inputs of one task."""

    def __init__(self, executor_input: Mapping[str, Json], facts: Mapping[str, str], paths: Mapping[str, str]) -> None:
        inputs = executor_input.get("inputs") or {}
        outputs = executor_input.get("outputs") or {}
        self._whole = executor_input
        self._parameters: Mapping[str, Json] = inputs.get("parameterValues") or {}
        self._input_artifacts: Mapping[str, Json] = inputs.get("artifacts") or {}
        self._output_parameters: Mapping[str, Json] = outputs.get("parameters") or {}
        self._output_artifacts: Mapping[str, Json] = outputs.get("artifacts") or {}
        self._output_file: str | None = outputs.get("outputFile")
        self._facts = facts
        self._paths = paths

    def text(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda match: self._value(_parsed(match)) or "", text)

    def element(self, item: str) -> list[str]:
        clause = _clause(item)
        return self._text_element(item) if clause is None else self._decided(clause, item)

    def _text_element(self, item: str) -> list[str]:
        whole = _PLACEHOLDER.fullmatch(item)
        if whole is None:
            return [self.text(item)]
        value = self._value(_parsed(whole))
        return [] if value is None else [value]

    # Clauses.

    def _decided(self, clause: Json, item: str) -> list[str]:
        if isinstance(clause, str):
            return self._text_element(clause)
        if isinstance(clause, list):
            return [word for part in clause for word in self._decided(part, item)]
        match clause:
            case {"Concat": list(parts)}:
                return ["".join(word for part in parts for word in self._decided(part, item))]
            case {"IfPresent": {"InputName": str(name), "Then": then} as choice}:
                chosen = then if self._is_given(name) else choice.get("Else")
                return [] if chosen is None else self._decided(chosen, item)
            case _:
                raise PlaceholderError(
                    item if len(item) <= 200 else item[:197] + "...", "is not a Concat or IfPresent clause."
                )

    def _is_given(self, name: str) -> bool:
        return self._parameters.get(name) is not None or bool(_artifacts(self._input_artifacts.get(name)))

    # Placeholders; None is an input that is not given.

    def _value(self, placeholder: Placeholder) -> str | None:
        match placeholder.steps:
            case ():
                return json.dumps(self._whole)
            case ("inputs", "parameters", name):
                value = self._parameters.get(name)
                return None if value is None else as_text(value)
            case ("inputs", "artifacts", name, *rest):
                return self._artifact(placeholder, _artifacts(self._input_artifacts.get(name)), rest)
            case ("outputs", "artifacts", name, *rest):
                found = _artifacts(self._output_artifacts.get(name))
                if not found:
                    raise PlaceholderError(placeholder.text, _unknown("output artifact", self._output_artifacts))
                return self._artifact(placeholder, found, rest)
            case ("outputs", "parameters", name, "output_file"):
                return self._output_parameter(placeholder, name)
            case ("outputs", "output_file") | ("outputMetadataUri",) if self._output_file is not None:
                return self._output_file
            case (fact,) if fact in self._facts:
                return self._facts[fact]
            case (fact,) if fact in FACTS:
                raise PlaceholderError(placeholder.text, "is not known here.")
        return placeholder.text  # it is none of ours, and may be meant for a reader or another system

    def _output_parameter(self, placeholder: Placeholder, name: str) -> str:
        output = self._output_parameters.get(name)
        if not isinstance(output, Mapping) or not isinstance(output.get("outputFile"), str):
            raise PlaceholderError(placeholder.text, _unknown("output parameter", self._output_parameters))
        return str(output["outputFile"])

    def _artifact(self, placeholder: Placeholder, found: list[dict[str, Json]], rest: list[str]) -> str | None:
        if not found:
            return None
        first = found[0]
        match rest:
            case []:
                return json.dumps(found)
            case ["uri"]:
                return str(first.get("uri", ""))
            case ["path"]:
                return self._path(str(first.get("uri", "")))
            case ["name"]:
                return str(first.get("name", ""))
            case ["metadata", *keys]:
                return as_text(self._below(placeholder, first.get("metadata") or {}, keys))
            case _:
                raise PlaceholderError(placeholder.text, "an artifact has uri, path, name and metadata.")

    def _below(self, placeholder: Placeholder, value: Json, keys: list[str]) -> Json:
        """The value in metadata at these keys; in a list, a key is an index from 0."""
        for key in keys:
            if isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            elif isinstance(value, Mapping) and key in value:
                value = value[key]
            else:
                known = value if isinstance(value, Mapping) else ()
                raise PlaceholderError(placeholder.text, _unknown(f"metadata key as {key!r}", known))
        return value

    def _path(self, uri: str) -> str:
        return self._paths.get(uri, uri.removeprefix("file://"))


def _artifacts(entry: Json) -> list[dict[str, Json]]:
    return (entry.get("artifacts") or []) if isinstance(entry, Mapping) else []


def _unknown(what: str, known: Iterable[str]) -> str:
    names = ", ".join(repr(name) for name in sorted(known)) or "none"
    return f"there is no such {what}; there are: {names}."
