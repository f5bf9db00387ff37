"""Macros in the parameters of a run: `[[ScheduledTime]]`, `[[CurrentTime]]`, `[[Index]]`, `[[RunUUID]]`.

A time may have a layout, as Go's package `time` has it (`[[ScheduledTime.2006-01-02]]`), or KFP's other form
(`{{$.scheduledTime.strftime('%Y-%m-%d')}}`). Times are in UTC. What is not known stays as it is written: an unknown
name, and in a run without a tick the scheduled time and the index.
Source: kubeflow/pipelines `backend/src/common/util/parameter_formatter.go`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

Json: TypeAlias = Any

_MACRO: Final = re.compile(r"\[\[(.*?)\]\]|\{\{\$\.(scheduledTime|currentTime)\.strftime\('([^']*)'\)\}\}")
_TIMES: Final = {"ScheduledTime": "scheduled_at", "CurrentTime": "now"}
_KFP_TIMES: Final = {"scheduledTime": "scheduled_at", "currentTime": "now"}
_LAYOUT: Final = "20060102150405"
#: Go's reference time, in the order in which Go looks for its parts.
_GO: Final[dict[str, Callable[[datetime], str]]] = {
    "January": lambda at: f"{at:%B}",
    "Jan": lambda at: f"{at:%b}",
    "Monday": lambda at: f"{at:%A}",
    "Mon": lambda at: f"{at:%a}",
    "MST": lambda at: "UTC",
    "2006": lambda at: f"{at.year:04}",
    "__2": lambda at: f"{at.timetuple().tm_yday:3}",
    "002": lambda at: f"{at:%j}",
    "01": lambda at: f"{at:%m}",
    "02": lambda at: f"{at:%d}",
    "03": lambda at: f"{at:%I}",
    "04": lambda at: f"{at:%M}",
    "05": lambda at: f"{at:%S}",
    "06": lambda at: f"{at:%y}",
    "15": lambda at: f"{at:%H}",
    "-07:00": lambda at: "+00:00",
    "-0700": lambda at: "+0000",
    "-07": lambda at: "+00",
    "Z07:00": lambda at: "Z",
    "Z0700": lambda at: "Z",
    "_2": lambda at: f"{at.day:2}",
    "PM": lambda at: f"{at:%p}",
    "pm": lambda at: f"{at:%p}".lower(),
    "1": lambda at: str(at.month),
    "2": lambda at: str(at.day),
    "3": lambda at: str((at.hour - 1) % 12 + 1),
    "4": lambda at: str(at.minute),
    "5": lambda at: str(at.second),
}
_GO_PART: Final = re.compile("|".join(re.escape(part) for part in _GO))
_STRFTIME_PART: Final = re.compile(r"%(.?)", re.DOTALL)
_STRFTIME: Final[dict[str, Callable[[datetime], str]]] = {
    **{letter: partial(lambda letter, at: at.strftime(f"%{letter}"), letter) for letter in "AaBbCdHIjMmpSUuVWwyYZ"},
    "%": lambda at: "%",
    "c": lambda at: f"{at:%a %b} {at.day:2} {at:%H:%M:%S %Y}",
    "D": lambda at: f"{at:%m/%d/%y}",
    "e": lambda at: f"{at.day:2}",
    "F": lambda at: f"{at:%Y-%m-%d}",
    "h": lambda at: f"{at:%b}",
    "k": lambda at: f"{at.hour:2}",
    "l": lambda at: f"{(at.hour - 1) % 12 + 1:2}",
    "n": lambda at: "\n",
    "R": lambda at: f"{at:%H:%M}",
    "r": lambda at: f"{at:%I:%M:%S %p}",
    "s": lambda at: str(int(at.timestamp())),
    "T": lambda at: f"{at:%H:%M:%S}",
    "t": lambda at: "\t",
    "v": lambda at: f"{at.day:2}-{at:%b-%Y}",
    "X": lambda at: f"{at:%H:%M:%S}",
    "x": lambda at: f"{at:%m/%d/%y}",
    "z": lambda at: "+0000",
}


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """What macros of one run stand for."""

    run_id: str
    #: When the run is made.
    now: datetime
    #: The tick's own time and its number, for a run of a recurring run.
    scheduled_at: datetime | None = None
    index: int | None = None


def replace_macros(parameters: Mapping[str, Json], occasion: Occasion) -> dict[str, Json]:
    """The parameters with macros replaced in those that are texts; texts within lists and objects stay as they are."""
    return {name: replaced(value, occasion) if isinstance(value, str) else value for name, value in parameters.items()}


def replaced(text: str, occasion: Occasion) -> str:
    """One text, with its macros replaced."""
    if "[[" not in text and "{{$" not in text:
        return text
    return _MACRO.sub(lambda found: _meaning(found, occasion), text)


def _meaning(found: re.Match[str], occasion: Occasion) -> str:
    if found[2]:
        at = _time(_KFP_TIMES[found[2]], occasion)
        text = None if at is None else _strftime(at, found[3])
        return found[0] if text is None else text
    name, dot, layout = found[1].partition(".")
    if name in _TIMES:
        at = _time(_TIMES[name], occasion)
        return found[0] if at is None else _go(at, layout if dot else _LAYOUT)
    if found[1] == "Index" and occasion.index is not None:
        return str(occasion.index)
    return occasion.run_id if found[1] == "RunUUID" else found[0]


def _time(field: str, occasion: Occasion) -> datetime | None:
    at: datetime | None = getattr(occasion, field)
    return None if at is None else at.astimezone(UTC)


def _go(at: datetime, layout: str) -> str:
    return _GO_PART.sub(lambda found: _GO[found[0]](at), layout)


def _strftime(at: datetime, pattern: str) -> str | None:
    """None where the pattern has a letter that is not known."""
    if any(letter not in _STRFTIME for letter in _STRFTIME_PART.findall(pattern)):
        return None
    return _STRFTIME_PART.sub(lambda found: _STRFTIME[found[1]](at), pattern)
