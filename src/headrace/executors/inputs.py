"""Where a task finds the content of its input artifacts: on this machine, whatever store it lies in."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from headrace.engine.model import Artifact, LaunchOrder, Reason
from headrace.executors.codes import Code
from headrace.executors.executor_input import local_path
from headrace.executors.outputs import Porter, refusal_of
from headrace.executors.places import Place, Places
from headrace.executors.python import python_entry
from headrace.executors.refusal import Refusal
from headrace.executors.work import Launched
from headrace.executors.workspace import place_in_workspace, used_bytes, uses_workspace
from headrace.threads import in_background

_NAMES_CONTENT = re.compile(r"\{\{\$\}\}|\]\.path\}\}|\.inputs\.artifacts\[(?:'[^']*'|\"[^\"]*\")\]\}\}")


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one artifact's content."""

    #: On this machine; "" when it is not here.
    path: str = ""
    #: Why it is not here: told to who asks for its path.
    problem: Reason | None = None


async def locate_inputs(order: LaunchOrder, porter: Porter, waiting: Callable[[Reason], None]) -> dict[str, Located]:
    """By URI. What lies elsewhere is fetched first, if the task can want it; raises Refusal when that cannot be done.

    Content in a place that nobody has told this server how to reach does not stop the task, which may be content
    with the URI, or only names the path: there is a `problem`, and at its path nothing.
    """
    artifacts = {artifact.uri: artifact for many in order.inputs.artifacts.values() for artifact in many}
    if not artifacts:
        return {}
    near: list[Artifact] = []
    far: list[Artifact] = []
    for artifact in artifacts.values():
        (near if local_path(artifact.uri) is not None else far).append(artifact)
    if far and not _can_want_content(order):
        far = []
    elif far:
        waiting(_fetching(far))
    located = await asyncio.to_thread(lambda: {artifact.uri: _locate(artifact, porter) for artifact in near})
    found = await asyncio.gather(*(in_background(partial(_locate, artifact, porter)) for artifact in far))
    return located | {artifact.uri: one for artifact, one in zip(far, found, strict=True)}


def _locate(artifact: Artifact, porter: Porter) -> Located:
    try:
        path = porter.at_hand(artifact.uri, digest=artifact.digest)
    except Exception as error:
        refusal = refusal_of(error, f"Input artifact {artifact.name!r}", input=artifact.name, uri=artifact.uri)
        if refusal.reason.code == Code.OBJECT_STORE_NOT_CONFIGURED:
            return Located(problem=refusal.reason)
        raise refusal from error
    if path is not None:
        return Located(path=str(path))
    plain = local_path(artifact.uri)
    return Located(path=plain) if plain is not None else Located(problem=_elsewhere(artifact))


def handed_places(home: Path) -> frozenset[str]:
    """Names of the places in `<home>/fetched` that attempts under way read from."""
    fetched = home / "fetched"
    paths = (Path(path) for note, _ in Places(home).live(Launched) for path in note.kept.on_this_machine)
    return frozenset(path.relative_to(fetched).parts[0] for path in paths if path.is_relative_to(fetched))


def _bring(artifact: Artifact, target: Path, porter: Porter, order: LaunchOrder) -> Path:
    """Have a copy in the workspace, where tasks may change it; the first to come makes it."""
    if os.path.lexists(target):
        return target
    part = target.with_name(f".{target.name[:100]}.{order.attempt.execution_id}.{order.attempt.number}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        porter.fetch(artifact.uri, part, digest=artifact.digest)
        part.rename(target)
    except Exception as error:
        if os.path.lexists(target):  # another task was quicker
            return target
        what = f"Input artifact {artifact.name!r} could not be brought into the workspace"
        raise refusal_of(error, what, input=artifact.name) from error
    return target


def check_workspace(order: LaunchOrder, place: Place) -> None:
    """Raises Refusal WORKSPACE_FULL when the run's workspace holds more than the pipeline allows. Blocks."""
    limit = order.workspace_bytes
    if limit is None or not place.workspace.is_dir() or not uses_workspace(order):
        return
    used = used_bytes(place.workspace)
    if used > limit:
        message = (
            f"The workspace holds {used} bytes after this task; the pipeline allows {limit} "
            "(dsl.WorkspaceConfig(size=...)). Remove what is not needed any more, or raise the size."
        )
        raise Refusal(Code.WORKSPACE_FULL, message, retryable=False, used=used, limit=limit)


def check_inputs(order: LaunchOrder, porter: Porter) -> None:
    """Raises Refusal INPUT_ALTERED when an input in the server's own store is not what it was any more.

    Write permission is taken away there; that stops everybody but root. Blocks.
    """
    for artifact in (one for many in order.inputs.artifacts.values() for one in many):
        if not artifact.digest or local_path(artifact.uri) is None:
            continue
        try:
            porter.at_hand(artifact.uri, digest=artifact.digest)
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
    """Python components always can; a command, if it names a path, or all it is given."""
    return python_entry(order) is not None or any(_NAMES_CONTENT.search(text) for text in _texts(order))


def _texts(order: LaunchOrder) -> list[str]:
    container = order.container
    return [] if container is None else [*container.command, *container.args, *container.env.values()]


async def hand_inputs(order: LaunchOrder, place: Place, porter: Porter, waiting: Callable[[Reason], None]) -> None:
    """Have the attempt's inputs on this machine and note in its place where they are. Raises Refusal."""
    located = await locate_inputs(order, porter, waiting)
    for artifact in {one.uri: one for many in order.inputs.artifacts.values() for one in many}.values():
        target = place_in_workspace(artifact, place.workspace)
        if target is not None and located.get(artifact.uri, Located()).path:
            brought = await in_background(partial(_bring, artifact, target, porter, order))
            located[artifact.uri] = Located(path=str(brought))
    place.handed = {uri: one.path for uri, one in located.items() if one.path}
    place.problems = {uri: one.problem for uri, one in located.items() if one.problem is not None}
    if place.problems:
        # A command that stumbles over what is not there should not leave its user guessing.
        with place.log.open("a", encoding="utf-8") as log:
            log.writelines(f"headrace: {one.code}: {one.message}\n" for one in place.problems.values())
