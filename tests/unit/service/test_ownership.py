"""Deleting a run deletes the content that it owns, and no other."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
import pytest

import documents
from fake_executor import FakeExecutor, World, succeed
from headrace.artifacts.local import LocalStore
from headrace.attempt.order import LaunchOrder
from headrace.attempt.result import ProducedArtifact
from headrace.engine.model import ArtifactType, Reason
from headrace.executors.port import Failed, Succeeded
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from owned_service import Service
from waiting import until_final

pytestmark = pytest.mark.anyio


class Stage:
    """A service over a store of its own, and content that its attempts put there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = LocalStore(home / "artifacts")
        self.count = 0

    def content(self, key: str) -> ProducedArtifact:
        """New content under a key."""
        self.count += 1
        path = self.home / f"made-{self.count}"
        path.write_text(f"content {self.count}")
        stored = self.store.take(key, path)
        return ProducedArtifact(
            name="model",
            type=ArtifactType(schema_title="system.Model"),
            uri=stored.uri,
            digest=stored.digest,
            size_bytes=stored.size_bytes,
            owned=True,
        )

    async def open(self, world: World) -> Service:
        return await Service.open(Settings(home=self.home), executor=FakeExecutor(world))


def is_there(artifact: ProducedArtifact) -> bool:
    return Path(unquote(urlsplit(artifact.uri).path)).exists()


async def ran(service: Service) -> str:
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    await until_final(service, made.run_id)
    return made.run_id


@pytest.mark.parametrize("place", ["another run", "this run", "a stranger's folder"])
async def test_content_that_an_attempt_only_names_stays(tmp_path: Path, place: str):
    """A task hands on content that lies in the store, even below its own run, and that it has not put there."""
    stage = Stage(tmp_path / "home")
    named: list[ProducedArtifact] = []
    own: list[ProducedArtifact] = []

    def work(order: LaunchOrder) -> Succeeded:
        if not own:
            own.append(stage.content(f"{order.artifact_prefix}/model"))
            return Succeeded(attempt=order.attempt, at=1.0, parameters={"text": "t"}, artifacts={"model": (own[0],)})
        prefix = {
            "another run": own[0].uri.rpartition("/")[0] + "/more",
            "this run": f"{order.artifact_prefix}/more",
            "a stranger's folder": "stranger/execution/1/model",
        }[place]
        named.append(msgspec.structs.replace(stage.content(prefix), owned=False))
        return Succeeded(attempt=order.attempt, at=1.0, parameters={"text": "t"}, artifacts={"model": (named[0],)})

    world = World(behaviour=work)
    service = await stage.open(world)
    first, second = await ran(service), await ran(service)
    # So that the run's own folder is not removed as a whole: another run has taken over something of it.
    await service.delete_run(second)
    assert is_there(own[0])
    assert is_there(named[0]) is (place != "this run")
    await service.delete_run(first)
    assert not is_there(own[0])
    await service.close()


async def test_content_that_two_runs_stand_for_goes_with_the_last_of_them(tmp_path: Path):
    """A second run has imported by its URI what the first one made: nothing but the URI connects them."""
    stage = Stage(tmp_path / "home")
    own: list[ProducedArtifact] = []

    def work(order: LaunchOrder) -> Succeeded:
        if order.task != "work":
            return succeed(order)
        own.append(stage.content(f"{order.artifact_prefix}/model"))
        return Succeeded(attempt=order.attempt, at=1.0, parameters={"text": "t"}, artifacts={"model": (own[0],)})

    service = await stage.open(World(behaviour=work))
    first = await ran(service)
    document = documents.importer()
    document["deploymentSpec"]["executors"]["exec-get"]["importer"]["artifactUri"] = {"constant": own[0].uri}
    made = await service.create_run(NewRun(pipeline_spec=document))
    await until_final(service, made.run_id)
    await service.delete_run(first)
    assert is_there(own[0])
    await service.delete_run(made.run_id)
    assert not is_there(own[0])
    await service.close()


async def test_what_an_attempt_that_failed_has_left_goes_with_its_run(tmp_path: Path):
    stage = Stage(tmp_path / "home")
    left: list[ProducedArtifact] = []

    def work(order: LaunchOrder) -> Failed:
        left.append(stage.content(f"{order.artifact_prefix}/model"))
        return Failed(attempt=order.attempt, at=1.0, error=Reason(code="USER_CODE", message="It raised."))

    service = await stage.open(World(behaviour=work))
    other = stage.content("other/execution/1/model")
    await service.delete_run(await ran(service))
    assert not is_there(left[0])
    assert is_there(other)
    await service.close()


async def test_results_of_a_deleted_run_are_not_used_again(tmp_path: Path):
    """Also where no artifact that is gone tells that they are: the outputs are parameters alone."""
    document = documents.document(
        {"work": documents.task("work", "comp-work", cache=True)},
        {"comp-work": documents.component("exec-work", outputs={"text": "STRING"})},
    )
    world = World(behaviour=succeed)
    service = await Stage(tmp_path / "home").open(world)

    async def starts_of_a_run() -> tuple[str, int]:
        made = await service.create_run(NewRun(pipeline_spec=document))
        await until_final(service, made.run_id)
        return made.run_id, len(world.starts)

    first, starts = await starts_of_a_run()
    assert (starts, (await starts_of_a_run())[1]) == (1, 1)
    await service.delete_run(first)
    assert (await starts_of_a_run())[1] == 2
    await service.close()


async def test_content_that_a_run_has_imported_from_the_store_stays(tmp_path: Path):
    stage = Stage(tmp_path / "home")
    content = stage.content("other/execution/1/model")
    document = documents.importer()
    importer = document["deploymentSpec"]["executors"]["exec-get"]["importer"]
    importer["artifactUri"] = {"constant": content.uri}
    service = await stage.open(World(behaviour=succeed))
    made = await service.create_run(NewRun(pipeline_spec=document))
    await until_final(service, made.run_id)
    await service.delete_run(made.run_id)
    assert is_there(content)
    await service.close()
