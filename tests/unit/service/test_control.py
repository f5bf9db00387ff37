"""What people ask of runs: from which task again, what a task came to, and how long files are kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import documents
from fake_executor import FakeExecutor, World, fail, hang, succeed
from headrace.attempt.order import LaunchOrder
from headrace.engine.model import State, execution_id
from headrace.service.errors import Conflict, Invalid, NotFound
from headrace.service.recorder import Recorder
from headrace.service.service import NewMark, NewRun, Rerun
from headrace.service.settings import Settings
from headrace.store import run_expiry
from headrace.store import runs as rows
from owned_service import Service
from waiting import until, until_final

pytestmark = pytest.mark.anyio


def pair(*, second_input: str = "system.Model", config: dict | None = None) -> dict:
    """`first` makes a model and a text, `second` reads both."""
    reads = {
        "parameters": {"t": {"taskOutputParameter": {"producerTask": "first", "outputParameterKey": "text"}}},
        "artifacts": {"m": {"taskOutputArtifact": {"producerTask": "first", "outputArtifactKey": "model"}}},
    }
    made = {"text": "STRING"}
    return documents.document(
        {
            "first": documents.task("first", "comp-first"),
            "second": documents.task("second", "comp-second", after=["first"], inputs=reads),
        },
        {
            "comp-first": documents.component("exec-first", outputs=made, artifacts={"model": "system.Model"}),
            "comp-second": documents.component("exec-second", inputs={"t": "STRING"}, artifacts_in={"m": second_input}),
        },
    )


async def ended(service: Service, document: dict, **fields) -> str:
    made = await service.create_run(NewRun(pipeline_spec=document, **fields))
    await until_final(service, made.run_id)
    return made.run_id


async def execution(service: Service, run_id: str, path: str):
    return next(e for e in await service.get_executions(run_id) if e.path == path)


# --- again -----------------------------------------------------------------------------------------


async def test_a_run_again_takes_over_the_same_artifacts_and_shows_them(service: Service, world: World):
    first = await ended(service, pair())
    before = len(world.orders)
    made = await service.rerun_run(first, Rerun(again=("second",)))
    assert made.origin is not None
    assert (made.origin.run_id, made.origin.again, made.display_name[-8:]) == (first, ("second",), " (again)")
    record = await until_final(service, made.run_id)
    assert (record.state, len(world.orders) - before) == (State.SUCCEEDED, 1)
    old, new = await execution(service, first, "first"), await execution(service, made.run_id, "first")
    assert (new.outputs, new.reused_from) == (old.outputs, execution_id(first, "first"))
    view = await service.run_view(made.run_id)
    assert (view.run.rerun_of, view.run.rerun_from) == (first, ["second"])
    shown = next(one for one in view.executions if one.path == "first")
    assert (shown.reused_from, shown.attempts) == (execution_id(first, "first"), [])
    again = await service.rerun_run(made.run_id, Rerun(again=("second",)))
    assert again.display_name == made.display_name
    assert (await until_final(service, again.run_id)).state is State.SUCCEEDED


async def test_a_run_again_with_other_arguments(service: Service, world: World):
    first = await ended(service, documents.one_task(), parameters={"x": "b"})
    made = await service.rerun_run(first, Rerun(again=("work",), parameters={"x": "c"}))
    assert (await until_final(service, made.run_id)).parameters == {"x": "c"}
    assert (await execution(service, made.run_id, "work")).inputs.parameters == {"x": "c"}
    same = await service.rerun_run(made.run_id, Rerun(again=("work",)))
    assert (await until_final(service, same.run_id)).parameters == {"x": "c"}, "those of the earlier run"


async def test_what_is_taken_over_is_there_after_a_restart(world: World, tmp_path: Path):
    service = await Service.open(Settings(home=tmp_path / "home"), executor=FakeExecutor(world))
    world.behaviour = lambda order: hang(order) if order.task == "t1" else succeed(order)
    first = await service.create_run(NewRun(pipeline_spec=documents.chain(3)))
    await until(lambda: len(world.orders) == 2)
    made = await service.rerun_run(first.run_id, Rerun(again=("t1",)))
    await until(lambda: len(world.orders) == 3)
    held = (await service._context.read(rows.load_run, made.run_id)).reuse
    assert set(held) == {"t0"}
    await service.close()
    other = await Service.open(Settings(home=tmp_path / "home"), executor=FakeExecutor(world))
    run = other._loop.active(made.run_id)
    assert run is not None and set(run.state.reuse) == {"t0"}
    await other.close()


async def test_another_document_that_does_not_fit_is_refused_with_all_that_differs(service: Service):
    first = await ended(service, pair())
    other = pair()
    other["components"]["comp-second"]["inputDefinitions"]["artifacts"]["m"]["artifactType"] = {
        "schemaTitle": "system.Dataset", "schemaVersion": "0.0.1",
    }  # fmt: skip
    other["components"]["comp-first"]["outputDefinitions"]["artifacts"]["model"]["artifactType"] = {
        "schemaTitle": "system.Dataset", "schemaVersion": "0.0.1",
    }  # fmt: skip
    with pytest.raises(Invalid) as caught:
        await service.rerun_run(first, Rerun(again=("second",), pipeline_spec=other))
    assert caught.value.code == "INVALID_RERUN"
    (fault,) = caught.value.details["faults"]
    assert (fault["task"], fault["code"]) == ("first", "RERUN_OUTPUT")
    with pytest.raises(NotFound):
        await service.rerun_run("nothing", Rerun())


# --- what is deleted -------------------------------------------------------------------------------


async def test_artifacts_stay_while_any_run_uses_them_and_go_with_the_last(service: Service, world: World):
    first = await ended(service, pair())
    made = await service.rerun_run(first, Rerun(again=("second",)))
    await until_final(service, made.run_id)
    artifact = (await execution(service, first, "first")).outputs.artifacts["model"][0]
    await service.delete_run(first)
    assert (await service.get_artifact(artifact.artifact_id)).artifact == artifact
    await service.delete_run(made.run_id)
    with pytest.raises(NotFound):
        await service.get_artifact(artifact.artifact_id)


async def test_artifacts_that_are_yet_to_be_taken_over_stay(service: Service, world: World):
    document = documents.document(
        {"for": documents.task(
            "for", "comp-work", parameterIterator={"itemInput": "x", "items": {"raw": '["a", "b"]'}},
            iteratorPolicy={"parallelismLimit": 1},
        )},
        {"comp-work": documents.component("exec-work", inputs={"x": "STRING"}, artifacts={"model": "system.Model"})},
    )  # fmt: skip
    first = await ended(service, document)
    world.behaviour = hang
    made = await service.rerun_run(first, Rerun(again=("for[0]",)))
    later = (await execution(service, first, "for[1]")).outputs.artifacts["model"][0]
    assert (await execution(service, made.run_id, "for[1]")).state is State.PENDING
    await service.delete_run(first)
    assert (await service.get_artifact(later.artifact_id)).artifact == later


# --- marks -----------------------------------------------------------------------------------------


async def test_a_failed_task_marked_succeeded_lets_its_run_go_on(service: Service, world: World):
    other = await ended(service, pair())
    model = (await execution(service, other, "first")).outputs.artifacts["model"][0]
    world.behaviour = lambda order: fail(order) if order.task == "first" else succeed(order)
    run_id = await ended(service, pair())
    mark = NewMark(
        state="SUCCEEDED", parameters={"text": "by hand"}, artifacts={"model": (model.artifact_id,)},
        note=" as in the other run ",
    )  # fmt: skip
    await service.mark_execution(run_id, execution_id(run_id, "first"), mark)
    assert (await until_final(service, run_id)).state is State.SUCCEEDED
    second = await execution(service, run_id, "second")
    assert (second.inputs.parameters, second.inputs.artifacts) == ({"t": "by hand"}, {"m": (model,)})
    shown = (await service.execution_detail(execution_id(run_id, "first"))).execution
    assert shown.marked is not None
    assert (shown.marked.by, shown.marked.note, shown.marked.state) == ("local", "as in the other run", "SUCCEEDED")
    await service.delete_run(other)
    assert (await service.get_artifact(model.artifact_id)).artifact == model


async def test_a_running_task_is_stopped_for_its_mark(service: Service, world: World, executor: FakeExecutor):
    world.behaviour = hang
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(2)))
    await until(lambda: world.orders)
    await service.mark_execution(made.run_id, execution_id(made.run_id, "t0"), NewMark(state="SKIPPED"))
    record = await until_final(service, made.run_id)
    assert record.state is State.SUCCEEDED
    assert [e.state.value for e in await service.get_executions(made.run_id)] == ["SUCCEEDED", "SKIPPED", "SKIPPED"]


async def test_a_mark_that_comes_too_late_is_refused(
    service: Service, world: World, executor: FakeExecutor, monkeypatch: pytest.MonkeyPatch
):
    """The end of the task is being committed while it is marked."""
    world.behaviour = hang
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(1)))
    await until(lambda: world.orders)
    committing, go_on = asyncio.Event(), asyncio.Event()
    plainly = Recorder._commit

    async def slowly(self: Recorder, results: Any) -> Any:
        committing.set()
        await go_on.wait()
        return await plainly(self, results)

    monkeypatch.setattr(Recorder, "_commit", slowly)
    (order,) = world.orders.values()
    executor.end(succeed(order))
    await committing.wait()
    mark = NewMark(state="SKIPPED")
    marking = asyncio.create_task(service.mark_execution(made.run_id, execution_id(made.run_id, "t0"), mark))
    await until(lambda: any(queued.is_awaited for queued in service._loop._inbox._queue))
    go_on.set()
    with pytest.raises(Conflict) as caught:
        await marking
    assert caught.value.code == "MARK_TOO_LATE"
    assert (await until_final(service, made.run_id)).state is State.SUCCEEDED


async def test_marks_that_cannot_be_say_why(service: Service, world: World):
    world.behaviour = lambda order: fail(order) if order.task == "first" else succeed(order)
    run_id = await ended(service, pair())
    first = execution_id(run_id, "first")

    async def refused(kind: type, **fields) -> str:
        with pytest.raises(kind) as caught:
            await service.mark_execution(run_id, first, NewMark(**{"state": "SUCCEEDED", **fields}))
        return caught.value.code

    assert await refused(Invalid) == "INVALID_OUTPUTS"
    assert await refused(Invalid, artifacts={"model": ("none",)}) == "ARTIFACT_UNKNOWN"
    assert await refused(Invalid, state="SKIPPED", parameters={"text": "x"}) == "MARK_OUTPUTS"
    assert await refused(Invalid, state="SKIPPED", note="x" * 3000) == "NOTE_TOO_LONG"
    for its_run, its_id in ((run_id, "nothing"), ("other", first)):
        with pytest.raises(NotFound):
            await service.mark_execution(its_run, its_id, NewMark(state="SKIPPED"))
    done = await ended(service, documents.chain(1))
    with pytest.raises(Conflict) as caught:
        world.behaviour = succeed
        await service.mark_execution(done, execution_id(done, "t0"), NewMark(state="SKIPPED"))
    assert caught.value.code in ("RUN_FINAL", "MARK_FINAL")


async def test_a_marked_outcome_is_never_found_in_the_cache(service: Service, world: World):
    world.behaviour = fail
    run_id = await ended(service, documents.one_task(cache=True))
    await service.mark_execution(run_id, execution_id(run_id, "work"), NewMark(state="SUCCEEDED"))
    await until_final(service, run_id)
    world.behaviour = succeed
    other = await ended(service, documents.one_task(cache=True))
    assert (await execution(service, other, "work")).cached_from is None


# --- time ------------------------------------------------------------------------------------------


def kept(seconds: int) -> dict:
    return {"platforms": {"kubernetes": {"pipelineConfig": {"resourceTtlOnCompletion": seconds}}}}


async def test_files_go_when_their_time_is_over_and_the_record_stays(service: Service, world: World):
    # Nothing ends before it was made, though the fake executor's attempts end at second 1.
    service._context.now = lambda: 100.0
    long = await ended(service, documents.one_task(), platform_spec=kept(3600))
    short = await ended(service, documents.one_task(), platform_spec=kept(1))
    service._context.now = lambda: 102.0
    service._loop.expiring.set()
    await until(lambda: short in world.forgotten)
    assert long not in world.forgotten
    assert (await service.get_run(short)).state is State.SUCCEEDED
    model = (await execution(service, short, "work")).outputs.artifacts["model"][0]
    assert (await service.get_artifact(model.artifact_id)).artifact == model
    service._context.now = lambda: 4000.0
    service._loop.expiring.set()
    await until(lambda: long in world.forgotten)


async def test_files_that_expired_while_nobody_was_there_go_at_the_start(world: World, tmp_path: Path):
    service = await Service.open(Settings(home=tmp_path / "home"), executor=FakeExecutor(world))
    service._context.now = lambda: 100.0
    run_id = await ended(service, documents.one_task(), platform_spec=kept(500))
    await service.close()
    other = await Service.open(Settings(home=tmp_path / "home"), executor=FakeExecutor(world), drive=False)
    assert run_id not in world.forgotten
    other._context.now = lambda: 4e9
    other._expiry.start()
    await until(lambda: run_id in world.forgotten)
    await other.close()


async def test_one_run_is_ended_without_driving_the_others(world: World, tmp_path: Path):
    world.behaviour = hang
    settings = Settings(home=tmp_path / "home")
    service = await Service.open(settings, executor=FakeExecutor(world))
    runs = [(await service.create_run(NewRun(pipeline_spec=documents.one_task()))).run_id for _ in range(3)]
    await until(lambda: len(world.starts) == 3)
    await service.close()
    other = await Service.open(settings, executor=FakeExecutor(world), drive=False)
    await other.terminate_run(runs[0])
    await until_final(other, runs[0])
    await other.delete_run(runs[1])
    assert (await other.get_run(runs[0])).state is State.CANCELED
    assert (await other.get_run(runs[2])).state is State.RUNNING
    assert other._loop.active(runs[2]) is None
    assert runs[2] not in {attempt.run_id for attempt in world.ends}
    await other.close()


async def test_a_retried_run_keeps_its_files(service: Service, world: World):
    service._context.now = lambda: 100.0
    world.behaviour = fail
    run_id = await ended(service, documents.one_task(), platform_spec=kept(3600))
    assert await service._context.read(run_expiry.next_expiry) == 3700
    world.behaviour = hang
    await service.retry_run(run_id)
    assert await service._context.read(run_expiry.next_expiry) is None


async def test_a_run_that_takes_too_long_fails(service: Service, world: World):
    def work(order: LaunchOrder):
        return hang(order)

    world.behaviour = work
    limit = {"platforms": {"kubernetes": {"pipelineConfig": {"activeDeadlineSeconds": 1}}}}
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task(), platform_spec=limit))
    record = await until_final(service, made.run_id)
    assert record.error is not None
    assert (record.state, record.error.code) == (State.FAILED, "RUN_TIMEOUT")
