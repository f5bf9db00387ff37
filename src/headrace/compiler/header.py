"""The comment at the top of a document: name, description, inputs and outputs for a human reader."""

from __future__ import annotations

from typing import Any

from headrace.dsl.structures import IR
from headrace.dsl.types.type_utils import COMMENT_NAMES

_NEXT_LINE = "\n#              "


def header(pipeline_spec: IR, description: str | None) -> str:
    lines = ["# PIPELINE DEFINITION", f"# Name: {_on_one_line(pipeline_spec['pipelineInfo']['name'])}"]
    if description:
        lines.append("# Description: " + _NEXT_LINE.join(_on_one_line(line) for line in description.splitlines()))
    root = pipeline_spec["root"]
    for title, side in (("# Inputs:", "inputDefinitions"), ("# Outputs:", "outputDefinitions")):
        if side in root:
            lines.append(title)
            lines.extend(_signature(root[side]))
    return "\n".join(lines) + "\n"


def _signature(definitions: IR) -> list[str]:
    entries = [(name, _parameter(name, one)) for name, one in definitions.get("parameters", {}).items()]
    for name, one in definitions.get("artifacts", {}).items():
        title = one["artifactType"].get("schemaTitle") or one["artifactType"].get("instanceSchema", "")
        entries.append((name, f"#    {_on_one_line(name)}: {_on_one_line(title)}"))
    return [line for _, line in sorted(entries, key=lambda entry: entry[0])]


def _parameter(name: str, definition: IR) -> str:
    line = f"#    {_on_one_line(name)}: {COMMENT_NAMES[definition['parameterType']]}"
    if "defaultValue" not in definition:
        return line
    return f"{line} [Default: {_shown(definition['defaultValue'])}]"


def _shown(value: Any) -> str:
    return _on_one_line(f"'{value}'" if isinstance(value, str) else str(value))


def _on_one_line(text: str) -> str:
    """The text with every character escaped that would end the comment's line, or that YAML does not allow.

    KFP's SDK writes such characters as they are: its file can then not be read, or says something else.
    """
    return "".join(one if one.isprintable() or one == "\t" else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
