"""Recurring runs, and the ticks that each has had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from headrace.engine.model import Json
from headrace.store.codec import decode_as, decode_object, decode_reason, encode
from headrace.store.documents import EncodedDocument, decode_document, drop_unused, get_body, put_document
from headrace.store.errors import Stale
from headrace.store.queries import Key, Noun, fetch_page
from headrace.store.records import FINAL_STATES, ListQuery, Page, RecurringRunRecord, StoredTimetable, TickRecord
from headrace.store.tables import recurring_runs, runs, ticks

#: Ticks of one recurring run that are kept; older ones stand only in the runs that they have made.
KEPT_TICKS = 1000

_c = recurring_runs.c
_t = ticks.c
_NOUN = Noun(
    name="recurring run",
    id=_c.recurring_run_id,
    namespace=_c.namespace,
    experiment=_c.experiment_id,
    keys={
        "id": Key(column=_c.recurring_run_id),
        "recurring_run_id": Key(column=_c.recurring_run_id),
        "name": Key(column=_c.display_name),
        "display_name": Key(column=_c.display_name),
        "created_at": Key(column=_c.created_at, time=True),
        "updated_at": Key(column=_c.updated_at, time=True),
        "description": Key(column=_c.description, long=True),
        "namespace": Key(column=_c.namespace),
        "experiment_id": Key(column=_c.experiment_id),
        "next_tick_at": Key(column=_c.next_tick_at, time=True),
    },
)
#: Columns that are fields of the record as they are.
_PLAIN = (
    "recurring_run_id",
    "display_name",
    "short_name",
    "description",
    "namespace",
    "experiment_id",
    "created_by",
    "pipeline_id",
    "pipeline_version_id",
    "document",
    "pipeline_root",
    "service_account",
    "max_concurrency",
    "at_limit",
    "enabled",
    "created_at",
    "updated_at",
    "tick_index",
    "last_tick_at",
    "next_tick_at",
)


class TickTaken(Stale):
    """The tick has been handled already, by another server or before a restart; or the recurring run was changed."""


def insert_recurring_run(
    conn: Connection, record: RecurringRunRecord, *, document: EncodedDocument | str | None
) -> None:
    """Record a new one. `document`: of one that was made from a document, not from what was uploaded."""
    digest = None if document is None else put_document(conn, document)
    conn.execute(insert(recurring_runs).values(**_values(record), document=digest))


def update_recurring_run(conn: Connection, record: RecurringRunRecord, *, read_at: float) -> bool:
    """Write everything of it again but its document and what its ticks have changed.

    `read_at`: its `updated_at` when it was read. False when somebody has changed it since then.
    """
    values = _values(record)
    for name in ("recurring_run_id", "tick_index", "last_tick_at"):
        del values[name]
    same = (_c.recurring_run_id == record.recurring_run_id, _c.updated_at == read_at)
    return conn.execute(update(recurring_runs).where(*same).values(**values)).rowcount == 1


def get_recurring_run(conn: Connection, recurring_run_id: str) -> RecurringRunRecord | None:
    """By id."""
    row = conn.execute(select(recurring_runs).where(_c.recurring_run_id == recurring_run_id)).first()
    return None if row is None else _record(row)


def list_recurring_runs(conn: Connection, query: ListQuery, secret: bytes) -> Page[RecurringRunRecord]:
    """One page."""
    return fetch_page(conn, _NOUN, select(recurring_runs), query, secret=secret, make=_record)


def set_enabled(conn: Connection, recurring_run_id: str, enabled: bool, at: float) -> None:
    """Let it make runs, or not."""
    conn.execute(
        update(recurring_runs).where(_c.recurring_run_id == recurring_run_id).values(enabled=enabled, updated_at=at)
    )


def disable_of_experiment(conn: Connection, experiment_id: str, at: float) -> None:
    """Disable all of an experiment."""
    conn.execute(
        update(recurring_runs).where(_c.experiment_id == experiment_id, _c.enabled).values(enabled=False, updated_at=at)
    )


def delete_recurring_run(conn: Connection, recurring_run_id: str) -> None:
    """With its ticks; its runs stay."""
    digest = conn.execute(select(_c.document).where(_c.recurring_run_id == recurring_run_id)).scalar()
    conn.execute(delete(ticks).where(_t.recurring_run_id == recurring_run_id))
    conn.execute(delete(recurring_runs).where(_c.recurring_run_id == recurring_run_id))
    if digest is not None:
        drop_unused(conn, digest)


# --- ticks -------------------------------------------------------------------------------------


def due(conn: Connection, at: float) -> list[RecurringRunRecord]:
    """Those that have a tick by then, the one that waits longest first."""
    rows = select(recurring_runs).where(_c.enabled, _c.next_tick_at <= at).order_by(_c.next_tick_at)
    return [_record(row) for row in conn.execute(rows)]


def next_due(conn: Connection) -> float | None:
    """When the next tick of all is; None: there is none."""
    found: float | None = conn.execute(select(func.min(_c.next_tick_at)).where(_c.enabled)).scalar()
    return found


def unfinished(conn: Connection, recurring_run_ids: Sequence[str]) -> dict[str, int]:
    """How many runs of each have not ended."""
    rows = (
        select(runs.c.recurring_run_id, func.count())
        .where(runs.c.recurring_run_id.in_(recurring_run_ids), runs.c.state.not_in(FINAL_STATES))
        .group_by(runs.c.recurring_run_id)
    )
    return {row[0]: row[1] for row in conn.execute(rows)}


def unfinished_runs(conn: Connection, recurring_run_id: str, limit: int) -> list[str]:
    """Ids of its runs that have not ended, the oldest first."""
    rows = (
        select(runs.c.run_id)
        .where(runs.c.recurring_run_id == recurring_run_id, runs.c.state.not_in(FINAL_STATES))
        .order_by(runs.c.created_at)
        .limit(limit)
    )
    return list(conn.execute(rows).scalars())


def record_tick(
    conn: Connection, run_id: str | None, *, record: RecurringRunRecord, tick: TickRecord, next_tick_at: float | None
) -> None:
    """Record that a tick was handled, in the transaction that makes its run.

    `record`: the recurring run as it was when this was decided. Raises TickTaken when it is not so any more.
    """
    changed = conn.execute(
        update(recurring_runs)
        .where(
            _c.recurring_run_id == record.recurring_run_id,
            _c.enabled,
            _c.updated_at == record.updated_at,
            _c.last_tick_at.is_not_distinct_from(record.last_tick_at),
        )
        .values(
            last_tick_at=tick.tick_at,
            next_tick_at=next_tick_at,
            tick_index=record.tick_index + (run_id is not None),
        )
    )
    if changed.rowcount != 1:
        raise TickTaken(f"the tick of {record.recurring_run_id} at {tick.tick_at} has been handled")
    conn.execute(
        insert(ticks).values(
            recurring_run_id=record.recurring_run_id,
            tick_at=tick.tick_at,
            handled_at=tick.handled_at,
            skipped=tick.skipped,
            run_id=run_id,
            reason=None if tick.reason is None else encode(tick.reason),
        )
    )
    kept = (
        select(_t.tick_at)
        .where(_t.recurring_run_id == record.recurring_run_id)
        .order_by(_t.tick_at.desc())
        .offset(KEPT_TICKS)
        .limit(1)
        .scalar_subquery()
    )
    conn.execute(delete(ticks).where(_t.recurring_run_id == record.recurring_run_id, _t.tick_at <= kept))


def set_next_tick(conn: Connection, record: RecurringRunRecord, next_tick_at: float | None) -> None:
    """Look at it again then, and no tick before: unless it was changed meanwhile."""
    conn.execute(
        update(recurring_runs)
        .where(_c.recurring_run_id == record.recurring_run_id, _c.updated_at == record.updated_at)
        .values(next_tick_at=next_tick_at)
    )


def get_document(conn: Connection, digest: str) -> tuple[dict[str, Json], dict[str, Json] | None] | None:
    """`(pipeline_spec, platform_spec)`."""
    body = get_body(conn, digest)
    return None if body is None else decode_document(body)


def last_ticks(conn: Connection, recurring_run_id: str, limit: int) -> list[TickRecord]:
    """The newest ticks, newest first."""
    rows = select(ticks).where(_t.recurring_run_id == recurring_run_id).order_by(_t.tick_at.desc()).limit(limit)
    return [
        TickRecord(
            tick_at=row.tick_at,
            handled_at=row.handled_at,
            skipped=row.skipped,
            run_id=row.run_id,
            reason=decode_reason(row.reason),
        )
        for row in conn.execute(rows)
    ]


def _values(record: RecurringRunRecord) -> dict[str, Any]:
    plain = {name: getattr(record, name) for name in _PLAIN if name != "document"}
    return {**plain, "timetable": encode(record.timetable), "parameters": encode(record.parameters)}


def _record(row: Row[Any]) -> RecurringRunRecord:
    return RecurringRunRecord(
        **{name: getattr(row, name) for name in _PLAIN},
        timetable=decode_as(row.timetable, StoredTimetable),
        parameters=decode_object(row.parameters),
    )
