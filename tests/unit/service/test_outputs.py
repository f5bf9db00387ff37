"""Artifacts, lineage, the cache, importers, logs, and what `/api` shows of it all."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

import documents
from fake_executor import FakeExecutor, World, hang, succeed
from headrace.artifacts.local import LocalStore
from headrace.attempt.result import ProducedArtifact
from headrace.engine.model import State, execution_id
from headrace.executors.port import Succeeded
from headrace.service.errors import NotFound
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.store import artifacts as artifact_rows
from headrace.wire.api import RunChange
from owned_service import Service
from waiting import until, until_final

pytestmark = pytest.mark.anyio


async def ran(service: Service, document: dict, **fields) -> str:
    made = await service.create_run(NewRun(pipeline_spec=document, **fields))
    record = await until_final(service, made.run_id)
    assert record.state is State.SUCCEEDED, record.error
    return made.run_id


async def artifact_of(service: Service, run_id: str, path: str, name: str):
    detail = await service.execution_detail(execution_id(run_id, path))
    return detail.outputs.artifacts[name][0]


# --- artifacts -----------------------------------------------------------------------------------


async def test_an_artifact_is_committed_with_its_task_and_its_lineage(service: Service):
    run_id = await ran(service, documents.one_task())
    view = await artifact_of(service, run_id, "work", "model")
    record = await service.get_artifact(view.artifact_id)
    assert (view.type, view.metadata, view.size_bytes, view.digest) == ("system.Model", {"n": 1}, 3, "d" * 64)
    assert (record.run_id, record.execution_id) == (run_id, execution_id(run_id, "work"))
    edges = await service._context.read(artifact_rows.get_edges, execution_id(run_id, "work"))
    assert [(e.direction, e.name, e.artifact_id) for e in edges] == [("OUTPUT", "model", view.artifact_id)]


async def test_content_is_read_by_id_and_goes_with_the_run(tmp_path: Path):
    home = tmp_path / "home"
    store = LocalStore(home / "artifacts")

    def work(order):
        attempt = order.attempt
        source = tmp_path / "made"
        source.mkdir()
        (source / "part").write_bytes(b"0123456789")
        stored = store.take(f"{order.artifact_prefix}/model", source)
        made = ProducedArtifact(
            name="model", type=order.outputs.artifacts["model"], uri=stored.uri, digest=stored.digest,
            size_bytes=stored.size_bytes, is_directory=stored.is_directory, owned=True,
        )  # fmt: skip
        return Succeeded(attempt=attempt, at=2.0, parameters={"text": "t"}, artifacts={"model": (made,)})

    service = await Service.open(Settings(home=home), executor=FakeExecutor(World(behaviour=work)))
    run_id = await ran(service, documents.one_task())
    view = await artifact_of(service, run_id, "work", "model")
    assert view.is_directory
    assert await service.list_artifact_members(view.artifact_id) == (("part", 10),)
    read = [c async for c in service.read_artifact(view.artifact_id, member="part", offset=2, limit=5)]
    assert b"".join(read) == b"23456"
    for member in ("../../../headrace.db", "nope", "/etc/passwd", "part/x"):
        with pytest.raises(NotFound):
            [c async for c in service.read_artifact(view.artifact_id, member=member)]
    await service.delete_run(run_id)
    with pytest.raises(NotFound):
        await service.get_artifact(view.artifact_id)
    assert [p for p in (home / "artifacts").rglob("*") if p.is_file()] == []
    await service.close()


async def test_unknown_ids_are_not_found(service: Service):
    for call in (
        service.get_artifact("x"), service.list_artifact_members("x"), service.execution_detail("x"),
        service.log_size("x", 1), service.run_view("x"), anext(service.read_artifact("x")), anext(service.read_log("x", 1)),
        anext(service.watch_run("x")), service.get_run_document("x"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await call


# --- the cache -----------------------------------------------------------------------------------


async def test_a_second_run_reuses_outputs_and_artifacts_keep_their_identity(service: Service, world: World):
    document = documents.one_task(cache=True)
    first = await ran(service, document)
    second = await ran(service, document)
    assert len(world.orders) == 1
    work = (await service.get_executions(second))[1]
    assert (work.state, work.cached_from, work.attempts) == (State.SUCCEEDED, execution_id(first, "work"), ())
    assert await artifact_of(service, first, "work", "model") == await artifact_of(service, second, "work", "model")
    view = await service.run_view(second)
    assert view.executions[1].cached_from == execution_id(first, "work")


@pytest.mark.parametrize("why", ["other argument", "run says no", "task says no", "other pipeline", "deleted"])
async def test_when_the_cache_is_not_used(service: Service, world: World, why: str):
    cache = why != "task says no"
    first = await ran(service, documents.one_task(cache=cache))
    if why == "deleted":
        await service.delete_run(first)
    name = "other" if why == "other pipeline" else "a-pipeline"
    parameters = {"x": "other"} if why == "other argument" else {}
    await ran(
        service,
        documents.one_task(cache=cache, name=name),
        parameters=parameters,
        caching=False if why == "run says no" else None,
    )
    assert len(world.orders) == 2


async def test_the_cache_can_be_switched_off(tmp_path: Path):
    world = World()
    service = await Service.open(Settings(home=tmp_path, caching=False), executor=FakeExecutor(world))
    for _ in range(2):
        await ran(service, documents.one_task(cache=True))
    assert len(world.orders) == 2
    await service.close()


async def test_an_artifact_another_run_reuses_outlives_its_maker(service: Service):
    document = documents.one_task(cache=True)
    first, second = await ran(service, document), await ran(service, document)
    await service.delete_run(first)
    view = await artifact_of(service, second, "work", "model")
    assert (await service.get_artifact(view.artifact_id)).run_id is None


# --- importers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reimport", [False, True])
async def test_an_importer_registers_its_artifact(service: Service, world: World, reimport: bool):
    document = documents.importer(reimport=reimport)
    first, second = await ran(service, document), await ran(service, document)
    views = [await artifact_of(service, run_id, "get", "artifact") for run_id in (first, second)]
    assert (views[0].uri, views[0].type, views[0].metadata) == ("gs://bucket/data.csv", "system.Dataset", {"rows": 3})
    assert (views[0].artifact_id == views[1].artifact_id) is not reimport
    assert {attempt.path for attempt in world.orders} == {"use"}
    used = [order.inputs.artifacts["data"][0].artifact_id for order in world.orders.values()]
    assert set(used) == {view.artifact_id for view in views}
    with pytest.raises(NotFound) as caught:
        await service.list_artifact_members(views[0].artifact_id)
    assert caught.value.code == "ARTIFACT_CONTENT_MISSING"


async def test_an_importer_finds_no_artifact_of_another_namespace(service: Service):
    """Its ID and metadata would tell the one what the other has."""
    seen: dict[str, list[str]] = {}
    for namespace in ("red", "blue", "red"):
        run_id = await ran(service, documents.importer(), namespace=namespace)
        artifact = await artifact_of(service, run_id, "get", "artifact")
        seen.setdefault(namespace, []).append(artifact.artifact_id)
    assert len(set(seen["red"])) == 1
    assert not set(seen["red"]) & set(seen["blue"])


# --- logs ----------------------------------------------------------------------------------------


async def test_logs(service: Service):
    run_id = await ran(service, documents.one_task())
    work = execution_id(run_id, "work")
    assert await service.log_size(work, 1) == 16

    async def read(**span) -> bytes:
        return b"".join([chunk async for chunk in service.read_log(work, 1, **span)])

    assert await read() == await read(follow=True) == b"hello from work\n"
    assert await read(offset=6, limit=6) == b"from w"
    assert await read(limit=0) == b""
    with pytest.raises(NotFound):
        await service.log_size(work, 2)


# --- what changes --------------------------------------------------------------------------------


async def test_the_view_of_a_run(service: Service):
    run_id = await ran(service, documents.loop())
    view = await service.run_view(run_id)
    assert [node.name for node in view.graph] == ["for", "last"]
    assert [node.name for node in view.graph[0].children] == ["work"]
    shown = {e.path: e for e in view.executions}
    assert (shown["for[1]/work"].node, shown["for[1]"].item, shown["for"].iteration_count) == ("for/work", 2, 3)
    assert shown["last"].attempts[0].number == 1
    for time in (view.run.created_at, shown["last"].ended_at):
        assert time is not None and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    assert view.run.task_counts == {"SUCCEEDED": 4}


async def test_a_watcher_sees_the_whole_and_then_each_change_to_the_end(
    service: Service, world: World, executor: FakeExecutor
):
    world.behaviour = hang
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(2)))
    await until(lambda: world.orders)
    changes: list[RunChange] = []
    async for change in service.watch_run(made.run_id):
        changes.append(change)
        world.behaviour = succeed
        for attempt, order in list(world.orders.items()):
            if attempt not in world.ends:
                executor.end(succeed(order))
    versions = [change.version for change in changes]
    assert versions == sorted(set(versions))
    assert {e.path for e in changes[0].executions} == {"", "t0", "t1"}
    assert changes[-1].run.state == "SUCCEEDED"
    # Put together, the changes are what there is.
    seen = {e.path: e for change in changes for e in change.executions}
    assert list(seen.values()) == (await service.run_view(made.run_id)).executions
    # Taken up again at a version, only what came later is told.
    rest = [change async for change in service.watch_run(made.run_id, after_version=versions[0])]
    assert {e.path for change in rest for e in change.executions} <= set(seen)
    assert rest[-1].version == versions[-1]
    assert [change async for change in service.watch_run(made.run_id, after_version=versions[-1])] == []


async def test_a_watcher_of_all_runs_sees_each(service: Service):
    async def watch() -> set[str]:
        ended: set[str] = set()
        async for change in service.watch_runs():
            ended |= {run.run_id for run in change.runs if run.state == "SUCCEEDED"}
            if len(ended) == 3:
                return ended
        raise AssertionError

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    runs = {(await service.create_run(NewRun(pipeline_spec=documents.chain(2)))).run_id for _ in range(3)}
    async with asyncio.timeout(10):
        assert await watching == runs


async def test_watchers_end_when_the_service_closes(tmp_path: Path):
    service = await Service.open(Settings(home=tmp_path), executor=FakeExecutor(World(behaviour=hang)))
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    stream = service.watch_run(made.run_id)
    await anext(stream)

    async def rest() -> None:
        async for _ in stream:
            pass

    waiting = asyncio.create_task(rest())
    await asyncio.sleep(0)
    await service.close()
    async with asyncio.timeout(5):
        await asyncio.gather(waiting, return_exceptions=True)
