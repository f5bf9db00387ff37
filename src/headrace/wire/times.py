"""Times on the wire: inside they are seconds since the epoch, outside RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(at: float) -> datetime:
    """The time at these seconds since the epoch."""
    return datetime.fromtimestamp(at, UTC)


def seconds(at: float | None) -> datetime:
    """In whole seconds, as KFP writes times. None is the epoch, as in KFP."""
    return EPOCH if at is None else utc(int(at))


def optional_seconds(at: float | None) -> datetime | None:
    """As `seconds`, but None stays None."""
    return None if at is None else seconds(at)


def millis(at: float) -> str:
    """In milliseconds, as our own API writes times: `2026-11-23T15:43:10.123Z`."""
    return utc(at).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def optional_millis(at: float | None) -> str | None:
    """As `millis`; None stays None."""
    return None if at is None else millis(at)


def parse(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 text; without a zone it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
