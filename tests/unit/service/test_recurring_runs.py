"""Recurring runs: what is refused, and that each tick makes one run, whatever happens in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

import documents
from fake_executor import FakeExecutor, World, hang
from headrace.engine.model import State
from headrace.service.errors import Conflict, Invalid, NotFound
from headrace.service.requests import NewRecurringRun, NewRun, NewVersion, RecurringRunEdit
from headrace.service.settings import Settings
from headrace.store.records import ListQuery, RecurringRunRecord, RunRecord, StoredTimetable
from owned_service import Service
from waiting import until_final

pytestmark = pytest.mark.anyio

LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC).timestamp()


def every_minute(**fields: Any) -> StoredTimetable:
    return msgspec.structs.replace(StoredTimetable(cron="0 * * * * *"), **fields)


def window(minutes: int, **fields: Any) -> StoredTimetable:
    """A window of long ago: all its ticks were missed."""
    return every_minute(start=LONG_AGO, end=LONG_AGO + 60 * minutes, **fields)


def new(timetable: StoredTimetable, **fields: Any) -> NewRecurringRun:
    if not {"pipeline_id", "pipeline_version_id", "pipeline_spec"} & set(fields):
        fields["pipeline_spec"] = documents.one_task()
    return NewRecurringRun(display_name="Nightly, of all", timetable=timetable, **fields)


async def runs_of(service: Service, made: RecurringRunRecord) -> list[RunRecord]:
    page = await service.list_runs(ListQuery(page_size=200))
    found = [one for one in page.items if one.recurring_run_id == made.recurring_run_id]
    return sorted(found, key=lambda one: one.scheduled_at)


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await fact():
            await asyncio.sleep(0.005)


async def until_ticks(service: Service, made: RecurringRunRecord, count: int) -> list[RunRecord]:
    """Its runs once so many of its ticks were handled, and no more are due."""

    async def handled() -> bool:
        return len(await service.list_ticks(made.recurring_run_id)) >= count

    await until(handled)
    return await runs_of(service, made)


async def test_each_missed_tick_makes_one_run_in_order(service: Service) -> None:
    made = await service.create_recurring_run(new(window(3)))
    runs = await until_ticks(service, made, 3)
    assert [one.scheduled_at - LONG_AGO for one in runs] == [60, 120, 180]
    assert all(one.display_name.startswith("nightlyofall") for one in runs)
    assert [one.display_name.split("-")[1] for one in runs] == ["1", "2", "3"]
    after = await service.get_recurring_run(made.recurring_run_id)
    assert (after.tick_index, after.last_tick_at, after.next_tick_at) == (3, LONG_AGO + 180, None)
    ticks = await service.list_ticks(made.recurring_run_id)
    assert [one.run_id for one in reversed(ticks)] == [one.run_id for one in runs]


async def test_only_the_latest_missed_tick_makes_a_run(service: Service) -> None:
    made = await service.create_recurring_run(new(window(9, catch_up="latest")))
    runs = await until_ticks(service, made, 1)
    assert [one.scheduled_at - LONG_AGO for one in runs] == [540]
    assert [one.skipped for one in await service.list_ticks(made.recurring_run_id)] == [8]


async def test_without_catch_up_nothing_that_was_missed_makes_a_run(service: Service) -> None:
    made = await service.create_recurring_run(new(window(3, catch_up="none")))
    await until(lambda: _is(service, made, next_tick_at=None))
    assert await runs_of(service, made) == []


async def _is(service: Service, made: RecurringRunRecord, **fields: Any) -> bool:
    record = await service.get_recurring_run(made.recurring_run_id)
    return all(getattr(record, name) == value for name, value in fields.items())


async def test_ticks_wait_for_runs_that_have_not_ended(service: Service, world: World) -> None:
    world.behaviour = hang
    made = await service.create_recurring_run(new(window(3), max_concurrency=2))
    runs = await until_ticks(service, made, 2)
    assert len(runs) == 2
    await service.terminate_run(runs[0].run_id)
    assert len(await until_ticks(service, made, 3)) == 3
    for one in await runs_of(service, made):
        if not one.state.final:
            await service.terminate_run(one.run_id)


async def test_a_tick_makes_no_run_while_others_have_not_ended_if_so_asked(service: Service, world: World) -> None:
    world.behaviour = hang
    made = await service.create_recurring_run(new(window(4), max_concurrency=2, at_limit="skip"))
    runs = await until_ticks(service, made, 4)
    assert len(runs) == 2
    third, fourth = [one for one in reversed(await service.list_ticks(made.recurring_run_id)) if one.run_id is None]
    for one in (third, fourth):
        assert one.reason is not None
        assert (one.reason.code, one.reason.details["run_ids"]) == ("RECURRING_RUN_BUSY", [run.run_id for run in runs])
    assert {one.state.final for one in runs} == {False}
    for one in runs:
        await service.terminate_run(one.run_id)


async def test_a_tick_cancels_the_oldest_run_if_so_asked(service: Service, world: World) -> None:
    world.behaviour = hang
    made = await service.create_recurring_run(new(window(3), max_concurrency=2, at_limit="cancel"))
    runs = await until_ticks(service, made, 3)
    first, second, third = [one.run_id for one in runs]
    await until_final(service, first)
    assert (await service.get_run(first)).state is State.CANCELED
    assert not (await service.get_run(second)).state.final
    for run_id in (second, third):
        await service.terminate_run(run_id)


async def test_only_some_of_the_missed_ticks_make_runs(service: Service) -> None:
    made = await service.create_recurring_run(new(window(9, most_missed=3), max_concurrency=10))
    runs = await until_ticks(service, made, 3)
    assert [(one.scheduled_at - LONG_AGO) / 60 for one in runs] == [7, 8, 9]
    assert [one.skipped for one in await service.list_ticks(made.recurring_run_id)] == [0, 0, 6]


# --- edited in place -------------------------------------------------------------------------------


async def test_an_edit_keeps_id_history_and_runs(service: Service, world: World) -> None:
    world.behaviour = hang
    made = await service.create_recurring_run(new(window(1)))
    (run,) = await until_ticks(service, made, 1)
    edit = RecurringRunEdit(display_name="Other", parameters={"x": "[[Index]]"}, max_concurrency=3, at_limit="skip")
    edited = await service.edit_recurring_run(made.recurring_run_id, edit)
    assert (edited.display_name, edited.parameters) == ("Other", {"x": "[[Index]]"})
    assert (edited.max_concurrency, edited.at_limit, edited.tick_index) == (3, "skip", 1)
    assert (edited.recurring_run_id, edited.created_at) == (made.recurring_run_id, made.created_at)
    assert (edited.timetable, edited.last_tick_at) == (made.timetable, LONG_AGO + 60)
    assert [one.run_id for one in await service.list_ticks(made.recurring_run_id)] == [run.run_id]
    assert not (await service.get_run(run.run_id)).state.final
    await service.terminate_run(run.run_id)


@pytest.mark.parametrize("timetable", [StoredTimetable(interval_s=3600), StoredTimetable(cron="0 0 * * * *")])
async def test_a_new_timetable_counts_from_its_change(service: Service, timetable: StoredTimetable) -> None:
    """Ticks that it would have had before were never due, whatever is caught up."""
    made = await service.create_recurring_run(new(window(1)))
    await until_ticks(service, made, 1)
    before = time.time()
    edited = await service.edit_recurring_run(made.recurring_run_id, RecurringRunEdit(timetable=timetable))
    assert edited.next_tick_at is not None
    assert before < edited.next_tick_at <= before + 3700
    other = await service.create_recurring_run(new(window(1)))
    await until_ticks(service, other, 1)
    assert len(await service.list_ticks(made.recurring_run_id)) == 1


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (RecurringRunEdit(timetable=StoredTimetable(cron="x")), "CRON_INVALID"),
        (RecurringRunEdit(timetable=StoredTimetable(cron="0 0 0 30 2 *")), "CRON_NEVER_DUE"),
        (RecurringRunEdit(timetable=StoredTimetable(interval_s=60, most_missed=0)), "CATCH_UP_INVALID"),
        (RecurringRunEdit(max_concurrency=11), "MAX_CONCURRENCY_INVALID"),
        (RecurringRunEdit(parameters={"unknown": 1}), "INVALID_ARGUMENTS"),
        (RecurringRunEdit(pipeline_version_id=""), "RECURRING_RUN_HAS_DOCUMENT"),
    ],
)
async def test_an_edit_that_can_never_run_changes_nothing(service: Service, edit: RecurringRunEdit, code: str) -> None:
    made = await service.create_recurring_run(new(every_minute()))
    with pytest.raises(Invalid) as caught:
        await service.edit_recurring_run(made.recurring_run_id, edit)
    assert caught.value.code == code
    after = await service.get_recurring_run(made.recurring_run_id)
    assert msgspec.structs.replace(after, next_tick_at=made.next_tick_at) == made


async def test_another_version_of_its_pipeline(service: Service) -> None:
    first = await upload(service)
    stranger = await upload(service, "q")
    made = await service.create_recurring_run(new(window(2), pipeline_version_id=first, enabled=False))
    assert made.pipeline_id is not None
    second = await service.create_version(
        made.pipeline_id, NewVersion(name="second", pipeline_spec=documents.one_task())
    )
    with pytest.raises(Invalid) as caught:
        await service.edit_recurring_run(made.recurring_run_id, RecurringRunEdit(pipeline_version_id=stranger))
    assert caught.value.code == "VERSION_OF_ANOTHER_PIPELINE"
    edit = RecurringRunEdit(pipeline_version_id=second.pipeline_version_id, enabled=True)
    await service.edit_recurring_run(made.recurring_run_id, edit)
    runs = await until_ticks(service, made, 2)
    assert {one.pipeline_version_id for one in runs} == {second.pipeline_version_id}
    latest = await service.edit_recurring_run(made.recurring_run_id, RecurringRunEdit(pipeline_version_id=""))
    assert latest.pipeline_version_id is None


async def test_of_two_edits_at_once_one_is_refused(service: Service) -> None:
    made = await service.create_recurring_run(new(every_minute()))
    edits = [service.edit_recurring_run(made.recurring_run_id, RecurringRunEdit(description=text)) for text in "ab"]
    done = await asyncio.gather(*edits, return_exceptions=True)
    refused = [one for one in done if isinstance(one, Conflict)]
    assert [one.code for one in refused] in ([], ["RECURRING_RUN_CHANGED"])
    kept = [one.description for one in done if isinstance(one, RecurringRunRecord)]
    assert (await service.get_recurring_run(made.recurring_run_id)).description in kept


# --- explained -------------------------------------------------------------------------------------


async def test_each_tick_says_what_came_of_it(service: Service, world: World) -> None:
    world.behaviour = hang
    made = await service.create_recurring_run(new(window(3), at_limit="skip"))
    (run,) = await until_ticks(service, made, 3)
    found = await service.tick_list(made.recurring_run_id, past=10, coming=3)
    assert [one.state for one in found.past] == ["REFUSED", "REFUSED", "FIRED"]
    assert found.past[-1].run_id == run.run_id
    assert found.past[0].reason is not None
    assert found.past[0].reason.code == "RECURRING_RUN_BUSY"
    assert (found.waiting, found.coming) == (None, [])
    await service.terminate_run(run.run_id)


async def test_a_tick_that_waits_says_for_what(service: Service, world: World) -> None:
    world.behaviour = hang
    made = await service.create_recurring_run(new(every_minute(start=LONG_AGO), max_concurrency=1))
    (run,) = await until_ticks(service, made, 1)
    found = await service.tick_list(made.recurring_run_id, past=10, coming=3)
    assert found.waiting is not None
    assert found.waiting.reason is not None
    assert (found.waiting.state, found.waiting.at) == ("WAITING", "1970-01-02T00:02:00.000Z")
    assert (found.waiting.reason.code, found.waiting.reason.details) == (
        "RECURRING_RUN_BUSY", {"run_ids": [run.run_id]},
    )  # fmt: skip
    assert [one.state for one in found.coming] == ["COMING"] * 3
    await service.set_recurring_run_enabled(made.recurring_run_id, False)
    found = await service.tick_list(made.recurring_run_id, past=10, coming=3)
    assert [one.state for one in found.coming] == ["PAUSED"] * 3
    assert found.coming[0].reason is not None
    assert (
        found.coming[0].reason.message
        == "It is disabled: each tick that passes makes its run when it is enabled again."
    )
    await service.terminate_run(run.run_id)


async def test_a_preview_makes_nothing(service: Service) -> None:
    timetable = StoredTimetable(cron="0 9 * * 1-5", dialect="classic", zone="Europe/Berlin", clocks="once")
    times = await service.preview_timetable(timetable, 7)
    local = [datetime.fromtimestamp(one, ZoneInfo("Europe/Berlin")) for one in times]
    assert [one.hour for one in local] == [9] * 7
    assert all(one.weekday() < 5 for one in local)
    assert (await service.list_recurring_runs(ListQuery())).items == ()
    with pytest.raises(Invalid) as caught:
        await service.preview_timetable(StoredTimetable(cron="0 0 30 2 *", dialect="classic"), 1)
    assert caught.value.code == "CRON_NEVER_DUE"


async def test_macros_are_replaced_with_the_tick(service: Service) -> None:
    parameters = {"x": "[[ScheduledTime.2006-01-02 15:04]] [[Index]]"}
    made = await service.create_recurring_run(new(window(2), parameters=parameters))
    runs = await until_ticks(service, made, 2)
    assert [one.parameters["x"] for one in runs] == ["1970-01-02 00:01 1", "1970-01-02 00:02 2"]


async def test_macros_of_an_ordinary_run(service: Service) -> None:
    made = await service.create_run(
        NewRun(pipeline_spec=documents.one_task(), parameters={"x": "[[RunUUID]] [[Index]]"})
    )
    assert made.parameters == {"x": f"{made.run_id} [[Index]]"}


async def test_a_disabled_one_makes_no_run_until_it_is_enabled(service: Service) -> None:
    made = await service.create_recurring_run(new(window(1), enabled=False))
    other = await service.create_recurring_run(new(window(1)))
    await until_ticks(service, other, 1)
    assert await runs_of(service, made) == []
    await service.set_recurring_run_enabled(made.recurring_run_id, True)
    assert len(await until_ticks(service, made, 1)) == 1


async def test_archiving_its_experiment_disables_it(service: Service) -> None:
    experiment = await service.create_experiment(name="e")
    made = await service.create_recurring_run(new(every_minute(), experiment_id=experiment.experiment_id))
    await service.set_experiment_archived(experiment.experiment_id, True)
    await service.set_experiment_archived(experiment.experiment_id, False)
    assert not (await service.get_recurring_run(made.recurring_run_id)).enabled


async def test_a_tick_that_cannot_make_a_run_is_recorded_and_the_next_goes_on(service: Service) -> None:
    """The pipeline's version is deleted under way."""
    version = await upload(service)
    made = await service.create_recurring_run(
        new(window(2), pipeline_version_id=version, enabled=False)
    )  # fmt: skip
    await service.delete_version(version)
    await service.set_recurring_run_enabled(made.recurring_run_id, True)
    assert await until_ticks(service, made, 2) == []
    reasons = [one.reason for one in await service.list_ticks(made.recurring_run_id)]
    assert [reason.code for reason in reasons if reason] == ["NOT_FOUND", "NOT_FOUND"]
    assert (await service.get_recurring_run(made.recurring_run_id)).tick_index == 0


async def upload(service: Service, name: str = "p") -> str:
    pipeline = await service.create_pipeline(name=name)
    version = await service.create_version(
        pipeline.pipeline_id, NewVersion(name="v", pipeline_spec=documents.one_task())
    )
    return version.pipeline_version_id


async def test_deleting_keeps_the_runs(service: Service) -> None:
    made = await service.create_recurring_run(new(window(1)))
    (run,) = await until_ticks(service, made, 1)
    await service.delete_recurring_run(made.recurring_run_id)
    with pytest.raises(NotFound):
        await service.get_recurring_run(made.recurring_run_id)
    assert (await service.get_run(run.run_id)).run_id == run.run_id
    await until_final(service, run.run_id)
    assert (await service.get_run(run.run_id)).state is State.SUCCEEDED


@pytest.mark.parametrize(
    "timetable, fields, code",
    [
        (StoredTimetable(cron=""), {}, "CRON_INVALID"),
        (StoredTimetable(cron="0 0 0 * * 7"), {}, "CRON_INVALID"),
        (StoredTimetable(cron="0 0 0 30 2 *"), {}, "CRON_NEVER_DUE"),
        (StoredTimetable(interval_s=0), {}, "INTERVAL_INVALID"),
        (StoredTimetable(interval_s=60, cron="0 * * * * *"), {}, "TRIGGER_AMBIGUOUS"),
        (StoredTimetable(interval_s=60, zone="Mars/Olympus"), {}, "TIME_ZONE_UNKNOWN"),
        (StoredTimetable(interval_s=60), {"max_concurrency": 0}, "MAX_CONCURRENCY_INVALID"),
        (StoredTimetable(interval_s=60), {"max_concurrency": 11}, "MAX_CONCURRENCY_INVALID"),
        (StoredTimetable(interval_s=60), {"parameters": {"unknown": 1}}, "INVALID_ARGUMENTS"),
    ],
)
async def test_what_can_never_run_is_refused(
    service: Service, timetable: StoredTimetable, fields: dict[str, Any], code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await service.create_recurring_run(new(timetable, **fields))
    assert caught.value.code == code
    assert (await service.list_recurring_runs(ListQuery())).items == ()


async def test_no_tick_is_lost_or_doubled_by_a_restart(tmp_path: Path, world: World) -> None:
    """The server is closed wherever it is; each tick has one run in the end."""
    settings = Settings(home=tmp_path / "home")
    service = await Service.open(settings, executor=FakeExecutor(world))
    made = await service.create_recurring_run(new(window(12), max_concurrency=10))
    for _ in range(4):
        await asyncio.sleep(0)
        await service.close()
        service = await Service.open(settings, executor=FakeExecutor(world))
    await until(lambda: _is(service, made, next_tick_at=None))
    runs = await runs_of(service, made)
    assert [one.scheduled_at - LONG_AGO for one in runs] == [60 * number for number in range(1, 13)]
    await service.close()
