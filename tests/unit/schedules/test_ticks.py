"""When a recurring run is due, beyond what KFP's scheduler answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.schedules.cron import read_cron
from headrace.schedules.ticks import CatchUp, Timetable, missed_between, next_tick, nominal_tick

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
