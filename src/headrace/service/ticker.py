"""The ticker: makes the runs of recurring runs when they are due.

That a tick was handled is recorded in the transaction that makes its run, on the condition that the tick before it is
still the last one. So a tick makes one run, whatever dies in between and however many servers look at it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging

import msgspec

from headrace.engine.model import Reason
from headrace.schedules.naming import run_name
from headrace.schedules.ticks import CatchUp, missed_between, next_tick, nominal_tick
from headrace.service import runs
from headrace.service.context import Context
from headrace.service.errors import Conflict, Invalid, NotFound
from headrace.service.loop import RunLoop
from headrace.service.recurring_runs import last_tick, planned_of, read_timetable
from headrace.service.requests import NewRun, TickOrigin
from headrace.store import recurring_runs as rows
from headrace.store.records import RecurringRunRecord, TickRecord
from headrace.wire.times import utc

log = logging.getLogger(__name__)

#: Looks at least this often: another server may have made a recurring run, or the clock may have been set.
_LOOK_S = 10.0
#: … and this often while a tick waits for a run to end.
_BLOCKED_S = 1.0
#: Recurring runs that are worked on at once.
_AT_ONCE = 8
#: Missed ticks are counted up to this number.
_MOST_COUNTED = 10_000


class Ticker:
    """Makes runs as long as it runs."""

    def __init__(self, context: Context, loop: RunLoop) -> None:
        self._context = context
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        #: Recurring runs that are worked on at once.
        self._places = asyncio.Semaphore(_AT_ONCE)

    def start(self) -> None:
        """Begin, with the ticks that were missed while no server was running."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        changed = self._context.schedules_changed
        while True:
            changed.clear()
            try:
                wait = await self._round()
            except Exception:
                log.exception("the runs that are due could not be made, trying again later")
                wait = _LOOK_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await changed.wait()

    async def _round(self) -> float:
        """Handle one tick of each recurring run that has one by now; seconds until there is more to do."""
        found = await self._context.read(rows.due, self._context.now())
        if not found:
            due = await self._context.read(rows.next_due)
            return _LOOK_S if due is None else min(max(due - self._context.now(), 0.0), _LOOK_S)
        busy = await self._context.read(rows.unfinished, [one.recurring_run_id for one in found])
        full = {one.recurring_run_id for one in found if busy.get(one.recurring_run_id, 0) >= one.max_concurrency}
        free = [one for one in found if one.recurring_run_id not in full or one.at_limit != "wait"]
        done = await asyncio.gather(*(self._guarded(one, one.recurring_run_id in full) for one in free))
        if not all(done):
            return _LOOK_S
        return 0.0 if free else _BLOCKED_S

    async def _guarded(self, record: RecurringRunRecord, is_full: bool) -> bool:
        """Handle one tick; False when it could not be handled, and is tried again later.

        `is_full`: as many of its runs as may be are unfinished.
        """
        async with self._places:
            try:
                await self._tick(record, is_full)
            except rows.TickTaken:
                # Another server was first, or the recurring run was changed or deleted meanwhile.
                log.info("a tick of recurring run %s was handled by another server", record.recurring_run_id)
            except Exception:
                log.exception("a tick of recurring run %s could not be handled", record.recurring_run_id)
                return False
        return True

    async def _tick(self, record: RecurringRunRecord, is_full: bool) -> None:
        now = self._context.now()
        timetable = read_timetable(record.timetable)
        last = last_tick(record)
        nominal = nominal_tick(timetable, last=last, created=utc(record.created_at))
        find = functools.partial(next_tick, timetable, last=last, created=utc(record.created_at), now=utc(now))
        # To find the latest ticks takes a search for each.
        tick = await asyncio.to_thread(find) if (timetable.most_missed or 1) > 1 else find()
        if tick is None or nominal is None or tick > utc(now):
            # All that was due was missed, and is left out.
            await self._context.write(rows.set_next_tick, record, None if tick is None else tick.timestamp())
            return
        following = nominal_tick(timetable, last=tick, created=utc(record.created_at))
        every = timetable.catch_up is CatchUp.ALL and timetable.most_missed is None
        skipped = 0 if every else missed_between(timetable, nominal, tick, most=_MOST_COUNTED)
        write = functools.partial(
            rows.record_tick,
            record=record,
            next_tick_at=None if following is None else following.timestamp(),
        )
        handled = TickRecord(tick_at=tick.timestamp(), handled_at=now, skipped=skipped)
        try:
            if is_full:
                await self._make_room(record)
            planned = await planned_of(self._context, record)
            await runs.begin(
                self._context,
                self._loop,
                _new_run(record, handled),
                planned,
                with_=[lambda conn, run_id: write(conn, run_id, tick=handled)],
            )
        except (Invalid, NotFound) as error:
            reason = Reason(code=error.code, message=error.message, details=error.details)
            log.warning("recurring run %s made no run: %s", record.recurring_run_id, error.message)
            refused = msgspec.structs.replace(handled, reason=reason)
            await self._context.write(write, None, tick=refused)

    async def _make_room(self, record: RecurringRunRecord) -> None:
        """Cancel its oldest unfinished runs, so that one more may run. Raises Invalid where it skips the tick instead.

        A crash after this and before the tick is recorded only means that the tick is handled again.
        """
        unfinished = await self._context.read(rows.unfinished_runs, record.recurring_run_id, _MOST_COUNTED)
        if record.at_limit == "skip":
            raise Invalid(
                f"{len(unfinished)} of its runs had not ended, as many as may run at once: this tick makes no run.",
                code="RECURRING_RUN_BUSY",
                run_ids=unfinished[:10],
            )
        for run_id in unfinished[: max(0, len(unfinished) - record.max_concurrency + 1)]:
            with contextlib.suppress(Conflict, NotFound):  # it has ended meanwhile
                await runs.terminate(self._context, self._loop, run_id)


def _new_run(record: RecurringRunRecord, tick: TickRecord) -> NewRun:
    index = record.tick_index + 1
    return NewRun(
        display_name=run_name(record.short_name, index),
        pipeline_id=record.pipeline_id,
        pipeline_version_id=record.pipeline_version_id,
        experiment_id=record.experiment_id,
        parameters=record.parameters,
        pipeline_root=record.pipeline_root,
        service_account=record.service_account,
        created_by=record.created_by,
        recurring_run_id=record.recurring_run_id,
        tick=TickOrigin(scheduled_at=tick.tick_at, index=index),
    )
