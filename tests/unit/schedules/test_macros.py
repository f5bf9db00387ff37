"""Macros in parameters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.schedules.macros import Occasion, replace_macros, replaced
from headrace.schedules.naming import run_name, short_name

AT = datetime(2026, 6, 1, 15, 4, 9, tzinfo=timezone(timedelta(hours=2)))
TICK = Occasion(run_id="r", now=AT + timedelta(seconds=3), scheduled_at=AT, index=3)
RUN = Occasion(run_id="r", now=AT)


@pytest.mark.parametrize(
    "text, gives",
    [
        ("[[ScheduledTime]]", "20260601130409"),
        ("[[CurrentTime]]", "20260601130412"),
        ("[[ScheduledTime.Monday 2 January 06, 3:04PM]]", "Monday 1 June 26, 1:04PM"),
        ("[[ScheduledTime.2006-01-02T15:04:05Z07:00]]", "2026-06-01T13:04:09Z"),
        ("{{$.scheduledTime.strftime('%e %k %l %j %y %p %%')}}", " 1 13  1 152 26 PM %"),
        ("{{$.scheduledTime.strftime('%')}}", "{{$.scheduledTime.strftime('%')}}"),
        ("[[Index]]/[[RunUUID]]", "3/r"),
    ],
)
def test_a_text_of_a_tick(text: str, gives: str) -> None:
    assert replaced(text, TICK) == gives


def test_only_texts_themselves_are_replaced() -> None:
    given_ = {"a": "[[Index]]", "b": ["[[Index]]"], "c": {"d": "[[Index]]"}, "e": 3, "f": None}
    assert replace_macros(given_, TICK) == {**given_, "a": "3"}


def test_a_run_without_a_tick_has_no_index_and_no_scheduled_time() -> None:
    text = "[[Index]] [[ScheduledTime]] {{$.scheduledTime.strftime('%Y')}} [[RunUUID]] [[CurrentTime.2006]]"
    assert replaced(text, RUN) == text.replace("[[RunUUID]]", "r").replace("[[CurrentTime.2006]]", "2026")


@given(st.text())
def test_text_without_a_macro_stays(text: str) -> None:
    assert replaced(text, TICK) == text or "[[" in text or "{{$" in text


@given(st.text(max_size=60), st.integers(1, 10**9))
def test_names_are_plain_and_each_another(display_name: str, index: int) -> None:
    name = short_name(display_name)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and 6 <= len(name) <= 30
    assert run_name(name, index) != run_name(name, index + 1)


def test_times_are_told_in_utc() -> None:
    assert replaced("[[ScheduledTime.15]]", TICK) == f"{AT.astimezone(UTC).hour}"
