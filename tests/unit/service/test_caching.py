"""The cache: why there is no hit, what is still there, and one of many that would do the same at once."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import documents
from fake_executor import FakeExecutor, World, fail, hang, produced, succeed
from headrace.attempt.order import LaunchOrder
from headrace.engine.model import AttemptId, Execution, PauseRequested, Reason, ResumeRequested, State
from headrace.executors.port import LACKING, AnyReport, Failed, Succeeded
from headrace.service.caching import Difference, ago, differences, why_missed
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.service.single_flight import SingleFlight
from headrace.store.cache import CacheEntry, CacheKey
from owned_service import Service
from waiting import until, until_final

pytestmark = pytest.mark.anyio


async def begun(service: Service, document: dict[str, Any] | None = None, **parameters: Any) -> str:
    new = NewRun(pipeline_spec=document or documents.one_task(cache=True), parameters=parameters)
    return (await service.create_run(new)).run_id


async def ran(service: Service, document: dict[str, Any] | None = None, **parameters: Any) -> Execution:
    """The task `work` of a run that has ended."""
    run_id = await begun(service, document, **parameters)
    await until_final(service, run_id)
    return await work_of(service, run_id)


async def work_of(service: Service, run_id: str, path: str = "work") -> Execution:
    return next(one for one in await service.get_executions(run_id) if one.path == path)


async def until_waiting(service: Service, run_id: str, path: str = "work") -> Reason:
    """The reason with which the task waits for another."""
    async for change in service.watch_run(run_id):
        if any(one.path == path and one.waiting for one in change.executions):
            break
    return why(await work_of(service, run_id, path))


def why(execution: Execution) -> Reason:
    assert execution.cache is not None and execution.cache.reason is not None
    return execution.cache.reason


def fails(order: LaunchOrder) -> Failed:
    return Failed(attempt=order.attempt, at=1.0, error=Reason(code="USER_EXCEPTION", message="no"), retryable=False)


# --- why there was no hit ------------------------------------------------------------------------


async def test_the_first_has_no_earlier_result(service: Service):
    assert why(await ran(service)).code == "CACHE_NO_ENTRY"


async def test_a_miss_names_the_differing_parameter_of_the_nearest_entry(service: Service):
    far = await ran(service, x="b")
    assert far.cache is not None
    work = await ran(service, x="c")
    reason = why(work)
    assert reason.code == "CACHE_KEY_DIFFERS"
    assert 'parameter x: "b" there, "c" here' in reason.message
    assert reason.details["differs"] == [{"part": "parameter x", "there": '"b"', "here": '"c"'}]
    assert (await ran(service, x="c")).cached_from is not None


async def test_a_task_that_lacks_its_secret_is_neither_reused_nor_kept_for_reuse(service: Service, world: World):
    world.surroundings = {LACKING: "secretAsEnv"}
    for _ in range(2):
        again = await ran(service)
        assert again.cached_from is None
        assert why(again).code == "CACHE_SETTINGS_WITHOUT_EFFECT"
        assert why(again).details == {"settings": ["secretAsEnv"]}
    assert len(world.orders) == 2
    # Where the setting has its effect, nothing of what was made without it is found.
    world.surroundings = {}
    assert why(await ran(service)).code == "CACHE_NO_ENTRY"


async def test_a_run_warns_of_settings_without_effect(service: Service):
    document = documents.one_task()
    platform = {
        "platforms": {
            "kubernetes": {"deploymentSpec": {"executors": {"exec-work": {"secretAsEnv": [{"secretName": "s"}]}}}}
        }
    }
    made = await service.create_run(NewRun(pipeline_spec=document, platform_spec=platform))
    warnings = (await service.run_view(made.run_id)).warnings
    assert [(one.code, one.details) for one in warnings] == [
        ("SETTING_WITHOUT_EFFECT", {"setting": "secretAsEnv", "tasks": ["work"]})
    ]
    other = await service.create_run(NewRun(pipeline_spec=document))
    assert (await service.run_view(other.run_id)).warnings == []


async def test_a_miss_tells_that_the_image_is_another(service: Service, world: World):
    world.surroundings = {"image digest": "sha256:" + "a" * 64}
    await ran(service)
    world.surroundings = {"image digest": "sha256:" + "b" * 64}
    reason = why(await ran(service))
    assert (reason.code, reason.message.endswith("differs: image digest differs.")) == ("CACHE_KEY_DIFFERS", True)
    world.surroundings = {"image digest": "sha256:" + "a" * 64}
    assert (await ran(service)).cached_from


async def test_what_it_ran_in_counts_even_where_it_was_not_known_before(service: Service, world: World):
    def behaviour(order: LaunchOrder) -> AnyReport:
        world.surroundings = {"packages": "sha256:built"}
        return succeed(order)

    world.surroundings, world.behaviour = {"packages": "asked:x"}, behaviour
    await ran(service)
    assert (await ran(service)).cached_from is not None


async def test_the_order_of_members_and_whole_doubles_do_not_matter(service: Service, world: World):
    document = documents.one_task(cache=True)
    document["root"]["inputDefinitions"]["parameters"]["x"] = {"parameterType": "STRUCT"}
    document["components"]["comp-work"]["inputDefinitions"]["parameters"]["x"] = {"parameterType": "STRUCT"}
    await ran(service, document, x={"a": 1, "b": [2, 0.5]})
    assert (await ran(service, document, x={"b": [2.0, 0.5], "a": 1.0})).cached_from is not None
    assert (await ran(service, document, x={"b": [2.0, 0.5], "a": True})).cached_from is None


async def test_a_cache_key_of_the_document_stands_for_all_but_the_component(service: Service, world: World):
    document = documents.one_task(cache=True)
    document["root"]["dag"]["tasks"]["work"]["cachingOptions"] = {"enableCache": True, "cacheKey": "mine"}
    await ran(service, document, x="b")
    assert (await ran(service, document, x="c")).cached_from is not None
    document["root"]["dag"]["tasks"]["work"]["cachingOptions"]["cacheKey"] = "another"
    reason = why(await ran(service, document, x="c"))
    assert reason.details["differs"] == [{"part": "cache key", "there": '"mine"', "here": '"another"'}]
    assert len(world.orders) == 2


async def test_an_entry_expires(tmp_path: Path):
    world = World()
    settings = Settings(home=tmp_path / "home", cache_max_age_s=3600.0)
    service = await Service.open(settings, executor=FakeExecutor(world))
    context = service._context
    await ran(service)
    # The fake's attempts all end in the epoch's first second.
    context.now = lambda: 1.0 + 3 * 3600.0
    reason = why(await ran(service))
    assert reason.code == "CACHE_EXPIRED" and "expired 2 h ago" in reason.message
    context.now = lambda: 1.0 + 1800.0
    assert (await ran(service)).cached_from is not None
    assert len(world.orders) == 2
    await service.close()


@pytest.mark.parametrize(("age_s", "used"), [(99.0, True), (101.0, False), (150.0, False), (199.0, False)])
async def test_an_entry_is_used_up_to_its_greatest_age_and_no_longer(tmp_path: Path, age_s: float, used: bool):
    settings = Settings(home=tmp_path / "home", cache_max_age_s=100.0)
    service = await Service.open(settings, executor=FakeExecutor(World()))
    await ran(service)
    # The fake's attempts all end in the epoch's first second.
    service._context.now = lambda: 1.0 + age_s
    work = await ran(service)
    assert (work.cached_from is not None) is used
    await service.close()


@pytest.mark.parametrize(("age_s", "code"), [(190.0, "CACHE_EXPIRED"), (210.0, "CACHE_NO_ENTRY")])
async def test_an_expired_entry_still_says_why_it_is_not_used_until_it_is_removed(
    tmp_path: Path, age_s: float, code: str
):
    """Entries are removed at a start, when they are twice as old as they may be."""
    settings = Settings(home=tmp_path / "home", cache_max_age_s=100.0)
    service = await Service.open(settings, executor=FakeExecutor(World()))
    await ran(service)
    service._context.now = lambda: 1.0 + age_s
    await service._loop._cache.sweep()
    assert why(await ran(service)).code == code
    await service.close()


async def test_the_result_of_a_deleted_run_is_not_used_again(service: Service, world: World):
    run_id = await begun(service)
    await until_final(service, run_id)
    await service.delete_run(run_id)
    work = await ran(service)
    assert (work.cached_from, why(work).code) == (None, "CACHE_NO_ENTRY")
    assert len(world.orders) == 2


async def test_no_cache_by_setting_is_said(tmp_path: Path):
    service = await Service.open(Settings(home=tmp_path, caching=False), executor=FakeExecutor(World()))
    assert why(await ran(service)).code == "CACHE_OFF_SERVER"
    await service.close()


@pytest.mark.parametrize("harm", ["gone", "cut short", "row gone"])
async def test_a_hit_whose_artifact_is_lost_is_a_miss(service: Service, world: World, tmp_path: Path, harm: str):
    file = tmp_path / "home" / "artifacts" / "a" / "model"

    def behaviour(order: LaunchOrder) -> Succeeded:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"abc")
        made = produced(order, "model", order.outputs.artifacts["model"])
        made = type(made)(name="model", type=made.type, uri=f"file://{file}", digest="d", size_bytes=3)
        return Succeeded(attempt=order.attempt, at=1.0, parameters={"text": "t"}, artifacts={"model": (made,)})

    world.behaviour = behaviour
    await ran(service)
    assert (await ran(service)).cached_from is not None
    if harm == "gone":
        shutil.rmtree(file.parent)
    elif harm == "cut short":
        file.write_bytes(b"ab")
    else:
        await service._context.database.write(_forget_artifacts)
    reason = why(await ran(service))
    assert (reason.code, reason.details["artifact"]) == ("CACHE_ARTIFACT_LOST", "model")
    assert len(world.orders) == 2


def _forget_artifacts(conn: Any) -> None:
    from headrace.store.tables import artifacts

    conn.execute(artifacts.delete())


# --- one of many ---------------------------------------------------------------------------------


def attempt(run_id: str, path: str = "work", number: int = 1) -> AttemptId:
    return AttemptId(run_id=run_id, path=path, number=number)


async def test_of_two_runs_that_do_the_same_one_runs(service: Service, world: World, executor: FakeExecutor):
    world.behaviour = hang
    first = await begun(service)
    await until(lambda: world.orders)
    second = await begun(service)
    reason = await until_waiting(service, second)
    assert reason.code == "WAITING_FOR_SAME_TASK"
    assert (reason.details["run_id"], reason.details["path"]) == (first, "work")
    executor.end(succeed(world.orders[attempt(first)]))
    assert (await until_final(service, second)).state is State.SUCCEEDED
    leader = (await service.execution_detail(attempt(first).execution_id)).execution
    assert (await work_of(service, second)).cached_from == leader.execution_id
    assert len(world.orders) == 1


@pytest.mark.parametrize("parallelism", [0, 1])
async def test_within_a_run_each_task_runs_itself(service: Service, world: World, parallelism: int):
    document = documents.loop("[7, 7, 8, 7, 8]", cache=True)
    document["root"]["dag"]["tasks"]["for"]["iteratorPolicy"] = {"parallelismLimit": parallelism}
    run_id = await begun(service, document)
    assert (await until_final(service, run_id)).state is State.SUCCEEDED
    assert sorted(a.path for a in world.orders if "work" in a.path) == [f"for[{n}]/work" for n in range(5)]
    again = await begun(service, document)
    assert (await until_final(service, again)).state is State.SUCCEEDED
    assert not [a for a in world.orders if a.run_id == again and "work" in a.path]


async def test_of_a_run_with_equal_tasks_one_waits_for_another_run_and_the_others_run(
    service: Service, world: World, executor: FakeExecutor
):
    world.behaviour = hang
    document = documents.loop("[7, 7, 7]", cache=True)
    first = await begun(service, document)
    await until(lambda: len(world.orders) == 3)
    second = await begun(service, document)
    await until(lambda: len(world.orders) == 5)
    assert len([one for one in world.orders if one.run_id == first]) == 3
    codes = [why(one).code for one in await service.get_executions(second) if "work" in one.path]
    assert codes.count("WAITING_FOR_SAME_TASK") == 1
    world.behaviour = succeed
    for order in list(world.orders.values()):
        executor.end(succeed(order))
    for run_id in (first, second):
        assert (await until_final(service, run_id)).state is State.SUCCEEDED


async def test_when_the_leader_fails_the_next_one_leads_and_no_more(
    service: Service, world: World, executor: FakeExecutor
):
    world.behaviour = hang
    runs = [await begun(service)]
    await until(lambda: world.orders)
    for _ in range(2):
        runs.append(await begun(service))
        await until_waiting(service, runs[-1])
    for run_id, other in zip(runs, runs[1:], strict=False):
        executor.end(fails(world.orders[attempt(run_id)]))
        assert (await until_final(service, run_id)).state is State.FAILED
        await until(lambda other=other: attempt(other) in world.orders)
        assert why(await work_of(service, other)).code == "CACHE_SAME_TASK_FAILED"
    assert len(world.orders) == 3
    executor.end(succeed(world.orders[attempt(runs[2])]))
    assert (await until_final(service, runs[2])).state is State.SUCCEEDED


@pytest.mark.parametrize("end", ["terminated", "deleted"])
async def test_when_the_leader_is_ended_the_next_one_leads(service: Service, world: World, end: str):
    world.behaviour = hang
    first = await begun(service)
    await until(lambda: world.orders)
    second = await begun(service)
    await until_waiting(service, second)
    await (service.terminate_run(first) if end == "terminated" else service.delete_run(first))
    await until(lambda: attempt(second) in world.orders)


async def test_who_waits_can_be_cancelled(service: Service, world: World, executor: FakeExecutor):
    world.behaviour = hang
    first = await begun(service)
    await until(lambda: world.orders)
    second = await begun(service)
    await until_waiting(service, second)
    await service.terminate_run(second)
    assert (await until_final(service, second)).state is State.CANCELED
    executor.end(succeed(world.orders[attempt(first)]))
    assert (await until_final(service, first)).state is State.SUCCEEDED
    assert len(world.orders) == 1


async def test_a_paused_leader_that_has_not_begun_holds_nobody_back(service: Service, world: World):
    document = documents.one_task(cache=True)
    document["root"]["dag"]["tasks"]["work"]["retryPolicy"] = {"maxRetryCount": 3, "backoffDuration": "3600s"}
    world.behaviour = lambda order: msgspec.structs.replace(fail(order), at=time.time())
    first = await begun(service, document)
    await until(lambda: world.settled)
    world.behaviour = succeed
    second = await begun(service, document)
    assert (await until_waiting(service, second)).details["run_id"] == first
    await service._loop.post(first, PauseRequested(at=1.0))
    assert (await until_final(service, second)).state is State.SUCCEEDED
    await service._loop.post(first, ResumeRequested(at=2.0))


async def test_a_restart_keeps_who_waits_waiting(tmp_path: Path):
    world = World(behaviour=hang)
    settings = Settings(home=tmp_path)
    service = await Service.open(settings, executor=FakeExecutor(world))
    first = await begun(service)
    await until(lambda: world.orders)
    second = await begun(service)
    await until_waiting(service, second)
    await service.close()
    executor = FakeExecutor(world)
    service = await Service.open(settings, executor=executor)
    await until(lambda: service._loop.leader_of(second, "work") == (first, "work"))
    executor.end(succeed(world.orders[attempt(first)]))
    assert (await until_final(service, second)).state is State.SUCCEEDED
    assert len(world.orders) == 1
    await service.close()


# --- the bookkeeping, and the words --------------------------------------------------------------


def key(fingerprint: str = "f", namespace: str = "") -> CacheKey:
    return CacheKey(namespace=namespace, pipeline_name="p", fingerprint=fingerprint)


def test_one_leads_and_the_others_wait_for_it() -> None:
    single_flight = SingleFlight()
    a, b, c = ("r1", "t"), ("r2", "t"), ("r3", "t")
    assert single_flight.join(key(), a) is None and single_flight.join(key(), a) is None
    assert single_flight.join(key(), b) == a and single_flight.join(key(), c) == a
    assert single_flight.join(key(namespace="other"), ("r4", "t")) is None, "never across namespaces"
    assert single_flight.leave(a, lambda member: member != b) == c
    assert (single_flight.leader_of(b), single_flight.leader_of(c), single_flight.leader_of(a)) == (c, None, None)
    assert single_flight.leave(b) is None
    assert single_flight.followers(key()) == []
    single_flight.join(key(), b)
    assert single_flight.complete(key()) == [b]
    assert single_flight.key_of(b) is None and single_flight.join(key(), b) is None
    assert single_flight.members_of("r2") == [b]


@given(
    st.lists(st.tuples(st.sampled_from(["join", "leave", "land"]), st.integers(0, 5), st.integers(0, 2)), max_size=60)
)
def test_each_key_always_has_one_leader_and_no_member_is_forgotten(steps: list[tuple[str, int, int]]) -> None:
    single_flight = SingleFlight()
    waits: dict[tuple[str, str], CacheKey] = {}
    for what, number, name in steps:
        member, wanted = (f"r{number}", "t"), key(f"f{name}")
        if what == "join" and waits.get(member, wanted) == wanted:
            single_flight.join(wanted, member)
            waits[member] = wanted
        elif what == "leave":
            single_flight.leave(member, lambda other: other[0] != "r1")
            waits.pop(member, None)
        elif what == "land":
            completed = single_flight.complete(wanted)
            assert set(completed) <= {other for other, at in waits.items() if at == wanted}
            waits = {other: at for other, at in waits.items() if at != wanted}
        assert {other: single_flight.key_of(other) for other in waits} == waits
        for at in set(waits.values()):
            leaders = [other for other, its in waits.items() if its == at and single_flight.leader_of(other) is None]
            assert len(leaders) == 1
            assert set(single_flight.followers(at)) == {o for o, its in waits.items() if its == at} - set(leaders)
            assert all(single_flight.leader_of(o) == leaders[0] for o in single_flight.followers(at))
        assert bool(single_flight) == bool(waits)


def entry(created_at: float, **parts: str) -> CacheEntry:
    from headrace.engine.model import Bundle

    return CacheEntry(
        key=key(), execution_id=f"e{created_at}", run_id="r", task="t", parts=parts, outputs=Bundle(),
        created_at=created_at,
    )  # fmt: skip


def test_the_nearest_entry_is_the_one_with_the_fewest_differing_parts() -> None:
    here = {"parameter lr": "0.2", "image": '"a"', "command": "sha256:1 (400 bytes)"}
    near = entry(10.0, **{**here, "parameter lr": "0.1"})
    far = entry(20.0, **{"parameter lr": "0.1", "image": '"b"'})
    reason = why_missed(here, [far, near], now=130.0)
    assert reason.message == ("The most similar earlier result (2 min ago) differs: parameter lr: 0.1 there, 0.2 here.")
    assert reason.details["from"]["execution_id"] == "e10.0"
    assert [str(one) for one in differences(far.parts, here)] == [
        "parameter lr: 0.1 there, 0.2 here", "command differs", 'image: "b" there, "a" here',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("there", "here", "told"),
    [
        ("0.1", "0.2", "part: 0.1 there, 0.2 here"),
        (None, "1", "part: nothing there, 1 here"),
        ("sha256:ab", "sha256:cd", "part differs"),
        ('"sha256:ab"', '"x"', "part differs"),
        ("x" * 61, "y", "part differs"),
    ],
)
def test_how_a_difference_is_told(there: str | None, here: str | None, told: str) -> None:
    assert str(Difference(part="part", there=there, here=here)) == told


@pytest.mark.parametrize(("seconds", "told"), [(0.2, "0 s"), (119, "119 s"), (7200, "2 h"), (500_000, "6 days")])
def test_spans(seconds: float, told: str) -> None:
    assert ago(seconds) == told
