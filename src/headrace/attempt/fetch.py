"""Before the user's code: fetch everything that an attempt needs.

Called in the server's process for an attempt on this machine or in a container, and by the porter beside a pod.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import msgspec

from headrace.attempt.artifact_access import ArtifactAccess
from headrace.attempt.executor_input import executor_input, local_path, paths_by_uri
from headrace.attempt.inputs import InputPaths, copy_inputs, fetch_inputs, shown_paths
from headrace.attempt.layout import SOURCE_FILE, Layout
from headrace.attempt.order import LaunchOrder
from headrace.attempt.python_task import Program, code_digest, python_entry, request_of, unpack_code, write_source
from headrace.attempt.workspace import as_mounted, make_workspace, uses_workspace, with_workspace
from headrace.engine.model import Json, Reason


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What `fetch` has made ready."""

    #: The order with the workspace where the component sees it.
    order: LaunchOrder
    #: KFP's ExecutorInput with paths as the component sees them.
    document: dict[str, Json]
    #: Where the content of the inputs is on this machine.
    inputs: InputPaths
    #: Where the component sees the content of its inputs, by URI.
    seen: dict[str, str]
    #: Path on this machine -> path at which it must be shown to the component; empty where both are the same.
    mounts: dict[str, str]
    #: What `.path` of an artifact stands for in a command, by URI, where that does not follow from the URI.
    paths: dict[str, str]
    #: What our runtime reads; b"" for an ordinary command.
    request: bytes


def _ignore(_: Reason) -> None:
    pass


async def fetch(
    order: LaunchOrder,
    layout: Layout,
    artifacts: ArtifactAccess,
    *,
    inside: Layout | None = None,
    program: Program | None = None,
    waiting: Callable[[Reason], None] = _ignore,
) -> Fetched:
    """Fetch input artifacts, make the directories of outputs, and say what the component is given. Raises Refusal.

    `layout` is the attempt's on this machine, `inside` the same as the component sees it, where that differs (a
    container). `program` says where the component finds its code; without it, source and modules are written below
    `layout`. `waiting` is called when something takes long.
    """
    inside = inside or layout
    inputs = await fetch_inputs(order, layout, artifacts, waiting)
    mounts = {} if inside is layout else _mounts(order, inputs, layout, inside)
    seen = {uri: mounts.get(path) or _mounted(path, layout, inside) for uri, path in inputs.paths.items()}
    return _made_ready(order, layout, inside, program, inputs, seen, mounts)


async def fetch_apart(order: LaunchOrder, layout: Layout, artifacts: ArtifactAccess) -> Fetched:
    """As `fetch`, for a component whose `ship` runs in another process: everything lies below `layout`.

    Inputs are copied to the paths of `shown_paths`; source, modules and request are written; what `ship` must know is
    in `layout.fetched`.
    """
    inputs = await copy_inputs(order, layout, artifacts)
    near = {path: inputs.paths[uri] for uri in inputs.paths if (path := local_path(uri)) is not None}
    fetched = _made_ready(order, layout, layout, None, inputs, inputs.paths, near)
    layout.source.mkdir(parents=True, exist_ok=True)
    if fetched.request:
        layout.request.write_bytes(fetched.request)
    layout.fetched.write_bytes(msgspec.json.encode(fetched.seen))
    return fetched


def fetched_before(layout: Layout) -> dict[str, str]:
    """What `fetch_apart` has written down: where the component sees its inputs, by URI."""
    try:
        return msgspec.json.decode(layout.fetched.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}


def _made_ready(
    order: LaunchOrder,
    layout: Layout,
    inside: Layout,
    program: Program | None,
    inputs: InputPaths,
    seen: dict[str, str],
    mounts: dict[str, str],
) -> Fetched:
    if uses_workspace(order):
        make_workspace(layout.workspace)
        order = with_workspace(order, str(inside.workspace))
    document = executor_input(order, inside, lambda path: mounts.get(path, path), seen)
    entry = python_entry(order)
    request = b""
    if entry is None:
        _make_output_directories(order, layout)
    else:
        program = program or _write_program(order, layout, inside)
        request = request_of(entry, order, document, inside, program, inputs.problems)
    far = {uri: path for uri, path in seen.items() if local_path(uri) is None or inside is layout}
    return Fetched(
        order=order,
        document=document,
        inputs=inputs,
        seen=seen,
        mounts=mounts,
        paths=paths_by_uri(order, inside, far),
        request=request,
    )


def _make_output_directories(order: LaunchOrder, layout: Layout) -> None:
    """KFP promises commands that the directories of their output paths exist; our runtime makes them itself."""
    layout.outputs.mkdir(parents=True, exist_ok=True)
    if order.outputs.parameters:
        layout.parameters.mkdir(exist_ok=True)


def _write_program(order: LaunchOrder, layout: Layout, inside: Layout) -> Program:
    entry = python_entry(order)
    assert entry is not None, "only for Python components"
    layout.source.mkdir(parents=True, exist_ok=True)
    write_source(layout.source / SOURCE_FILE, entry)
    digest = code_digest(entry)
    if digest is not None:
        shutil.rmtree(layout.code, ignore_errors=True)  # what an earlier call that was cut off has left
        unpack_code(entry, digest, layout.code)
    return Program(source=f"{inside.source}/{SOURCE_FILE}", code=str(inside.code) if digest else "")


def _mounts(order: LaunchOrder, inputs: InputPaths, layout: Layout, inside: Layout) -> dict[str, str]:
    """Input content that must be shown inside. The workspace is mounted whole."""
    mounts: dict[str, str] = {}
    for uri, shown in shown_paths(order, inside).items():
        path = inputs.paths.get(uri) or local_path(uri)
        if path is not None and not path.startswith(f"{layout.workspace}/") and os.path.exists(path):  # noqa: PTH110
            mounts.setdefault(path, shown)
    return mounts


def _mounted(path: str, layout: Layout, inside: Layout) -> str:
    mounted: str = path if inside is layout else as_mounted(path, str(layout.workspace))
    return mounted
