"""What `/api` shows: runs, executions and artifacts in the shapes of `wire.api`, and what changed since a version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sized
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar

from headrace.engine import Plan, graph, node_path
from headrace.engine.model import AttemptRecord, Bundle, Execution, Json, Kind, Mark, State, execution_id
from headrace.service.content import find_execution
from headrace.service.context import Context
from headrace.service.errors import Invalid, NotFound
from headrace.service.reasons import optional_reason_view
from headrace.spec.bootstrap import recognise
from headrace.spec.document import Container
from headrace.spec.settings import sentence, tasks_by_setting
from headrace.store import artifacts as artifact_rows
from headrace.store import runs as rows
from headrace.store.database import Connection
from headrace.store.records import ArtifactRecord, RunRecord
from headrace.wire import api
from headrace.wire.times import millis, optional_millis

P = ParamSpec("P")
T = TypeVar("T")

#: Executions of a page: about 1 MB of JSON.
PAGE = 1000
#: Executions from which on their view is made in a thread.
_LARGE = 200

# --- shapes ------------------------------------------------------------------------------------


def run_summary(record: RunRecord) -> api.RunSummary:
    """A run as lists show it."""
    return api.RunSummary(
        run_id=record.run_id,
        display_name=record.display_name,
        state=record.state.value,
        storage_state="ARCHIVED" if record.archived else "AVAILABLE",
        experiment_id=record.experiment_id,
        experiment_name=record.experiment_name,
        pipeline_name=record.pipeline_name,
        pipeline_id=record.pipeline_id,
        pipeline_version_id=record.pipeline_version_id,
        created_at=millis(record.created_at),
        started_at=optional_millis(record.started_at),
        finished_at=optional_millis(record.finished_at),
        error=optional_reason_view(record.error),
        task_counts={state.value: count for state, count in record.task_counts.items()},
        rerun_of=record.origin.run_id if record.origin else None,
        rerun_from=list(record.origin.again) if record.origin else [],
        version=record.version,
    )


def execution_view(run_id: str, execution: Execution, compiled: Plan) -> api.ExecutionView:
    """An execution without its inputs and outputs."""
    cache_reason = optional_reason_view(execution.cache.reason) if execution.cache else None
    return api.ExecutionView(
        execution_id=execution_id(run_id, execution.path),
        path=execution.path,
        node=node_path(execution.path),
        task=execution.task,
        kind=execution.kind.value,
        state=execution.state.value,
        parent=execution.parent,
        iteration=execution.iteration,
        iteration_count=execution.iteration_count,
        item=_item(execution, compiled),
        attempts=[_attempt(attempt) for attempt in execution.attempts],
        retry_at=optional_millis(execution.retry_at),
        cached_from=execution.cached_from,
        cache_miss=None if execution.looking_up else cache_reason,
        waiting=cache_reason if execution.looking_up else None,
        reused_from=execution.reused_from,
        marked=_mark(execution.marked),
        reason=optional_reason_view(execution.reason),
        started_at=optional_millis(execution.started_at),
        ended_at=optional_millis(execution.ended_at),
    )


def _item(execution: Execution, compiled: Plan) -> Json:
    """What an iteration got of the loop's items."""
    if execution.iteration is None:
        return None
    iterator = compiled.task_at(execution.path).iterator
    if iterator is None:
        return None
    if iterator.over == "artifact":
        return [artifact.name for artifact in execution.inputs.artifacts.get(iterator.item_input, ())]
    return execution.inputs.parameters.get(iterator.item_input)


def _attempt(attempt: AttemptRecord) -> api.AttemptView:
    return api.AttemptView(
        number=attempt.number,
        state=attempt.state.value,
        started_at=optional_millis(attempt.started_at),
        ended_at=optional_millis(attempt.ended_at),
        error=optional_reason_view(attempt.error),
        waiting=optional_reason_view(attempt.waiting),
    )


def _mark(mark: Mark | None) -> api.MarkView | None:
    if mark is None:
        return None
    word: Literal["SUCCEEDED", "SKIPPED"] = "SUCCEEDED" if mark.state is State.SUCCEEDED else "SKIPPED"
    return api.MarkView(state=word, by=mark.by, note=mark.note, at=millis(mark.at))


def artifact_view(record: ArtifactRecord, not_written: str = "") -> api.ArtifactView:
    """An artifact, without its content."""
    artifact = record.artifact
    return api.ArtifactView(
        artifact_id=artifact.artifact_id,
        name=artifact.name,
        type=artifact.type.schema_title,
        uri=artifact.uri,
        metadata=artifact.metadata,
        digest=artifact.digest,
        size_bytes=artifact.size_bytes,
        created_at=millis(record.created_at),
        execution_id=record.execution_id,
        run_id=record.run_id,
        is_directory=record.is_directory,
        not_written=not_written,
    )


def _bundle(bundle: Bundle, known: Mapping[str, ArtifactRecord]) -> api.BundleView:
    """Artifacts whose rows are gone (their run was deleted) are left out."""
    return api.BundleView(
        parameters=bundle.parameters,
        artifacts={
            name: [artifact_view(known[one.artifact_id], one.not_written) for one in many if one.artifact_id in known]
            for name, many in bundle.artifacts.items()
        },
    )


def _ids(*bundles: Bundle) -> list[str]:
    return [one.artifact_id for bundle in bundles for many in bundle.artifacts.values() for one in many]


def _execution_views(run_id: str, executions: tuple[Execution, ...], compiled: Plan) -> list[api.ExecutionView]:
    return [execution_view(run_id, execution, compiled) for execution in executions]


async def _in_thread_if_large(executions: Sized, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Of thousands of executions a view takes longer than anybody else should wait for the event loop."""
    if len(executions) < _LARGE:
        return make(*args, **kwargs)
    return await asyncio.to_thread(make, *args, **kwargs)


# --- a run -------------------------------------------------------------------------------------


async def run_view(context: Context, run_id: str) -> api.RunView:
    """Raises NotFound."""
    begin = await context.read(_beginning, run_id)
    compiled = await _plan(context, run_id)
    warnings = _warnings(context, compiled)
    return await _in_thread_if_large(begin.executions, _run_view, begin, compiled, warnings)


async def execution_page(context: Context, run_id: str, *, token: str) -> api.ExecutionPage:
    """Raises NotFound, and Invalid for a token that is none."""
    if not token.isascii() or not token.isdigit() or len(token) > 9:
        raise Invalid(f"{token[:40]!r} is not a page token of a run's executions.", code="BAD_PAGE_TOKEN")
    found, last = await context.read(_more, run_id, int(token))
    compiled = await _plan(context, run_id)
    views = await _in_thread_if_large(found, _execution_views, run_id, found, compiled)
    return api.ExecutionPage(executions=views, next_page_token=_token(last))


@dataclass(frozen=True, kw_only=True)
class _Beginning:
    """What the first page of a run shows, as the store has it."""

    record: RunRecord
    executions: tuple[Execution, ...]
    #: Of the run's outputs.
    artifacts: dict[str, ArtifactRecord]
    #: Position of the last execution, if more may follow.
    last: int | None


def _run_view(begin: _Beginning, compiled: Plan, warnings: list[api.ReasonView]) -> api.RunView:
    record = begin.record
    root = begin.executions[0] if begin.executions else None
    return api.RunView(
        run=run_summary(record),
        parameters=root.inputs.parameters if root else record.parameters,
        graph=graph(compiled),
        executions=_execution_views(record.run_id, begin.executions, compiled),
        next_page_token=_token(begin.last),
        outputs=_bundle(root.outputs if root else Bundle(), begin.artifacts),
        warnings=warnings,
    )


def _token(last: int | None) -> str:
    return "" if last is None else str(last)


def _warnings(context: Context, compiled: Plan) -> list[api.ReasonView]:
    """What the user should know about the run, though nothing fails for it."""
    return [
        api.ReasonView(
            code="SETTING_WITHOUT_EFFECT",
            message=sentence(name, tasks),
            details={"setting": name, "tasks": tasks[:100]},
        )
        for name, tasks in tasks_by_setting(compiled.document, context.executor.without_effect).items()
    ]


def _beginning(conn: Connection, run_id: str) -> _Beginning:
    record = rows.get_run(conn, run_id)
    if record is None:
        raise NotFound(f"There is no run {run_id}.", run_id=run_id)
    executions, last = rows.get_execution_page(conn, run_id, limit=PAGE)
    outputs = executions[0].outputs if executions else Bundle()
    artifacts = artifact_rows.get_artifacts(conn, _ids(outputs))
    return _Beginning(record=record, executions=executions, artifacts=artifacts, last=last)


def _more(conn: Connection, run_id: str, after: int) -> tuple[tuple[Execution, ...], int | None]:
    return rows.get_execution_page(conn, run_id, after=after, limit=PAGE)


async def _plan(context: Context, run_id: str) -> Plan:
    compiled = await context.plans.of_run(run_id)
    if compiled is None:
        raise NotFound(f"There is no run {run_id}.", run_id=run_id)
    return compiled


# --- an execution ------------------------------------------------------------------------------


async def execution_detail(context: Context, execution_id: str) -> api.ExecutionDetail:
    """Raises NotFound."""
    run_id, execution = await find_execution(context, execution_id)
    compiled = await context.plans.of_run(run_id)
    if compiled is None:
        raise NotFound(f"There is no execution {execution_id}.", execution_id=execution_id)
    wanted = _ids(execution.inputs, execution.outputs)
    known = await context.read(artifact_rows.get_artifacts, wanted)
    return api.ExecutionDetail(
        execution=execution_view(run_id, execution, compiled),
        run_id=run_id,
        inputs=_bundle(execution.inputs, known),
        outputs=_bundle(execution.outputs, known),
        **_code(compiled, execution),
    )


def _code(compiled: Plan, execution: Execution) -> dict[str, Any]:
    """What the execution runs, as the document has it."""
    container = _container(compiled, execution)
    if container is None:
        return {}
    entry = recognise(container.command, container.args)
    return {
        "image": container.image,
        "command": list(container.command),
        "args": list(container.args),
        "source": entry.source if entry else None,
    }


def _container(compiled: Plan, execution: Execution) -> Container | None:
    if execution.kind is not Kind.TASK:
        return None
    executor = compiled.task_at(execution.path).executor
    return executor.container if executor else None


# --- live --------------------------------------------------------------------------------------


async def watch_run(context: Context, run_id: str, *, after_version: int) -> AsyncIterator[api.RunChange]:
    """See `Session.watch_run`."""
    seen = after_version
    with context.changes.watch(run_id) as watch:
        compiled = await _plan(context, run_id)
        while True:
            change = await _change(context, run_id, compiled, seen)
            if change is None:
                return
            record, shown = change
            if shown.version > seen or not seen:
                seen = shown.version
                yield shown
            if record.state.final or context.changes.closed:
                return
            await watch.next()


async def _change(context: Context, run_id: str, compiled: Plan, seen: int) -> tuple[RunRecord, api.RunChange] | None:
    record, executions = await context.read(_since, run_id, seen)
    if record is None:
        return None
    views = await _in_thread_if_large(executions, _execution_views, run_id, executions, compiled)
    return record, api.RunChange(version=record.version, run=run_summary(record), executions=views)


def _since(conn: Connection, run_id: str, seen: int) -> tuple[RunRecord | None, tuple[Execution, ...]]:
    return rows.get_run(conn, run_id), rows.get_executions(conn, run_id, after_version=seen)


async def watch_runs(context: Context, namespaces: frozenset[str] | None = None) -> AsyncIterator[api.ListChange]:
    """See `Session.watch_runs`; only runs of these namespaces, None: of all."""
    with context.changes.watch() as watch:
        async for changed in watch:
            records = await context.read(rows.get_runs, sorted(changed))
            shown = [one for one in records if namespaces is None or one.namespace in namespaces]
            if shown:
                yield api.ListChange(runs=[run_summary(record) for record in shown])
