"""Times in a zone as KFP's cron library finds them: field by field, in steps of real time.

Where the clocks change this decides which local times are skipped and which come twice, also for changes of half an
hour, which a search by local times would answer in another way. Source: robfig/cron 1.2, `spec.go`; how a local time
that does not exist becomes a time is Go's `time.Date`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Protocol

_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
#: A step that ends a year, month, day, hour, or minute begins the whole search again; there are no more of them.
_MOST_ROUNDS: Final = 20_000


class Fields(Protocol):
    """What a cron expression says of a local time."""

    def in_month(self, local: datetime) -> bool:
        """Whether the month fits."""

    def on_day(self, local: datetime) -> bool:
        """Whether day of month and day of week fit."""

    def in_hour(self, local: datetime) -> bool:
        """Whether the hour fits."""

    def in_minute(self, local: datetime) -> bool:
        """Whether the minute fits."""

    def in_second(self, local: datetime) -> bool:
        """Whether the second fits."""


class _Walk:
    """One search. `at` is the time that it has come to, in UTC."""

    def __init__(self, fields: Fields, after: datetime, zone: tzinfo) -> None:
        self.fields, self.zone = fields, zone
        self.at = (after + _SECOND).astimezone(UTC)
        #: Whether smaller fields were set to their least value.
        self.cut = False

    @property
    def local(self) -> datetime:
        """The time that it has come to, in the zone."""
        return self.at.astimezone(self.zone)

    def run(self) -> bool:
        """One round; False when a larger field changed, so that the search begins again."""
        return self._months() and self._days() and self._hours() and self._minutes() and self._seconds()

    def _months(self) -> bool:
        while not self.fields.in_month(self.local):
            self._cut_to(day=1, hour=0, minute=0, second=0)
            local = self.local
            self._go_to(local.replace(year=local.year + local.month // 12, month=local.month % 12 + 1))
            if self.local.month == 1:
                return False
        return True

    def _days(self) -> bool:
        while not self.fields.on_day(self.local):
            self._cut_to(hour=0, minute=0, second=0)
            self._go_to(self.local + timedelta(days=1))
            if self.local.day == 1:
                return False
        return True

    def _hours(self) -> bool:
        while not self.fields.in_hour(self.local):
            self._cut_to(minute=0, second=0)
            self.at += _HOUR
            if self.local.hour == 0:
                return False
        return True

    def _minutes(self) -> bool:
        while not self.fields.in_minute(self.local):
            if not self.cut:
                # In real time: no local time is looked up, which might come twice.
                self.cut, self.at = True, self.at.replace(second=0)
            self.at += _MINUTE
            if self.local.minute == 0:
                return False
        return True

    def _seconds(self) -> bool:
        while not self.fields.in_second(self.local):
            self.cut = True
            self.at += _SECOND
            if self.local.second == 0:
                return False
        return True

    def _cut_to(self, **least: int) -> None:
        if not self.cut:
            self.cut = True
            self._go_to(self.local.replace(**least))  # type: ignore[arg-type]

    def _go_to(self, local: datetime) -> None:
        self.at = _instant(local, self.zone)


def next_by_steps(fields: Fields, after: datetime, zone: tzinfo, *, years: int) -> datetime | None:
    """The first time after `after` (whole seconds, UTC) that the fields fit, in UTC; None: none in so many years."""
    walk = _Walk(fields, after, zone)
    limit = walk.local.year + years
    for _ in range(_MOST_ROUNDS):
        if walk.local.year > limit:
            return None
        if walk.run():
            return walk.at
    return None


def _instant(local: datetime, zone: tzinfo) -> datetime:
    """The local time as a time, as Go decides it: by the offset that holds there if the local time were UTC."""
    taken = local.replace(tzinfo=UTC, fold=0)
    first = taken.astimezone(zone).utcoffset() or timedelta()
    second = (taken - first).astimezone(zone).utcoffset() or timedelta()
    return taken - second
