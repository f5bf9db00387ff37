"""Data directories that earlier releases have made: today's code opens them and goes on.

`tests/fixtures/data_dirs/make.py` says what is in them, and makes them with the code of that time.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from fake_executor import FakeExecutor, World, succeed
from headrace.attempt.order import LaunchOrder
from headrace.engine.model import State, execution_id
from headrace.executors.port import Succeeded
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.store.migrations import LATEST
from headrace.store.records import ListQuery
from headrace.wire.api import ArtifactView
from owned_service import Service
from waiting import until_final

pytestmark = pytest.mark.anyio

FIXTURES = Path(__file__).parents[2] / "fixtures" / "data_dirs"
#: Versions that made fingerprints of other parts: what they left in the cache is not found any more.
OTHER_FINGERPRINTS = {1, 2}
VERSIONS = sorted((int(folder.name) for folder in FIXTURES.iterdir() if folder.name.isdigit()))


def test_there_is_one_of_each_version_of_an_earlier_release():
    # Later versions of the schema belong to no release yet.
    assert VERSIONS == [1, 2, 3, 4]
    assert max(VERSIONS) < LATEST


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def old_home(version: int, tmp_path: Path) -> Path:
    fixture, home = FIXTURES / str(version), tmp_path / "home"
    home.mkdir()
    shutil.copytree(fixture / "artifacts", home / "artifacts")
    with sqlite3.connect(home / "headrace.db") as conn:
        conn.executescript((fixture / "database.sql").read_text().replace("@HOME@", str(home)))
    conn.close()
    return home


def work(order: LaunchOrder) -> Succeeded:
    end = succeed(order)
    return Succeeded(attempt=end.attempt, at=end.at, parameters={"rows": 3}) if order.task == "use" else end


@pytest.fixture
def world() -> World:
    return World(behaviour=work)


@pytest.fixture
async def service(old_home: Path, world: World) -> AsyncIterator[Service]:
    service = await Service.open(Settings(home=old_home), executor=FakeExecutor(world))
    yield service
    await service.close()


async def run_ids(service: Service) -> dict[str, str]:
    return {run.display_name: run.run_id for run in (await service.list_runs(ListQuery())).items}


async def outputs(service: Service, run_id: str) -> dict[str, ArtifactView]:
    detail = await service.execution_detail(execution_id(run_id, "make"))
    return {name: made[0] for name, made in detail.outputs.artifacts.items()}


def path_of(artifact: ArtifactView) -> Path:
    return Path(unquote(urlsplit(artifact.uri).path))


async def test_runs_are_listed_and_an_unfinished_one_goes_on_to_its_end(service: Service, world: World):
    ids = await run_ids(service)
    assert set(ids) == {"finished", "failed", "unfinished"}
    assert (await service.get_run(ids["finished"])).state is State.SUCCEEDED
    assert (await service.get_run(ids["failed"])).state is State.FAILED
    assert (await until_final(service, ids["unfinished"])).state is State.SUCCEEDED
    # Only what was not over is launched.
    assert [(attempt.run_id, attempt.path) for attempt in world.starts] == [(ids["unfinished"], "use")]
    (order,) = world.orders.values()
    assert {name: path_of(made[0]).exists() for name, made in order.inputs.artifacts.items()} == {  # type: ignore[arg-type]
        "model": True,
        "folder": True,
    }


async def test_artifacts_are_read_and_checked(service: Service):
    ids = await run_ids(service)
    for kind in ids:
        made = await outputs(service, ids[kind])
        read = [chunk async for chunk in service.read_artifact(made["model"].artifact_id)]
        assert b"".join(read) == f"a model of {kind}".encode()
        folder = made["folder"].artifact_id
        assert await service.list_artifact_members(folder) == (("inner/part.csv", len(f"{kind},1\n")),)
        read = [chunk async for chunk in service.read_artifact(folder, member="inner/part.csv")]
        assert b"".join(read) == f"{kind},1\n".encode()


async def test_the_cache_serves_what_is_in_it(service: Service, world: World, version: int):
    ids = await run_ids(service)
    await until_final(service, ids["unfinished"])
    world.starts.clear()
    assert (await service.list_cache(ListQuery())).total_size >= 2
    document, _ = await service.get_run_document(ids["finished"])
    again = await service.create_run(NewRun(pipeline_spec=document))
    assert (await until_final(service, again.run_id)).state is State.SUCCEEDED
    if version in OTHER_FINGERPRINTS:
        assert sorted(attempt.path for attempt in world.starts) == ["make", "use"]
        return
    assert not world.starts
    assert (await outputs(service, again.run_id))["model"].artifact_id in {
        (await outputs(service, run_id))["model"].artifact_id for run_id in ids.values()
    }


async def test_deleting_a_run_removes_its_content_and_no_other(service: Service):
    ids = await run_ids(service)
    await until_final(service, ids["unfinished"])
    content = {kind: [path_of(made) for made in (await outputs(service, ids[kind])).values()] for kind in ids}
    for kind in ("failed", "unfinished", "finished"):
        await service.delete_run(ids[kind])
        assert not any(path.exists() for path in content.pop(kind))
        assert all(path.exists() for paths in content.values() for path in paths)
    assert (await service.list_runs(ListQuery())).total_size == 0


async def test_a_failed_run_is_retried(service: Service):
    ids = await run_ids(service)
    await service.retry_run(ids["failed"])
    assert (await until_final(service, ids["failed"])).state is State.SUCCEEDED
