"""Where a task finds the content of its input artifacts: on this machine, whatever store it lies in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator

import msgspec

from headrace.engine.model import Artifact, LaunchOrder, Reason
from headrace.executors.codes import Code
from headrace.executors.executor_input import local_path
from headrace.executors.outputs import Porter, refusal_of
from headrace.executors.places import Place
from headrace.executors.python import python_entry
from headrace.executors.refusal import Refusal

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
    with the URI: its path is a `problem`.
    """
    artifacts = {artifact.uri: artifact for many in order.inputs.artifacts.values() for artifact in many}
    if not artifacts:
        return {}
    far = [artifact for artifact in artifacts.values() if artifact.uri and local_path(artifact.uri) is None]
    if far and not _can_want_content(order):
        artifacts = {uri: artifact for uri, artifact in artifacts.items() if artifact not in far}
    elif far:
        waiting(_fetching(far))
    found = await asyncio.gather(*(asyncio.to_thread(_locate, artifact, porter) for artifact in artifacts.values()))
    located = dict(zip(artifacts, found, strict=True))
    if python_entry(order) is None:
        # A command cannot be told later, as a Python component can.
        for name, uri in _named_by_path(order):
            if (one := located.get(uri)) is not None and one.problem is not None:
                raise Refusal(one.problem.code, f"Input artifact {name!r}: {one.problem.message}", retryable=False)
    return located


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


def _named_by_path(order: LaunchOrder) -> Iterator[tuple[str, str]]:
    """`(input, URI)` of each input whose path the command names."""
    for name, many in order.inputs.artifacts.items():
        asked = (f"artifacts['{name}'].path", f'artifacts["{name}"].path')
        if many and any(word in text for word in asked for text in _texts(order)):
            yield name, many[0].uri


def _texts(order: LaunchOrder) -> list[str]:
    container = order.container
    return [] if container is None else [*container.command, *container.args, *container.env.values()]


async def hand_inputs(order: LaunchOrder, place: Place, porter: Porter, waiting: Callable[[Reason], None]) -> None:
    """Have the attempt's inputs on this machine and note in its place where they are. Raises Refusal."""
    located = await locate_inputs(order, porter, waiting)
    place.handed = {uri: one.path for uri, one in located.items() if one.path}
    place.problems = {uri: one.problem for uri, one in located.items() if one.problem is not None}
