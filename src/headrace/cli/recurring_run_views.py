"""What `headrace recurring-runs` prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from headrace.cli.timetables import due_words, in_zone

if TYPE_CHECKING:
    from headrace.cli.terminal import Paint
    from headrace.wire.recurring_runs import RecurringRunView, TickList, TickView, TimetableView

_WORDS = {
    "FIRED": "made a run",
    "REFUSED": "no run",
    "WAITING": "waits",
    "COMING": "comes",
    "PAUSED": "paused",
}


def print_list(listed: list[RecurringRunView], total: int) -> None:
    """Print a table of them; `total`: how many there are in all."""
    from headrace.cli.terminal import more_line, shorten, table

    paint = _paint()
    rows = [
        (
            one.recurring_run_id[:8],
            "enabled" if one.enabled else "disabled",
            shorten(one.display_name, 48),
            due_words(one.timetable),
            str(one.run_count),
            in_zone(one.next_tick_at, one.timetable) if one.next_tick_at else "none",
        )
        for one in listed
    ]
    print(table(rows, heads=("id", "", "name", "due", "runs", "next tick"), paint=paint))
    if total > len(listed):
        print(more_line(len(listed), total, paint))


def print_one(one: RecurringRunView) -> None:
    """Print one with its settings."""
    import msgspec

    from headrace.cli.terminal import shorten

    paint = _paint()
    print(f"{paint.bold(one.display_name)}  {paint.dim(f'recurring run {one.recurring_run_id}')}")
    if one.description:
        print(f"  {one.description}")
    lines = [
        f"  {'enabled' if one.enabled else 'disabled'}, due {due_words(one.timetable)}",
        f"  of missed ticks, {_caught_up(one.timetable)}",
        f"  {one.max_concurrency} of its runs may be unfinished; then a tick {_AT_LIMIT[one.at_limit]}",
        f"  made {one.run_count} run{'' if one.run_count == 1 else 's'}",
    ]
    for line in lines:
        print(paint.dim(line))
    for name, value in one.parameters.items():
        print(paint.dim(f"  {name} = {shorten(msgspec.json.encode(value).decode(), 100)}"))


_AT_LIMIT = {"wait": "waits", "skip": "makes no run", "cancel": "cancels the oldest"}


def _caught_up(view: TimetableView) -> str:
    if view.catch_up_limit is not None:
        return f"the {view.catch_up_limit} latest make runs"
    return {"all": "all make runs", "latest": "the latest makes a run", "none": "none makes a run"}[view.catch_up]


def print_ticks(listed: TickList, timetable: TimetableView) -> None:
    """Print ticks in the order of their times."""
    from headrace.cli.terminal import table

    shown = [*reversed(listed.past), *([listed.waiting] if listed.waiting else []), *listed.coming]
    if not shown:
        print("\nNo tick has been, and none comes.")
        return
    print()
    rows = [(in_zone(one.at, timetable), _WORDS[one.state], _story(one)) for one in shown]
    print(table(rows, heads=("tick", "", ""), paint=_paint()))


def _story(tick: TickView) -> str:
    parts = [
        f"run {tick.run_id[:8]}" if tick.run_id else "",
        f"{tick.missed_before:,} missed before it" if tick.missed_before else "",
        f"{tick.reason.message} [{tick.reason.code}]" if tick.reason else "",
    ]
    return "; ".join(filter(None, parts))


def print_coming(listed: TickList, timetable: TimetableView) -> None:
    """Print when the next ticks come."""
    if not listed.coming:
        print("No tick comes: its end has passed.")
        return
    paused = listed.coming[0].reason
    print("Next ticks:" if paused is None else f"{paused.message} Its ticks would be:")
    for one in listed.coming:
        print(f"  {in_zone(one.at, timetable)}")


def print_json(value: object) -> None:
    """Print what the API gave."""
    from headrace.cli.terminal import json_text

    print(json_text(value))


def _paint() -> Paint:
    from headrace.cli.terminal import Paint

    return Paint.for_stream(sys.stdout)
