"""The event log of runs: everything that happened to each, in order.

It is the record from which a run's state can be worked out again: tests replay it. The product reads only the first
event of a run, for what it reuses of an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from headrace.engine.model import AnyEvent, Reusable, RunStarted
from headrace.store import codec
from headrace.store.tables import run_events

_INSERT = insert(run_events)
_FIRST_EVENT = select(run_events.c.body).where(run_events.c.run_id == bindparam("its_id"), run_events.c.seq == 0)


def event_rows(run_id: str, first_seq: int, events: Iterable[AnyEvent]) -> Iterable[dict[str, Any]]:
    """Rows of events that follow each other."""
    for seq, event in enumerate(events, start=first_seq):
        yield {"run_id": run_id, "seq": seq, "at": event.at, "body": codec.encode(event)}


def insert_events(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows of `event_rows`."""
    if rows:
        conn.execute(_INSERT, rows)


def get_reuse(conn: Connection, run_id: str) -> dict[str, Reusable]:
    """What the run reuses of the run that it was made from, by path."""
    first = conn.execute(_FIRST_EVENT, {"its_id": run_id}).scalar()
    started = None if first is None else codec.decode_event(first)
    return started.reuse if isinstance(started, RunStarted) else {}


def get_events(conn: Connection, run_id: str, *, after_seq: int = -1) -> tuple[AnyEvent, ...]:
    """The log, in order."""
    rows = select(run_events.c.body).where(run_events.c.run_id == run_id, run_events.c.seq > after_seq)
    return tuple(codec.decode_event(body) for body in conn.execute(rows.order_by(run_events.c.seq)).scalars().all())
