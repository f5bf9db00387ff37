"""Convert the engine's artifacts to the artifact objects of `dsl`."""

from __future__ import annotations

from typing import Any

from headrace import dsl
from headrace.attempt.executor_input import local_path
from headrace.engine.model import Artifact, Bundle

_CLASSES: dict[str, type[dsl.Artifact]] = {
    kind.schema_title: kind
    for kind in (
        dsl.Artifact, dsl.Dataset, dsl.Model, dsl.Metrics, dsl.ClassificationMetrics,
        dsl.SlicedClassificationMetrics, dsl.HTML, dsl.Markdown,
    )
}  # fmt: skip


def artifact_class(schema_title: str) -> type[dsl.Artifact]:
    """The class that goes with a type's title; `Artifact` for unknown titles."""
    return _CLASSES.get(schema_title, dsl.Artifact)


def to_object(artifact: Artifact) -> dsl.Artifact:
    """An object of the class that goes with the artifact's type, with a path of this machine where it has one."""
    kind = artifact_class(artifact.type.schema_title)
    uri = local_path(artifact.uri) or artifact.uri
    return kind(name=artifact.name, uri=uri, metadata=dict(artifact.metadata))


def outputs_of(bundle: Bundle, lists: frozenset[str]) -> dict[str, Any]:
    """Parameters and artifacts of a finished run by name."""
    found: dict[str, Any] = dict(bundle.parameters)
    for name, artifacts in bundle.artifacts.items():
        objects = [to_object(artifact) for artifact in artifacts]
        found[name] = objects if name in lists or len(objects) != 1 else objects[0]
    return found


def is_artifact(value: Any) -> bool:
    """Whether an argument is an artifact object, of ours or of kfp's."""
    return hasattr(type(value), "schema_title") and hasattr(value, "uri")
