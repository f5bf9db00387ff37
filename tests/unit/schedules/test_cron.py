"""Cron expressions against walks that look at every second or minute."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schedules.cron import Clocks, Cron, CronError, read_cron
from headrace.schedules.cron import _Fields as Fields
from headrace.schedules.stepping import next_by_steps

MINUTE = timedelta(minutes=1)
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "UTC",
    "Africa/Casablanca",
)


def field(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    span = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    part = st.one_of(number.map(str), span, st.just("*"), span.map(lambda text: f"{text}/2"), st.just("*/5"))
    return st.one_of(st.just("*"), st.lists(part, min_size=1, max_size=3).map(",".join))


texts = st.builds(
    lambda minute, hour, day, month, weekday: f"{minute} {hour} {day} {month} {weekday}",
    field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6),
)  # fmt: skip
moments = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC))


def fits(cron: Cron, local: datetime) -> bool:
    in_month, in_week = local.day in cron.days, local.isoweekday() % 7 in cron.weekdays
    day = in_month and in_week if cron.any_day or cron.any_weekday else in_month or in_week
    return day and local.month in cron.months and local.hour in cron.hours and local.minute in cron.minutes


def walked(cron: Cron, after: datetime, zone: ZoneInfo, until: datetime) -> list[datetime]:
    """Minute by minute, by the rule as a person would say it: each local time once, one that is left out at the gap's end."""
    found: list[datetime] = []
    at = after.replace(second=0) + MINUTE
    while at <= until:
        local, before = at.astimezone(zone), (at - MINUTE).astimezone(zone)
        if cron.any_hour:
            due = fits(cron, local)
        else:
            due = fits(cron, local) and not local.fold
            # Wall clock minutes between the last one and this one, which the clocks leave out.
            skipped, left_out = before.replace(tzinfo=None) + MINUTE, False
            while skipped < local.replace(tzinfo=None):
                left_out = left_out or fits(cron, skipped)
                skipped += MINUTE
            due = due or left_out
        if due:
            found.append(at)
        at += MINUTE
    return found


@settings(max_examples=150, deadline=None)
@given(
    texts,
    st.sampled_from(ZONES),
    st.sampled_from(("2026-03-27", "2026-10-24", "2026-04-03", "2018-11-03", "2026-11-01", "2026-03-07", "2026-02-13")),
)
def test_once_is_what_a_person_expects(text: str, name: str, day: str) -> None:
    cron, zone = read_cron(text, "classic"), ZoneInfo(name)
    begin = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    until = begin + timedelta(days=3)
    found, at = [], cron.next_after(begin, zone, Clocks.ONCE)
    while at is not None and at <= until:
        found.append(at)
        at = cron.next_after(at, zone, Clocks.ONCE)
    assert found == walked(cron, begin, zone, until)


def test_the_gap_and_the_overlap_of_berlin() -> None:
    cron, zone = read_cron("30 2 * * *", "classic"), ZoneInfo("Europe/Berlin")

    def after(text: str, clocks: Clocks) -> list[str]:
        at, found = datetime.fromisoformat(text), []
        for _ in range(3):
            following = cron.next_after(at, zone, clocks)
            assert following is not None
            at = following
            found.append(f"{at:%m-%d %H:%M}")
        return found

    assert after("2026-03-28T00:00:00+00:00", Clocks.ONCE) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]
    assert after("2026-03-28T00:00:00+00:00", Clocks.EACH) == ["03-28 01:30", "03-30 00:30", "03-31 00:30"]
    assert after("2026-10-24T00:00:00+00:00", Clocks.ONCE) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]
    assert after("2026-10-24T00:00:00+00:00", Clocks.EACH) == ["10-24 00:30", "10-25 00:30", "10-25 01:30"]


@settings(max_examples=200, deadline=None)
@given(texts, moments, st.sampled_from(["0", "*/7", "3,50"]))
def test_in_utc_both_ways_of_searching_agree(text: str, after: datetime, seconds: str) -> None:
    cron = read_cron(f"{seconds} {text}", "kfp")
    assert cron.next_after(after) == next_by_steps(Fields(cron), after, UTC, years=9)


@settings(max_examples=100, deadline=None)
@given(texts, moments, st.integers(1, 40 * 86_400), st.sampled_from(ZONES), st.sampled_from(list(Clocks)))
def test_the_latest_tick_is_the_last_of_all(text: str, after: datetime, span: int, name: str, clocks: Clocks) -> None:
    cron, zone, until = read_cron(f"0 {text}", "kfp"), ZoneInfo(name), after + timedelta(seconds=span)
    first = cron.next_after(after, zone, clocks)
    if first is None or first > until:
        return
    latest = cron.latest_until(first, until, zone, clocks)
    assert first <= latest <= until
    following = cron.next_after(latest, zone, clocks)
    assert following is None or following > until
    assert latest == first or cron.next_after(latest - timedelta(seconds=1), zone, clocks) == latest


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("", "empty"),
        ("0 9 * *", "five fields"),
        ("0 0 9 * * *", "five fields"),
        ("60 9 * * *", "minutes"),
        ("0 9 * * 8", "day of week"),
        ("0 9 0 * *", "day of month"),
        ("0 9 * FEBRUARY *", "month"),
        ("0 9-5 * * *", "begins after its end"),
        ("*/0 * * * *", "step"),
        (", * * * *", "empty"),
        ("0 9 * * MON#1", "day of week"),
        ("@reboot", "@daily"),
        ("@every 5 parsecs", "duration"),
        ("@every 99999999999h", "hundred years"),
        ("0 9 * * ٣", "day of week"),
    ],
)
def test_a_wrong_expression_is_refused_with_its_field(text: str, wrong: str) -> None:
    with pytest.raises(CronError) as caught:
        read_cron(text, "classic")
    assert wrong in str(caught.value)


@given(st.text(max_size=40), st.sampled_from(["kfp", "classic"]))
def test_any_text_is_read_or_refused(text: str, dialect: str) -> None:
    try:
        cron = read_cron(text, dialect)  # type: ignore[arg-type]
    except CronError as error:
        assert str(error).endswith(".") or "number" in str(error)
        return
    assert cron.next_after(datetime(2026, 1, 1, tzinfo=UTC)) is not None or cron.days


def test_sunday_is_0_and_7_in_the_classic_dialect() -> None:
    assert read_cron("0 9 * * 7", "classic").weekdays == read_cron("0 9 * * 0", "classic").weekdays
    assert read_cron("0 9 * * 5-7", "classic").weekdays == {5, 6, 0}


def test_a_date_that_never_comes_is_never_due() -> None:
    for text in ("0 0 0 30 2 *", "0 0 0 31 2,4 *"):
        for zone in (UTC, ZoneInfo("Europe/Berlin")):
            for clocks in Clocks:
                assert read_cron(text, "kfp").next_after(datetime(2026, 1, 1, tzinfo=UTC), zone, clocks) is None


def test_a_leap_day_is_found_across_the_year_without_one() -> None:
    cron = read_cron("0 0 29 2 *", "classic")
    assert cron.next_after(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)


def test_every_zone_can_be_asked() -> None:
    cron, at = read_cron("30 2 * * *", "classic"), datetime(2026, 3, 1, tzinfo=UTC)
    for name in sorted(zoneinfo.available_timezones()):
        for clocks in Clocks:
            following = cron.next_after(at, ZoneInfo(name), clocks)
            assert following is not None and timedelta(0) < following - at <= timedelta(days=1), name
