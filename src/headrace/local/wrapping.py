"""Artifact arguments of a call: each becomes an importer in front of the pipeline; no special case for the engine."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from headrace.engine.model import Json
from headrace.local.artifacts import is_artifact
from headrace.local.errors import LocalRunError


def split(arguments: dict[str, Any]) -> tuple[dict[str, Json], dict[str, Any]]:
    """Parameters, and artifacts; for an argument of None the component uses its default."""
    parameters: dict[str, Json] = {}
    artifacts: dict[str, Any] = {}
    for name, value in arguments.items():
        if is_artifact(value):
            artifacts[name] = value
        elif isinstance(value, (list, tuple)) and value and all(is_artifact(member) for member in value):
            raise LocalRunError(
                f"Argument {name!r} is a list of artifacts, which a call cannot hand over. Call the component in a "
                "@dsl.pipeline function that makes the list (dsl.Collected), and call that.",
                code="LOCAL_ARTIFACT_LIST",
            )
        elif value is not None:
            parameters[name] = value
    return parameters, artifacts


def with_importers(pipeline_spec: dict[str, Json], artifacts: dict[str, Any]) -> dict[str, Json]:
    """The document with `artifacts` as importers instead of inputs."""
    if not artifacts:
        return pipeline_spec
    spec = copy.deepcopy(pipeline_spec)
    root = spec["root"]
    declared = root.get("inputDefinitions", {}).get("artifacts", {})
    for name, artifact in artifacts.items():
        if name not in declared:
            raise LocalRunError(f"Argument {name!r} is an artifact, but that input is a parameter.", code="INPUT_TYPE")
        _import(spec, name, artifact, declared.pop(name))
    if not declared:
        root["inputDefinitions"].pop("artifacts")
    return spec


def _import(spec: dict[str, Json], name: str, artifact: Any, declared: dict[str, Json]) -> None:
    root = spec["root"]
    task = _free(f"importer-{name.replace('_', '-')}", root["dag"]["tasks"])
    component, label = _free(f"comp-{task}", spec["components"]), f"exec-{task}"
    kind = declared.get("artifactType") or {"schemaTitle": type(artifact).schema_title, "schemaVersion": "0.0.1"}
    spec["components"][component] = {
        "executorLabel": label,
        "outputDefinitions": {"artifacts": {"artifact": {"artifactType": kind}}},
    }
    spec["deploymentSpec"]["executors"][label] = {
        "importer": {
            "artifactUri": {"constant": artifact.uri},
            "typeSchema": kind,
            "metadata": dict(artifact.metadata),
            "reimport": True,
        }
    }
    for user, source in _uses(root["dag"]["tasks"], name):
        user["inputs"]["artifacts"][source] = {
            "taskOutputArtifact": {"producerTask": task, "outputArtifactKey": "artifact"}
        }
        user["dependentTasks"] = sorted({*user.get("dependentTasks", ()), task})
    root["dag"]["tasks"][task] = {"taskInfo": {"name": task}, "componentRef": {"name": component}, "cachingOptions": {}}


def _uses(tasks: dict[str, Json], name: str) -> Iterator[tuple[dict[str, Json], str]]:
    for task in tasks.values():
        for key, source in task.get("inputs", {}).get("artifacts", {}).items():
            if source.get("componentInputArtifact") == name:
                yield task, key


def _free(name: str, taken: dict[str, Json]) -> str:
    number = 1
    found = name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found
