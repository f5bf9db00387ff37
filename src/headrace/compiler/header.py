"""The comment at the top of a document: name, description, inputs and outputs for a human reader."""

from __future__ import annotations

from typing import Any

from headrace.dsl.structures import IR
from headrace.dsl.types.type_utils import COMMENT_NAMES

_NEXT_LINE = "\n#              "


def header(pipeline_spec: IR, description: str | None) -> str:
    lines = ["# PIPELINE DEFINITION", f"# Name: {pipeline_spec['pipelineInfo']['name']}"]
    if description:
        lines.append("# Description: " + _NEXT_LINE.join(description.splitlines()))
    root = pipeline_spec["root"]
    for title, side in (("# Inputs:", "inputDefinitions"), ("# Outputs:", "outputDefinitions")):
        if side in root:
            lines.append(title)
            lines.extend(_signature(root[side]))
    return "\n".join(lines) + "\n"


def _signature(definitions: IR) -> list[str]:
    entries = [(name, _parameter(name, one)) for name, one in definitions.get("parameters", {}).items()]
    for name, one in definitions.get("artifacts", {}).items():
        entries.append((name, f"#    {name}: {one['artifactType']['schemaTitle']}"))
    return [line for _, line in sorted(entries, key=lambda entry: entry[0])]


def _parameter(name: str, definition: IR) -> str:
    line = f"#    {name}: {COMMENT_NAMES[definition['parameterType']]}"
    if "defaultValue" not in definition:
        return line
    return f"{line} [Default: {_shown(definition['defaultValue'])}]"


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
