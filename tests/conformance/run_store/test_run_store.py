"""What the run loop needs of a store, shown of each way to keep one: in memory, in a SQLite file, on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import documents
from headrace.engine import advance, new_run, plan, restore
from headrace.engine.model import (
    Artifact,
    ArtifactType,
    AttemptId,
    AttemptStarted,
    AttemptSucceeded,
    Bundle,
    Reason,
    RunStarted,
    RunState,
    State,
    execution_id,
)
from headrace.spec.document import parse_document
from headrace.store import artifacts, cache, run_changes, run_events, runs
from headrace.store.artifacts import ArtifactEdge
from headrace.store.cache import CacheEntry, CacheKey
from headrace.store.database import Database
from headrace.store.documents import encode_document
from headrace.store.errors import Stale
from headrace.store.records import ArtifactRecord, ListQuery, RunRecord
from headrace.store.urls import DatabaseUrl

pytestmark = pytest.mark.anyio

DOCUMENT = documents.chain(2)
PLAN = plan(parse_document(DOCUMENT))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def place(request: Any, tmp_path: Path) -> Path | DatabaseUrl | None:
    match request.param:
        case "memory":
            return None
        case "sqlite":
            return tmp_path / "headrace.db"
        case _:
            return DatabaseUrl.parse(request.getfixturevalue("database_url"))


@pytest.fixture
async def database(place: Path | DatabaseUrl | None) -> AsyncIterator[Database]:
    database = await Database.open(place)
    yield database
    await database.close()


def a_run(run_id: str = "run-1", **fields: Any) -> RunRecord:
    given: dict[str, Any] = {
        "run_id": run_id, "display_name": f"the {run_id}", "experiment_id": "e", "experiment_name": "",
        "pipeline_name": "a-pipeline", "state": State.PENDING, "created_at": 1.0, "scheduled_at": 1.0,
        "parameters": {"x": [1, 2.0, None, {"y": "é"}]}, "state_history": ((1.0, State.PENDING, None),),
    }  # fmt: skip
    return RunRecord(**(given | fields))


def begun(run_id: str = "run-1") -> tuple[RunState, list[str]]:
    state = new_run(PLAN, run_id=run_id, display_name="r", arguments={}, at=1.0)
    step = advance(PLAN, state, RunStarted(at=1.0))
    return step.state, list(step.state.executions)


def change(
    state: RunState, paths: list[str], *, base: int, seq: int, events: tuple[Any, ...], **fields: Any
) -> run_changes.RunChangeSet:
    return run_changes.RunChangeSet(
        run_id=state.run_id,
        base_version=base,
        state=state,
        changed=tuple((n, state.executions[path]) for n, path in enumerate(sorted(paths))),
        first_seq=seq,
        events=events,
        state_history=((1.0, State.PENDING, None), (1.0, state.state, state.error)),
        **fields,
    )


async def inserted(database: Database, run_id: str = "run-1", **fields: Any) -> RunState:
    state, paths = begun(run_id)
    first = change(state, paths, base=0, seq=0, events=(RunStarted(at=1.0),), task_counts={State.PENDING: 2})
    await database.write(
        run_changes.insert_run, a_run(run_id, **fields), first, document=encode_document(DOCUMENT, {"platforms": {}})
    )
    return state


async def test_a_run_is_read_back_as_it_was_written(database: Database):
    state = await inserted(database)
    stored = await database.read(runs.load_run, "run-1")
    assert stored is not None
    assert (stored.document, stored.event_count) == (encode_document(DOCUMENT, {"platforms": {}}).digest, 1)
    assert restore(PLAN, stored.header, stored.executions) == state
    expected = msgspec.structs.replace(
        a_run(), state=State.RUNNING, started_at=state.started_at, version=1, task_counts={State.PENDING: 2},
        state_history=((1.0, State.PENDING, None), (1.0, State.RUNNING, None)),
    )  # fmt: skip
    assert stored.record == await database.read(runs.get_run, "run-1") == expected
    assert await database.read(run_events.get_events, "run-1") == (RunStarted(at=1.0),)
    assert await database.read(runs.get_document, "run-1") == (DOCUMENT, {"platforms": {}})


async def test_what_is_not_there_is_none(database: Database):
    for op in (runs.get_run, runs.load_run, runs.get_document, runs.find_execution, artifacts.get_artifact):
        assert await database.read(op, "nope") is None
    assert await database.read(runs.get_executions, "nope") == ()
    assert await database.read(runs.unfinished_runs) == []


async def test_a_change_is_committed_whole(database: Database):
    state = await inserted(database)
    attempt = AttemptId(run_id="run-1", path="t0", number=1)
    made = Artifact(artifact_id="a1", name="out", type=ArtifactType(), uri="file:///x", metadata={"k": 1.5})
    events = (
        AttemptStarted(at=2.0, attempt=attempt),
        AttemptSucceeded(at=3.0, attempt=attempt, outputs=Bundle(parameters={"n": 7}, artifacts={"out": (made,)})),
    )
    before = state
    for event in events:
        state = advance(PLAN, state, event).state
    paths = [path for path in state.executions if state.executions[path] != before.executions[path]]
    ident = execution_id("run-1", "t0")
    record = ArtifactRecord(artifact=made, run_id="run-1", execution_id=ident, created_at=3.0, is_directory=True)
    edge = ArtifactEdge(
        run_id="run-1", execution_id=ident, direction="OUTPUT", name="out", position=0, artifact_id="a1"
    )
    key = CacheKey(namespace="", pipeline_name="a-pipeline", fingerprint="f")
    entry = CacheEntry(
        key=key, execution_id=ident, run_id="run-1", outputs=state.executions["t0"].outputs, created_at=3.0
    )
    whole = change(
        state, paths, base=1, seq=1, events=events, artifacts=(record,), edges=(edge,), cache_entries=(entry,),
        task_counts={State.SUCCEEDED: 1, State.PENDING: 1},
    )  # fmt: skip
    await database.write(run_changes.commit_changes, (whole,))
    stored = await database.read(runs.load_run, "run-1")
    assert stored is not None
    assert restore(PLAN, stored.header, stored.executions) == state
    assert (stored.record.version, stored.event_count) == (2, 3)
    assert await database.read(artifacts.get_artifact, "a1") == record
    assert await database.read(artifacts.get_edges, ident) == (edge,)
    assert await database.read(
        cache.look_up, [key, CacheKey(namespace="x", pipeline_name="a-pipeline", fingerprint="f")]
    ) == [entry, None]
    assert await database.read(run_events.get_events, "run-1", after_seq=0) == events
    # Only what changed after a version is told.
    assert {e.path for e in await database.read(runs.get_executions, "run-1", after_version=1)} == set(paths)
    assert await database.read(runs.find_execution, ident) == ("run-1", state.executions["t0"])


async def test_a_stale_change_changes_nothing_of_any_run(database: Database):
    one, other = await inserted(database, "run-1"), await inserted(database, "run-2")
    good = change(one, ["t0"], base=1, seq=1, events=(RunStarted(at=9.0),))
    stale = change(other, ["t0"], base=0, seq=1, events=(RunStarted(at=9.0),))
    with pytest.raises(Stale):
        await database.write(run_changes.commit_changes, (good, stale))
    assert [(r.run_id, r.version) for r in await database.read(runs.get_runs, ["run-1", "run-2"])] == [
        ("run-1", 1),
        ("run-2", 1),
    ]
    assert len(await database.read(run_events.get_events, "run-1")) == 1
    await database.write(run_changes.commit_changes, (good,))
    assert len(await database.read(run_events.get_events, "run-1")) == 2


async def test_runs_that_are_not_final_are_found_again_oldest_first(database: Database):
    await inserted(database, "late", created_at=5.0)
    await inserted(database, "early", created_at=2.0)
    state = await inserted(database, "over")
    ended = msgspec.structs.replace(state, state=State.FAILED, ended_at=9.0, error=Reason(code="X", message="y"))
    await database.write(run_changes.commit_changes, (change(ended, [], base=1, seq=1, events=()),))
    assert await database.read(runs.unfinished_runs) == ["early", "late"]
    record = await database.read(runs.get_run, "over")
    assert record is not None and (record.error, record.finished_at) == (Reason(code="X", message="y"), 9.0)


async def test_deleting_a_run_leaves_nothing_of_it_and_all_of_others(database: Database):
    for run_id in ("run-1", "run-2"):
        await inserted(database, run_id)
    await database.write(runs.delete_run, "run-1")
    assert await database.read(runs.load_run, "run-1") is None
    assert await database.read(run_events.get_events, "run-1") == ()
    assert await database.read(runs.get_document, "run-2") == (DOCUMENT, {"platforms": {}})
    page = await database.read(runs.list_runs, ListQuery(), b"key")
    assert [record.run_id for record in page.items] == ["run-2"]
