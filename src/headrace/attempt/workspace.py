"""The workspace of a run: one directory that all its tasks share (KFP's `PipelineConfig(workspace=…)`)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headrace.attempt.order import LaunchOrder
from headrace.engine.model import Artifact, Bundle, Json

#: What authors write for its path, and where KFP mounts it; both stand for the same directory.
PLACEHOLDER = "{{$.workspace_path}}"
MOUNT = "/kfp-workspace"
#: Metadata of an artifact that is to lie in the workspace (`dsl.importer(download_to_workspace=True)`), as KFP has it.
IN_WORKSPACE = "_kfp_workspace"
_FOLDERS = {"gs": "gcs"}


def uses_workspace(order: LaunchOrder) -> bool:
    """Whether anything the task is given names the workspace, or lies there."""
    texts = [*order.container.command, *order.container.args, *order.container.env.values()] if order.container else []
    return (
        any(PLACEHOLDER in text for text in texts)
        or _names(order.inputs.parameters)
        or any(artifact.metadata.get(IN_WORKSPACE) is True or _names(artifact.uri) for artifact in _artifacts(order))
    )


def _artifacts(order: LaunchOrder) -> Iterator[Artifact]:
    for many in order.inputs.artifacts.values():
        yield from many


def path_in_workspace(artifact: Artifact, workspace: Path) -> Path | None:
    """Where KFP's launcher puts an artifact that is downloaded to the workspace; None for those that are not."""
    scheme, mark, rest = artifact.uri.partition("://")
    parts = [part for part in rest.split("/") if part]
    if artifact.metadata.get(IN_WORKSPACE) is not True or not mark or not parts or {".", ".."} & set(parts):
        return None
    return workspace.joinpath(".artifacts", _FOLDERS.get(scheme, scheme), *parts)


def used_bytes(workspace: Path) -> int:
    """What all files in it take; one that goes away meanwhile takes nothing."""
    total = 0
    for directory, _, files in os.walk(workspace):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512  # noqa: PTH118 - many files
    return total


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
    inputs = Bundle(
        parameters=_at(order.inputs.parameters, path),
        artifacts={
            name: tuple(msgspec.structs.replace(one, uri=_at(one.uri, path)) for one in many)
            for name, many in order.inputs.artifacts.items()
        },
    )
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


def as_mounted(value: Json, path: str) -> Json:
    """A value that a task gives out, with the workspace where KFP mounts it: other tasks see it elsewhere."""
    match value:
        case str() if value == path or value.startswith(f"{path}/"):
            return MOUNT + value[len(path) :]
        case list():
            return [as_mounted(item, path) for item in value]
        case dict():
            return {key: as_mounted(item, path) for key, item in value.items()}
        case _:
            return value


def make_workspace(path: Path) -> Path:
    """The directory, made if it is not there; for the user alone."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
