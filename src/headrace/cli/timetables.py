"""Timetables of the command line: options that say when something is due, and words for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from headrace.cli.errors import CliError

if TYPE_CHECKING:
    from headrace.wire.recurring_runs import TimetableView

F = TypeVar("F", bound=Callable[..., Any])
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def timetable_options(function: F) -> F:
    """The options of a timetable; the command gets them as `when` of `timetable`."""
    for option in reversed(
        [
            click.option(
                "--cron", metavar="TEXT", help="Minute, hour, day of month, month, day of week: '30 2 * * *'."
            ),
            click.option("--every", metavar="SPAN", help="An interval: 90s, 15m, 2h, 1d, 1w."),
            click.option(
                "--time-zone", metavar="NAME", help="Of the cron expression, such as Europe/Berlin. [default: UTC]"
            ),
            click.option("--start", metavar="TIME", help="No run before this time: 2026-06-01T09:00:00Z."),
            click.option("--end", metavar="TIME", help="No run after this time."),
            click.option(
                "--catch-up",
                metavar="WHICH",
                help="Missed ticks that make a run: latest, none, all, or a number: so many. [default: latest]",
            ),
        ]
    ):
        function = option(function)
    return function


def timetable(when: Mapping[str, str | None], old: TimetableView | None = None) -> TimetableView:
    """The timetable that the options say; what they do not say is as in the old one."""
    import msgspec

    from headrace.wire.recurring_runs import TimetableView

    given = {key: text for key, text in when.items() if text is not None}
    if "cron" in given and "every" in given:
        raise CliError("Give --cron or --every, not both.", code="USAGE", fix="Leave one of them out.")
    if old is None and "cron" not in given and "every" not in given:
        fix = "--cron '30 2 * * *' --time-zone Europe/Berlin, or --every 15m"
        raise CliError("Say when it is due.", code="USAGE", fix=fix)
    changed: dict[str, Any] = {name: given[name] for name in ("time_zone", "start", "end") if name in given}
    if "cron" in given:
        changed |= {"cron": given["cron"], "dialect": "classic", "interval_s": None}
    if "every" in given:
        changed |= {"cron": None, "interval_s": _span(given["every"])}
    if "catch_up" in given:
        changed |= _catch_up(given["catch_up"])
    return msgspec.structs.replace(old or TimetableView(), **changed)


def _span(text: str) -> int:
    found = re.fullmatch(r"\s*(\d{1,9})\s*([smhdw])\s*", text)
    if found is None:
        raise CliError(f"{text!r} is not an interval.", code="USAGE", fix="For example --every 90s, 15m, 2h, 1d, 1w")
    return int(found[1]) * _UNITS[found[2]]


def _catch_up(text: str) -> dict[str, Any]:
    if text in ("all", "latest", "none"):
        return {"catch_up": text, "catch_up_limit": None}
    if text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= 100:
        return {"catch_up": "all", "catch_up_limit": int(text)}
    fix = "--catch-up latest, none, all, or a number from 1 to 100"
    raise CliError(f"{text!r} does not say which missed ticks make runs.", code="USAGE", fix=fix)


def due_words(view: TimetableView) -> str:
    """When it is due, in a few words."""
    if view.cron is not None:
        seconds_first = ", seconds first" if view.dialect == "kfp" and not view.cron.startswith("@") else ""
        return f"{view.cron} ({view.time_zone}{seconds_first})"
    seconds = view.interval_s
    if seconds is None:
        return "once"
    unit = max((one for one in _UNITS if seconds % _UNITS[one] == 0), key=lambda one: _UNITS[one])
    return f"every {seconds // _UNITS[unit]}{unit}"


def in_zone(text: str | None, view: TimetableView) -> str:
    """A time in the timetable's zone, with its offset."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from headrace.cli.terminal import moment

    at = moment(text)
    if at is None:
        return ""
    return f"{datetime.fromtimestamp(at, ZoneInfo(view.time_zone)):%a %Y-%m-%d %H:%M:%S %z}"
