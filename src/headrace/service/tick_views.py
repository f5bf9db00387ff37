"""What came of each tick of a recurring run, and which ones come: each with its reason where it makes no run."""

from __future__ import annotations

from headrace.schedules.ticks import coming_ticks
from headrace.service.context import Context
from headrace.service.reasons import optional_reason_view
from headrace.service.recurring_runs import get, last_tick, read_timetable
from headrace.store import recurring_runs as rows
from headrace.store.records import RecurringRunRecord, StoredTimetable, TickRecord
from headrace.wire.api import ReasonView
from headrace.wire.recurring_runs import RecurringRunView, TickList, TickView, TimetableView
from headrace.wire.times import millis, optional_millis, parse, utc

_CATCHING_UP = {
    "all": "each tick that passes makes its run when it is enabled again",
    "latest": "only the latest tick that has passed makes a run when it is enabled again",
    "none": "ticks that pass make no run",
}


def recurring_run_view(record: RecurringRunRecord) -> RecurringRunView:
    """A recurring run in the API's shape."""
    return RecurringRunView(
        recurring_run_id=record.recurring_run_id,
        display_name=record.display_name,
        description=record.description,
        experiment_id=record.experiment_id,
        pipeline_id=record.pipeline_id,
        pipeline_version_id=record.pipeline_version_id,
        parameters=record.parameters,
        timetable=timetable_view(record.timetable),
        max_concurrency=record.max_concurrency,
        at_limit=record.at_limit,
        enabled=record.enabled,
        created_at=millis(record.created_at),
        updated_at=millis(record.updated_at),
        run_count=record.tick_index,
        last_tick_at=optional_millis(record.last_tick_at),
        next_tick_at=optional_millis(record.next_tick_at),
    )


def timetable_view(stored: StoredTimetable) -> TimetableView:
    """A stored timetable in the API's shape."""
    is_latest = stored.catch_up == "all" and stored.most_missed == 1
    return TimetableView(
        cron=stored.cron,
        dialect=stored.dialect,
        interval_s=stored.interval_s,
        time_zone=stored.zone,
        start=optional_millis(stored.start),
        end=optional_millis(stored.end),
        catch_up="latest" if is_latest else stored.catch_up,
        catch_up_limit=None if is_latest else stored.most_missed,
    )


def stored_timetable(view: TimetableView) -> StoredTimetable:
    """The API's shape as it is stored. Raises ValueError for a time that is none.

    Local times are due once where the clocks change, and the phase of an interval stays when ticks are left out: both
    differ from KFP's API.
    """
    # KFP's "latest" counts the interval from the time at which the server is back.
    is_latest = view.catch_up == "latest"
    return StoredTimetable(
        cron=view.cron,
        dialect=view.dialect,
        interval_s=view.interval_s,
        zone=view.time_zone,
        clocks="each" if view.dialect == "kfp" else "once",
        start=None if view.start is None else parse(view.start),
        end=None if view.end is None else parse(view.end),
        catch_up="all" if is_latest else view.catch_up,
        most_missed=1 if is_latest else view.catch_up_limit if view.catch_up == "all" else None,
    )


async def tick_list(context: Context, recurring_run_id: str, *, past: int, coming: int) -> TickList:
    """The newest `past` ticks and the next `coming` ones. Raises NotFound."""
    record = await get(context, recurring_run_id)
    handled = await context.read(rows.last_ticks, recurring_run_id, past)
    unfinished = await context.read(rows.unfinished_runs, recurring_run_id, record.max_concurrency)
    now = context.now()
    times = coming_ticks(
        read_timetable(record.timetable),
        last=last_tick(record),
        created=utc(record.created_at),
        now=utc(now),
        count=coming,
    )
    paused = None if record.enabled else _paused(record)
    return TickList(
        past=[_past(one) for one in handled],
        waiting=_waiting(record, unfinished, now),
        coming=[
            TickView(at=millis(one.timestamp()), state="COMING" if paused is None else "PAUSED", reason=paused)
            for one in times
        ],
    )


def _past(tick: TickRecord) -> TickView:
    return TickView(
        at=millis(tick.tick_at),
        state="REFUSED" if tick.run_id is None else "FIRED",
        handled_at=millis(tick.handled_at),
        run_id=tick.run_id,
        missed_before=tick.skipped,
        reason=optional_reason_view(tick.reason),
    )


def _waiting(record: RecurringRunRecord, unfinished: list[str], now: float) -> TickView | None:
    if record.next_tick_at is None or record.next_tick_at > now:
        return None
    at = millis(record.next_tick_at)
    if not record.enabled:
        return TickView(at=at, state="PAUSED", reason=_paused(record))
    if len(unfinished) < record.max_concurrency:
        reason = ReasonView(code="RECURRING_RUN_DUE", message="It is due, and its run is being made.")
    else:
        reason = ReasonView(
            code="RECURRING_RUN_BUSY",
            message=f"{len(unfinished)} of its runs have not ended, as many as may run at once: it waits for one.",
            details={"run_ids": unfinished},
        )
    return TickView(at=at, state="WAITING", reason=reason)


def _paused(record: RecurringRunRecord) -> ReasonView:
    view = timetable_view(record.timetable)
    catching_up = _CATCHING_UP[view.catch_up]
    if view.catch_up_limit is not None:
        catching_up = f"the {view.catch_up_limit} latest ticks that have passed make runs when it is enabled again"
    return ReasonView(code="RECURRING_RUN_DISABLED", message=f"It is disabled: {catching_up}.")
