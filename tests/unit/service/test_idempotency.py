from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import documents
from fake_executor import FakeExecutor, World, hang
from headrace.service import idempotency
from headrace.service.access import Caller, Source
from headrace.service.errors import Conflict, Invalid
from headrace.service.requests import IdempotencyKey
from headrace.service.service import NewRun, Rerun
from headrace.service.settings import Settings
from headrace.store.database import Connection
from headrace.store.records import ListQuery
from headrace.store.tables import idempotency_keys
from owned_service import Service
from waiting import until_final

pytestmark = pytest.mark.anyio

NEW = NewRun(pipeline_spec=documents.one_task(), display_name="once")


def key(value: str = "k", route: str = "post_runs") -> IdempotencyKey:
    return IdempotencyKey(value=value, route=route)


async def count(service: Service) -> int:
    return (await service.list_runs(ListQuery())).total_size


async def test_the_same_request_makes_one_run(service: Service):
    made = await service.create_run(NEW, key=key())
    await until_final(service, made.run_id)
    again = await service.create_run(NEW, key=key())
    assert (again.run_id, again.state) == (made.run_id, (await service.get_run(made.run_id)).state)
    assert await count(service) == 1


async def test_without_a_key_or_with_another_each_request_makes_a_run(service: Service):
    for one in (None, None, key("a"), key("b"), key("a", route="another")):
        await service.create_run(NEW, key=one)
    assert await count(service) == 5


async def test_the_same_key_with_another_request_is_refused(service: Service):
    made = await service.create_run(NEW, key=key())
    other = NewRun(pipeline_spec=documents.one_task(), display_name="another")
    with pytest.raises(Conflict) as caught:
        await service.create_run(other, key=key())
    assert (caught.value.code, caught.value.details) == ("IDEMPOTENCY_KEY_REUSED", {"run_id": made.run_id})
    assert await count(service) == 1


async def test_a_key_means_something_to_its_user_only(service: Service):
    made = await service.create_run(NEW, key=key())
    ada = service.for_caller(Caller(user="ada", namespaces=None, source=Source.TOKEN))
    assert (await ada.create_run(NEW, key=key())).run_id != made.run_id


async def test_a_request_that_was_refused_leaves_its_key_free(service: Service):
    wrong = NewRun(pipeline_spec=documents.one_task(), parameters={"nothing": 1})
    with pytest.raises(Invalid):
        await service.create_run(wrong, key=key())
    await service.create_run(NEW, key=key())
    assert await count(service) == 1


async def test_many_at_once_make_one_run(service: Service, world: World):
    world.behaviour = hang
    made = await asyncio.gather(*(service.create_run(NEW, key=key()) for _ in range(20)))
    assert len({run.run_id for run in made}) == 1
    assert await count(service) == 1


async def test_two_servers_make_one_run(tmp_path: Path, database_url: str):
    from headrace.store.urls import DatabaseUrl

    database = DatabaseUrl.parse(database_url)
    settings = [Settings(home=tmp_path / name, database=database) for name in ("one", "two")]
    servers = [await Service.open(one, executor=FakeExecutor(World())) for one in settings]
    try:
        made = await asyncio.gather(*(servers[n % 2].create_run(NEW, key=key()) for n in range(10)))
        assert len({run.run_id for run in made}) == 1
        assert await count(servers[0]) == 1
    finally:
        for server in servers:
            await server.close()


async def test_a_deleted_run_is_not_made_again(service: Service):
    made = await service.create_run(NEW, key=key())
    await service.delete_run(made.run_id)
    with pytest.raises(Conflict) as caught:
        await service.create_run(NEW, key=key())
    assert caught.value.code == "IDEMPOTENT_RUN_DELETED"
    assert await count(service) == 0


async def test_reruns_have_keys_too(service: Service):
    first = await service.create_run(NEW)
    await until_final(service, first.run_id)
    wanted = Rerun(again=("work",))
    made = [await service.rerun_run(first.run_id, wanted, key=key()) for _ in range(3)]
    assert len({run.run_id for run in made}) == 1
    with pytest.raises(Conflict):
        await service.rerun_run(made[0].run_id, wanted, key=key())


async def test_keys_are_forgotten_after_a_day(service: Service):
    now = service._context.now()
    service._context.now = lambda: now
    made = await service.create_run(NEW, key=key())
    service._context.now = lambda: now + idempotency.REMEMBERED_S - 1
    assert (await service.create_run(NEW, key=key())).run_id == made.run_id
    service._context.now = lambda: now + idempotency.REMEMBERED_S
    later = await service.create_run(NEW, key=key())
    assert later.run_id != made.run_id

    def kept(conn: Connection) -> list[str]:
        return list(conn.execute(idempotency_keys.select()).mappings().all()[0].values())[:4]

    assert await service._context.read(kept) == ["local", "", "post_runs", "k"]


async def test_what_is_recorded_with_a_run_is_recorded_with_it_or_not_at_all(service: Service):
    from headrace.service import runs

    def fail(conn: Connection, run_id: str) -> None:
        raise RuntimeError(run_id)

    with pytest.raises(RuntimeError):
        await runs.create(service._context, service._loop, NEW, with_=[fail])
    assert await count(service) == 0
