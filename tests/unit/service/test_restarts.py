"""A crash at every commit and every act: each run ends, nothing that succeeded runs again, the log tells the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import documents
from fake_executor import FakeExecutor, World, fail, fake_of, succeed
from headrace.engine import advance, new_run, outstanding, plan
from headrace.engine.model import State
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.spec.document import parse_document
from headrace.store import run_events
from headrace.store import runs as rows
from headrace.store.database import Database
from owned_service import Service
from waiting import until, until_final

pytestmark = pytest.mark.anyio


class Crash(BaseException):
    """The server is gone."""


class Fuse:
    """Ends the server just before, or just after, the n-th thing it does to the outside: a commit or an order."""

    def __init__(self, at: int, *, after_commit: bool) -> None:
        self.left = at
        self.after_commit = after_commit
        self.blown = False

    def __call__(self) -> None:
        if self.blown:
            raise Crash
        self.left -= 1
        if self.left < 0:
            self.blown = True
            raise Crash


class CrashingDatabase:
    """A database whose server dies beside it."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        self._database = database
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write(self, op: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._fuse.after_commit:
            self._fuse()
        result = await self._database.write(op, *args, **kwargs)
        if self._fuse.after_commit:
            self._fuse()
        return result


SHAPES = {
    "chain": documents.chain(3),
    "fan": documents.fan(4, artifacts=True),
    "loop": documents.loop(),
    "retry": documents.with_retry(2),
    "exit": documents.with_exit_task(),
    "importer": documents.importer(),
    "same": documents.loop("[7, 7, 7]", cache=True),
}


def behaviour(order: Any) -> Any:
    """The first try of what may be tried again fails."""
    may_retry = order.component == "comp-work" and order.task == "work" and order.attempt.path == "work"
    return fail(order) if may_retry and order.attempt.number == 1 else succeed(order)


@pytest.mark.slow
@pytest.mark.parametrize("after_commit", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_crash_anywhere_is_repaired(tmp_path: Path, shape: str, after_commit: bool):
    for at in range(200):
        if not await crash_at(tmp_path / str(at), SHAPES[shape], Fuse(at, after_commit=after_commit)):
            assert at > 4
            return
    raise AssertionError("the run never got through without a crash")


async def crash_at(home: Path, document: dict[str, Any], fuse: Fuse) -> bool:
    """Run with a crash at the fuse's place and a restart; False when the run ended before it blew."""
    world = World(behaviour=behaviour)
    settings = Settings(home=home)
    # 1. A first life, up to the crash.
    service = await Service.open(settings, executor=FakeExecutor(world))
    made = await service.create_run(NewRun(pipeline_spec=document, display_name="r")) if False else None
    service._context.database = CrashingDatabase(service._context.database, fuse)  # type: ignore[assignment]
    fake_of(service._context)._fuse = fuse
    try:
        made = await service.create_run(NewRun(pipeline_spec=document, display_name="r"))
        run_id = made.run_id
    except Crash:
        run_id = next(iter([r.run_id for r in await _all(service)]), "")
    if run_id:
        record = await _dead_or_done(service, run_id, fuse)
    await _bury(service)
    if not fuse.blown:
        assert record.state.final
        return False
    # 2. A second life over the same home and the same world.
    service = await Service.open(settings, executor=FakeExecutor(world))
    if not run_id:
        assert await _all(service) == ()
        assert not world.orders
        await service.close()
        return True
    record = await until_final(service, run_id)
    executions = await service.get_executions(run_id)
    assert record.state is expected(document), [(e.path, e.state, e.reason) for e in executions]
    # 3. No attempt was begun twice, and nothing that succeeded was begun again.
    assert set(world.starts.values()) <= {1}
    for path in {attempt.path for attempt in world.orders}:
        wins = [a for a in world.orders if a.path == path and type(world.ends[a]).__name__ == "Succeeded"]
        assert len(wins) <= 1, path
        assert all(attempt.number <= wins[0].number for attempt in world.orders if attempt.path == path and wins)
    if document is SHAPES["same"]:
        assert sum("/work" in attempt.path for attempt in world.orders) == 3, "within a run each task runs itself"
    # 4. The log, replayed, gives the same state.
    await replayed(service, run_id)
    # 5. Everything is settled.
    await until(lambda: world.settled | world.discarded >= set(world.orders))
    await service.close()
    return True


def expected(document: dict[str, Any]) -> State:
    tasks = document["root"]["dag"]["tasks"]
    return State.FAILED if "work" in tasks and "retryPolicy" not in tasks["work"] else State.SUCCEEDED


async def _all(service: Service) -> tuple[Any, ...]:
    from headrace.store.records import ListQuery

    return (await service.list_runs(ListQuery())).items


async def _dead_or_done(service: Service, run_id: str, fuse: Fuse) -> Any:
    async def record() -> Any:
        return await service._context.database.read(rows.get_run, run_id)

    import asyncio

    async with asyncio.timeout(20):
        while not fuse.blown and not (found := await record()).state.final:
            await asyncio.sleep(0.002)
        found = await record()
    if not fuse.blown:
        # The last acts come after the last commit.
        await asyncio.sleep(0)
    return found


async def _bury(service: Service) -> None:
    """What the kernel does for a killed process: its threads and files are gone; nothing else is done."""
    await service._loop.close()
    await service._context.database.close()
    service._context.data_dir.close()


async def replayed(service: Service, run_id: str) -> None:
    context = service._context
    stored = await context.database.read(rows.load_run, run_id)
    assert stored is not None
    compiled = plan(parse_document(*await service.get_run_document(run_id)))
    record = stored.record
    state = new_run(
        compiled, run_id=run_id, display_name=record.display_name, arguments=record.parameters,
        at=record.created_at, scheduled_at=record.scheduled_at,
    )  # fmt: skip
    for event in await context.database.read(run_events.get_events, run_id):
        state = advance(compiled, state, event).state
    assert dict(state.executions) == {e.path: e for e in stored.executions}
    assert (state.state, state.ended_at, state.error) == (record.state, record.finished_at, record.error)
    assert outstanding(compiled, state) == ()
