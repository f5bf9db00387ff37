"""Runs and their executions: rows, pages, archiving and deletion. `store.run_changes` writes what happens to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, delete, func, literal, select, update

from headrace.engine import decode_header
from headrace.engine.model import (
    Execution,
    Json,
    Origin,
    Reusable,
    RunState,
    State,
)
from headrace.store import codec
from headrace.store.documents import decode_document, drop_unused
from headrace.store.experiments import STORAGE_WORDS
from headrace.store.queries import Key, Noun, fetch_page
from headrace.store.records import FINAL_STATES, ListQuery, Page, Record, RunRecord
from headrace.store.run_events import get_reuse
from headrace.store.tables import (
    cache_entries,
    documents,
    execution_artifacts,
    executions,
    experiments,
    inbox,
    run_events,
    runs,
)

#: Bound values of one statement.
_AT_ONCE = 500

_r = runs.c
_e = executions.c

#: KFP's v1 words for a run's state, upper-cased.
_STATUS_WORDS = {
    **{state.value: state.value for state in State},
    "ERROR": State.FAILED.value,
    "OMITTED": State.SKIPPED.value,
    "TERMINATING": State.CANCELING.value,
    "TERMINATED": State.CANCELED.value,
}

_NOUN = Noun(
    name="run",
    id=_r.run_id,
    namespace=_r.namespace,
    experiment=_r.experiment_id,
    keys={
        "id": Key(column=_r.run_id),
        "run_id": Key(column=_r.run_id),
        "name": Key(column=_r.display_name),
        "display_name": Key(column=_r.display_name),
        "created_at": Key(column=_r.created_at, time=True),
        "finished_at": Key(column=_r.finished_at, time=True),
        "scheduled_at": Key(column=_r.scheduled_at, time=True),
        "description": Key(column=_r.description, long=True),
        "storage_state": Key(column=_r.archived, words=STORAGE_WORDS),
        "state": Key(column=_r.state, capitals=True),
        "status": Key(column=_r.state, words=_STATUS_WORDS),
        "state_history": Key(column=_r.state_history, long=True),
        # KFP keeps its run graph as text in a column of this name; ours is in rows.
        "runtime_details": Key(column=literal("")),
        "namespace": Key(column=_r.namespace),
        "experiment_id": Key(column=_r.experiment_id),
        "recurring_run_id": Key(column=_r.recurring_run_id),
        "pipeline_name": Key(column=_r.pipeline_name),
    },
)


class ExecutionLocation(Record, frozen=True, kw_only=True):
    """Where an execution is, and its state."""

    run_id: str
    run_name: str
    path: str
    state: State


class StoredRun(Record, frozen=True, kw_only=True):
    """A run as the loop needs it to go on."""

    record: RunRecord
    #: The digest of its document.
    document: str
    #: Its state without executions; `engine.restore` puts the two together.
    header: RunState
    executions: tuple[Execution, ...]
    event_count: int
    #: What the run that it was made from left to it.
    reuse: dict[str, Reusable] = {}


#: Columns that are fields of a `RunRecord` as they are.
RECORD_COLUMNS = (
    "run_id",
    "display_name",
    "description",
    "experiment_id",
    "namespace",
    "pipeline_name",
    "pipeline_id",
    "pipeline_version_id",
    "recurring_run_id",
    "service_account",
    "pipeline_root",
    "archived",
    "created_at",
    "scheduled_at",
    "created_by",
)


def set_archived(conn: Connection, run_id: str, archived: bool) -> None:
    """Out of, or back into, the usual lists."""
    conn.execute(update(runs).where(_r.run_id == run_id).values(archived=archived))


def count_crashes(conn: Connection, found: Mapping[str, int]) -> None:
    """So many servers more have died while they handled these runs, by id."""
    for run_id, more in found.items():
        conn.execute(update(runs).where(_r.run_id == run_id).values(crashes=_r.crashes + more))


def crashes_of(conn: Connection, run_id: str) -> int:
    """How many servers have died while they handled the run."""
    return conn.execute(select(_r.crashes).where(_r.run_id == run_id)).scalar() or 0


def forget_crashes(conn: Connection, run_id: str) -> None:
    """The run was ended for them: a retry begins without them."""
    conn.execute(update(runs).where(_r.run_id == run_id).values(crashes=0))


def delete_run(conn: Connection, run_id: str) -> None:
    """The run with its executions, events, edges and cache entries; its artifacts are the caller's to drop."""
    digest = conn.execute(select(_r.document).where(_r.run_id == run_id)).scalar()
    conn.execute(delete(cache_entries).where(cache_entries.c.run_id == run_id))
    for table in (inbox, execution_artifacts, run_events, executions, runs):
        conn.execute(delete(table).where(table.c.run_id == run_id))
    if digest is not None:
        drop_unused(conn, digest)


# --- reading -----------------------------------------------------------------------------------

_SHOWN = [
    column
    for column in runs.c
    if column.name not in {"head", "lease_owner", "executor_domains", "expires_at", "crashes"}
]
_ROWS: Select[Any] = select(*_SHOWN, func.coalesce(experiments.c.display_name, "").label("experiment_name")).join_from(
    runs, experiments, experiments.c.experiment_id == _r.experiment_id, isouter=True
)


def _record(row: Row[Any]) -> RunRecord:
    return RunRecord(
        **{name: getattr(row, name) for name in RECORD_COLUMNS},
        experiment_name=row.experiment_name,
        state=State(row.state),
        parameters=codec.decode_object(row.parameters),
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=codec.decode_reason(row.error),
        state_history=codec.decode_history(row.state_history),
        task_counts=codec.decode_counts(row.task_counts),
        version=row.version,
        origin=None if row.origin is None else codec.decode_as(row.origin, Origin),
    )


def get_run(conn: Connection, run_id: str) -> RunRecord | None:
    """By id."""
    row = conn.execute(_ROWS.where(_r.run_id == run_id)).first()
    return _record(row) if row else None


def find_of_recurring_run(conn: Connection, recurring_run_id: str, display_name: str) -> RunRecord | None:
    """The oldest run of a recurring run with this name."""
    rows = _ROWS.where(_r.recurring_run_id == recurring_run_id, _r.display_name == display_name)
    row = conn.execute(rows.order_by(_r.created_at)).first()
    return _record(row) if row else None


def get_runs(conn: Connection, run_ids: Sequence[str]) -> list[RunRecord]:
    """By ids; the ones that exist."""
    return [_record(row) for row in conn.execute(_ROWS.where(_r.run_id.in_(run_ids))).all()]


def list_runs(conn: Connection, query: ListQuery, secret: bytes) -> Page[RunRecord]:
    """One page."""
    return fetch_page(conn, _NOUN, _ROWS, query, secret=secret, make=_record)


def get_document(conn: Connection, run_id: str) -> tuple[dict[str, Json], dict[str, Json] | None] | None:
    """`(pipeline_spec, platform_spec)`."""
    body = conn.execute(select(documents.c.body).join_from(runs, documents).where(_r.run_id == run_id)).scalar()
    return None if body is None else decode_document(body)


def get_document_digest(conn: Connection, run_id: str) -> str | None:
    """What runs of the same document have in common."""
    return conn.execute(select(_r.document).where(_r.run_id == run_id)).scalar()


def unfinished_runs(conn: Connection) -> list[str]:
    """Ids of the runs that are not final, oldest first."""
    return list(
        conn.execute(select(_r.run_id).where(_r.state.not_in(FINAL_STATES)).order_by(_r.created_at)).scalars().all()
    )


def get_header(conn: Connection, run_id: str) -> RunState | None:
    """The run's state without its executions."""
    head = conn.execute(select(_r.head).where(_r.run_id == run_id)).scalar()
    return None if head is None else decode_header(head)


def load_run(conn: Connection, run_id: str) -> StoredRun | None:
    """All the loop needs."""
    row = conn.execute(_ROWS.add_columns(_r.head).where(_r.run_id == run_id)).first()
    if row is None:
        return None
    return StoredRun(
        record=_record(row),
        document=row.document,
        header=_with_owner(decode_header(row.head), row),
        executions=get_executions(conn, run_id),
        event_count=row.event_count,
        reuse=get_reuse(conn, run_id) if row.origin is not None else {},
    )


def _with_owner(header: RunState, row: Row[Any]) -> RunState:
    """The header with what its run's columns say; runs of older versions have this in their columns only."""
    return msgspec.structs.replace(
        header, namespace=row.namespace, service_account=row.service_account, created_by=row.created_by
    )


def get_executions(conn: Connection, run_id: str, *, after_version: int = 0) -> tuple[Execution, ...]:
    """Executions that changed after a version of the run (0: all), parents before children."""
    rows = select(_e.body).where(_e.run_id == run_id, _e.version > after_version).order_by(_e.position)
    return tuple(codec.decode_execution(body) for body in conn.execute(rows).scalars().all())


def get_execution_page(
    conn: Connection, run_id: str, *, after: int = -1, limit: int
) -> tuple[tuple[Execution, ...], int | None]:
    """At most `limit` executions, parents before children, and the position of the last one if more may follow.

    `after`: the position after which the page begins.
    """
    rows = select(_e.body, _e.position).where(_e.run_id == run_id, _e.position > after).order_by(_e.position)
    found = conn.execute(rows.limit(limit)).all()
    last = found[-1].position if len(found) == limit else None
    return tuple(codec.decode_execution(row.body) for row in found), last


def find_execution(conn: Connection, execution_id: str) -> tuple[str, Execution] | None:
    """`(run_id, execution)` by its id."""
    row = conn.execute(select(_e.run_id, _e.body).where(_e.execution_id == execution_id)).first()
    return (row.run_id, codec.decode_execution(row.body)) if row else None


def locate_executions(conn: Connection, execution_ids: Sequence[str]) -> dict[str, ExecutionLocation]:
    """Where executions are, by their ids; those that exist."""
    found: dict[str, ExecutionLocation] = {}
    for at in range(0, len(execution_ids), _AT_ONCE):
        wanted = _e.execution_id.in_(execution_ids[at : at + _AT_ONCE])
        columns = select(_e.execution_id, _e.run_id, _e.path, _e.state, _r.display_name)
        for row in conn.execute(columns.join_from(executions, runs).where(wanted)):
            found[row.execution_id] = ExecutionLocation(
                run_id=row.run_id, run_name=row.display_name, path=row.path, state=State(row.state)
            )
    return found
