"""Marks: somebody decides what a task came to, and the run goes on from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from headrace.engine import InvalidOutputs, check_outputs, mark_refused
from headrace.engine.model import Artifact, Bundle, ExecutionMarked, State
from headrace.service import runs
from headrace.service.active import ActiveRun
from headrace.service.content import find_execution
from headrace.service.context import Context
from headrace.service.errors import Conflict, Invalid, NotFound
from headrace.service.loop import RunLoop
from headrace.service.requests import NewMark
from headrace.store import artifacts as artifact_rows

_LONGEST_NOTE = 2_000


async def mark(context: Context, loop: RunLoop, run_id: str, execution_id: str, wanted: NewMark) -> None:
    """See `Session.mark_execution`."""
    its_run, execution = await find_execution(context, execution_id)
    if its_run != run_id:
        raise NotFound(f"Run {run_id} has no execution {execution_id}.", run_id=run_id, execution_id=execution_id)
    if len(wanted.note) > _LONGEST_NOTE:
        raise Invalid(f"The note is longer than {_LONGEST_NOTE} characters.", code="NOTE_TOO_LONG", limit=_LONGEST_NOTE)
    async with context.clearing:
        run = loop.active(run_id) or await runs.load(context, run_id)
        if run is None:
            raise NotFound(f"There is no run {run_id}.", run_id=run_id)
        event = await _event(context, run, execution.path, wanted)
        if run.state.state.final and not await runs.revive(context, loop, run_id):
            raise Conflict("Somebody has just taken up this run; look again.", code="MARK_TOO_LATE")
    here = loop.active(run_id) is not None
    await loop.post(run_id, event)
    if here:
        await _check(context, execution_id, event)


async def _check(context: Context, execution_id: str, event: ExecutionMarked) -> None:
    """Whether the mark came in time. One sent to another server does when it gets there."""
    _, execution = await find_execution(context, execution_id)
    if execution.marked is None or execution.marked.at != event.at:
        message = f"{execution.path} was over, or the run was, before it could be marked: it is {execution.state}."
        raise Conflict(message, code="MARK_TOO_LATE", state=execution.state.value)


async def _event(context: Context, run: ActiveRun, path: str, wanted: NewMark) -> ExecutionMarked:
    state, word = run.state, State(wanted.state)
    refused = mark_refused(state, state.executions, state.executions[path], word)
    if refused is not None:
        raise Conflict(refused.message, code=refused.code, state=state.state.value)
    outputs = await _outputs(context, run, path, wanted) if word is State.SUCCEEDED else Bundle()
    if word is State.SKIPPED and (wanted.parameters or wanted.artifacts):
        raise Invalid("A skipped task has no outputs: give none, or mark it SUCCEEDED.", code="MARK_OUTPUTS")
    return ExecutionMarked(
        at=context.now(), path=path, state=word, outputs=outputs, by=wanted.by, note=wanted.note.strip()
    )


async def _outputs(context: Context, run: ActiveRun, path: str, wanted: NewMark) -> Bundle:
    artifacts = await _artifacts(context, wanted.artifacts)
    try:
        return check_outputs(run.plan, path, wanted.parameters, artifacts)
    except InvalidOutputs as error:
        faults = [msgspec.to_builtins(fault) for fault in error.faults]
        raise Invalid(str(error), code=error.code, faults=faults) from error


async def _artifacts(context: Context, wanted: Mapping[str, Sequence[str]]) -> dict[str, list[Artifact]]:
    ids = [one for many in wanted.values() for one in many]
    known = await context.read(artifact_rows.get_artifacts, ids) if ids else {}
    for one in ids:
        if one not in known:
            raise Invalid(f"There is no artifact {one}.", code="ARTIFACT_UNKNOWN", artifact_id=one)
    return {name: [known[one].artifact for one in many] for name, many in wanted.items()}
