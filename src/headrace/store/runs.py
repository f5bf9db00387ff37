"""Runs: their rows, their executions and their event log, always changed together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, literal, select, update

from headrace.engine import decode_header, encode_header
from headrace.engine.model import (
    AnyEvent,
    Execution,
    Json,
    Origin,
    Reason,
    Reusable,
    RunStarted,
    RunState,
    State,
    execution_id,
)
from headrace.store import codec
from headrace.store.artifacts import ArtifactEdge, insert_artifacts, insert_edges
from headrace.store.cache import CacheEntry, put_entries
from headrace.store.dialect import upsert
from headrace.store.documents import EncodedDocument, decode_document, drop_unused, put_document
from headrace.store.errors import Stale
from headrace.store.experiments import STORAGE_WORDS
from headrace.store.leases import Owner, encode_domains
from headrace.store.queries import Key, Noun, fetch_page
from headrace.store.records import ArtifactRecord, ListQuery, Page, Record, RunRecord
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
        "description": Key(column=_r.description),
        "storage_state": Key(column=_r.archived, words=STORAGE_WORDS),
        "state": Key(column=_r.state),
        "status": Key(column=_r.state, words=_STATUS_WORDS),
        "state_history": Key(column=_r.state_history),
        # KFP keeps its run graph as text in a column of this name; ours is in rows.
        "runtime_details": Key(column=literal("")),
        "namespace": Key(column=_r.namespace),
        "experiment_id": Key(column=_r.experiment_id),
        "recurring_run_id": Key(column=_r.recurring_run_id),
        "pipeline_name": Key(column=_r.pipeline_name),
    },
)


class RunChangeSet(Record, frozen=True, kw_only=True):
    """What one batch of events did to one run: everything that is committed together."""

    run_id: str
    #: The version this change was worked out from; the row must still have it.
    base_version: int
    #: The run as it is now; its executions are only looked at through `changed`.
    state: RunState
    #: Executions that are new or differ, with their place in the order of creation.
    changed: tuple[tuple[int, Execution], ...] = ()
    #: Sequence number of the first event, and the events.
    first_seq: int
    events: tuple[AnyEvent, ...] = ()
    state_history: tuple[tuple[float, State, Reason | None], ...] = ()
    task_counts: dict[State, int] = {}
    #: When the working files and logs of the run are to go; None: they stay.
    expires_at: float | None = None
    artifacts: tuple[ArtifactRecord, ...] = ()
    edges: tuple[ArtifactEdge, ...] = ()
    cache_entries: tuple[CacheEntry, ...] = ()
    #: Ids of the inbox messages that this acts on (`store.leases`).
    messages: tuple[str, ...] = ()


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


# --- writing -----------------------------------------------------------------------------------


def insert_run(
    conn: Connection,
    record: RunRecord,
    change: RunChangeSet,
    *,
    document: EncodedDocument | str,
    owner: Owner | None = None,
) -> None:
    """A new run with all that its first events did to it; of several servers, `owner` drives it.

    `document` is the digest where the document is stored already. Raises Missing when it was deleted meanwhile.
    """
    values = {name: getattr(record, name) for name in _PLAIN}
    values |= {"parameters": codec.encode(record.parameters), "version": change.base_version, "event_count": 0}
    values["origin"] = None if record.origin is None else codec.encode(record.origin)
    values["document"] = put_document(conn, document)
    values["lease_owner"] = None if owner is None else owner.server_id
    conn.execute(insert(runs).values(values | _moving(change)))
    mine = experiments.c.experiment_id == record.experiment_id
    conn.execute(update(experiments).where(mine).values(last_run_created_at=record.created_at))
    commit_changes(conn, (change,), owner)


_PLAIN = (
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


def _moving(change: RunChangeSet) -> dict[str, Any]:
    """The columns of a run that change while it runs."""
    state = change.state
    return {
        "state": state.state.value,
        "started_at": state.started_at,
        "finished_at": state.ended_at,
        "error": None if state.error is None else codec.encode(state.error),
        "state_history": codec.encode(change.state_history),
        "task_counts": codec.encode(change.task_counts),
        "head": encode_header(state).decode(),
        "expires_at": change.expires_at,
    }


_UPDATE_RUN = (
    update(runs)
    .where(_r.run_id == bindparam("its_id"), _r.version == bindparam("its_base"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "state", "started_at", "finished_at", "error", "state_history", "task_counts", "head", "version",
                "event_count", "expires_at",
            )
        }
    )
)  # fmt: skip


#: With several servers the domains of the last writer's executors are kept; a run that has ended has no owner.
_UPDATE_OWNED = _UPDATE_RUN.values(
    lease_owner=bindparam("new_owner"), executor_domains=bindparam("new_executor_domains")
)


def commit_changes(conn: Connection, changes: Sequence[RunChangeSet], owner: Owner | None = None) -> None:
    """Write all these changes or, by raising, none.

    Raises Stale when a run has another version by now or, of several servers, is not `owner`'s any more.
    """
    if conn.dialect.name == "sqlite" and owner is None:
        updated = conn.execute(_UPDATE_RUN, [_run_row(change) for change in changes]).rowcount
        if updated != len(changes):
            raise Stale(f"{len(changes) - updated} of {len(changes)} runs changed behind the loop's back.")
    else:
        _lock(conn, changes, owner)
        statement = _UPDATE_RUN if owner is None else _UPDATE_OWNED
        conn.execute(statement, [_run_row(change) | _owned(change, owner) for change in changes])
        if messages := [message for change in changes for message in change.messages]:
            conn.execute(delete(inbox).where(inbox.c.inbox_id.in_(messages)))
    upsert(conn, executions, [row for change in changes for row in _execution_rows(change)], update=_MOVING_EXECUTION)
    events = [row for change in changes for row in _event_rows(change)]
    if events:
        conn.execute(_INSERT_EVENT, events)
    insert_artifacts(conn, [artifact for change in changes for artifact in change.artifacts])
    insert_edges(conn, [edge for change in changes for edge in change.edges])
    put_entries(conn, [entry for change in changes for entry in change.cache_entries])


def _lock(conn: Connection, changes: Sequence[RunChangeSet], owner: Owner | None) -> None:
    """Hold these rows, in one order for everybody, if they are as they were. PostgreSQL does not count many updates."""
    wanted = {change.run_id: change.base_version for change in changes}
    rows = select(_r.run_id, _r.version).where(_r.run_id.in_(list(wanted))).order_by(_r.run_id).with_for_update()
    mine = rows if owner is None else rows.where(_r.lease_owner == owner.server_id)
    found = {row.run_id: row.version for row in conn.execute(mine).all()}
    stale = tuple(run_id for run_id, version in wanted.items() if found.get(run_id) != version)
    if stale:
        raise Stale(f"{len(stale)} of {len(changes)} runs are driven by somebody else.", run_ids=stale)


def _owned(change: RunChangeSet, owner: Owner | None) -> dict[str, Any]:
    if owner is None:
        return {}
    domains = encode_domains(owner.executor_domains)
    return {"new_owner": None if change.state.state.final else owner.server_id, "new_executor_domains": domains}


def are_recorded(conn: Connection, changes: Sequence[RunChangeSet]) -> bool:
    """Whether the runs are, in every column, what these changes make of them: an earlier try has committed them."""
    rows = select(_r.run_id, _r.version, _r.event_count, _r.head).where(_r.run_id.in_([one.run_id for one in changes]))
    found = {row.run_id: (row.version, row.event_count, row.head) for row in conn.execute(rows).all()}
    return all(
        found.get(one.run_id)
        == (one.base_version + 1, one.first_seq + len(one.events), encode_header(one.state).decode())
        for one in changes
    )


_MOVING_EXECUTION = ("state", "version", "body")
_INSERT_EVENT = insert(run_events)


def _run_row(change: RunChangeSet) -> dict[str, Any]:
    row = {f"new_{name}": value for name, value in _moving(change).items()}
    row["new_version"] = change.base_version + 1
    row["new_event_count"] = change.first_seq + len(change.events)
    return row | {"its_id": change.run_id, "its_base": change.base_version}


def _execution_rows(change: RunChangeSet) -> Iterable[dict[str, Any]]:
    for position, execution in change.changed:
        yield {
            "run_id": change.run_id,
            "path": execution.path,
            "execution_id": execution_id(change.run_id, execution.path),
            "kind": execution.kind.value,
            "state": execution.state.value,
            "version": change.base_version + 1,
            "position": position,
            "body": codec.encode(execution),
        }


def _event_rows(change: RunChangeSet) -> Iterable[dict[str, Any]]:
    for seq, event in enumerate(change.events, start=change.first_seq):
        yield {"run_id": change.run_id, "seq": seq, "at": event.at, "body": codec.encode(event)}


def quarantine_run(conn: Connection, run_id: str, error: Reason, at: float) -> None:
    """End a run whose rows cannot even be read."""
    history = codec.encode(((at, State.FAILED, error),))
    conn.execute(
        update(runs)
        .where(_r.run_id == run_id)
        .values(
            state=State.FAILED.value, error=codec.encode(error), finished_at=at, state_history=history,
            version=_r.version + 1, lease_owner=None,
        )
    )  # fmt: skip


def set_archived(conn: Connection, run_id: str, archived: bool) -> None:
    """Out of, or back into, the usual lists."""
    conn.execute(update(runs).where(_r.run_id == run_id).values(archived=archived))


def delete_run(conn: Connection, run_id: str) -> None:
    """The run with its executions, events, edges and cache entries; its artifacts are the caller's to drop."""
    digest = conn.execute(select(_r.document).where(_r.run_id == run_id)).scalar()
    conn.execute(delete(cache_entries).where(cache_entries.c.run_id == run_id))
    for table in (inbox, execution_artifacts, run_events, executions, runs):
        conn.execute(delete(table).where(table.c.run_id == run_id))
    if digest is not None:
        drop_unused(conn, digest)


# --- reading -----------------------------------------------------------------------------------

_SHOWN = [column for column in runs.c if column.name not in {"head", "lease_owner", "executor_domains", "expires_at"}]
_ROWS: Select[Any] = select(*_SHOWN, func.coalesce(experiments.c.display_name, "").label("experiment_name")).join_from(
    runs, experiments, experiments.c.experiment_id == _r.experiment_id, isouter=True
)


def _record(row: Row[Any]) -> RunRecord:
    return RunRecord(
        **{name: getattr(row, name) for name in _PLAIN},
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
    final = [state.value for state in State if state.final]
    return list(conn.execute(select(_r.run_id).where(_r.state.not_in(final)).order_by(_r.created_at)).scalars().all())


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
        reuse=_reuse(conn, run_id) if row.origin is not None else {},
    )


def _with_owner(header: RunState, row: Row[Any]) -> RunState:
    """The header with what its run's columns say; runs of older versions have this in their columns only."""
    return msgspec.structs.replace(
        header, namespace=row.namespace, service_account=row.service_account, created_by=row.created_by
    )


def _reuse(conn: Connection, run_id: str) -> dict[str, Reusable]:
    first = conn.execute(_FIRST_EVENT, {"its_id": run_id}).scalar()
    started = None if first is None else codec.decode_event(first)
    return started.reuse if isinstance(started, RunStarted) else {}


_FIRST_EVENT = select(run_events.c.body).where(run_events.c.run_id == bindparam("its_id"), run_events.c.seq == 0)


def get_executions(conn: Connection, run_id: str, *, after_version: int = 0) -> tuple[Execution, ...]:
    """Executions that changed after a version of the run (0: all), parents before children."""
    rows = select(_e.body).where(_e.run_id == run_id, _e.version > after_version).order_by(_e.position)
    return tuple(codec.decode_execution(body) for body in conn.execute(rows).scalars().all())


def expired_runs(conn: Connection, at: float) -> list[str]:
    """Ids of the runs whose working files and logs are to go by now."""
    return list(conn.execute(select(_r.run_id).where(_r.expires_at <= at)).scalars().all())


def next_expiry(conn: Connection) -> float | None:
    """When the next run's working files and logs are to go."""
    return conn.execute(select(func.min(_r.expires_at))).scalar()


def clear_expiry(conn: Connection, run_ids: Sequence[str]) -> None:
    """They are gone."""
    conn.execute(update(runs).where(_r.run_id.in_(run_ids)).values(expires_at=None))


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


def get_events(conn: Connection, run_id: str, *, after_seq: int = -1) -> tuple[AnyEvent, ...]:
    """The log, in order."""
    rows = select(run_events.c.body).where(run_events.c.run_id == run_id, run_events.c.seq > after_seq)
    return tuple(codec.decode_event(body) for body in conn.execute(rows.order_by(run_events.c.seq)).scalars().all())
