"""One server's dealings with the others, step by step over SQLite: no other server, no timers, every beat by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

import documents
from fake_executor import FakeExecutor, World, fake_of, hang, succeed
from headrace.engine.model import AttemptId, CancelRequested, ExecutionMarked, RetryRequested, State
from headrace.service import runs
from headrace.service.errors import Unavailable
from headrace.service.lease import ServerLease
from headrace.service.loop import RunLoop
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.service.sharing import Sharing
from headrace.store import leases
from owned_service import Service
from waiting import until

pytestmark = pytest.mark.anyio


class Server:
    """A server whose beats the test gives, and whose clock the test sets."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.context = service._context
        self.clock = 0.0
        self.lease = ServerLease(60.0, clock=lambda: self.clock)
        self.context.lease = self.lease
        self.loop = RunLoop(self.context)
        self.sharing = Sharing(self.context, self.loop, self.lease, server=None)  # type: ignore[arg-type]
        self.loop.forward = self.sharing.send

    async def start(self) -> None:
        await self.loop.start((), alone=False)
        await self.sharing._register()

    async def beat(self, times: int = 1) -> None:
        for _ in range(times):
            await self.sharing._beat()

    async def make(self, loop: RunLoop | None = None, document: dict[str, Any] | None = None) -> str:
        new = NewRun(pipeline_spec=document or documents.chain(2))
        return (await runs.create(self.context, loop or self.loop, new)).run_id

    async def make_and_start(self) -> str:
        """A run whose first attempt is recorded as started: nothing of it is on its way to the database."""
        run_id = await self.make()

        def is_running() -> bool:
            run = self.loop.active(run_id)
            return run is not None and run.state.executions["t0"].attempts[-1].started_at is not None

        await until(is_running)
        return run_id

    async def make_ended(self, world: World) -> str:
        """A run that has been cancelled."""
        world.behaviour = hang
        run_id = await self.make_and_start()
        await runs.terminate(self.context, self.loop, run_id)
        await until(lambda: not self.drives(run_id))
        return run_id

    async def set_owner(self, run_id: str, owner: str, domains: str | None = None) -> None:
        """As if another server had done it."""

        def change(conn: Any) -> None:
            conn.exec_driver_sql("UPDATE runs SET lease_owner = ? WHERE run_id = ?", (owner, run_id))
            if domains is not None:
                conn.exec_driver_sql("UPDATE runs SET executor_domains = ? WHERE run_id = ?", (domains, run_id))

        await self.context.write(change)

    async def add_server(self, name: str) -> None:
        owner = leases.Owner(server_id=name, executor_domains=frozenset({"elsewhere"}))
        await self.context.write(leases.register, owner, lease_s=3600.0)

    def drives(self, run_id: str) -> bool:
        return self.loop.active(run_id) is not None


@pytest.fixture
async def server(tmp_path: Path, executor: FakeExecutor) -> AsyncIterator[Server]:
    service = await Service.open(Settings(home=tmp_path / "home"), executor=executor, drive=False)
    server = Server(service)
    await server.start()
    yield server
    await server.loop.close()
    await service.close()


async def until_started(world: World, number: int = 1) -> AttemptId:
    await until(lambda: len(world.orders) == number)
    return list(world.orders)[-1]


async def test_a_run_that_only_the_database_knows_is_taken_over_at_the_second_look(server: Server, world: World):
    world.behaviour = hang
    other = RunLoop(server.context)
    run_id = await server.make(other)
    await server.beat()
    assert not server.drives(run_id), "it may have been made just now"
    await server.beat()
    assert server.drives(run_id)


async def test_a_run_that_only_the_loop_knows_is_left_at_the_second_look(server: Server, world: World):
    world.behaviour = hang
    run_id = await server.make_and_start()
    await server.add_server("other")
    await server.set_owner(run_id, "other")
    await server.beat()
    assert server.drives(run_id), "the loop and the database may differ for a moment"
    await server.beat()
    assert not server.drives(run_id)
    assert world.let_go == {run_id}
    assert not world.discarded, "another server cares for its attempts"


async def test_what_differed_once_and_agreed_again_is_left_alone(server: Server, world: World):
    world.behaviour = hang
    run_id = await server.make_and_start()
    await server.add_server("other")
    for owner in ("other", server.lease.server_id, "other"):
        await server.set_owner(run_id, owner)
        await server.beat()
    assert server.drives(run_id)


async def test_a_server_without_a_valid_lease_starts_nothing_and_asks_again_when_it_is_renewed(
    server: Server, world: World
):
    world.behaviour = hang
    run_id = await server.make()
    attempt = await until_started(world)
    server.clock += 61.0
    assert not server.lease.live()
    fake_of(server.context).end(succeed(world.orders[attempt]))
    run = server.loop.active(run_id)
    assert run is not None
    await until(lambda: "t1" in run.state.executions and run.state.executions["t1"].is_attempted)
    assert list(world.orders) == [attempt], "recorded, but not launched"
    await server.beat()
    await until_started(world, 2)


async def test_a_server_whose_lease_has_expired_leaves_its_runs_and_registers_under_a_new_name(
    server: Server, world: World
):
    world.behaviour = hang
    run_id = await server.make()
    attempt = await until_started(world)
    before = server.lease.server_id
    await server.context.write(leases.deregister, before)
    await server.beat()
    assert server.lease.server_id != before
    # It has left its run and, as no other server was there, claimed it again.
    assert world.let_go == {run_id}
    assert server.drives(run_id)
    assert list(world.orders) == [attempt]
    assert not world.discarded


async def test_a_run_made_while_the_server_registers_again_is_started(
    server: Server, world: World, monkeypatch: pytest.MonkeyPatch
):
    world.behaviour = hang
    await server.make()
    await until_started(world)
    await server.context.write(leases.deregister, server.lease.server_id)
    renew, leave = leases.renew, server.loop.leave

    def renew_late(*args: Any, **kwargs: Any) -> bool:
        server.clock += 61.0
        return renew(*args, **kwargs)

    made = []

    async def leave_slowly(run_id: str) -> None:
        await leave(run_id)
        made.append(await server.make())
        assert not server.lease.live()
        assert len(world.orders) == 1, "nothing is started without a lease"

    # The lease is valid when the beat begins, and has expired by the database's answer.
    monkeypatch.setattr(leases, "renew", renew_late)
    monkeypatch.setattr(server.loop, "leave", leave_slowly)
    await server.beat()
    assert [(await until_started(world, 2)).run_id] == made


async def test_a_run_made_under_a_name_that_the_server_has_lost_is_not_driven(server: Server, world: World):
    new = NewRun(pipeline_spec=documents.chain(1))

    def lose(conn: Any, run_id: str) -> None:
        server.lease.rename("another")

    run_id = (await runs.create(server.context, server.loop, new, with_=(lose,))).run_id
    assert not server.drives(run_id)
    assert not world.orders


async def test_a_retry_whose_claim_is_in_a_lost_name_is_refused(
    server: Server, world: World, monkeypatch: pytest.MonkeyPatch
):
    run_id = await server.make_ended(world)
    claim_one = leases.claim_one

    def lose(*args: Any) -> bool:
        claimed = claim_one(*args)
        server.lease.rename("another")
        return claimed

    monkeypatch.setattr(leases, "claim_one", lose)
    with pytest.raises(Unavailable) as refused:
        await runs.retry(server.context, server.loop, run_id)
    assert refused.value.code == "RUN_HANDED_OVER"
    assert not server.drives(run_id)


@pytest.mark.parametrize("request_type", [RetryRequested, ExecutionMarked, CancelRequested])
async def test_a_request_to_an_ended_run_that_no_server_takes_is_refused_unless_it_needs_nothing(
    server: Server, world: World, request_type: Any
):
    run_id = await server.make_ended(world)
    fields = {"path": "t0", "state": State.SKIPPED} if request_type is ExecutionMarked else {}
    event = request_type(at=server.context.now(), **fields)
    if request_type is CancelRequested:
        await server.sharing.send(run_id, event)
        return
    with pytest.raises(Unavailable) as refused:
        await server.sharing.send(run_id, event)
    assert refused.value.code == "RUN_HANDED_OVER"


async def test_a_commit_of_a_run_that_another_server_owns_makes_the_loop_leave_it(server: Server, world: World):
    world.behaviour = hang
    run_id = await server.make_and_start()
    (attempt,) = world.orders
    await server.add_server("other")
    await server.set_owner(run_id, "other")
    version = (await server.service.get_run(run_id)).version
    fake_of(server.context).end(succeed(world.orders[attempt]))
    await until(lambda: world.let_go == {run_id})
    assert not server.drives(run_id)
    assert (await server.service.get_run(run_id)).version == version
    assert list(world.orders) == [attempt]
    assert attempt not in world.settled, "its end is for the server that drives the run"


async def test_attempts_in_another_domain_are_lost_in_one_commit_and_started_here(server: Server, world: World):
    world.behaviour = hang
    run_id = await server.make(RunLoop(server.context), documents.fan(3))
    await until_started(world, 3)
    await server.set_owner(run_id, "dead", '["anywhere","elsewhere"]')
    with _losses_at_each_commit() as lost_at_commits:
        await server.beat()
        await until_started(world, 6)
    executions = [one for one in await server.service.get_executions(run_id) if one.attempts]
    for execution in executions:
        first, second = execution.attempts
        assert first.error is not None
        assert (first.state, first.error.code, second.number) == (State.FAILED, "SERVER_LOST", 2)
    domains = await server.context.read(leases.domains_of, [run_id])
    assert domains[run_id] == {"anywhere", "fake"}
    assert set(lost_at_commits) == {0, 3}, "a server that takes over in the middle would take lost attempts for its own"


@contextmanager
def _losses_at_each_commit() -> Iterator[list[int]]:
    """How many tasks have a lost attempt, at every commit of this process."""
    counts: list[int] = []

    def count(conn: Connection) -> None:
        found = conn.exec_driver_sql("SELECT count(*) FROM executions WHERE body LIKE '%SERVER_LOST%'")
        counts.append(found.scalar_one())

    event.listen(Engine, "commit", count)
    try:
        yield counts
    finally:
        event.remove(Engine, "commit", count)


async def test_attempts_in_the_same_domain_are_adopted(server: Server, world: World):
    world.behaviour = hang
    run_id = await server.make(RunLoop(server.context))
    attempt = await until_started(world)
    await server.set_owner(run_id, "dead", '["anywhere","fake","more"]')
    await server.beat()
    fake_of(server.context).end(succeed(world.orders[attempt]))
    await until_started(world, 2)
    assert sorted((one.path, one.number) for one in world.orders) == [("t0", 1), ("t1", 1)]


async def test_the_sweep_stops_what_no_server_waits_for_and_nothing_else(server: Server, world: World):
    world.behaviour = hang
    ours = await server.make()
    others = await server.make(RunLoop(server.context))
    ended = await server.make(RunLoop(server.context))
    await until_started(world, 3)
    await server.add_server("other")
    await server.set_owner(others, "other")
    await server.context.write(lambda conn: conn.exec_driver_sql(_END, (ended,)))
    await server.sharing._sweep()
    assert {attempt.run_id for attempt in world.discarded} == {ended}
    assert {attempt.run_id for attempt in world.orders} == {ours, others, ended}


_END = "UPDATE runs SET state = 'FAILED', lease_owner = NULL WHERE run_id = ?"
