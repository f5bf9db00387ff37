"""KFP's ExecutorInput for an attempt on this machine: artifacts by plain paths, outputs inside its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headrace.engine.model import Artifact, ArtifactType, Json, LaunchOrder
from headrace.executors.places import Place

#: The ExecutorOutput's name; KFP calls the directory that holds it the task's root.
OUTPUT_FILE = "executor_output.json"


def _same(path: str) -> str:
    return path


def executor_input(order: LaunchOrder, outputs: Path, seen: Callable[[str], str] = _same) -> dict[str, Json]:
    """The document, with output paths under `outputs`; `seen` says where the component finds a path of ours."""
    return {
        "inputs": {
            "parameterValues": order.inputs.parameters,
            "artifacts": {
                name: {"artifacts": [_fields(artifact, seen) for artifact in artifacts]}
                for name, artifacts in order.inputs.artifacts.items()
            },
        },
        "outputs": {
            "parameters": {
                name: {"outputFile": str(outputs / "parameters" / name)} for name in order.outputs.parameters
            },
            "artifacts": {
                name: {"artifacts": [_output(name, kind, outputs)]} for name, kind in order.outputs.artifacts.items()
            },
            "outputFile": str(outputs / OUTPUT_FILE),
        },
    }


def make_output_directories(order: LaunchOrder, place: Place) -> None:
    """KFP promises commands that the directories of their output paths exist."""
    if order.outputs.parameters:
        (place.outputs / "parameters").mkdir(exist_ok=True)


def _fields(artifact: Artifact, seen: Callable[[str], str]) -> dict[str, Json]:
    path = local_path(artifact.uri)
    return {
        "name": artifact.name,
        "type": _type(artifact.type),
        "uri": artifact.uri if path is None else seen(path),
        "metadata": artifact.metadata,
    }


def _output(name: str, kind: ArtifactType, outputs: Path) -> dict[str, Json]:
    return {"name": name, "type": _type(kind), "uri": str(outputs / name), "metadata": {}}


def _type(kind: ArtifactType) -> dict[str, Json]:
    return {"schemaTitle": kind.schema_title, "schemaVersion": kind.schema_version}


def local_path(uri: str) -> str | None:
    """The path of a `file:` URI or of a plain path; None for what lies elsewhere."""
    if uri.startswith("/"):
        return uri
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return unquote(parts.path)
    return None
