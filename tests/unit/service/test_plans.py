"""A document is verified and planned once, in a thread, whoever asks for it and however often."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import documents
from fake_executor import FakeExecutor
from headrace.service import documents as reading
from headrace.service.errors import Invalid, NotFound
from headrace.service.plans import Plans
from headrace.service.requests import GivenDocument
from headrace.service.service import NewRun, NewVersion, Rerun
from owned_service import Service

pytestmark = pytest.mark.anyio

WORK = ("read_pipeline", "parse_document", "verify_document", "plan")


class Watched:
    """How often each part of the work on documents was done, and in which threads."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.threads: set[int] = set()

    def counting(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            self.done[name] += 1
            self.threads.add(threading.get_ident())
            return work(*args)

        return counted


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    found = Watched()
    for name in WORK:
        monkeypatch.setattr(reading, name, found.counting(name, getattr(reading, name)))
    return found


async def test_a_run_of_a_text_is_verified_and_planned_once_and_not_on_the_loops_thread(
    service: Service, watched: Watched
):
    made = await service.create_run(NewRun(document=json.dumps(documents.chain(3))))
    await service.run_view(made.run_id)
    assert watched.done == dict.fromkeys(WORK, 1)
    assert watched.threads and threading.get_ident() not in watched.threads


async def test_runs_of_an_uploaded_version_and_their_reruns_do_not_verify_or_plan_again(
    service: Service, watched: Watched
):
    version = NewVersion(name="1", document=json.dumps(documents.chain(3)).encode())
    pipeline = await service.create_pipeline(name="p", version=version)
    once = watched.done.copy()
    assert (once["verify_document"], once["plan"]) == (1, 1)
    first = await service.create_run(NewRun(pipeline_id=pipeline.pipeline_id))
    second = await service.create_run(NewRun(pipeline_version_id=first.pipeline_version_id))
    again = await service.rerun_run(second.run_id, Rerun(again=("t0",)))
    assert watched.done == once
    assert {first.pipeline_version_id, second.pipeline_version_id, again.pipeline_version_id} == {
        first.pipeline_version_id
    }


async def test_the_same_document_in_another_form_is_not_verified_again(service: Service, watched: Watched):
    document = documents.chain(3)
    await service.create_run(NewRun(pipeline_spec=document))
    await service.create_run(NewRun(document=json.dumps(document, indent=3)))
    assert (watched.done["verify_document"], watched.done["plan"]) == (1, 1)


async def test_several_who_ask_at_once_wait_for_one_plan(watched: Watched):
    plans = Plans(_nothing)
    given = GivenDocument(pipeline_spec=documents.chain(3))
    found = await asyncio.gather(*(plans.of_document(given) for _ in range(5)))
    assert {id(one.plan) for one in found} == {id(found[0].plan)}
    assert (watched.done["verify_document"], watched.done["plan"]) == (1, 1)
    plans.close()


async def test_one_who_stops_waiting_takes_nothing_from_the_others(monkeypatch: pytest.MonkeyPatch):
    going, may_end = threading.Event(), threading.Event()

    def slow(document: Any) -> list[Any]:
        going.set()
        assert may_end.wait(30)
        return []

    monkeypatch.setattr(reading, "verify_document", slow)
    plans = Plans(_nothing)
    given = GivenDocument(pipeline_spec=documents.chain(3))
    first, second = (asyncio.create_task(plans.of_document(given)) for _ in range(2))
    await asyncio.to_thread(going.wait, 30)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    may_end.set()
    assert (await second).plan.root.size == 3
    assert first.cancelled()
    plans.close()


async def test_all_who_wait_for_a_document_that_is_refused_are_told_why(watched: Watched):
    plans = Plans(_nothing)
    given = GivenDocument(pipeline_spec={"pipelineInfo": {"name": "x"}, "root": {"dag": {"tasks": {"a": {}}}}})
    found = await asyncio.gather(*(plans.of_document(given) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [Invalid] * 3
    assert len({(one.code, str(one), str(one.details)) for one in found if isinstance(one, Invalid)}) == 1
    assert watched.done["parse_document"] == 1
    plans.close()


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("a: [", "NOT_YAML"),
        ('{"pipelineInfo": {}, "pipelineInfo": {}}', "DUPLICATE_KEY"),
        (b"\x89PNG", "BINARY"),
        ("{}", "NOT_A_PIPELINE"),
    ],
)
async def test_a_text_that_cannot_be_read_is_refused_with_the_readers_code(
    service: Service, document: str | bytes, code: str
):
    with pytest.raises(Invalid) as caught:
        await service.create_run(NewRun(document=document))
    assert caught.value.code == code


async def test_a_version_deleted_while_a_run_of_it_is_made_is_not_found(
    service: Service, monkeypatch: pytest.MonkeyPatch
):
    pipeline = await service.create_pipeline(name="p", version=NewVersion(name="1", pipeline_spec=documents.chain(2)))
    planned = service._context.plans.of_latest_version

    async def late(pipeline_id: str) -> Any:
        found = await planned(pipeline_id)
        await service.delete_version(found.pipeline_version_id or "")
        return found

    monkeypatch.setattr(service._context.plans, "of_latest_version", late)
    with pytest.raises(NotFound):
        await service.create_run(NewRun(pipeline_id=pipeline.pipeline_id))


async def test_plans_that_were_not_used_for_long_are_forgotten(service: Service, executor: FakeExecutor):
    plans = service._context.plans
    for n in range(70):
        await plans.of_document(GivenDocument(pipeline_spec=documents.one_task(name=f"p{n}")))
    assert len(plans._plans) == 64


async def _nothing(*args: Any) -> None:
    return None
