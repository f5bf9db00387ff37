"""Server-sent events, read from lines, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec


class SentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event."""

    event: str
    data: str
    #: The last id of the stream, which may be an earlier event's.
    id: str = ""


def parse_events(lines: Iterable[bytes]) -> Iterator[SentEvent]:
    """The events in the lines; comments (heartbeats) are skipped, and an unfinished last event is dropped."""
    event, last_id = "message", ""
    data: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            if data:
                yield SentEvent(event=event, data="\n".join(data), id=last_id)
            event, data = "message", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            last_id = value
