"""Several servers on one PostgreSQL: they share the work, take over from the dead, and nobody else's commit counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import documents
from fake_executor import FakeExecutor, World, fake_of, hang, succeed
from headrace.engine.model import State
from headrace.service.errors import Conflict, NotFound
from headrace.service.requests import NewRecurringRun
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.store import leases, run_changes
from headrace.store import runs as rows
from headrace.store.errors import Stale
from headrace.store.records import ListQuery, StoredTimetable
from headrace.store.urls import DatabaseUrl
from owned_service import Service
from postgres import Postgres

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LEASE_S = 2.0


class Servers:
    """Servers on one database; those of one home see one world of attempts."""

    def __init__(self, url: str, tmp_path: Path) -> None:
        self.url = DatabaseUrl.parse(url)
        self._tmp_path = tmp_path
        self.worlds: dict[str, World] = {}
        self.alive: list[Service] = []

    async def open(self, home: str = "home") -> Service:
        executor = FakeExecutor(self.worlds.setdefault(home, World()), domain=home)
        settings = Settings(home=self._tmp_path / home, database=self.url, lease_s=LEASE_S)
        service = await Service.open(settings, executor=executor)
        self.alive.append(service)
        return service

    async def kill(self, service: Service) -> None:
        """It does nothing any more, and has told nobody."""
        assert service._sharing is not None
        for task in service._sharing._tasks:
            task.cancel()
        await service._ticker.close()
        await service._loop.close()
        await service._context.executor.close()
        await service._context.database.close()
        service._context.data_dir.close()
        self.alive.remove(service)


@pytest.fixture
async def servers(database_url: str, tmp_path: Path) -> AsyncIterator[Servers]:
    servers = Servers(database_url, tmp_path)
    yield servers
    for service in servers.alive:
        await service.close()


async def until(fact: Any, what: str, *, limit_s: float = 20.0) -> None:
    """Wait for a fact, told by a function or a coroutine function."""
    try:
        async with asyncio.timeout(limit_s):
            while not (await found if asyncio.iscoroutine(found := fact()) else found):
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {limit_s} s: {what}") from None


async def made(service: Service, document: Any = None) -> str:
    return (await service.create_run(NewRun(pipeline_spec=document or documents.chain(2)))).run_id


async def state(service: Service, run_id: str) -> State:
    return (await service.get_run(run_id)).state


async def ended(service: Service, run_id: str) -> State:
    await until(lambda: _final(service, run_id), f"run {run_id} ends")
    return await state(service, run_id)


async def _is(service: Service, run_id: str, word: State) -> bool:
    return await state(service, run_id) is word


async def _final(service: Service, run_id: str) -> bool:
    return (await state(service, run_id)).final


def drives(service: Service, run_id: str) -> bool:
    return service._loop.active(run_id) is not None


async def attempts(service: Service, run_id: str) -> dict[str, int]:
    return {
        one.path: len(one.attempts) for one in await service.get_executions(run_id) if one.attempts
    }  # fmt: skip


async def test_whoever_is_asked_makes_and_drives_a_run_and_all_can_tell_of_it(servers: Servers):
    one, two = await servers.open(), await servers.open()
    first, second = await made(one), await made(two)
    assert [await ended(two, first), await ended(one, second)] == [State.SUCCEEDED] * 2
    page = await one.list_runs(ListQuery())
    assert {record.run_id for record in page.items} == {first, second}


async def test_a_run_of_a_dead_server_goes_to_another_which_adopts_what_runs(servers: Servers):
    one, two = await servers.open(), await servers.open()
    world = servers.worlds["home"]
    world.behaviour = hang
    run_id = await made(one)
    await until(lambda: _running(two, run_id), "it runs")
    await servers.kill(one)
    await until(lambda: drives(two, run_id), "the other has taken over")
    world.behaviour = succeed
    (attempt,) = world.orders
    fake_of(two._context).end(succeed(world.orders[attempt]))
    assert await ended(two, run_id) is State.SUCCEEDED
    assert max(world.starts.values()) == 1
    assert await attempts(two, run_id) == {"t0": 1, "t1": 1}


async def _running(service: Service, run_id: str) -> bool:
    return any(one.state is State.RUNNING and one.attempts for one in await service.get_executions(run_id))


async def test_attempts_out_of_reach_are_lost_and_started_anew_as_recorded(servers: Servers):
    one, two = await servers.open("here"), await servers.open("there")
    servers.worlds["here"].behaviour = hang
    run_id = await made(one)
    await until(lambda: _running(two, run_id), "it runs")
    await servers.kill(one)
    assert await ended(two, run_id) is State.SUCCEEDED
    (execution,) = [one for one in await two.get_executions(run_id) if one.path == "t0"]
    assert [attempt.state for attempt in execution.attempts] == [State.FAILED, State.SUCCEEDED]
    assert execution.attempts[0].error is not None
    assert execution.attempts[0].error.code == "SERVER_LOST"
    begun = [*servers.worlds["here"].starts, *servers.worlds["there"].starts]
    assert sorted((attempt.path, attempt.number) for attempt in begun) == [("t0", 1), ("t0", 2), ("t1", 1)]
    # The machine comes back: what nobody waits for any more is ended.
    await servers.open("here")
    await until(lambda: servers.worlds["here"].discarded, "the orphan is ended")


async def test_a_server_that_leaves_hands_over_at_once(servers: Servers):
    one, two = await servers.open(), await servers.open()
    servers.worlds["home"].behaviour = hang
    run_id = await made(one)
    servers.alive.remove(one)
    await one.close()
    await until(lambda: drives(two, run_id), "the other has taken over")


async def test_runs_of_the_dead_are_shared_out(servers: Servers):
    one = await servers.open()
    servers.worlds["home"].behaviour = hang
    ids = [await made(one) for _ in range(9)]
    others = [await servers.open() for _ in range(3)]
    await servers.kill(one)
    await until(lambda: all(any(drives(other, run_id) for other in others) for run_id in ids), "all are taken over")
    shares = sorted(sum(drives(other, run_id) for run_id in ids) for other in others)
    assert sum(shares) == 9
    assert shares[0] >= 1


async def test_requests_reach_the_server_that_drives_the_run(servers: Servers):
    one, two = await servers.open(), await servers.open()
    servers.worlds["home"].behaviour = hang
    run_id = await made(one)
    await two.pause_run(run_id)
    await until(lambda: _is(two, run_id, State.PAUSED), "it is paused")
    with pytest.raises(Conflict) as caught:
        await one.retry_run(run_id)
    assert caught.value.code == "RUN_NOT_RETRYABLE"
    await two.resume_run(run_id)
    await two.terminate_run(run_id)
    assert await ended(two, run_id) is State.CANCELED
    with pytest.raises(Conflict) as caught:
        await two.terminate_run(run_id)
    assert caught.value.code == "RUN_FINAL"
    # Nobody's now: whoever is asked tries it again.
    servers.worlds["home"].behaviour = succeed
    await two.retry_run(run_id)
    assert await ended(one, run_id) is State.SUCCEEDED


async def test_a_letter_to_a_server_that_dies_is_read_by_the_next(servers: Servers):
    one, two = await servers.open(), await servers.open()
    servers.worlds["home"].behaviour = hang
    run_id = await made(one)
    await servers.kill(one)
    await two.terminate_run(run_id)
    assert await ended(two, run_id) is State.CANCELED


async def test_a_run_deleted_by_another_server_is_stopped(servers: Servers):
    one, two = await servers.open(), await servers.open()
    world = servers.worlds["home"]
    world.behaviour = hang
    run_id = await made(one)
    await until(lambda: _running(one, run_id), "it runs")
    await two.delete_run(run_id)
    with pytest.raises(NotFound):
        await one.get_run(run_id)
    await until(lambda: run_id in world.forgotten, "its attempts are stopped and forgotten")
    assert [type(end).__name__ for end in world.ends.values()] == ["Stopped"]
    assert not drives(one, run_id)


async def test_watchers_see_what_another_server_does(servers: Servers):
    one, two = await servers.open(), await servers.open()
    servers.worlds["home"].behaviour = hang
    run_id = await made(one)
    seen: list[str] = []

    async def watch() -> None:
        async for change in two.watch_run(run_id):
            seen.append(change.run.state)

    watching = asyncio.create_task(watch())
    await until(lambda: "RUNNING" in seen, "it is seen running")
    await one.terminate_run(run_id)
    await asyncio.wait_for(watching, 30)
    assert seen[-1] == "CANCELED"


async def test_a_log_is_followed_from_another_server(servers: Servers):
    one, two = await servers.open(), await servers.open()
    world = servers.worlds["home"]
    world.behaviour = hang
    run_id = await made(one, documents.one_task())
    await until(lambda: _running(two, run_id), "it runs")
    (attempt,) = world.orders
    read: list[bytes] = []

    async def follow() -> None:
        async for chunk in two.read_log(attempt.execution_id, 1, follow=True):
            read.append(chunk)

    following = asyncio.create_task(follow())
    await until(lambda: b"hello" in b"".join(read), "its beginning is read")
    world.logs[attempt] += b"and more"
    fake_of(one._context).end(succeed(world.orders[attempt]))
    await asyncio.wait_for(following, 30)
    assert b"".join(read) == world.logs[attempt]


async def test_without_notifications_all_is_found_by_looking(servers: Servers, postgres: Postgres):
    one, two = await servers.open(), await servers.open()
    for service in (one, two):
        assert service._sharing is not None
        service._sharing._tasks[2].cancel()
    servers.worlds["home"].behaviour = hang
    run_id = await made(one)
    seen: list[str] = []

    async def watch() -> None:
        async for change in two.watch_run(run_id):
            seen.append(change.run.state)

    watching = asyncio.create_task(watch())
    await two.terminate_run(run_id)
    await asyncio.wait_for(watching, 30)
    assert seen[-1] == "CANCELED"


async def test_a_server_whose_lease_ran_out_writes_and_launches_nothing(servers: Servers):
    one, two = await servers.open(), await servers.open()
    world = servers.worlds["home"]
    world.behaviour = hang
    run_id = await made(one)
    await until(lambda: _running(two, run_id), "it runs")
    # As if the process had been stopped: no beat, and its clock says the lease is over.
    assert one._sharing is not None
    assert one._context.lease is not None
    for task in one._sharing._tasks:
        task.cancel()
    await until(lambda: drives(two, run_id), "the other has taken over")
    assert not one._context.lease.live()
    stale = one._loop.active(run_id)
    assert stale is not None
    owner, version = one._context.owner, (await two.get_run(run_id)).version
    world.behaviour = succeed
    (attempt,) = world.orders
    fake_of(one._context).end(succeed(world.orders[attempt]))
    await until(lambda: not drives(one, run_id), "it sees that the run is not its own")
    assert (await two.get_run(run_id)).version == version
    assert len(world.orders) == 1
    await until(lambda: world.let_go == {run_id}, "it cares for its attempts no more")
    with pytest.raises(Stale):
        change = run_changes.RunChangeSet(run_id=run_id, base_version=version, state=stale.state, first_seq=99)
        await two._context.database.write(run_changes.commit_changes, [change], owner)
    # It wakes up, sees that its name is gone, and goes on under another.
    before = one._context.lease.server_id
    await one._sharing._beat()
    assert one._context.lease.server_id != before
    assert one._context.lease.live()
    fake_of(two._context).end(succeed(world.orders[attempt]))
    assert await ended(one, run_id) is State.SUCCEEDED
    assert max(world.starts.values()) == 1


async def test_one_server_buries_and_only_what_is_free_is_claimed_and_only_once(servers: Servers):
    one = await servers.open()
    servers.worlds["home"].behaviour = hang
    for _ in range(20):
        await made(one)
    database = one._context.database
    await servers.kill(one)
    two = await servers.open("there")
    database = two._context.database
    assert two._sharing is not None
    for task in two._sharing._tasks:
        task.cancel()
    names = [f"s{n}" for n in range(4)]
    for name in names:
        await database.write(
            leases.register, leases.Owner(server_id=name, executor_domains=frozenset({"p"})), lease_s=60.0
        )
    await asyncio.sleep(LEASE_S)
    await asyncio.gather(*(database.write(leases.expire) for _ in names))
    for _ in range(6):
        await asyncio.gather(*(database.write(leases.claim, name) for name in names))
    held = [await database.read(leases.owned, name) for name in names]
    assert sum(len(ids) for ids in held) == 20
    assert len(frozenset[str]().union(*held)) == 20


async def test_a_run_of_a_server_that_was_buried_while_it_made_it_is_not_forgotten(servers: Servers):
    one = await servers.open()
    servers.worlds["home"].behaviour = hang
    run_id = await made(one)
    database = one._context.database

    def give_to_a_ghost(conn: Any) -> None:
        conn.exec_driver_sql("UPDATE runs SET lease_owner = 'ghost'")

    await database.write(give_to_a_ghost)
    assert one._context.lease is not None
    name = one._context.lease.server_id

    async def claimed() -> bool:
        return run_id in await database.read(leases.owned, name)

    await until(claimed, "it is claimed again")
    await until(lambda: drives(one, run_id), "and driven")


async def test_a_server_that_only_looks_takes_no_seat(servers: Servers, database_url: str, tmp_path: Path):
    one = await servers.open()
    settings = Settings(home=tmp_path / "other", database=DatabaseUrl.parse(database_url))
    looking = await Service.open(settings, executor=FakeExecutor(World()), drive=False)
    count = await looking._context.database.read(
        lambda conn: conn.exec_driver_sql("SELECT count(*) FROM servers").scalar()
    )
    await looking.close()
    assert count == 1
    assert one._context.owner is not None


# --- recurring runs ----------------------------------------------------------------------------


async def test_a_tick_that_several_servers_see_makes_one_run(servers: Servers) -> None:
    first, second, third = [await servers.open(home) for home in ("a", "b", "c")]
    window = StoredTimetable(interval_s=60, start=86_400, end=86_400 + 60 * 25)
    made = await first.create_recurring_run(
        NewRecurringRun(
            display_name="r", pipeline_spec=documents.one_task(), timetable=window, max_concurrency=10
        )  # fmt: skip
    )
    second._context.schedules_changed.set()
    third._context.schedules_changed.set()

    async def over() -> bool:
        return (await second.get_recurring_run(made.recurring_run_id)).next_tick_at is None

    await until(lambda: _died(servers, first), "one server dies under way")
    await until(over, "every tick of the window is handled")
    listed = await second.list_runs(ListQuery(page_size=100))
    assert sorted(one.scheduled_at - 86_400 for one in listed.items) == [60 * number for number in range(1, 26)]
    assert (await second.get_recurring_run(made.recurring_run_id)).tick_index == 25


async def _died(servers: Servers, service: Service) -> bool:
    if len((await service.list_runs(ListQuery())).items) < 3:
        return False
    await servers.kill(service)
    return True
