"""Cron expressions: read, checked, and the times at which they are due, in a time zone.

Two dialects. KFP's has the seconds first (`0 0 9 * * MON-FRI`), and day-of-week may be left out; its rules are those of
robfig/cron 1.2, which KFP uses. The classic one has five fields, minutes first (`0 9 * * 1-5`).

How a change of the clocks counts: `Clocks.EACH` as KFP does (a local time that is left out is not due, one that comes
twice is due twice), `Clocks.ONCE` as people expect (once after the gap, once in the overlap).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, Literal, TypeAlias

import msgspec

from headrace.schedules.stepping import next_by_steps

Dialect: TypeAlias = Literal["kfp", "classic"]

#: A date such as 29 February comes again after eight years at the most.
_YEARS: Final = 9
_SECOND: Final = timedelta(seconds=1)
#: A time zone is looked at in such steps for a change of its offset. None has two changes within one.
_STEP: Final = timedelta(hours=12)


class CronError(ValueError):
    """The text is not a cron expression. The message says which field is wrong, and why."""


class Clocks(enum.Enum):
    """What happens to local times that a change of the clocks leaves out or repeats."""

    EACH = "each"
    ONCE = "once"


class _Range(msgspec.Struct, frozen=True):
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_SECONDS = _Range("seconds", 0, 59)
_MINUTES = _Range("minutes", 0, 59)
_HOURS = _Range("hours", 0, 23)
_DAY_OF_MONTH = _Range("day of month", 1, 31)
_MONTH = _Range("month", 1, 12, _MONTHS)
_DAY_OF_WEEK = _Range("day of week", 0, 6, _DAYS)

_WORDS: Final = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_EVERY: Final = "@every "
_DURATION: Final = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_DURATION_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
#: Longer than any schedule lives; more would be no date any more.
_LONGEST_S: Final = 100 * 366 * 86_400


class Cron(msgspec.Struct, frozen=True, kw_only=True):
    """A cron expression that was read: the values of each field at which it is due."""

    text: str
    seconds: tuple[int, ...] = (0,)
    minutes: tuple[int, ...] = ()
    hours: tuple[int, ...] = ()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    #: Whether the field has `*`: if either has, both must fit; else one of them is enough.
    any_day: bool = True
    any_weekday: bool = True
    any_hour: bool = True
    #: Seconds of `@every`; 0 for an expression of fields.
    every_s: int = 0

    def next_after(self, when: datetime, zone: tzinfo = UTC, clocks: Clocks = Clocks.EACH) -> datetime | None:
        """The first time after `when` at which it is due, in UTC and whole seconds; None: there is none in nine years.

        `when` has a time zone, any one; `zone` is that of the fields.
        """
        if self.every_s:
            return (when + timedelta(seconds=self.every_s)).astimezone(UTC).replace(microsecond=0)
        when = when.astimezone(UTC).replace(microsecond=0)
        try:
            if clocks is Clocks.EACH and zone is not UTC:
                return next_by_steps(_Fields(self), when, zone, years=_YEARS)
            return self._next(when, zone)
        except OverflowError:
            return None

    def latest_until(
        self, first: datetime, until: datetime, zone: tzinfo = UTC, clocks: Clocks = Clocks.EACH
    ) -> datetime:
        """The last time not after `until` at which it is due; `first`: one such time. In some 30 steps."""
        if self.every_s:
            return first + timedelta(seconds=(until - first) // timedelta(seconds=self.every_s) * self.every_s)
        low, high = first, until.astimezone(UTC).replace(microsecond=0)
        latest = first
        while low < high:
            middle = low + (high - low) / 2
            middle = middle.replace(microsecond=0)
            found = self.next_after(middle, zone, clocks)
            if found is None or found > high:
                high = middle
            else:
                low = latest = found
        return latest

    def _next(self, when: datetime, zone: tzinfo) -> datetime | None:
        begin, limit = when, when.year + _YEARS
        while begin.year <= limit:
            offset = _offset(begin + _SECOND, zone)
            local = next(self._local_times((begin + offset).replace(tzinfo=None)), None)
            if local is None:
                return None
            found = (local - offset).replace(tzinfo=UTC)
            change = _change_until(begin, zone, found)
            if change is None:
                if not self._was_due_before(found, zone):
                    return found
                begin = found
            elif change > when and self._in_gap(change, zone):
                return change
            else:
                # The second before the change, so that the change itself is looked at.
                begin = change - _SECOND
        return None

    def _local_times(self, after: datetime) -> Iterator[datetime]:
        """Local times after `after` at which it is due, as far as nine years ahead."""
        day, least = after.date(), after.time()
        first = True
        while day.year <= after.year + _YEARS:
            if day.month not in self.months:
                day, first = _first_of_next_month(day), False
                continue
            if self.on_day(day):
                for hour in self.hours:
                    if first and hour < least.hour:
                        continue
                    for minute in self.minutes:
                        if first and (hour, minute) < (least.hour, least.minute):
                            continue
                        for second in self.seconds:
                            found = datetime(day.year, day.month, day.day, hour, minute, second)
                            if found > after:
                                yield found
            if day == date.max:
                return
            day, first = day + timedelta(days=1), False

    def on_day(self, day: date) -> bool:
        """Whether day of month and day of week fit."""
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return in_month and in_week if self.any_day or self.any_weekday else in_month or in_week

    def _was_due_before(self, found: datetime, zone: tzinfo) -> bool:
        """Whether the same local time has come already, before the clocks went back; not counted for every hour."""
        return not self.any_hour and found.astimezone(zone).fold == 1

    def _in_gap(self, change: datetime, zone: tzinfo) -> bool:
        """Whether a local time that this change leaves out would have been due; not counted for every hour."""
        before, after = _offset(change - _SECOND, zone), _offset(change, zone)
        if after <= before or self.any_hour:
            return False
        begin, end = ((change + offset).replace(tzinfo=None) for offset in (before, after))
        found = next(self._local_times(begin - _SECOND), None)
        return found is not None and found < end


class _Fields:
    """See `stepping.Fields`."""

    def __init__(self, cron: Cron) -> None:
        self._cron = cron

    def in_month(self, local: datetime) -> bool:
        return local.month in self._cron.months

    def on_day(self, local: datetime) -> bool:
        return self._cron.on_day(local.date())

    def in_hour(self, local: datetime) -> bool:
        return local.hour in self._cron.hours

    def in_minute(self, local: datetime) -> bool:
        return local.minute in self._cron.minutes

    def in_second(self, local: datetime) -> bool:
        return local.second in self._cron.seconds


def read_cron(text: str, dialect: Dialect) -> Cron:
    """Read an expression. Raises CronError."""
    stripped = text.strip()
    if not stripped:
        raise CronError("The cron expression is empty.")
    if stripped.startswith("@"):
        return _word(stripped, text)
    fields = stripped.split()
    if dialect == "classic":
        if len(fields) != 5:
            raise CronError(
                "A cron expression has five fields (minute, hour, day of month, month, day of week), not "
                f"{len(fields)}: {stripped!r}."
            )
        fields = ["0", *fields]
    elif len(fields) not in (5, 6):
        raise CronError(
            "A cron expression has five or six fields (second, minute, hour, day of month, month, and perhaps day of "
            f"week), not {len(fields)}: {stripped!r}."
        )
    return _of_fields([*fields, "*"][:6], text, dialect)


def _word(word: str, text: str) -> Cron:
    if word in _WORDS:
        return _of_fields(_WORDS[word].split(), text, "kfp")
    if word.startswith(_EVERY):
        return Cron(text=text, every_s=max(1, int(_seconds(word.removeprefix(_EVERY).strip()))))
    known = ", ".join([*_WORDS, "@every 1h30m"])
    raise CronError(f"{word!r} is not known; known are {known}.")


def _seconds(text: str) -> float:
    if not _DURATION.fullmatch(text):
        raise CronError(f"{text!r} is not a duration; write for instance 90s, 15m or 1h30m.")
    total = sum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    if total > _LONGEST_S:
        raise CronError(f"{text!r} is longer than a hundred years.")
    return -total if text.startswith("-") else total


def _of_fields(fields: list[str], text: str, dialect: Dialect) -> Cron:
    seconds, minutes, hours, days, months, weekdays = fields
    return Cron(
        text=text,
        seconds=tuple(sorted(_values(seconds, _SECONDS))),
        minutes=tuple(sorted(_values(minutes, _MINUTES))),
        hours=tuple(sorted(_values(hours, _HOURS))),
        days=_values(days, _DAY_OF_MONTH),
        months=_values(months, _MONTH),
        weekdays=_weekdays(weekdays, dialect),
        any_day=_has_star(days),
        any_weekday=_has_star(weekdays),
        any_hour=_has_star(hours),
    )


def _weekdays(field: str, dialect: Dialect) -> frozenset[int]:
    """Sunday is 0, and in the classic dialect also 7."""
    if dialect == "kfp":
        return _values(field, _DAY_OF_WEEK)
    return frozenset(day % 7 for day in _values(field, msgspec.structs.replace(_DAY_OF_WEEK, most=7)))


def _has_star(field: str) -> bool:
    return any(part.partition("/")[0] in ("*", "?") for part in field.split(","))


def _values(field: str, known: _Range) -> frozenset[int]:
    parts = [part for part in field.split(",") if part]
    if not parts:
        raise CronError(f"The field for {known.name} is empty: {field!r}.")
    return frozenset(value for part in parts for value in _part(part, known))


def _part(part: str, known: _Range) -> range:
    span, slash, step_text = part.partition("/")
    if span in ("*", "?"):
        # In the classic dialect Sunday is both 0 and 7.
        first, last = known.least, known.most
    else:
        low, dash, high = span.partition("-")
        first = _number(low, part, known)
        last = _number(high, part, known) if dash else first
        if slash and not dash:
            last = known.most
    step = _number(step_text, part, msgspec.structs.replace(known, names=())) if slash else 1
    if step < 1:
        raise CronError(f"The step of {part!r} ({known.name}) must be at least 1.")
    if first < known.least:
        raise CronError(f"{first} is too small for {known.name}: {part!r}; the least is {known.least}.")
    if last > known.most:
        raise CronError(f"{last} is too large for {known.name}: {part!r}; the most is {known.most}.")
    if first > last:
        raise CronError(f"The range {part!r} ({known.name}) begins after its end.")
    return range(first, last + 1, step)


def _number(text: str, part: str, known: _Range) -> int:
    if text.upper() in known.names:
        # Months count from 1, days of the week from 0.
        return known.names.index(text.upper()) + known.least
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise CronError(f"{text!r} is not a number for {known.name}: {part!r}.")
    return int(text)


def _first_of_next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _offset(when: datetime, zone: tzinfo) -> timedelta:
    return when.astimezone(zone).utcoffset() or timedelta()


def _change_until(when: datetime, zone: tzinfo, until: datetime) -> datetime | None:
    """The first second after `when` and not after `until` from which the zone has another offset."""
    if zone is UTC:
        return None
    low = when + _SECOND
    offset = _offset(low, zone)
    high = min(low + _STEP, until)
    while _offset(high, zone) == offset:
        if high >= until:
            return None
        low, high = high, min(high + _STEP, until)
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if _offset(middle, zone) == offset:
            low = middle
        else:
            high = middle
    return high
