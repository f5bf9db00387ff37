from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import documents
from fake_executor import FakeExecutor, World, fail, hang, succeed
from headrace.attempt.order import LaunchOrder
from headrace.engine.model import AttemptId, AttemptSucceeded, Reason, State
from headrace.executors.port import Lost, Succeeded
from headrace.service import inbox as inbox_module
from headrace.service import runs
from headrace.service.errors import Conflict, Invalid, NotFound, Unavailable
from headrace.service.service import NewRun, NewVersion
from headrace.service.settings import Settings
from headrace.store.records import ListQuery, Predicate
from owned_service import Service
from waiting import until, until_final

pytestmark = pytest.mark.anyio


async def states(service: Service, run_id: str) -> dict[str, str]:
    return {e.path: e.state.value for e in await service.get_executions(run_id)}


async def until_state(service: Service, run_id: str, path: str, state: str) -> None:
    """Return once the task is in the state."""
    async with asyncio.timeout(10):
        async for change in service.watch_run(run_id):
            if any(one.path == path and one.state == state for one in change.executions):
                return


async def test_a_run_is_made_recorded_and_ends(service: Service, world: World):
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task(), parameters={"x": "b"}))
    assert (made.state, made.archived, made.service_account, made.experiment_name, made.pipeline_name) == (
        State.PENDING, False, "pipeline-runner", "Default", "a-pipeline",
    )  # fmt: skip
    assert [word for _, word, _ in made.state_history] == [State.PENDING]
    assert made.scheduled_at == made.created_at
    record = await until_final(service, made.run_id)
    assert (record.state, record.error, record.parameters) == (State.SUCCEEDED, None, {"x": "b"})
    assert [word for _, word, _ in record.state_history] == [State.PENDING, State.RUNNING, State.SUCCEEDED]
    assert record.task_counts == {State.SUCCEEDED: 1}
    assert record.finished_at is not None and record.started_at is not None
    root, work = await service.get_executions(made.run_id)
    assert (root.path, work.path, work.inputs.parameters, work.outputs.parameters) == (
        "",
        "work",
        {"x": "b"},
        {"text": "text"},
    )
    await until(lambda: world.settled == set(world.orders))


async def test_every_kind_of_pipeline_ends(service: Service, world: World):
    for document in (
        documents.chain(5),
        documents.fan(20),
        documents.loop(),
        documents.with_exit_task(),
        documents.importer(),
    ):
        made = await service.create_run(NewRun(pipeline_spec=document))
        record = await until_final(service, made.run_id)
        assert record.state is State.SUCCEEDED, await states(service, made.run_id)
    assert set(world.starts.values()) == {1}


async def test_executions_come_parents_first(service: Service):
    made = await service.create_run(NewRun(pipeline_spec=documents.loop()))
    await until_final(service, made.run_id)
    seen: set[str | None] = {None}
    for execution in await service.get_executions(made.run_id):
        assert execution.parent in seen
        seen.add(execution.path)
    assert len(seen) == 1 + 1 + 2 + 3 + 3


async def test_a_failed_task_fails_the_run_with_its_reason(service: Service, world: World):
    world.behaviour = fail
    made = await service.create_run(NewRun(pipeline_spec=documents.with_exit_task()))
    record = await until_final(service, made.run_id)
    assert record.state is State.FAILED
    assert record.error is not None and "USER_CODE" in (record.error.code, str(record.error))
    assert await states(service, made.run_id) == {"": "FAILED", "work": "FAILED", "report": "FAILED"}


async def test_retries_happen_when_they_are_due(service: Service, world: World):
    tries: list[AttemptId] = []

    def third_time(order: LaunchOrder):
        tries.append(order.attempt)
        return succeed(order) if order.attempt.number == 3 else fail(order)

    world.behaviour = third_time
    made = await service.create_run(NewRun(pipeline_spec=documents.with_retry(5)))
    assert (await until_final(service, made.run_id)).state is State.SUCCEEDED
    assert [attempt.number for attempt in tries] == [1, 2, 3]


async def test_bad_arguments_are_all_named(service: Service):
    with pytest.raises(Invalid) as caught:
        await service.create_run(NewRun(pipeline_spec=documents.one_task(), parameters={"y": 1, "x": 3.5}))
    assert caught.value.code == "INVALID_ARGUMENTS"
    assert {(fault["name"], fault["code"]) for fault in caught.value.details["faults"]} == {
        ("y", "ARGUMENT_UNKNOWN"), ("x", "ARGUMENT_TYPE"),
    }  # fmt: skip
    assert (await service.list_runs(ListQuery())).total_size == 0


async def test_an_argument_is_limited_like_an_output(service: Service):
    text = "x" * (service._context.settings.max_parameter_bytes - 2)
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task(), parameters={"x": text}))
    assert (await service.get_run(made.run_id)).parameters == {"x": text}
    with pytest.raises(Invalid) as caught:
        await service.create_run(NewRun(pipeline_spec=documents.one_task(), parameters={"x": f"{text}y"}))
    assert (caught.value.code, caught.value.details["argument"]) == ("PARAMETER_TOO_LARGE", "x")


async def test_deleting_runs_makes_the_database_smaller(tmp_path: Path):
    service = await Service.open(Settings(home=tmp_path), executor=FakeExecutor())
    for _ in range(4):
        run = await service.create_run(NewRun(pipeline_spec=documents.one_task(), parameters={"x": "x" * 1_000_000}))
        await until_final(service, run.run_id)
        await service.delete_run(run.run_id)
    await until(lambda: not service._loop._giving_back)
    await service.close()
    assert (tmp_path / "headrace.db").stat().st_size < 1_000_000


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"root": {}},
        {"pipelineInfo": {"name": "x"}, "root": {"dag": {"tasks": {"a": {"componentRef": {"name": "nope"}}}}}},
    ],
)
async def test_what_is_no_pipeline_is_refused_with_its_findings(service: Service, document: dict):
    with pytest.raises(Invalid) as caught:
        await service.create_run(NewRun(pipeline_spec=document))
    first = caught.value.details["findings"][0]
    assert first.keys() == {"code", "path", "message"}
    assert (caught.value.code, first["message"] in str(caught.value)) == (first["code"], True)


async def test_a_run_needs_a_source(service: Service):
    with pytest.raises(Invalid) as caught:
        await service.create_run(NewRun())
    assert caught.value.code == "RUN_WITHOUT_PIPELINE"
    for missing in (NewRun(pipeline_id="nope"), NewRun(pipeline_version_id="nope")):
        with pytest.raises(NotFound):
            await service.create_run(missing)
    with pytest.raises(NotFound):
        await service.create_run(NewRun(pipeline_spec=documents.one_task(), experiment_id="nope"))


async def test_a_pipeline_runs_its_latest_version(service: Service):
    pipeline = await service.create_pipeline(
        name="p", version=NewVersion(name="1", pipeline_spec=documents.one_task(name="one"))
    )
    newest = await service.create_version(
        pipeline.pipeline_id, NewVersion(name="2", pipeline_spec=documents.one_task(name="two"))
    )
    made = await service.create_run(NewRun(pipeline_id=pipeline.pipeline_id, experiment_name="mine"))
    assert (made.pipeline_version_id, made.pipeline_name, made.experiment_name) == (
        newest.pipeline_version_id,
        "two",
        "mine",
    )
    await service.delete_pipeline(pipeline.pipeline_id, cascade=True)
    assert (await service.get_run_document(made.run_id))[0] == documents.one_task(name="two")


# --- terminate, retry, delete --------------------------------------------------------------------


async def test_terminate_stops_what_runs_and_ends_canceled(service: Service, world: World):
    world.behaviour = hang
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(3)))
    await until(lambda: world.orders)
    await service.terminate_run(made.run_id)
    assert (await service.get_run(made.run_id)).state in (State.CANCELING, State.CANCELED)
    assert (await until_final(service, made.run_id)).state is State.CANCELED
    with pytest.raises(Conflict) as caught:
        await service.terminate_run(made.run_id)
    assert caught.value.code == "RUN_FINAL"


async def test_a_paused_run_begins_nothing_until_it_is_resumed(service: Service, world: World, executor: FakeExecutor):
    world.behaviour = hang
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(2)))
    await until(lambda: world.orders)
    await service.pause_run(made.run_id)
    assert (await service.get_run(made.run_id)).state is State.PAUSED
    (running,) = world.orders
    executor.end(succeed(world.orders[running]))
    await until_state(service, made.run_id, "t0", "SUCCEEDED")
    assert len(world.orders) == 1
    world.behaviour = succeed
    await service.resume_run(made.run_id)
    assert (await until_final(service, made.run_id)).state is State.SUCCEEDED
    assert len(world.orders) == 2


async def test_what_cannot_be_paused_or_resumed_says_why(service: Service, world: World):
    world.behaviour = hang
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(2)))
    with pytest.raises(Conflict) as caught:
        await service.resume_run(made.run_id)
    assert caught.value.code == "RUN_NOT_PAUSED"
    await service.terminate_run(made.run_id)
    await until_final(service, made.run_id)
    for ask in (service.pause_run, service.resume_run):
        with pytest.raises(Conflict) as caught:
            await ask(made.run_id)
        assert caught.value.code == "RUN_FINAL"


async def test_retry_keeps_what_succeeded(service: Service, world: World):
    world.behaviour = lambda order: fail(order) if order.task == "t2" else succeed(order)
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(4)))
    assert (await until_final(service, made.run_id)).state is State.FAILED
    world.behaviour = succeed
    await service.retry_run(made.run_id)
    record = await until_final(service, made.run_id)
    assert record.state is State.SUCCEEDED
    begun = sorted((attempt.path, attempt.number) for attempt in world.starts)
    assert begun == [("t0", 1), ("t1", 1), ("t2", 1), ("t2", 2), ("t3", 1)]
    with pytest.raises(Conflict):
        await service.retry_run(made.run_id)


async def test_two_retries_at_once_are_one(service: Service, world: World):
    world.behaviour = fail
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(2)))
    await until_final(service, made.run_id)
    world.behaviour = hang
    both = await asyncio.gather(service.retry_run(made.run_id), service.retry_run(made.run_id), return_exceptions=True)
    assert sorted(type(one).__name__ for one in both) == ["Conflict", "NoneType"]


async def test_archiving(service: Service):
    experiment = await service.create_experiment(name="e")
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task(), experiment_id=experiment.experiment_id))
    await until_final(service, made.run_id)
    await service.set_run_archived(made.run_id, True)
    assert (await service.get_run(made.run_id)).archived
    await service.set_run_archived(made.run_id, False)
    await service.set_experiment_archived(experiment.experiment_id, True)
    assert (await service.get_run(made.run_id)).archived
    with pytest.raises(Invalid) as caught:
        await service.set_run_archived(made.run_id, False)
    assert caught.value.code == "EXPERIMENT_ARCHIVED"
    await service.set_experiment_archived(experiment.experiment_id, False)
    assert (await service.get_run(made.run_id)).archived
    await service.set_run_archived(made.run_id, False)
    archived = Predicate(key="storage_state", operation="EQUALS", value="ARCHIVED")
    assert (await service.list_runs(ListQuery(predicates=(archived,)))).items == ()


async def test_a_run_that_could_not_be_deleted_goes_on(
    service: Service, world: World, executor: FakeExecutor, monkeypatch: pytest.MonkeyPatch
):
    """1. The deletion fails. 2. Meanwhile the attempt has ended. 3. The run goes on from there, and ends."""
    world.behaviour = lambda order: None
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(2)))
    await until(lambda: len(world.orders) == 1)
    (attempt,) = world.orders

    context, inbox = service._context, service._loop._inbox
    write = context.write

    async def full(op: Any, *args: Any, **kwargs: Any) -> Any:
        if op is not runs._delete:
            return await write(op, *args, **kwargs)
        executor.end(succeed(world.orders[attempt]))
        await until(lambda: any(isinstance(one.event, AttemptSucceeded) for one in inbox._taken))
        raise Unavailable("planted", code="HOME_FULL")

    with monkeypatch.context() as patch:
        patch.setattr(context, "write", full)
        with pytest.raises(Unavailable):
            await service.delete_run(made.run_id)
    world.behaviour = succeed
    assert (await until_final(service, made.run_id)).state is State.SUCCEEDED
    assert max(world.starts.values()) == 1
    await service.delete_run(made.run_id)
    await until(lambda: made.run_id in world.forgotten)


async def test_an_end_reported_of_an_attempt_that_belongs_to_no_run_is_settled(
    service: Service, world: World, executor: FakeExecutor
):
    stray = AttemptId(run_id="unknown", path="x", number=1)
    executor.say(Succeeded(attempt=stray, at=3.0))
    await until(lambda: stray in world.settled)


async def test_deleting_a_running_run_stops_it_and_leaves_nothing(
    service: Service, world: World, executor: FakeExecutor
):
    world.behaviour = lambda order: succeed(order) if order.task == "t0" else None
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(2)))
    await until(lambda: len(world.orders) == 2)
    await service.delete_run(made.run_id)
    for call in (service.get_run, service.get_executions, service.run_view, service.terminate_run, service.delete_run):
        with pytest.raises(NotFound):
            await call(made.run_id)
    await until(lambda: world.settled == set(world.orders))
    # Logs go with the last attempt that had to be stopped, not before.
    await until(lambda: made.run_id in world.forgotten)
    assert (await service.list_runs(ListQuery())).total_size == 0
    # The loop goes on for others.
    world.behaviour = succeed
    other = await service.create_run(NewRun(pipeline_spec=documents.chain(2)))
    assert (await until_final(service, other.run_id)).state is State.SUCCEEDED
    await service.delete_run(other.run_id)
    assert other.run_id in world.forgotten


async def test_a_request_whose_recording_breaks_the_loop_is_answered(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
):
    """1. The loop fails in handling a cancel. 2. Whoever asked is told. 3. Asking again works."""
    world.behaviour = lambda order: None
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    await until(lambda: len(world.orders) == 1)

    def broken(*args: object) -> None:
        raise RuntimeError("planted")

    with monkeypatch.context() as patch:
        patch.setattr("headrace.service.loop.RunLoop._fold", broken)
        with pytest.raises(Unavailable) as caught:
            await service.terminate_run(made.run_id)
        assert caught.value.code == "INTERNAL_ERROR"
    await service.terminate_run(made.run_id)
    assert (await until_final(service, made.run_id)).state is State.CANCELED


# --- late and repeated reports -------------------------------------------------------------------


async def test_late_repeated_and_unknown_reports_change_nothing(service: Service, world: World, executor: FakeExecutor):
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    await until_final(service, made.run_id)
    before = await service.run_view(made.run_id)
    attempt = next(iter(world.orders))
    executor.say(world.ends[attempt])
    executor.say(Lost(attempt=attempt, at=3.0, error=Reason(code="LOST", message="Gone.")))
    executor.say(Succeeded(attempt=AttemptId(run_id="nobody", path="x", number=1), at=3.0))
    other = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    await until_final(service, other.run_id)
    assert await service.run_view(made.run_id) == before


async def test_a_lost_attempt_is_begun_again(service: Service, world: World):
    gone = Reason(code="LOST", message="Gone.")
    world.behaviour = lambda order: (
        Lost(attempt=order.attempt, at=2.0, error=gone) if order.attempt.number == 1 else succeed(order)
    )
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    assert (await until_final(service, made.run_id)).state is State.SUCCEEDED
    assert sorted(attempt.number for attempt in world.starts) == [1, 2]


async def test_a_poisoned_run_fails_alone_with_its_story(service: Service, world: World, executor: FakeExecutor):
    world.behaviour = hang
    one = await service.create_run(NewRun(pipeline_spec=documents.chain(2)))
    other = await service.create_run(NewRun(pipeline_spec=documents.chain(2)))
    await until(lambda: len(world.orders) == 2)
    attempt = next(a for a in world.orders if a.run_id == one.run_id)
    # A value that JSON cannot hold gets past no port's check; here it has.
    executor.say(Succeeded(attempt=attempt, at=2.0, parameters={"n": object()}))
    record = await until_final(service, one.run_id)
    assert record.state is State.FAILED and record.error is not None
    assert record.error.code == "INTERNAL_ERROR"
    assert (await service.get_run(other.run_id)).state is State.RUNNING
    attempt = next(a for a in world.orders if a.run_id == other.run_id)
    world.behaviour = succeed
    executor.end(succeed(world.orders[attempt]))
    assert (await until_final(service, other.run_id)).state is State.SUCCEEDED


async def test_a_task_that_cannot_be_launched_fails_with_the_reason(service: Service, world: World):
    def refuse(order: LaunchOrder):
        raise RuntimeError("no such machine")

    world.behaviour = refuse
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    record = await until_final(service, made.run_id)
    assert record.state is State.FAILED
    (work,) = [e for e in await service.get_executions(made.run_id) if e.path == "work"]
    assert work.attempts[-1].error is not None and work.attempts[-1].error.code == "LAUNCH_FAILED"


async def test_reports_that_break_off_are_listened_to_again(service: Service, world: World, executor: FakeExecutor):
    world.behaviour = hang
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    await until(lambda: world.orders)
    # What is no report breaks the loop's reader.
    executor.say(object())  # type: ignore[arg-type]
    (attempt, order) = next(iter(world.orders.items()))
    world.ends[attempt] = succeed(order)
    assert (await until_final(service, made.run_id)).state is State.SUCCEEDED
    assert world.starts[attempt] == 1


async def test_that_an_attempt_has_begun_is_recorded_with_its_end(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(inbox_module, "_IDLE_NEWS_S", 1e6)
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(5)))
    record = await until_final(service, made.run_id)
    assert record.state is State.SUCCEEDED
    # One transaction made the run; each task's two reports took one.
    assert record.version == made.version + 5


async def test_that_an_attempt_has_begun_is_recorded_although_nothing_follows(service: Service, world: World):
    world.behaviour = hang
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    async with asyncio.timeout(10):
        async for change in service.watch_run(made.run_id):
            if {e.path: e.state for e in change.executions}.get("work") == "RUNNING":
                break
    assert (await states(service, made.run_id))["work"] == "RUNNING"
