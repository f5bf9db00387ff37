"""The executions of a run in pages: however many there are, each is shown once, parents before children."""

from __future__ import annotations

import pytest

import documents
from fake_executor import World
from headrace.service import views
from headrace.service.errors import Invalid, NotFound
from headrace.service.service import NewRun
from owned_service import Service
from waiting import until_final

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [1, 3, 8, 9, 1000])
async def test_the_pages_together_are_all_executions(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch, size: int
):
    monkeypatch.setattr(views, "PAGE", size)
    made = await service.create_run(NewRun(pipeline_spec=documents.loop("[1, 2, 3]")))
    await until_final(service, made.run_id)
    whole = [one.path for one in await service.get_executions(made.run_id)]
    view = await service.run_view(made.run_id)
    assert view.executions[0].kind == "ROOT"
    found, token, longest = [one.path for one in view.executions], view.next_page_token, len(view.executions)
    while token:
        page = await service.execution_page(made.run_id, token=token)
        found += [one.path for one in page.executions]
        assert len(found) <= len(whole), "a page repeats what was shown"
        token, longest = page.next_page_token, max(longest, len(page.executions))
    assert found == whole
    assert longest <= size
    assert bool(view.next_page_token) is (len(whole) >= size)


@pytest.mark.parametrize("token", ["", "x", "-1", "1.5", "9" * 50, "\u0663"])
async def test_a_token_that_is_none(service: Service, world: World, token: str):
    made = await service.create_run(NewRun(pipeline_spec=documents.chain(1)))
    with pytest.raises(Invalid) as caught:
        await service.execution_page(made.run_id, token=token)
    assert caught.value.code == "BAD_PAGE_TOKEN"


async def test_a_page_of_no_run(service: Service):
    with pytest.raises(NotFound):
        await service.execution_page("none", token="0")
