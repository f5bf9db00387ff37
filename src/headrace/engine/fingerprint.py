"""Fingerprints: two executions with the same fingerprint do the same, so one may use the outputs of the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from headrace.engine.model import Artifact, Json, RunState
from headrace.engine.plan import Plan, TaskPlan
from headrace.engine.values import whole

_ENCODER = msgspec.json.Encoder(order="sorted")
#: Grows when the parts change their meaning, so that old entries are not found.
_VERSION = 2
_NOWHERE: Mapping[str, str] = MappingProxyType({})
#: A part with at most so many characters is shown as it is; a longer one as its digest and length.
_SHOWN = 200


def fingerprint(plan: Plan, state: RunState, path: str, surroundings: Mapping[str, str] = _NOWHERE) -> str:
    """Lower-hex sha256 of `fingerprint_parts`. Fingerprints are compared within one pipeline and namespace."""
    return digest_of(fingerprint_parts(plan, state, path, surroundings))


def digest_of(parts: Mapping[str, Json]) -> str:
    """The fingerprint that these parts make."""
    return hashlib.sha256(_ENCODER.encode(parts)).hexdigest()


def fingerprint_parts(
    plan: Plan, state: RunState, path: str, surroundings: Mapping[str, str] = _NOWHERE
) -> dict[str, Json]:
    """What goes into the fingerprint, as JSON. 1 and 1.0 are the same; the order of an object's members does not count.

    It has the container with its command before placeholders are filled (KFP's rule), the declared outputs, what the
    container runs in (`surroundings`: digests of the image or of the installed packages, from the executor), and the
    inputs: parameters by value, artifacts by content (by URI where the content is not known). It has the environment
    variables, since commands read them; KFP leaves them out. It does not have resources, secrets, the retry policy,
    time limits and the task's name. An explicit cache key (KFP's `cacheKey`) replaces all but the component.
    """
    task = plan.task_at(path)
    if task.task.cache_key:
        return {"version": _VERSION, "component": task.component.name, "cache_key": task.task.cache_key}
    inputs = state.executions[path].inputs
    return {
        "version": _VERSION,
        "container": _container(task),
        "surroundings": dict(surroundings),
        "outputs": whole(_outputs(task)),
        "parameters": whole(inputs.parameters),
        "artifacts": {name: [_artifact(a) for a in found] for name, found in inputs.artifacts.items()},
    }


def shown_parts(parts: Mapping[str, Json]) -> dict[str, str]:
    """The parts as short texts that a user can compare, by names such as `parameter lr`, `image`, `command`.

    Of an environment variable there is only a digest: its value may be secret.
    """
    return {name: _shown(value, hidden=name.startswith("env ")) for name, value in _named(parts)}


def uses_cache(plan: Plan, state: RunState, path: str) -> bool:
    """Whether this execution's outputs may be stored in the cache and looked up there."""
    task = plan.task_at(path)
    return task.task.cache and task.container is not None and state.caching is not False


def _named(parts: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for name in ("component", "cache_key"):
        if name in parts:
            yield name.replace("_", " "), parts[name]
    for name, value in parts.get("parameters", {}).items():
        yield f"parameter {name}", value
    for name, value in parts.get("artifacts", {}).items():
        yield f"artifact {name}", value
    for name, value in parts.get("container", {}).items():
        if name == "env":
            yield from ((f"env {variable}", text) for variable, text in value.items())
        else:
            yield name, value
    yield from parts.get("surroundings", {}).items()
    if "outputs" in parts:
        yield "outputs", parts["outputs"]


def _shown(value: Json, *, hidden: bool) -> str:
    text = _ENCODER.encode(value)
    if len(text) <= _SHOWN and not hidden:
        return text.decode()
    return f"sha256:{hashlib.sha256(text).hexdigest()[:16]} ({len(text)} bytes)"


def _container(task: TaskPlan) -> dict[str, Json]:
    container = task.container
    if container is None:
        return {}
    return {
        "image": container.image,
        "command": container.command,
        "args": container.args,
        "env": dict(container.env),
    }


def _outputs(task: TaskPlan) -> dict[str, Json]:
    declared = task.component.outputs
    return {
        "parameters": {name: definition.type for name, definition in declared.parameters.items()},
        "artifacts": {
            name: [msgspec.to_builtins(definition.schema), definition.is_list, definition.metadata]
            for name, definition in declared.artifacts.items()
        },
    }


def _artifact(artifact: Artifact) -> dict[str, Json]:
    content = {"digest": artifact.digest} if artifact.digest else {"uri": artifact.uri}
    # Tasks see metadata and type, so they are part of what an artifact is.
    return {**content, "type": msgspec.to_builtins(artifact.type), "metadata": whole(artifact.metadata)}
