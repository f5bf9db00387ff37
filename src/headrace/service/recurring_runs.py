"""Recurring runs: made, asked for, edited, enabled and disabled, deleted. What makes their runs is `service.ticker`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from headrace.engine import InvalidArguments
from headrace.engine.arguments import check_arguments
from headrace.engine.model import Json
from headrace.schedules.cron import Clocks, Cron, CronError, read_cron
from headrace.schedules.macros import Occasion, replace_macros
from headrace.schedules.naming import short_name
from headrace.schedules.ticks import MAX_CONCURRENCY, CatchUp, Timetable, coming_ticks, nominal_tick
from headrace.service import experiments, runs
from headrace.service.context import Context, new_id
from headrace.service.errors import Conflict, Invalid, NotFound
from headrace.service.naming import check_length
from headrace.service.plans import PlannedDocument
from headrace.service.requests import NewRecurringRun, NewRun, RecurringRunEdit
from headrace.store import recurring_runs as rows
from headrace.store.records import ListQuery, Page, RecurringRunRecord, StoredTimetable, TickRecord
from headrace.wire.times import utc

#: Greatest number of missed ticks to which catching up can be limited.
MOST_CAUGHT_UP = 100
_DEFAULT_ACCOUNT = "pipeline-runner"


async def create(context: Context, new: NewRecurringRun) -> RecurringRunRecord:
    """Check document, arguments and timetable, and record it. Raises Invalid, NotFound."""
    check_length("recurring run", new.display_name)
    _check_concurrency(new.max_concurrency)
    timetable = read_timetable(new.timetable)
    planned = await runs.planned_of(context, _run_of(new))
    now = context.now()
    _check_arguments(planned, new.parameters, now)
    first = nominal_tick(timetable, last=None, created=utc(now))
    _check_comes(timetable, first, now)
    experiment = (
        await experiments.get(context, new.experiment_id)
        if new.experiment_id
        else await experiments.find_or_create(context, new.experiment_name, new.namespace, created_by=new.created_by)
    )
    record = RecurringRunRecord(
        recurring_run_id=new_id(),
        display_name=new.display_name,
        short_name=short_name(new.display_name),
        description=new.description,
        namespace=experiment.namespace,
        experiment_id=experiment.experiment_id,
        created_by=new.created_by,
        pipeline_id=planned.pipeline_id,
        # Of a pipeline alone, each tick takes the version that is the latest then.
        pipeline_version_id=new.pipeline_version_id,
        document=planned.digest if new.has_document else None,
        parameters=new.parameters,
        pipeline_root=new.pipeline_root,
        service_account=new.service_account or _DEFAULT_ACCOUNT,
        max_concurrency=new.max_concurrency,
        at_limit=new.at_limit,
        timetable=new.timetable,
        enabled=new.enabled,
        created_at=now,
        updated_at=now,
        next_tick_at=None if first is None else first.timestamp(),
    )
    document = planned.stored if new.has_document else None
    await context.write(rows.insert_recurring_run, record, document=document)
    context.schedules_changed.set()
    return record


async def get(context: Context, recurring_run_id: str) -> RecurringRunRecord:
    """Raises NotFound."""
    found = await context.read(rows.get_recurring_run, recurring_run_id)
    if found is None:
        raise NotFound(f"There is no recurring run {recurring_run_id}.", recurring_run_id=recurring_run_id)
    return found


async def list_page(context: Context, query: ListQuery) -> Page[RecurringRunRecord]:
    """One page."""
    return await context.read(rows.list_recurring_runs, query, context.keys.page_tokens)


async def list_ticks(context: Context, recurring_run_id: str, limit: int) -> list[TickRecord]:
    """The newest ticks that were handled, newest first. Raises NotFound."""
    await get(context, recurring_run_id)
    return await context.read(rows.last_ticks, recurring_run_id, limit)


async def edit(context: Context, recurring_run_id: str, wanted: RecurringRunEdit) -> RecurringRunRecord:
    """Change it in place, from the next tick on. Raises Invalid, NotFound, and Conflict when it is edited meanwhile."""
    old = await get(context, recurring_run_id)
    now = max(context.now(), old.updated_at + 1e-3)
    record = msgspec.structs.replace(_with_fields(old, wanted), updated_at=now)
    check_length("recurring run", record.display_name)
    _check_concurrency(record.max_concurrency)
    if wanted.parameters is not None or wanted.pipeline_version_id is not None:
        planned = await planned_of(context, record)
        if planned.pipeline_id != record.pipeline_id:
            raise Invalid(
                f"Version {record.pipeline_version_id} is of another pipeline than the recurring run.",
                code="VERSION_OF_ANOTHER_PIPELINE",
            )
        _check_arguments(planned, record.parameters, now)
    if wanted.timetable is not None:
        stored = msgspec.structs.replace(wanted.timetable, since=now)
        record = msgspec.structs.replace(record, timetable=stored)
        timetable = read_timetable(stored)
        following = nominal_tick(timetable, last=last_tick(record), created=utc(record.created_at))
        _check_comes(timetable, following, now)
        record = msgspec.structs.replace(record, next_tick_at=None if following is None else following.timestamp())
    if not await context.write(rows.update_recurring_run, record, read_at=old.updated_at):
        raise Conflict(
            "The recurring run was changed by somebody else meanwhile; look at it, and try again.",
            code="RECURRING_RUN_CHANGED",
        )
    context.schedules_changed.set()
    return await get(context, recurring_run_id)


def _with_fields(old: RecurringRunRecord, wanted: RecurringRunEdit) -> RecurringRunRecord:
    plain = ("display_name", "description", "parameters", "max_concurrency", "at_limit", "enabled")
    changed = {name: getattr(wanted, name) for name in plain if getattr(wanted, name) is not None}
    if wanted.pipeline_version_id is not None:
        if old.document is not None:
            raise Invalid(
                "It was made from a document, which stays: make another recurring run for another document, or upload "
                "the document as a pipeline and make one from that.",
                code="RECURRING_RUN_HAS_DOCUMENT",
            )
        changed["pipeline_version_id"] = wanted.pipeline_version_id or None
    return msgspec.structs.replace(old, **changed)


def preview(context: Context, stored: StoredTimetable, count: int) -> list[float]:
    """The next times at which one with this timetable, made now, is due. Raises Invalid."""
    timetable, now = read_timetable(stored), context.now()
    found = coming_ticks(timetable, last=None, created=utc(now), now=utc(now), count=count)
    _check_comes(timetable, found[0] if found else None, now)
    return [one.timestamp() for one in found]


async def set_enabled(context: Context, recurring_run_id: str, enabled: bool) -> None:
    """Let it make runs, or not; runs that it has made go on. Raises NotFound.

    As in KFP, ticks that passed while it was disabled are caught up when it is enabled, if its timetable says so.
    """
    await get(context, recurring_run_id)
    await context.write(rows.set_enabled, recurring_run_id, enabled, context.now())
    context.schedules_changed.set()


async def delete(context: Context, recurring_run_id: str) -> None:
    """Its runs stay. Raises NotFound."""
    await get(context, recurring_run_id)
    await context.write(rows.delete_recurring_run, recurring_run_id)


async def document_of(
    context: Context, record: RecurringRunRecord
) -> tuple[dict[str, object], dict[str, object] | None] | None:
    """The document it was made from; None when it was made from what was uploaded."""
    return None if record.document is None else await context.read(rows.get_document, record.document)


async def planned_of(context: Context, record: RecurringRunRecord) -> PlannedDocument:
    """What its next run is made from. Raises NotFound and Invalid where that is not there any more."""
    if record.document is None:
        source = NewRun(pipeline_id=record.pipeline_id, pipeline_version_id=record.pipeline_version_id)
        return await runs.planned_of(context, source)
    plan = await context.plans.of_digest(record.document)
    if plan is None:
        raise NotFound("The document of the recurring run is not there any more.", code="DOCUMENT_MISSING")
    return PlannedDocument(plan=plan, digest=record.document)


def last_tick(record: RecurringRunRecord) -> datetime | None:
    """The time after which its next tick is: its last tick, or the last change of its timetable."""
    known = [one for one in (record.last_tick_at, record.timetable.since) if one is not None]
    return utc(max(known)) if known else None


def read_timetable(stored: StoredTimetable) -> Timetable:
    """The timetable as the rules need it. Raises Invalid with what is wrong."""
    if stored.interval_s is not None and stored.cron is not None:
        raise Invalid("Give a cron expression or an interval, not both.", code="TRIGGER_AMBIGUOUS")
    if stored.most_missed is not None and not 1 <= stored.most_missed <= MOST_CAUGHT_UP:
        raise Invalid(
            f"At most {MOST_CAUGHT_UP} missed ticks can be caught up, and at least one; not {stored.most_missed}.",
            code="CATCH_UP_INVALID",
        )
    if stored.interval_s is not None and stored.interval_s < 1:
        raise Invalid(f"The interval must be at least one second, not {stored.interval_s}.", code="INTERVAL_INVALID")
    return Timetable(
        cron=None if stored.cron is None else _cron(stored),
        interval_s=stored.interval_s,
        zone=_zone(stored.zone),
        clocks=Clocks(stored.clocks),
        start=None if stored.start is None else utc(stored.start),
        end=None if stored.end is None else utc(stored.end),
        catch_up=CatchUp(stored.catch_up),
        most_missed=stored.most_missed,
    )


def _check_concurrency(count: int) -> None:
    if not 1 <= count <= MAX_CONCURRENCY:
        raise Invalid(
            f"max_concurrency must be from 1 to {MAX_CONCURRENCY}, not {count}.", code="MAX_CONCURRENCY_INVALID"
        )


def _cron(stored: StoredTimetable) -> Cron:
    try:
        return read_cron(stored.cron or "", stored.dialect)
    except CronError as error:
        raise Invalid(str(error), code="CRON_INVALID") from error


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(
            f"{name[:80]!r} is not a time zone; write for instance Europe/Berlin or America/New_York.",
            code="TIME_ZONE_UNKNOWN",
        ) from error


def _check_comes(timetable: Timetable, first: datetime | None, now: float) -> None:
    """Refuse a cron expression that is never due, whatever start and end are."""
    if timetable.cron is None or first is not None:
        return
    without_end = msgspec.structs.replace(timetable, end=None)
    if nominal_tick(without_end, last=None, created=utc(now)) is None:
        raise Invalid(
            f"The cron expression {timetable.cron.text!r} is never due: there is no such date.", code="CRON_NEVER_DUE"
        )


def _check_arguments(planned: PlannedDocument, parameters: Mapping[str, Json], now: float) -> None:
    example = Occasion(run_id=new_id(), now=utc(now), scheduled_at=utc(now), index=1)
    try:
        check_arguments(planned.plan, replace_macros(parameters, example))
    except InvalidArguments as error:
        faults = [msgspec.to_builtins(fault) for fault in error.faults]
        raise Invalid(str(error), code=error.code, faults=faults) from error


def _run_of(new: NewRecurringRun) -> NewRun:
    return NewRun(
        document=new.document,
        pipeline_spec=new.pipeline_spec,
        platform_spec=new.platform_spec,
        pipeline_id=new.pipeline_id,
        pipeline_version_id=new.pipeline_version_id,
    )
