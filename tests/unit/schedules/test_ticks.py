"""When a recurring run is due, beyond what KFP's scheduler answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.schedules.cron import Clocks, read_cron
from headrace.schedules.ticks import CatchUp, Timetable, coming_ticks, missed_between, next_tick, nominal_tick

MADE = datetime(2026, 6, 1, 10, tzinfo=UTC)
HOURLY = read_cron("0 * * * *", "classic")


def later(**span: float) -> datetime:
    return MADE + timedelta(**span)


@pytest.mark.parametrize(
    "timetable", [Timetable(cron=HOURLY), Timetable(interval_s=3600), Timetable(cron=read_cron("@every 1h", "kfp"))]
)
def test_without_catch_up_the_next_one_is_after_now(timetable: Timetable) -> None:
    timetable = Timetable(cron=timetable.cron, interval_s=timetable.interval_s, catch_up=CatchUp.NONE)
    assert next_tick(timetable, last=MADE, created=MADE, now=later(hours=5, minutes=20)) == later(hours=6)
    assert next_tick(timetable, last=MADE, created=MADE, now=later(minutes=20)) == later(hours=1)
    ended = Timetable(cron=timetable.cron, interval_s=timetable.interval_s, catch_up=CatchUp.NONE, end=later(hours=5))
    assert next_tick(ended, last=MADE, created=MADE, now=later(hours=5, minutes=20)) is None


@given(st.integers(10, 7200), st.integers(0, 4 * 3600))
def test_missed_ticks_are_counted_without_looking_at_each(interval: int, away: int) -> None:
    timetable = Timetable(interval_s=interval)
    first, until = MADE, MADE + timedelta(seconds=away)
    counted, tick = 0, first
    while tick < until:
        counted += 1
        following = nominal_tick(timetable, last=tick, created=tick)
        assert following is not None
        tick = following
    assert missed_between(timetable, first, until, most=10**9) == counted
    assert missed_between(timetable, first, until, most=3) == min(3, counted)


def test_missed_ticks_of_a_cron_are_counted_up_to_a_limit() -> None:
    timetable = Timetable(cron=read_cron("* * * * * *", "kfp"))
    assert missed_between(timetable, MADE, later(seconds=50), most=1000) == 50
    assert missed_between(timetable, MADE, later(days=1), most=1000) == 1000
    ended = Timetable(cron=timetable.cron, end=later(seconds=9))
    assert missed_between(ended, MADE, later(seconds=50), most=1000) == 10


@given(st.sampled_from(list(CatchUp)), st.integers(0, 10**6), st.booleans(), st.integers(1, 10**5))
def test_a_tick_never_lies_before_the_last_one(catch_up: CatchUp, away: int, by_cron: bool, interval: int) -> None:
    timetable = Timetable(
        cron=HOURLY if by_cron else None, interval_s=None if by_cron else interval, catch_up=catch_up, end=later(days=9)
    )
    tick = next_tick(timetable, last=MADE, created=MADE, now=later(seconds=away))
    assert tick is None or MADE < tick <= later(days=9)


def ticks_until(timetable: Timetable, now: datetime) -> list[datetime]:
    """One after the other, as if each had been handled."""
    found: list[datetime] = []
    tick = nominal_tick(timetable, last=MADE, created=MADE)
    while tick is not None and tick <= now:
        found.append(tick)
        tick = nominal_tick(timetable, last=tick, created=MADE)
    return found


@given(st.integers(1, 12), st.integers(0, 36), st.booleans(), st.one_of(st.none(), st.integers(1, 40)))
def test_of_what_was_missed_the_latest_ones_make_runs(most: int, away: int, by_cron: bool, end: int | None) -> None:
    timetable = Timetable(
        cron=HOURLY if by_cron else None,
        interval_s=None if by_cron else 3600,
        most_missed=most,
        end=None if end is None else later(hours=end),
    )
    now = later(hours=away, minutes=1)
    missed = ticks_until(timetable, now)
    tick = next_tick(timetable, last=MADE, created=MADE, now=now)
    if missed:
        assert tick == missed[-most:][0]
    else:
        assert tick == nominal_tick(timetable, last=MADE, created=MADE)


@given(st.integers(0, 36), st.booleans(), st.one_of(st.none(), st.integers(1, 40)))
def test_coming_ticks_are_those_after_now(away: int, by_cron: bool, end: int | None) -> None:
    timetable = Timetable(
        cron=HOURLY if by_cron else None,
        interval_s=None if by_cron else 3600,
        end=None if end is None else later(hours=end),
    )
    now = later(hours=away, minutes=1)
    expected = [one for one in ticks_until(timetable, later(hours=60)) if one > now][:5]
    assert coming_ticks(timetable, last=MADE, created=MADE, now=now, count=5) == expected


def test_local_times_are_due_once_where_the_clocks_change() -> None:
    """Berlin, 2026: 29 March has no 02:30, 25 October has it twice."""
    half_past_two = Timetable(
        cron=read_cron("30 2 * * *", "classic"), zone=ZoneInfo("Europe/Berlin"), clocks=Clocks.ONCE
    )

    def days(start: datetime) -> list[str]:
        found = coming_ticks(half_past_two, last=None, created=start, now=start, count=3)
        return [f"{one.astimezone(half_past_two.zone):%d %H:%M}" for one in found]

    assert days(datetime(2026, 3, 27, 12, tzinfo=UTC)) == ["28 02:30", "29 03:00", "30 02:30"]
    assert days(datetime(2026, 10, 23, 12, tzinfo=UTC)) == ["24 02:30", "25 02:30", "26 02:30"]
