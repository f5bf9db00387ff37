"""When a recurring run is due.

Each answer follows from what is recorded (the timetable, the last tick, when it was made) and from the time now, so it
is the same after a restart and on every server. Source of the rules for `/apis`: kubeflow/pipelines
`backend/src/crd/controller/scheduledworkflow/util` (`cron_schedule.go`, `periodic_schedule.go`).
"""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import msgspec

from headrace.schedules.cron import Clocks, Cron

#: KFP's greatest number of unfinished runs of one recurring run.
MAX_CONCURRENCY: Final = 10


_SECOND: Final = timedelta(seconds=1)


class CatchUp(enum.Enum):
    """What happens to ticks that were missed, since no server was there or too many runs were unfinished."""

    #: Each makes its run, the oldest first.
    ALL = "all"
    #: Only the latest makes a run.
    LATEST = "latest"
    #: None makes a run.
    NONE = "none"


class Timetable(msgspec.Struct, frozen=True, kw_only=True):
    """When ticks are. With neither `cron` nor `interval_s` there is one tick, at once."""

    cron: Cron | None = None
    interval_s: int | None = None
    #: Of the cron's fields.
    zone: tzinfo = UTC
    clocks: Clocks = Clocks.EACH
    #: Ticks are after `start` and not after `end`.
    start: datetime | None = None
    end: datetime | None = None
    catch_up: CatchUp = CatchUp.ALL
    #: With `ALL`: only so many missed ticks make runs, the latest ones. None: all.
    most_missed: int | None = None


def next_tick(timetable: Timetable, *, last: datetime | None, created: datetime, now: datetime) -> datetime | None:
    """The tick that is to make a run next, past or future; None: there is none any more.

    `last`: the tick that was handled last. All times have a time zone.
    """
    tick = nominal_tick(timetable, last=last, created=created)
    if tick is None or tick > now:
        return tick
    if timetable.catch_up is CatchUp.ALL:
        return tick if timetable.most_missed is None else _among_latest(timetable, tick, now, timetable.most_missed)
    if timetable.catch_up is CatchUp.LATEST:
        return _latest(timetable, tick, now)
    return _after_now(timetable, tick, now)


def nominal_tick(timetable: Timetable, *, last: datetime | None, created: datetime) -> datetime | None:
    """The tick after `last`, whatever the time is now; None: there is none any more."""
    if timetable.cron is not None:
        tick = timetable.cron.next_after(last or timetable.start or created, timetable.zone, timetable.clocks)
    elif timetable.interval_s is not None:
        tick = _next_of_interval(timetable, timedelta(seconds=timetable.interval_s), last, created)
    else:
        tick = created if last is None else None
    return None if tick is None or _is_over(timetable, tick) else tick


def coming_ticks(
    timetable: Timetable, *, last: datetime | None, created: datetime, now: datetime, count: int
) -> list[datetime]:
    """The next ticks after now, at most `count`."""
    found: list[datetime] = []
    tick = nominal_tick(timetable, last=last, created=created)
    if tick is not None and tick <= now:
        tick = _after_now(timetable, tick, now)
    while tick is not None and len(found) < count:
        found.append(tick)
        tick = nominal_tick(timetable, last=tick, created=created)
    return found


def missed_between(timetable: Timetable, first: datetime, until: datetime, *, most: int) -> int:
    """How many ticks there are from `first`, itself a tick, up to and without `until`; at most `most` are counted."""
    if timetable.interval_s is not None or (timetable.cron is not None and timetable.cron.every_s):
        step = timetable.interval_s or (timetable.cron.every_s if timetable.cron else 1)
        return min(most, max(0, -int((first - until).total_seconds() // step)))
    count, tick = 0, first
    while tick < until and count < most:
        count += 1
        following = nominal_tick(timetable, last=tick, created=tick)
        if following is None:
            break
        tick = following
    return count


def _next_of_interval(timetable: Timetable, step: timedelta, last: datetime | None, created: datetime) -> datetime:
    if last is None:
        return (timetable.start or created) + step
    if timetable.start is not None and last < timetable.start:
        return timetable.start
    return last + step


def _latest(timetable: Timetable, tick: datetime, now: datetime) -> datetime:
    until = now if timetable.end is None else min(now, timetable.end)
    if timetable.cron is not None:
        return timetable.cron.latest_until(tick, until, timetable.zone, timetable.clocks)
    if timetable.interval_s is None or now < tick + timedelta(seconds=timetable.interval_s):
        return tick
    # KFP begins again from the time at which the server is back: the phase of the interval shifts.
    return until


def _among_latest(timetable: Timetable, tick: datetime, now: datetime, count: int) -> datetime:
    """The first one of the `count` latest ticks that are not before `tick` and not after now."""
    until = now if timetable.end is None else min(now, timetable.end)
    if timetable.cron is None:
        if timetable.interval_s is None:
            return tick
        step = timedelta(seconds=timetable.interval_s)
        return tick + step * max(0, (until - tick) // step + 1 - count)
    found = until + _SECOND
    for _ in range(count):
        if found <= tick:
            break
        found = timetable.cron.latest_until(tick, found - _SECOND, timetable.zone, timetable.clocks)
    return found


def _after_now(timetable: Timetable, tick: datetime, now: datetime) -> datetime | None:
    if timetable.cron is not None and not timetable.cron.every_s:
        following = timetable.cron.next_after(now, timetable.zone, timetable.clocks)
    else:
        step = timedelta(seconds=timetable.interval_s or (timetable.cron.every_s if timetable.cron else 0))
        if not step:
            return tick
        following = tick + step * ((now - tick) // step + 1)
    return None if following is None or _is_over(timetable, following) else following


def _is_over(timetable: Timetable, tick: datetime) -> bool:
    return timetable.end is not None and tick > timetable.end
