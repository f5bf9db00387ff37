"""Explanations of recorded runs, and the cache's entries listed and dropped, through the service."""

from __future__ import annotations

from typing import Any

import pytest

import documents
from fake_executor import FakeExecutor, World, hang, succeed
from headrace.attempt.order import LaunchOrder
from headrace.engine.model import AttemptId, Reason, execution_id
from headrace.executors.port import Failed
from headrace.service.errors import Invalid, NotFound
from headrace.service.service import NewRun
from headrace.store.cache import CacheFilter
from headrace.store.records import ListQuery, Predicate
from headrace.wire.times import parse
from owned_service import Service
from waiting import until, until_final

pytestmark = pytest.mark.anyio


async def begun(service: Service, name: str = "", document: dict[str, Any] | None = None, **parameters: Any) -> str:
    new = NewRun(
        pipeline_spec=document or documents.one_task(cache=True), display_name=name, parameters=parameters
    )  # fmt: skip
    return (await service.create_run(new)).run_id


async def ran(service: Service, name: str = "", document: dict[str, Any] | None = None, **parameters: Any) -> str:
    run_id = await begun(service, name, document, **parameters)
    await until_final(service, run_id)
    return run_id


async def test_a_hit_names_the_run_and_the_task_it_is_from_and_its_parts(service: Service):
    first, second = await ran(service, "monday"), await ran(service, "tuesday")
    found = await service.explain_execution(execution_id(second, "work"))
    assert found.cache is not None and found.cache.source is not None
    source = found.cache.source
    assert (source.run_id, source.run_name, source.path, source.state) == (first, "monday", "work", "SUCCEEDED")
    assert found.cache.parts["parameter x"] == '"a"'
    assert found.cache.parts["command"] == '["true"]'
    entry = (await service.list_cache(ListQuery())).entries[0]
    assert entry.fingerprint == found.cache.fingerprint
    assert entry.parts == found.cache.parts


async def test_what_waits_for_the_same_task_elsewhere_says_where(
    service: Service, world: World, executor: FakeExecutor
):
    world.behaviour = hang
    first = await begun(service, "monday")
    await until(lambda: world.orders)
    second = await begun(service, "tuesday")
    work = execution_id(second, "work")
    await until(lambda: service._loop.leader_of(second, "work") is not None)
    found = await service.explain_execution(work)
    assert [(ref.run_id, ref.run_name, ref.path) for ref in found.waiting_for] == [(first, "monday", "work")]
    run = await service.explain_run(second)
    assert [(wait.code, wait.count) for wait in run.waiting] == [("WAITING_FOR_SAME_TASK", 1)]
    executor.end(succeed(world.orders[AttemptId(run_id=first, path="work", number=1)]))
    await until_final(service, second)


async def test_a_failed_run_is_explained_by_the_task_with_a_way_out(service: Service, world: World):
    def behaviour(order: LaunchOrder) -> Failed:
        details = {"exception_message": "No module named 'sklearn'", "exception_type": "ModuleNotFoundError"}
        error = Reason(code="MODULE_NOT_FOUND", message="No module named 'sklearn'", details=details)
        return Failed(attempt=order.attempt, at=1.0, error=error)

    world.behaviour = behaviour
    found = await service.explain_run(await ran(service, document=documents.chain(3)))
    assert [ref.path for ref in found.causes] == ["t0"]
    assert found.cause is not None
    assert "packages_to_install=['scikit-learn']" in found.cause.fix
    assert [(task.path, task.reason.code) for task in found.tasks] == [
        ("t0", "MODULE_NOT_FOUND"), ("t1", "UPSTREAM_FAILED"), ("t2", "UPSTREAM_FAILED"),
    ]  # fmt: skip
    limited = await service.explain_run(found.run_id, limit=1)
    assert (len(limited.tasks), limited.omitted) == (1, 2)


async def test_a_cancelled_run_says_when_it_was_asked_for(service: Service, world: World):
    world.behaviour = hang
    run_id = await begun(service)
    await until(lambda: world.orders)
    before = service._context.now()
    await service.terminate_run(run_id)
    await until_final(service, run_id)
    found = await service.explain_run(run_id)
    assert found.canceled_at is not None
    assert before - 0.01 <= parse(found.canceled_at) <= service._context.now()
    assert found.tasks[0].canceled_at == found.canceled_at


async def test_nothing_is_known_of_what_does_not_exist(service: Service):
    with pytest.raises(NotFound):
        await service.explain_run("x")
    with pytest.raises(NotFound):
        await service.explain_execution("x")


# --- entries -------------------------------------------------------------------------------------


async def test_entries_are_listed_newest_first_and_narrowed(service: Service):
    for x in ("a", "b", "c"):
        await ran(service, x=x)
    await ran(service, document=documents.one_task(cache=True, name="other"))
    page = await service.list_cache(ListQuery(page_size=2, sort_by="created_at", descending=True))
    assert (len(page.entries), page.total_size) == (2, 4)
    rest = await service.list_cache(
        ListQuery(page_size=2, sort_by="created_at", descending=True, page_token=page.next_page_token)
    )
    assert len({one.execution_id for one in (*page.entries, *rest.entries)}) == 4
    named = (Predicate(key="pipeline_name", operation="EQUALS", value="other"),)
    (one,) = (await service.list_cache(ListQuery(predicates=named))).entries
    assert (one.pipeline_name, one.task, one.expires_at) == ("other", "work", None)


@pytest.mark.parametrize("way", ["pipeline", "task", "run", "execution", "fingerprint", "everything"])
async def test_dropped_entries_are_not_used_again(service: Service, world: World, way: str):
    run_id = await ran(service)
    await ran(service, document=documents.one_task(cache=True, name="other"))
    entry = next(one for one in (await service.list_cache(ListQuery())).entries if one.run_id == run_id)
    which = {
        "pipeline": CacheFilter(pipeline_name="a-pipeline"),
        "task": CacheFilter(pipeline_name="a-pipeline", task="work"),
        "run": CacheFilter(run_id=run_id),
        "execution": CacheFilter(execution_ids=(entry.execution_id,)),
        "fingerprint": CacheFilter(fingerprint=entry.fingerprint, pipeline_name="a-pipeline"),
        "everything": CacheFilter(),
    }[way]
    dropped = await service.drop_cache(which, everything=way == "everything")
    assert dropped == (2 if way == "everything" else 1)
    count = len(world.orders)
    await ran(service)
    assert len(world.orders) == count + 1
    assert (await service.get_run(run_id)).run_id == run_id


async def test_not_everything_is_dropped_by_a_slip(service: Service):
    await ran(service)
    with pytest.raises(Invalid) as caught:
        await service.drop_cache(CacheFilter())
    assert caught.value.code == "CACHE_FILTER_MISSING"
    assert await service.drop_cache(CacheFilter(execution_ids=())) == 0
    assert (await service.list_cache(ListQuery())).total_size == 1
