"""Fingerprints: when two executions would do the same, so that the outputs of one serve the other."""

from __future__ import annotations

import hashlib

import msgspec

from headrace.engine.model import Artifact, Json, RunState
from headrace.engine.orders import container_of
from headrace.engine.plan import Plan, TaskPlan

_ENCODER = msgspec.json.Encoder(order="sorted")
#: Grows when the parts change their meaning, so that old entries are not found.
_VERSION = 1


def fingerprint(plan: Plan, state: RunState, path: str) -> str:
    """Lower-hex sha256 of `fingerprint_parts`. Fingerprints are compared within one pipeline and namespace."""
    return hashlib.sha256(_ENCODER.encode(fingerprint_parts(plan, state, path))).hexdigest()


def fingerprint_parts(plan: Plan, state: RunState, path: str) -> dict[str, Json]:
    """What goes into the fingerprint, for people who wonder why there was no hit.

    The container with its command unresolved, what it declares to produce, and the inputs: parameters by
    value, artifacts by content (by URI where the content is not ours to know). Not in it: resources,
    secrets, retry policy and the task's name. An explicit cache key replaces all but the component.
    """
    task = plan.task_at(path)
    if task.task.cache_key:
        return {"version": _VERSION, "component": task.component.name, "cache_key": task.task.cache_key}
    inputs = state.executions[path].inputs
    return {
        "version": _VERSION,
        "container": _container(task),
        "outputs": _outputs(task),
        "parameters": inputs.parameters,
        "artifacts": {name: [_artifact(a) for a in found] for name, found in inputs.artifacts.items()},
    }


def uses_cache(plan: Plan, state: RunState, path: str) -> bool:
    """Whether this execution's outputs may be stored in the cache and looked up there."""
    task = plan.task_at(path)
    return task.task.cache and container_of(task) is not None and state.caching is not False


def _container(task: TaskPlan) -> dict[str, Json]:
    container = container_of(task)
    if container is None:
        return {}
    return {
        "image": container.image,
        "command": container.command,
        "args": container.args,
        "env": container.env,
    }


def _outputs(task: TaskPlan) -> dict[str, Json]:
    declared = task.component.outputs
    return {
        "parameters": {name: definition.type for name, definition in declared.parameters.items()},
        "artifacts": {
            name: [definition.schema, definition.is_list, definition.metadata]
            for name, definition in declared.artifacts.items()
        },
    }


def _artifact(artifact: Artifact) -> dict[str, Json]:
    content = {"digest": artifact.digest} if artifact.digest else {"uri": artifact.uri}
    # Tasks see metadata and type, so they are part of what an artifact is.
    return {**content, "type": artifact.type, "metadata": artifact.metadata}
