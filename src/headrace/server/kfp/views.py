"""Records as KFP's messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headrace.engine.model import Execution, Reason, State, execution_id
from headrace.server.documents import inline, written
from headrace.store.records import (
    ExperimentRecord,
    PipelineRecord,
    RecurringRunRecord,
    RunRecord,
    StoredTimetable,
    VersionRecord,
)
from headrace.wire import v2beta1 as wire
from headrace.wire.times import optional_seconds, seconds

#: gRPC codes of a failed run or task: the ones that KFP's clients distinguish.
_UNKNOWN = 2


def experiment(record: ExperimentRecord) -> wire.Experiment:
    """An experiment. One that never ran shows the epoch, as KFP's does."""
    return wire.Experiment(
        experiment_id=record.experiment_id,
        display_name=record.display_name,
        description=record.description,
        created_at=seconds(record.created_at),
        namespace=record.namespace,
        storage_state=_storage_state(record.archived),
        last_run_created_at=seconds(record.last_run_created_at),
    )


def pipeline(record: PipelineRecord) -> wire.Pipeline:
    """A pipeline."""
    return wire.Pipeline(
        pipeline_id=record.pipeline_id,
        display_name=record.display_name,
        name=record.name,
        description=record.description,
        created_at=seconds(record.created_at),
        namespace=record.namespace,
        tags=record.tags or None,
    )


def version(record: VersionRecord) -> wire.PipelineVersion:
    """A pipeline version with its document."""
    return wire.PipelineVersion(
        pipeline_id=record.pipeline_id,
        pipeline_version_id=record.pipeline_version_id,
        display_name=record.display_name,
        name=record.name,
        description=record.description,
        created_at=seconds(record.created_at),
        code_source_url=record.code_source_url,
        pipeline_spec=inline(record.pipeline_spec, record.platform_spec),
        tags=record.tags or None,
    )


def run(
    record: RunRecord,
    *,
    document: dict[str, wire.Json] | None = None,
    tasks: list[wire.PipelineTaskDetail] | None = None,
) -> wire.Run:
    """A run. `document` is shown for what was not made from an uploaded version."""
    reference = _reference(record)
    return wire.Run(
        experiment_id=record.experiment_id,
        run_id=record.run_id,
        display_name=record.display_name,
        storage_state=_storage_state(record.archived),
        description=record.description,
        pipeline_spec=None if reference else document,
        pipeline_version_reference=reference,
        runtime_config=_runtime_config(record),
        service_account=record.service_account,
        created_at=seconds(record.created_at),
        scheduled_at=seconds(record.scheduled_at),
        finished_at=seconds(record.finished_at),
        state=record.state.value,
        error=_error_of(record.state, record.error),
        run_details=wire.RunDetails(task_details=tasks) if tasks else None,
        recurring_run_id=record.recurring_run_id or "",
        state_history=[_runtime_status(*entry) for entry in record.state_history],
    )


def recurring_run(record: RecurringRunRecord, *, document: dict[str, wire.Json] | None = None) -> wire.RecurringRun:
    """A recurring run. `document` is shown for what was not made from an uploaded pipeline."""
    return wire.RecurringRun(
        recurring_run_id=record.recurring_run_id,
        display_name=record.display_name,
        description=record.description,
        pipeline_spec=document,
        pipeline_version_reference=_source(record),
        runtime_config=_runtime_config(record),
        service_account=record.service_account,
        max_concurrency=str(record.max_concurrency),
        trigger=_trigger(record.timetable),
        mode="ENABLE" if record.enabled else "DISABLE",
        created_at=seconds(record.created_at),
        updated_at=seconds(record.updated_at),
        status="ENABLED" if record.enabled else "DISABLED",
        no_catchup=record.timetable.catch_up != "all" or record.timetable.most_missed is not None,
        namespace=record.namespace,
        experiment_id=record.experiment_id,
    )


def tasks(run_id: str, executions: Iterable[Execution]) -> list[wire.PipelineTaskDetail]:
    """One task detail for each execution, linked by ids."""
    known = list(executions)
    children: dict[str, list[str]] = {}
    for execution in known:
        if execution.parent is not None:
            children.setdefault(execution.parent, []).append(execution_id(run_id, execution.path))
    return [_task(run_id, execution, children) for execution in known]


def status(reason: Reason | None) -> wire.Status | None:
    """Why something failed, as `google.rpc.Status`; the stable code leads the sentence."""
    return None if reason is None else wire.Status(code=_UNKNOWN, message=f"{reason.code}: {reason.message}")


def _task(run_id: str, execution: Execution, children: Mapping[str, list[str]]) -> wire.PipelineTaskDetail:
    created = execution.created_at or execution.started_at
    return wire.PipelineTaskDetail(
        run_id=run_id,
        task_id=execution_id(run_id, execution.path),
        display_name=_display_name(execution),
        create_time=optional_seconds(created),
        start_time=optional_seconds(execution.started_at),
        end_time=optional_seconds(execution.ended_at),
        state=execution.state.value,
        error=_task_error(execution),
        parent_task_id="" if execution.parent is None else execution_id(run_id, execution.parent),
        state_history=_task_history(execution, created),
        child_tasks=[wire.ChildTask(task_id=child) for child in children.get(execution.path, ())],
    )


def _display_name(execution: Execution) -> str:
    if execution.parent is None:
        return "root"
    return execution.task if execution.iteration is None else f"{execution.task}[{execution.iteration}]"


def _task_error(execution: Execution) -> wire.Status | None:
    return status(execution.reason) if execution.state is State.FAILED else None


def _task_history(execution: Execution, created: float | None) -> list[wire.RuntimeStatus]:
    history: list[tuple[float | None, State, Reason | None]] = [
        (created, State.PENDING, None),
        (execution.started_at, State.RUNNING, None),
    ]
    if execution.state.final:
        history.append((execution.ended_at, execution.state, execution.reason))
    return [_runtime_status(at, state, reason) for at, state, reason in history if at is not None]


def _runtime_status(at: float, state: State, reason: Reason | None) -> wire.RuntimeStatus:
    return wire.RuntimeStatus(update_time=seconds(at), state=state.value, error=_error_of(state, reason))


def _error_of(state: State, reason: Reason | None) -> wire.Status | None:
    """As in KFP, what somebody has cancelled has no error. Why it ended stands in `/api`."""
    return None if state in (State.CANCELING, State.CANCELED) else status(reason)


def _source(record: RecurringRunRecord) -> wire.PipelineVersionReference | None:
    if record.pipeline_id is None and record.pipeline_version_id is None:
        return None
    return wire.PipelineVersionReference(
        pipeline_id=record.pipeline_id or "", pipeline_version_id=record.pipeline_version_id or ""
    )


def _trigger(timetable: StoredTimetable) -> wire.Trigger | None:
    start, end = (None if at is None else _time_text(at) for at in (timetable.start, timetable.end))
    if timetable.cron is not None:
        return wire.Trigger(cron_schedule=wire.CronSchedule(start_time=start, end_time=end, cron=timetable.cron))
    if timetable.interval_s is not None:
        interval = str(timetable.interval_s)
        return wire.Trigger(
            periodic_schedule=wire.PeriodicSchedule(start_time=start, end_time=end, interval_second=interval)
        )
    return None


def _time_text(at: float) -> str:
    return seconds(at).isoformat().removesuffix("+00:00") + "Z"


def _reference(record: RunRecord) -> wire.PipelineVersionReference | None:
    if record.pipeline_version_id is None:
        return None
    return wire.PipelineVersionReference(
        pipeline_id=record.pipeline_id or "", pipeline_version_id=record.pipeline_version_id
    )


def _runtime_config(record: RunRecord | RecurringRunRecord) -> wire.RuntimeConfig | None:
    if not record.parameters and not record.pipeline_root:
        return None
    return wire.RuntimeConfig(parameters=written(record.parameters), pipeline_root=record.pipeline_root)


def _storage_state(archived: bool) -> str:
    return "ARCHIVED" if archived else "AVAILABLE"
