"""The simulated database: one run's rows, in a dictionary, or in SQLite through the store's own functions."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from headrace import engine
from headrace.engine.model import *
from headrace.engine.plan import Plan
from headrace.service.active import BatchResult
from headrace.store import artifacts as artifact_rows
from headrace.store import migrations, run_changes, run_events
from headrace.store import runs as rows
from headrace.store.dialect import open_sqlite
from headrace.store.documents import encode_document
from headrace.store.errors import Stale
from headrace.store.records import RunRecord
from headrace.store.run_changes import RunChangeSet

_EXECUTIONS = msgspec.json.Decoder(list[Execution])


class Refused(Exception):
    """The record has another version or owner since the change was made."""


class Record:
    """One run's rows, changed in transactions that only the owner of the lease may make."""

    def __init__(self, first: RunState) -> None:
        self.header = engine.encode_header(first)
        self.state = first
        self.rows: dict[str, Execution] = dict(first.executions)
        self.version = 0
        self.events: list[AnyEvent] = []
        self.history: tuple[Any, ...] = ((first.created_at, State.PENDING, None),)
        self.counts: dict[State, int] = {}
        self.cache: dict[str, tuple[Bundle, str]] = {}
        self.made: set[str] = set()
        self.owner = ""
        self.lease_until = 0.0
        #: Requests that reached a server which does not drive the run, for the one that does.
        self.requests: list[AnyEvent] = []

    def commit(self, owner: str, folded: BatchResult) -> None:
        if self.owner != owner or self.version != folded.change.base_version:
            raise Refused
        self._put(folded.change)

    def _put(self, change: RunChangeSet) -> None:
        assert change.base_version == self.version, "a change made from an older version was recorded"
        assert change.first_seq == len(self.events)
        self.version += 1
        self.state = change.state
        self.header = engine.encode_header(change.state)
        self.rows.update({execution.path: execution for _, execution in change.changed})
        self.events += change.events
        self.history = change.state_history
        self.counts = change.task_counts
        self.made |= {record.artifact.artifact_id for record in change.artifacts}
        for entry in change.cache_entries:
            self.cache[entry.key.fingerprint] = (entry.outputs, entry.execution_id)

    def load(self, plan: Plan) -> RunState:
        """The state, from what is stored of it."""
        stored = msgspec.json.encode(list(self.rows.values()))
        header = engine.decode_header(self.header)
        started = next((event for event in self.events if isinstance(event, RunStarted)), None)
        reuse = started.reuse if started is not None and header.origin is not None else None
        return engine.restore(plan, header, _EXECUTIONS.decode(stored), reuse=reuse)

    def close(self) -> None:
        """The history has ended."""


@functools.cache
def _connection() -> Any:
    """One database for all histories of the process: making the schema takes longer than most histories."""
    conn = open_sqlite(None, writer=True).connect()
    with conn.begin():
        migrations.upgrade(conn)
    return conn


class StoredRecord(Record):
    """The same in SQLite. It has no lease: the version alone must refuse stale changes."""

    def __init__(self, first: RunState, record: RunRecord) -> None:
        super().__init__(first)
        self.conn = _connection()
        change = RunChangeSet(
            run_id="r", base_version=0, state=first, changed=((0, first.executions[""]),), first_seq=0,
            state_history=self.history,
        )  # fmt: skip
        with self.conn.begin():
            run_changes.insert_run(self.conn, record, change, document=encode_document({"it": "is in the plan"}, None))
        self.version = 1

    def commit(self, owner: str, folded: BatchResult) -> None:
        try:
            with self.conn.begin():
                run_changes.commit_changes(self.conn, (folded.change,))
        except Stale:
            raise Refused from None
        self._put(folded.change)

    def load(self, plan: Plan) -> RunState:
        with self.conn.begin():
            stored = rows.load_run(self.conn, "r")
            events = run_events.get_events(self.conn, "r")
            found = artifact_rows.get_artifacts(self.conn, sorted(self.made))
        assert stored is not None
        assert (stored.record.version, stored.event_count) == (self.version, len(self.events))
        assert (stored.record.state, stored.record.task_counts) == (self.state.state, self.counts)
        assert stored.record.state_history == self.history
        assert list(events) == self.events, "the event log in the database differs"
        assert set(found) == self.made, "an artifact is not in the database"
        return engine.restore(plan, stored.header, stored.executions)

    def close(self) -> None:
        self.conn.rollback()
        with self.conn.begin():
            artifact_rows.delete_artifacts_of(self.conn, "r")
            rows.delete_run(self.conn, "r")
