"""What of the suite applies to importers, alone and behind the router, and that the router finds the right executor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from conformance.executor.watching import Watch
from fake_executor import FakeExecutor, World, hang, succeed
from headrace.attempt.order import IMPORTER, DeclaredOutputs, ImporterOrder, LaunchOrder
from headrace.attempt.result import ProducedArtifact
from headrace.engine.model import Artifact, ArtifactType, AttemptId
from headrace.executors.importer import ANYWHERE, ImporterExecutor
from headrace.executors.log_store import follow_log
from headrace.executors.port import AnyReport, Executor, Failed, Started, Stopped, Succeeded
from headrace.executors.router import ExecutorRouter
from orders import RUN_ID
from waiting import until

pytestmark = pytest.mark.anyio

MODEL = ArtifactType(schema_title="system.Model", schema_version="0.0.1")


class Recorded:
    """What the database has recorded; while `gate` is closed it does not answer."""

    def __init__(self) -> None:
        self.known: Artifact | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[tuple[str, str]] = []
        self.fault: Exception | None = None

    async def find_equal(self, artifact: ProducedArtifact, order: LaunchOrder) -> Artifact | None:
        self.asked.append((artifact.uri, order.pipeline_name))
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return self.known


@pytest.fixture
async def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=["alone", "behind the router"])
async def watch(
    request: pytest.FixtureRequest, tmp_path: Path, recorded: Recorded, world: World
) -> AsyncIterator[Watch]:
    importer: Executor = ImporterExecutor(tmp_path, (Path("/"),), recorded.find_equal)
    if request.param != "alone":
        importer = ExecutorRouter({"": FakeExecutor(world), IMPORTER: importer}, default="")
    watch = Watch(importer)  # type: ignore[arg-type]
    yield watch
    await watch.close()


def importing(uri: str = "s3://bucket/model", *, path: str = "get", run_id: str = RUN_ID) -> LaunchOrder:
    return LaunchOrder(
        attempt=AttemptId(run_id=run_id, path=path, number=1),
        task=path,
        component="comp-get",
        importer=ImporterOrder(uri=uri, type=MODEL, metadata={"rows": 3}),
        executor=IMPORTER,
        outputs=DeclaredOutputs(artifacts={"artifact": MODEL}),
        pipeline_name="a-pipeline",
    )


async def test_it_starts_and_succeeds_with_the_artifact(watch: Watch, recorded: Recorded):
    asked = importing()
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    made = ProducedArtifact(name="artifact", type=MODEL, uri="s3://bucket/model", metadata={"rows": 3})
    assert isinstance(end, Succeeded)
    assert (end.artifacts, end.recorded) == ({"artifact": (made,)}, {})
    assert [type(report) for report in watch.of(asked.attempt)] == [Started, Succeeded]
    assert recorded.asked == [("s3://bucket/model", "a-pipeline")]


async def test_a_recorded_artifact_keeps_its_identity(watch: Watch, recorded: Recorded):
    recorded.known = Artifact(artifact_id="known", name="artifact", type=MODEL, uri="s3://bucket/model")
    asked = importing()
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Succeeded)
    assert (end.artifacts, end.recorded) == ({}, {"artifact": (recorded.known,)})


async def test_launch_does_not_wait_and_launching_again_tells_again(watch: Watch, recorded: Recorded):
    recorded.gate.clear()
    asked = importing()
    await watch.executor.launch(asked)
    await watch.start_of(asked.attempt)
    seen = len(watch.seen)
    await watch.executor.launch(asked)
    await watch.until(asked.attempt, Started, after=seen)
    recorded.gate.set()
    first = await watch.end_of(asked.attempt)
    seen = len(watch.seen)
    await watch.executor.launch(asked)
    assert await watch.end_of(asked.attempt, after=seen) == first
    assert len(recorded.asked) == 1


async def test_stop_ends_what_runs(watch: Watch, recorded: Recorded):
    recorded.gate.clear()
    asked = importing()
    await watch.executor.launch(asked)
    await until(lambda: recorded.asked)
    await watch.executor.stop(asked.attempt)
    assert isinstance(await watch.end_of(asked.attempt), Stopped)
    assert await watch.executor.live() == {asked.attempt}
    await watch.executor.settle(asked.attempt)
    assert await watch.executor.live() == set()


async def test_stop_of_what_has_ended_tells_how_it_ended(watch: Watch):
    asked = importing()
    await watch.executor.launch(asked)
    first = await watch.end_of(asked.attempt)
    seen = len(watch.seen)
    await watch.executor.stop(asked.attempt)
    assert await watch.end_of(asked.attempt, after=seen) == first


async def test_stop_of_the_unknown(watch: Watch):
    unknown = AttemptId(run_id=RUN_ID, path="never", number=1)
    await watch.executor.stop(unknown)
    assert isinstance(await watch.end_of(unknown), Stopped)


async def test_keep_only_ends_the_rest_of_these_runs(watch: Watch, recorded: Recorded):
    recorded.gate.clear()
    kept, orphan, foreign = importing(path="kept"), importing(path="orphan"), importing(run_id="another")
    for asked in (kept, orphan, foreign):
        await watch.executor.launch(asked)
    await watch.executor.keep_only({kept.attempt}, within={RUN_ID})
    assert await watch.executor.live() == {kept.attempt, foreign.attempt}
    recorded.gate.set()
    await watch.end_of(kept.attempt)
    assert not any(isinstance(report, Succeeded) for report in watch.of(orphan.attempt))


@pytest.mark.parametrize("let_go", ["hand_over", "delete_run"])
async def test_nothing_is_heard_of_a_run_that_was_given_away(watch: Watch, recorded: Recorded, let_go: str):
    recorded.gate.clear()
    asked, other = importing(), importing(run_id="another")
    for one in (asked, other):
        await watch.executor.launch(one)
    await getattr(watch.executor, let_go)(RUN_ID)
    recorded.gate.set()
    await watch.end_of(other.attempt)
    assert not any(isinstance(report, Succeeded) for report in watch.of(asked.attempt))
    assert {attempt.run_id for attempt in await watch.executor.live()} == {"another"}


@pytest.mark.parametrize("uri", ["", "/a\0b", "/proc/self/environ", "file:///sys/kernel"])
async def test_what_may_not_be_imported_fails_for_good(watch: Watch, uri: str):
    asked = importing(uri)
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Failed)
    assert (end.error.code, end.retryable) == ("IMPORT_REFUSED", False)


async def test_a_fault_in_the_look_up_fails_the_attempt_alone(watch: Watch, recorded: Recorded):
    recorded.fault = RuntimeError("planted")
    asked = importing()
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Failed)
    assert end.error.code == "LAUNCH_FAILED" and "planted" in end.error.message
    recorded.fault = None
    other = importing(path="other")
    await watch.executor.launch(other)
    assert isinstance(await watch.end_of(other.attempt), Succeeded)


async def test_there_is_no_log(watch: Watch):
    asked = importing()
    await watch.executor.launch(asked)
    await watch.end_of(asked.attempt)
    assert await watch.executor.logs.size(asked.attempt) == 0
    assert [chunk async for chunk in follow_log(watch.executor.logs, asked.attempt, follow=True)] == []


# --- the router alone --------------------------------------------------------------------------


@pytest.fixture
def routed(tmp_path: Path, recorded: Recorded) -> Callable[[World], ExecutorRouter]:
    def make(world: World) -> ExecutorRouter:
        importer = ImporterExecutor(tmp_path, (Path("/"),), recorded.find_equal)
        return ExecutorRouter({"": FakeExecutor(world, domain="here"), IMPORTER: importer}, default="")

    return make


def task(path: str) -> LaunchOrder:
    return LaunchOrder(attempt=AttemptId(run_id=RUN_ID, path=path, number=1), task=path, component="comp")


async def test_each_order_goes_to_its_executor(
    routed: Callable[[World], ExecutorRouter], world: World, recorded: Recorded
):
    recorded.gate.clear()
    world.behaviour = hang
    executors = routed(world)
    assert executors.domains == {"here", ANYWHERE}
    assert (executors.domain_of(task("a")), executors.domain_of(importing())) == ("here", ANYWHERE)
    watch = Watch(executors)  # type: ignore[arg-type]
    for asked in (task("a"), importing()):
        await executors.launch(asked)
        await watch.start_of(asked.attempt)
    assert [attempt.path for attempt in world.orders] == ["a"]
    assert {attempt.path for attempt in await executors.live()} == {"a", "get"}
    for asked in (task("a"), importing()):
        await executors.stop(asked.attempt)
        assert isinstance(await watch.end_of(asked.attempt), Stopped)
    assert len(world.ends) == 1, "the importer's stop is not the other's"
    await watch.close()


async def test_after_a_restart_attempts_are_found_where_they_are(
    routed: Callable[[World], ExecutorRouter], world: World
):
    world.behaviour = hang
    await routed(world).launch(task("a"))
    later = routed(world)
    watch = Watch(later)  # type: ignore[arg-type]
    await later.stop(task("a").attempt)
    assert isinstance(await watch.end_of(task("a").attempt), Stopped)
    await later.settle(task("a").attempt)
    assert world.settled == {task("a").attempt}
    assert [chunk async for chunk in follow_log(later.logs, task("a").attempt)] == [b"hell", b"o fr", b"om a", b"\n"]
    await watch.close()


async def test_reports_that_break_off_in_one_executor_are_read_again_from_all(
    routed: Callable[[World], ExecutorRouter], world: World, monkeypatch: pytest.MonkeyPatch
):
    world.behaviour = succeed
    executors = routed(world)
    await executors.launch(task("a"))
    await executors.launch(importing())

    async def broken(self: object) -> AsyncIterator[AnyReport]:
        raise RuntimeError("planted")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(FakeExecutor, "reports", broken)
        with pytest.raises(RuntimeError, match="planted"):
            async for _ in executors.reports():
                pass
    watch = Watch(executors)  # type: ignore[arg-type]
    for asked in (task("a"), importing()):
        assert isinstance(await watch.end_of(asked.attempt), Succeeded)
    await watch.close()
