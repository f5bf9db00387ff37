"""Whatever a component does, the executor says the same of it, and nothing of it stays behind."""

from __future__ import annotations

import pytest

from conformance.executor.deeds import DEEDS, PROCESS_DEEDS
from harness import processes_of
from headrace.executors.port import Failed, Started, Succeeded

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", DEEDS)
async def test_deed(name, home, open_watch, order):
    await prove(DEEDS[name], home, open_watch, order)


@pytest.mark.parametrize("kind", ["process", "warm"], indirect=True)
@pytest.mark.parametrize("name", PROCESS_DEEDS)
async def test_deed_of_a_process(name, kind, home, open_watch, order):
    await prove(PROCESS_DEEDS[name], home, open_watch, order)


async def prove(deed, home, open_watch, order):
    watch = open_watch(home)
    asked = order(deed.source, gives=deed.gives, makes=deed.makes, parameters=deed.parameters, timeout_s=deed.timeout_s)
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    if deed.code:
        assert isinstance(end, Failed), end
        assert end.error.code == deed.code, end
        assert all(word in end.error.message for word in deed.words), end.error.message
        assert {key: end.error.details.get(key) for key in deed.details} == deed.details
    else:
        assert isinstance(end, Succeeded), end
        assert end.parameters == deed.result
    kinds = [type(report) for report in watch.of(asked.attempt)]
    assert kinds.count(Started) == 1
    assert kinds[-1] is type(end)
    assert processes_of(home) == []
