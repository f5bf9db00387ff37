"""What happens to runs, committed whole: the run, its executions, its events, artifacts, edges and cache entries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from headrace.engine import encode_header
from headrace.engine.model import AnyEvent, Execution, Reason, RunState, State, execution_id
from headrace.store import codec
from headrace.store.artifacts import ArtifactEdge, insert_artifacts, insert_edges
from headrace.store.cache import CacheEntry, put_entries
from headrace.store.dialect import upsert
from headrace.store.documents import EncodedDocument, put_document
from headrace.store.errors import Stale
from headrace.store.leases import Owner, encode_domains
from headrace.store.records import ArtifactRecord, Record, RunRecord
from headrace.store.run_events import event_rows, insert_events
from headrace.store.runs import RECORD_COLUMNS
from headrace.store.tables import executions, experiments, inbox, runs

_r = runs.c


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
    values = {name: getattr(record, name) for name in RECORD_COLUMNS}
    values |= {"parameters": codec.encode(record.parameters), "version": change.base_version, "event_count": 0}
    values["origin"] = None if record.origin is None else codec.encode(record.origin)
    values["document"] = put_document(conn, document)
    values["lease_owner"] = None if owner is None else owner.server_id
    conn.execute(insert(runs).values(values | _moving(change)))
    mine = experiments.c.experiment_id == record.experiment_id
    conn.execute(update(experiments).where(mine).values(last_run_created_at=record.created_at))
    commit_changes(conn, (change,), owner)


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
    events = [row for change in changes for row in event_rows(change.run_id, change.first_seq, change.events)]
    insert_events(conn, events)
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
