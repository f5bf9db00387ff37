"""Recording: what passes is tried again, a commit of unknown outcome is found out, one run spoils no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import documents
from headrace.engine.model import CancelRequested, State
from headrace.service.active import BatchResult, PendingEvent, fold
from headrace.service.recorder import Recorder
from headrace.service.service import NewRun
from headrace.store import errors as store
from headrace.store import run_changes
from headrace.store import runs as rows
from headrace.store.database import Database
from owned_service import Service
from waiting import until

pytestmark = pytest.mark.anyio


class FaultyDatabase:
    """The real database; the test says what happens to the next commits: an error before, or after it was done."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.before: list[Exception] = []
        self.after: list[Exception] = []
        self.refused: Callable[[Any], Exception | None] = lambda changes: None
        self.tries = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, op: Any, *args: Any, **kwargs: Any) -> Any:
        if op is not run_changes.commit_changes:
            return await self._database.write(op, *args, **kwargs)
        self.tries += 1
        if self.before:
            raise self.before.pop(0)
        if (error := self.refused(args[0])) is not None:
            raise error
        result = await self._database.write(op, *args, **kwargs)
        if self.after:
            raise self.after.pop(0)
        return result


class Recording:
    def __init__(self, service: Service) -> None:
        self.service = service
        self.context = service._context
        self.database = FaultyDatabase(self.context.database)
        self.context.database = self.database  # type: ignore[assignment]
        self.failed: list[Exception] = []
        self.recorder = Recorder(self.context, self.failed.append)

    async def cancelled(self) -> BatchResult:
        """A run under way, and what its cancel does to it."""
        made = await self.service.create_run(NewRun(pipeline_spec=documents.chain(2)))
        run = self.service._loop.active(made.run_id)
        assert run is not None
        await until(lambda: run.state.executions["t0"].attempts[-1].started_at is not None)
        self.database.tries = 0
        return fold(run, [PendingEvent(run_id=made.run_id, event=CancelRequested(at=2.0))], 2.0)

    async def state(self, one: BatchResult) -> tuple[State, int]:
        record = await self.service.get_run(one.run.run_id)
        return record.state, record.version


@pytest.fixture
def recording(service: Service, world: Any) -> Recording:
    world.behaviour = lambda order: None
    return Recording(service)


async def test_what_may_pass_is_tried_again_and_nobody_waits_meanwhile(recording: Recording):
    one = await recording.cancelled()
    recording.database.before = [store.Busy("busy"), store.Full("full")]
    recorded = await recording.recorder.record([one], lambda run: True)
    assert recorded.done == [one]
    assert (recorded.stale, recorded.impossible) == ([], [])
    assert [getattr(error, "code", "") for error in recording.failed] == ["STORE_BUSY", "HOME_FULL"]
    assert (await recording.state(one))[0] is State.CANCELING


async def test_a_commit_that_was_done_although_its_answer_was_lost_counts_as_done(recording: Recording):
    one = await recording.cancelled()
    recording.database.after = [store.CommitUnknown("gone")]
    recorded = await recording.recorder.record([one], lambda run: True)
    assert recorded.done == [one]
    assert recording.database.tries == 2
    assert await recording.state(one) == (State.CANCELING, one.change.base_version + 1)


async def test_a_commit_that_was_not_done_is_done_again(recording: Recording):
    one = await recording.cancelled()
    recording.database.before = [store.CommitUnknown("gone")]
    recorded = await recording.recorder.record([one], lambda run: True)
    assert recorded.done == [one]
    assert await recording.state(one) == (State.CANCELING, one.change.base_version + 1)


async def test_what_somebody_else_has_recorded_is_not_taken_for_our_own_commit(recording: Recording):
    """Unknown outcome, and the row has moved on by another's commit."""
    one = await recording.cancelled()

    def move_on(conn: Any) -> None:
        conn.exec_driver_sql("UPDATE runs SET version = version + 1 WHERE run_id = ?", (one.run.run_id,))

    await recording.context.write(move_on)
    recording.database.before = [store.CommitUnknown("gone")]
    recorded = await recording.recorder.record([one], lambda run: False)
    assert recorded.done == []


async def test_a_run_that_cannot_be_recorded_fails_alone(recording: Recording):
    """One of three changes is refused for good: the others are recorded, and of the one its failure."""
    results = [await recording.cancelled() for _ in range(3)]
    bad = results[1]
    recording.database.refused = lambda changes: (
        ValueError("planted") if any(change is bad.change for change in changes) else None
    )
    recorded = await recording.recorder.record(results, lambda run: True)
    assert recorded.impossible == []
    assert [one.run for one in recorded.done] == [one.run for one in results]
    assert [(await recording.state(one))[0] for one in results] == [State.CANCELING, State.FAILED, State.CANCELING]


async def test_a_run_whose_failure_cannot_be_recorded_either_is_named(recording: Recording):
    one, other = [await recording.cancelled() for _ in range(2)]
    recording.database.refused = lambda changes: (
        ValueError("planted") if any(change.run_id == one.run.run_id for change in changes) else None
    )
    recorded = await recording.recorder.record([one, other], lambda run: True)
    assert recorded.done == [other]
    assert recorded.impossible == [one.run.run_id]


async def test_of_a_run_that_is_not_wanted_any_more_not_even_its_failure_is_recorded(recording: Recording):
    one = await recording.cancelled()
    recording.database.refused = lambda changes: ValueError("planted")
    recorded = await recording.recorder.record([one], lambda run: False)
    assert (recorded.done, recorded.stale, recorded.impossible) == ([], [], [])
    assert recording.database.tries == 1
