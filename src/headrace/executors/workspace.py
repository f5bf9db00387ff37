"""The workspace of a run: one directory that all its tasks share (KFP's `PipelineConfig(workspace=…)`)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headrace.engine.model import Json, LaunchOrder

#: What authors write for its path, and where KFP mounts it; both stand for the same place.
PLACEHOLDER = "{{$.workspace_path}}"
MOUNT = "/kfp-workspace"


def uses_workspace(order: LaunchOrder) -> bool:
    """Whether anything the task is given names the workspace."""
    texts = [*order.container.command, *order.container.args, *order.container.env.values()] if order.container else []
    return any(PLACEHOLDER in text for text in texts) or _names(order.inputs.parameters)


def _names(value: Json) -> bool:
    match value:
        case str():
            return PLACEHOLDER in value or value == MOUNT or value.startswith(f"{MOUNT}/")
        case list() | tuple():
            return any(_names(item) for item in value)
        case dict():
            return any(_names(item) for item in value.values())
        case _:
            return False


def with_workspace(order: LaunchOrder, path: str) -> LaunchOrder:
    """The order with the workspace at `path`, as the task sees it."""
    inputs = msgspec.structs.replace(order.inputs, parameters=_at(order.inputs.parameters, path))
    return msgspec.structs.replace(order, inputs=inputs, facts={**order.facts, "workspace_path": path})


def _at(value: Json, path: str) -> Json:
    match value:
        case str() if value == MOUNT or value.startswith(f"{MOUNT}/"):
            return path + value[len(MOUNT) :]
        case str():
            return value.replace(PLACEHOLDER, path)
        case list() | tuple():
            return [_at(item, path) for item in value]
        case dict():
            return {key: _at(item, path) for key, item in value.items()}
        case _:
            return value


def make_workspace(path: Path) -> Path:
    """The directory, made if it is not there; for the user alone."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
