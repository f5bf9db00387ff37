"""Runs: made, asked for, ended, tried again, put away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from headrace.engine import InvalidArguments, Plan, ReusePlan, new_run, restore
from headrace.engine.model import (
    CancelRequested,
    Execution,
    Json,
    Origin,
    PauseRequested,
    ResumeRequested,
    RetryRequested,
    Reusable,
    RunStarted,
    RunState,
    State,
)
from headrace.failpoints import failpoint
from headrace.schedules.macros import Occasion, replace_macros
from headrace.service import experiments, outcomes, pipelines
from headrace.service.active import ActiveRun, BatchResult, PendingEvent, fold
from headrace.service.content import delete_content, delete_leftovers
from headrace.service.context import Context, new_id
from headrace.service.errors import Conflict, Invalid, NotFound
from headrace.service.loop import RunLoop
from headrace.service.naming import check_length
from headrace.service.plans import PlannedDocument
from headrace.service.requests import NewRun, TickOrigin
from headrace.service.roots import root_of
from headrace.store import artifacts as artifact_rows
from headrace.store import errors as store
from headrace.store import leases
from headrace.store import runs as rows
from headrace.store.database import Connection
from headrace.store.records import ExperimentRecord, ListQuery, Page, RunRecord
from headrace.store.run_changes import RunChangeSet, insert_run
from headrace.wire.times import utc

_DEFAULT_ACCOUNT = "pipeline-runner"

#: What a caller records in the transaction that records a new run, with that run's id.
WithRun = Callable[[Connection, str], None]


# --- making ------------------------------------------------------------------------------------


async def create(context: Context, loop: RunLoop, new: NewRun, *, with_: Sequence[WithRun] = ()) -> RunRecord:
    """See `Session.create_run`; `with_` as for `begin`."""
    return await begin(context, loop, new, await planned_of(context, new), with_=with_)


async def begin(
    context: Context,
    loop: RunLoop,
    new: NewRun,
    planned: PlannedDocument,
    *,
    rerun_of: str | None = None,
    reuse_plan: ReusePlan | None = None,
    with_: Sequence[WithRun] = (),
) -> RunRecord:
    """Record a run of this document with its first event, and drive it.

    `reuse_plan` holds what the run reuses of the run `rerun_of`. `with_` is recorded with the run in one transaction:
    all of it or, when one of these raises, nothing.
    """
    check_length("run", new.display_name)
    experiment = await _experiment(context, new)
    origin = Origin(run_id=rerun_of, again=reuse_plan.again) if rerun_of and reuse_plan else None
    record = _record(context, new, planned, experiment, origin)
    reuse: dict[str, Reusable] = reuse_plan.reuse if reuse_plan else {}
    # In a thread: it makes an execution of every task that can begin.
    folded = await asyncio.to_thread(_first_step, context, record, planned.plan, new, reuse)
    held = tuple(outcomes.held(record.run_id, reuse))
    change = msgspec.structs.replace(folded.change, edges=(*folded.change.edges, *held))
    owner = context.owner
    failpoint("create.before")
    try:
        await context.write(_insert, with_, record, change, document=planned.stored, owner=owner)
    except store.Missing as error:
        raise NotFound("The pipeline version was deleted meanwhile.") from error
    failpoint("create.after")
    # Under another name by now, the server has lost its lease meanwhile: the run goes to the server that claims it.
    if context.owner == owner:
        await loop.take(folded)
    failpoint("acknowledge.before")
    context.changes.notify((record.run_id,))
    # As KFP answers: the run as it was made, PENDING.
    return msgspec.structs.replace(record, version=change.base_version + 1)


def _insert(
    conn: Connection, /, with_: Sequence[WithRun], record: RunRecord, change: RunChangeSet, **fields: Any
) -> None:
    for also in with_:
        also(conn, record.run_id)
    insert_run(conn, record, change, **fields)


async def planned_of(context: Context, new: NewRun) -> PlannedDocument:
    """The document that a run is made from. Raises Invalid, NotFound."""
    if new.has_document:
        return await context.plans.of_document(new)
    if new.pipeline_version_id:
        return await context.plans.of_version(new.pipeline_version_id)
    if new.pipeline_id:
        await pipelines.get(context, new.pipeline_id)
        return await context.plans.of_latest_version(new.pipeline_id)
    raise Invalid("The run needs a pipeline document, a pipeline or a pipeline version.", code="RUN_WITHOUT_PIPELINE")


async def _experiment(context: Context, new: NewRun) -> ExperimentRecord:
    if new.experiment_id:
        return await experiments.get(context, new.experiment_id)
    return await experiments.find_or_create(context, new.experiment_name, new.namespace, created_by=new.created_by)


def _record(
    context: Context, new: NewRun, planned: PlannedDocument, experiment: ExperimentRecord, origin: Origin | None
) -> RunRecord:
    now = context.now()
    name = planned.plan.document.name
    run_id = new_id()
    return RunRecord(
        run_id=run_id,
        display_name=new.display_name or _display_name(name, now),
        description=new.description,
        experiment_id=experiment.experiment_id,
        experiment_name=experiment.display_name,
        namespace=experiment.namespace,
        pipeline_name=name,
        pipeline_id=planned.pipeline_id,
        pipeline_version_id=planned.pipeline_version_id,
        service_account=new.service_account or _DEFAULT_ACCOUNT,
        created_by=new.created_by,
        pipeline_root=new.pipeline_root,
        state=State.PENDING,
        recurring_run_id=new.recurring_run_id,
        parameters=replace_macros(new.parameters, _occasion(run_id, now, new.tick)),
        created_at=now,
        scheduled_at=new.tick.scheduled_at if new.tick else now,
        state_history=((now, State.PENDING, None),),
        origin=origin,
    )


def _occasion(run_id: str, now: float, tick: TickOrigin | None) -> Occasion:
    return Occasion(
        run_id=run_id,
        now=utc(now),
        scheduled_at=None if tick is None else utc(tick.scheduled_at),
        index=None if tick is None else tick.index,
    )


def _display_name(pipeline_name: str, now: float) -> str:
    return f"{pipeline_name} {time.strftime('%Y-%m-%d %H-%M-%S', time.gmtime(now))}"


def _first_step(
    context: Context, record: RunRecord, compiled: Plan, new: NewRun, reuse: dict[str, Reusable]
) -> BatchResult:
    run = _begin(record, compiled, _state(context, record, compiled, new))
    started = RunStarted(at=record.created_at, origin=record.origin, reuse=reuse)
    return fold(run, [PendingEvent(run_id=record.run_id, event=started)], record.created_at)


def _check_sizes(context: Context, arguments: Mapping[str, Json]) -> None:
    """As for outputs: arguments are stored in the database, shown in lists, and given to the tasks that take them."""
    limit = context.settings.max_parameter_bytes
    for name, value in arguments.items():
        size = len(msgspec.json.encode(value))
        if size > limit:
            raise Invalid(
                f"The argument {name!r} has {size} bytes of JSON; at most {limit} are allowed (setting "
                "max_parameter_bytes). Store it as a file, and give the pipeline its URI or path.",
                code="PARAMETER_TOO_LARGE",
                argument=name,
                size=size,
                limit=limit,
            )


def _state(context: Context, record: RunRecord, compiled: Plan, new: NewRun) -> RunState:
    _check_sizes(context, new.parameters)
    try:
        return new_run(
            compiled,
            run_id=record.run_id,
            display_name=record.display_name,
            arguments=record.parameters,
            at=record.created_at,
            scheduled_at=record.scheduled_at,
            caching=new.caching,
            namespace=record.namespace,
            service_account=record.service_account,
            created_by=record.created_by,
            artifacts_may_be_missing=new.artifacts_may_be_missing,
            pipeline_root=root_of(
                context.settings, context.objects, run=new.pipeline_root, document=compiled.document.pipeline_root
            ),
        )
    except InvalidArguments as error:
        faults = [msgspec.to_builtins(fault) for fault in error.faults]
        raise Invalid(str(error), code=error.code, faults=faults) from error


def _begin(record: RunRecord, compiled: Plan, state: RunState) -> ActiveRun:
    return ActiveRun(
        record=record,
        plan=compiled,
        state=state,
        version=0,
        event_count=0,
        state_history=record.state_history,
        task_counts={},
        is_new=True,
    )


async def load(context: Context, run_id: str) -> ActiveRun | None:
    """A run as it was recorded."""
    stored = await context.read(rows.load_run, run_id)
    compiled = None if stored is None else await context.plans.of_digest(stored.document)
    if stored is None or compiled is None:
        return None
    return ActiveRun(
        record=stored.record,
        plan=compiled,
        state=await asyncio.to_thread(restore, compiled, stored.header, stored.executions, reuse=stored.reuse),
        version=stored.record.version,
        event_count=stored.event_count,
        state_history=stored.record.state_history,
        task_counts=stored.record.task_counts,
    )


# --- asking ------------------------------------------------------------------------------------


async def get(context: Context, run_id: str) -> RunRecord:
    """Raises NotFound."""
    found = await context.read(rows.get_run, run_id)
    if found is None:
        raise NotFound(f"There is no run {run_id}.", run_id=run_id)
    return found


async def get_document(context: Context, run_id: str) -> tuple[dict[str, Json], dict[str, Json] | None]:
    """Raises NotFound."""
    found = await context.read(rows.get_document, run_id)
    if found is None:
        raise NotFound(f"There is no run {run_id}.", run_id=run_id)
    return found


async def list_page(context: Context, query: ListQuery) -> Page[RunRecord]:
    """One page."""
    return await context.read(rows.list_runs, query, context.keys.page_tokens)


async def get_executions(context: Context, run_id: str) -> tuple[Execution, ...]:
    """Raises NotFound."""
    await get(context, run_id)
    return await context.read(rows.get_executions, run_id)


# --- changing ----------------------------------------------------------------------------------


async def terminate(context: Context, loop: RunLoop, run_id: str) -> None:
    """Raises Conflict RUN_FINAL for a run that has ended."""
    await _under_way(context, loop, run_id)
    await loop.post(run_id, CancelRequested(at=context.now()))


async def pause(context: Context, loop: RunLoop, run_id: str) -> None:
    """Raises Conflict RUN_FINAL for a run that has ended, RUN_CANCELING for one that is being cancelled."""
    state = await _under_way(context, loop, run_id)
    if state.cancel_requested:
        raise Conflict(
            "The run is being cancelled: there is nothing left to hold back.",
            code="RUN_CANCELING",
            state=state.state.value,
        )
    await loop.post(run_id, PauseRequested(at=context.now()))


async def resume(context: Context, loop: RunLoop, run_id: str) -> None:
    """Raises Conflict RUN_FINAL for a run that has ended, RUN_NOT_PAUSED for one that is not paused."""
    state = await _under_way(context, loop, run_id)
    if not state.paused:
        raise Conflict(f"The run is not paused: it is {state.state}.", code="RUN_NOT_PAUSED", state=state.state.value)
    await loop.post(run_id, ResumeRequested(at=context.now()))


async def _under_way(context: Context, loop: RunLoop, run_id: str) -> RunState:
    record = await get(context, run_id)
    run = loop.active(run_id)
    if run is None and context.lease is not None and not record.state.final:
        # Another server drives it.
        run = await load(context, run_id)
    elif run is None and context.database.server is None and not record.state.final:
        # This server looks only, or could not record anything of the run.
        run = await load(context, run_id)
        if run is not None:
            await loop.drive_alone(run)
    if record.state.final or run is None:
        raise Conflict(f"The run has ended already: it is {record.state}.", code="RUN_FINAL", state=record.state.value)
    return run.state


async def retry(context: Context, loop: RunLoop, run_id: str) -> None:
    """Raises Conflict RUN_NOT_RETRYABLE unless it FAILED or was CANCELED."""
    record = await get(context, run_id)
    if record.state not in (State.FAILED, State.CANCELED):
        raise _not_retryable(record.state)
    async with context.clearing:
        if not await revive(context, loop, run_id):
            raise _not_retryable(State.RUNNING)
    await loop.post(run_id, RetryRequested(at=context.now()))


async def revive(context: Context, loop: RunLoop, run_id: str) -> bool:
    """Take up a run that has ended; False when somebody else, here or on another server, has done so already."""
    if context.lease is not None and not await context.write(leases.claim_one, context.lease.server_id, run_id):
        return False
    run = await load(context, run_id)
    if run is None or loop.active(run_id) is not None or not run.state.state.final:
        return False
    return loop.revive(run)


def _not_retryable(state: State) -> Conflict:
    return Conflict(
        f"The run is {state}; only a run that is FAILED or CANCELED can be tried again.",
        code="RUN_NOT_RETRYABLE",
        state=state.value,
    )


async def set_archived(context: Context, run_id: str, archived: bool) -> None:
    """Archiving does not stop a run."""
    record = await get(context, run_id)
    if not archived:
        experiment = await experiment_of(context, record)
        if experiment is not None and experiment.archived:
            raise Invalid(
                f"The run is in experiment {experiment.display_name!r}, which is archived; bring that back first.",
                code="EXPERIMENT_ARCHIVED",
            )
    await context.write(rows.set_archived, run_id, archived)
    context.changes.notify((run_id,))


async def experiment_of(context: Context, record: RunRecord) -> ExperimentRecord | None:
    """The run's experiment; None when it has been deleted."""
    try:
        return await experiments.get(context, record.experiment_id)
    except NotFound:
        return None


async def delete(context: Context, loop: RunLoop, run_id: str) -> None:
    """See `Session.delete_run`."""
    record = await get(context, run_id)
    run = loop.drop(run_id)
    elsewhere = context.lease is not None and run is None and not record.state.final
    try:
        dropped, header = await context.write(_delete, run_id)
    except BaseException:
        await loop.restore(run_id)
        raise
    if not elsewhere:
        if run is None and not record.state.final:
            # No server drives it: its attempts go on from an earlier one.
            await context.executor.keep_only(frozenset(), within=frozenset((run_id,)))
        # The server that drives it finds it gone, and stops what it has going.
        await loop.forget(run_id)
    await delete_content(context, dropped.gone)
    if dropped.whole and header is not None:
        await delete_leftovers(context, header, record.pipeline_name)
    loop.give_back_space()
    context.changes.notify((run_id,), ended=(run_id,))


def _delete(conn: Connection, run_id: str) -> tuple[artifact_rows.DeletedArtifacts, RunState | None]:
    header = rows.get_header(conn, run_id)
    dropped = artifact_rows.delete_artifacts_of(conn, run_id)
    rows.delete_run(conn, run_id)
    return dropped, header
