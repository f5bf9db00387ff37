"""Recurring runs answer as KFP's own scheduler does: cron texts, changes of the clocks, decisions, macros, names."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from headrace.schedules.cron import CronError, read_cron
from headrace.schedules.macros import Occasion, replaced
from headrace.schedules.naming import run_name
from headrace.schedules.ticks import MAX_CONCURRENCY, CatchUp, Timetable, next_tick

ANSWERS = Path(__file__).parents[3] / "shared" / "conformance" / "schedules.jsonl"
ROWS = [json.loads(line) for line in ANSWERS.read_text().splitlines()] if ANSWERS.exists() else []
pytestmark = pytest.mark.skipif(not ROWS, reason="no answers at ../shared/conformance beside the repository")


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(row, id=f"{kind}-{number}") for number, row in enumerate(ROWS) if row["kind"] == kind]


def at(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def shown(when: datetime | None) -> str:
    return "never" if when is None else f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.parametrize("row", of_kind("parse"))
def test_cron_texts(row: dict[str, Any]) -> None:
    if not row["ok"]:
        with pytest.raises(CronError):
            read_cron(row["cron"], "kfp")
        return
    cron, when, found = read_cron(row["cron"], "kfp"), at(row["from"]), []
    assert when is not None
    for _ in row["next"]:
        following = cron.next_after(when)
        found.append(shown(following))
        if following is None:
            break
        when = following
    # KFP's date for a time that never comes is the year 1, and so it is due at once and for ever. Ours is never due.
    wanted = ["never"] if row["next"][0].startswith("0001") else row["next"]
    assert found == wanted


@pytest.mark.parametrize("row", of_kind("zone"))
def test_changes_of_the_clocks(row: dict[str, Any]) -> None:
    cron, when = read_cron(row["cron"], "kfp"), at(row["from"])
    found = []
    for _ in row["next"]:
        assert when is not None
        when = cron.next_after(when, ZoneInfo(row["zone"]))
        found.append(shown(when))
    assert found == [text.partition(" = ")[0] for text in row["next"]]


@pytest.mark.parametrize("row", of_kind("tick"))
def test_decisions(row: dict[str, Any]) -> None:
    timetable = Timetable(
        cron=read_cron(row["cron"], "kfp") if row.get("cron") else None,
        interval_s=int(row["interval_second"]) if row["interval_second"] else None,
        start=at(row["start"]),
        end=at(row["end"]),
        catch_up=CatchUp.LATEST if row["no_catchup"] else CatchUp.ALL,
    )
    now, created = at(row["now"]), at(row["created"])
    assert now is not None and created is not None
    tick = next_tick(timetable, last=at(row["last"]), created=created, now=now)
    if row["next"].startswith("0001"):
        assert tick is None
        return
    assert shown(tick) == row["next"]
    free = row["active"] < min(row["max"], MAX_CONCURRENCY)
    assert (row["enabled"] and free and tick is not None and tick <= now) == row["fires_now"]


@pytest.mark.parametrize("row", of_kind("macro"))
def test_macros(row: dict[str, Any]) -> None:
    known = row["scheduled_and_index_known"]
    occasion = Occasion(
        run_id="0f0f0f0f-0000-4000-8000-000000000001",
        now=datetime(2026, 6, 1, 10, 0, 7, tzinfo=UTC),
        scheduled_at=datetime(2026, 6, 1, 10, tzinfo=UTC) if known else None,
        index=7 if known else None,
    )
    assert replaced(row["text"], occasion) == row["gives"]


@pytest.mark.parametrize("row", of_kind("name"))
def test_names_of_runs(row: dict[str, Any]) -> None:
    assert run_name(row["swf"], row["last_index"] + 1) == row["run_display_name"]


def test_each_kind_of_answer_is_there() -> None:
    assert {row["kind"] for row in ROWS} == {"parse", "zone", "tick", "macro", "name"}
