"""Input artifacts of an attempt: fetched before it runs, checked after it."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from headrace.attempt.artifact_access import ArtifactAccess, refusal_of
from headrace.attempt.codes import Code
from headrace.attempt.executor_input import local_path
from headrace.attempt.layout import Layout
from headrace.attempt.order import LaunchOrder
from headrace.attempt.python_task import python_entry
from headrace.attempt.refusal import Refusal
from headrace.attempt.workspace import path_in_workspace, used_bytes, uses_workspace
from headrace.engine.model import Artifact, Reason
from headrace.threads import in_background

_NAMES_CONTENT = re.compile(r"\{\{\$\}\}|\]\.path\}\}|\.inputs\.artifacts\[(?:'[^']*'|\"[^\"]*\")\]\}\}")


class InputPaths(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the content of an attempt's input artifacts, by URI."""

    #: Absolute paths on the machine that fetched them.
    paths: dict[str, str] = {}
    #: Why the others have no path: the reason that a component gets which asks for it.
    problems: dict[str, Reason] = {}


class _Located(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one artifact's content."""

    #: On this machine; "" when it is not here.
    path: str = ""
    problem: Reason | None = None


async def fetch_inputs(
    order: LaunchOrder, layout: Layout, artifacts: ArtifactAccess, waiting: Callable[[Reason], None]
) -> InputPaths:
    """Fetch the content of all inputs that the task can want to this machine. Raises Refusal when that is impossible.

    `waiting` is called once before something is fetched from an object store. Content in a store that is not
    configured here does not stop the task, which may need the URI alone: it is among the `problems`.
    """
    wanted = _distinct(order)
    located = await _locate_all(order, wanted, artifacts, waiting)
    for uri, artifact in wanted.items():
        target = path_in_workspace(artifact, layout.workspace)
        if target is not None and located.get(uri, _Located()).path:
            brought = await in_background(partial(_copy_to_workspace, artifact, target, artifacts, order))
            located[uri] = _Located(path=str(brought))
    return InputPaths(
        paths={uri: one.path for uri, one in located.items() if one.path},
        problems={uri: one.problem for uri, one in located.items() if one.problem is not None},
    )


async def copy_inputs(order: LaunchOrder, layout: Layout, artifacts: ArtifactAccess) -> InputPaths:
    """Copy the content of all inputs below `layout`, to the paths that `shown_paths` gives. Raises Refusal."""
    shown = shown_paths(order, layout)
    copied = await asyncio.gather(
        *(
            in_background(partial(_copy, artifact, Path(shown[uri]), artifacts))
            for uri, artifact in _distinct(order).items()
        )
    )
    located = dict(zip(_distinct(order), copied, strict=True))
    return InputPaths(
        paths={uri: one.path for uri, one in located.items() if one.path},
        problems={uri: one.problem for uri, one in located.items() if one.problem is not None},
    )


def shown_paths(order: LaunchOrder, layout: Layout) -> dict[str, str]:
    """Where a component sees its inputs whose content lies elsewhere on the machine, by URI.

    The paths follow from the order alone, so a command can be rendered before anything is fetched.
    """
    shown: dict[str, str] = {}
    for name, many in order.inputs.artifacts.items():
        for position, artifact in enumerate(many):
            shown.setdefault(artifact.uri, str(layout.input(name, position, _base(artifact.uri))))
    return shown


def _base(uri: str) -> str:
    """The last part of a URI or path, as the name of a file or folder."""
    base = (local_path(uri) or uri).rstrip("/").rpartition("/")[2]
    return "content" if base in ("", ".", "..") else os.fsdecode(os.fsencode(base)[:200])


def _distinct(order: LaunchOrder) -> dict[str, Artifact]:
    return {artifact.uri: artifact for artifact in _all(order)}


def _all(order: LaunchOrder) -> Iterator[Artifact]:
    for many in order.inputs.artifacts.values():
        yield from many


async def _locate_all(
    order: LaunchOrder, wanted: dict[str, Artifact], artifacts: ArtifactAccess, waiting: Callable[[Reason], None]
) -> dict[str, _Located]:
    if not wanted:
        return {}
    near = {uri: artifact for uri, artifact in wanted.items() if local_path(uri) is not None}
    far = {uri: artifact for uri, artifact in wanted.items() if uri not in near}
    if far and not _can_want_content(order):
        far = {}
    elif far:
        waiting(_fetching(list(far.values())))
    located = await asyncio.to_thread(lambda: {uri: _locate(artifact, artifacts) for uri, artifact in near.items()})
    found = await asyncio.gather(*(in_background(partial(_locate, artifact, artifacts)) for artifact in far.values()))
    return located | dict(zip(far, found, strict=True))


def _locate(artifact: Artifact, artifacts: ArtifactAccess) -> _Located:
    if artifact.not_written:
        return _Located(path=local_path(artifact.uri) or "")
    try:
        path = artifacts.at_hand(artifact.uri, digest=artifact.digest)
    except Exception as error:
        return _problem(artifact, error)
    if path is not None:
        return _Located(path=str(path))
    plain = local_path(artifact.uri)
    return _Located(path=plain) if plain is not None else _Located(problem=_elsewhere(artifact))


def _copy(artifact: Artifact, target: Path, artifacts: ArtifactAccess) -> _Located:
    if artifact.not_written:
        return _Located(path=str(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        found = artifacts.fetch(artifact.uri, target, digest=artifact.digest)
        if found != target and not os.path.lexists(target):
            target.symlink_to(found)  # a store on this machine copies nothing
        return _Located(path=str(target))
    except Exception as error:
        return _problem(artifact, error)


def _problem(artifact: Artifact, error: Exception) -> _Located:
    refusal = refusal_of(error, f"Input artifact {artifact.name!r}", input=artifact.name, uri=artifact.uri)
    if refusal.reason.code == Code.OBJECT_STORE_NOT_CONFIGURED:
        return _Located(problem=refusal.reason)
    raise refusal from error


def _copy_to_workspace(artifact: Artifact, target: Path, artifacts: ArtifactAccess, order: LaunchOrder) -> Path:
    """Have a copy in the workspace, where tasks may change it. The first task to come makes it."""
    if os.path.lexists(target):
        return target
    part = target.with_name(f".{target.name[:100]}.{order.attempt.execution_id}.{order.attempt.number}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        artifacts.fetch(artifact.uri, part, digest=artifact.digest)
        part.rename(target)
    except Exception as error:
        if os.path.lexists(target):  # another task was quicker
            return target
        what = f"Input artifact {artifact.name!r} could not be copied into the workspace"
        raise refusal_of(error, what, input=artifact.name) from error
    return target


def check_workspace(order: LaunchOrder, layout: Layout) -> None:
    """Raises Refusal WORKSPACE_FULL when the run's workspace holds more than the pipeline allows. Blocks."""
    limit = order.workspace_bytes
    if limit is None or not layout.workspace.is_dir() or not uses_workspace(order):
        return
    used = used_bytes(layout.workspace)
    if used > limit:
        message = (
            f"The workspace holds {used} bytes after this task; the pipeline allows {limit} "
            "(dsl.WorkspaceConfig(size=...)). Remove what is not needed any more, or raise the size."
        )
        raise Refusal(Code.WORKSPACE_FULL, message, retryable=False, used=used, limit=limit)


def check_inputs(order: LaunchOrder, artifacts: ArtifactAccess) -> None:
    """Raises Refusal INPUT_ALTERED when an input in the server's own store is not what it was any more. Blocks.

    Write permission is taken away there, which stops everybody but root.
    """
    for artifact in _all(order):
        if not artifact.digest or local_path(artifact.uri) is None:
            continue
        try:
            artifacts.at_hand(artifact.uri, digest=artifact.digest)
        except Exception as error:
            message = (
                f"The content of input artifact {artifact.name!r} was changed while the task ran: {error} Inputs are "
                "read-only, since other tasks read them too: copy what you want to change."
            )
            raise Refusal(
                Code.INPUT_ALTERED, message, retryable=False, input=artifact.name, uri=artifact.uri
            ) from error


def _elsewhere(artifact: Artifact) -> Reason:
    scheme = artifact.uri.partition("://")[0] if "://" in artifact.uri else ""
    if scheme == "oci":
        fix = "Images with models in them can be mounted on Kubernetes only; export the model to a file or a bucket."
    elif scheme in ("http", "https"):
        fix = "Headrace fetches nothing from the web by itself: download it in the component, from the artifact's uri."
    else:
        fix = "It is in no kind of store that this server can read; use the artifact's uri in the component."
    return Reason(
        code=Code.ARTIFACT_ELSEWHERE,
        message=f"The content of {artifact.uri!r} is not on this machine. {fix}",
        details={"uri": artifact.uri},
    )


def _fetching(far: list[Artifact]) -> Reason:
    names = ", ".join(artifact.name or artifact.uri for artifact in far[:5])
    return Reason(
        code=Code.FETCHING_INPUTS,
        message=f"Fetching {names}{' and more' if len(far) > 5 else ''} from the object store.",
        details={"bytes": sum(artifact.size_bytes for artifact in far)},
    )


def _can_want_content(order: LaunchOrder) -> bool:
    """Whether the task can read content: a Python component always, a command if it names a path or all inputs."""
    return python_entry(order) is not None or any(_NAMES_CONTENT.search(text) for text in _texts(order))


def _texts(order: LaunchOrder) -> list[str]:
    container = order.container
    return [] if container is None else [*container.command, *container.args, *container.env.values()]
