"""`launch` accepts an attempt and never waits."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from headrace.engine.model import AttemptId
from headrace.executors.local.container import ContainerCommandBuilder
from headrace.executors.local.python import PythonCommandBuilder
from headrace.executors.port import Stopped
from orders import RUN_ID

pytestmark = pytest.mark.anyio
MANY = 1000


async def test_a_thousand_launches_of_a_slow_executor_return_at_once(home, open_watch, order, monkeypatch):
    """Each returns before anything else can happen: driven by hand, the coroutine ends at its first step."""
    begun: list[AttemptId] = []

    async def slow(self: object, order: object, attempt_dir: object, waiting: object) -> None:
        begun.append(order.attempt)
        await asyncio.Event().wait()

    monkeypatch.setattr(PythonCommandBuilder, "build", slow)
    monkeypatch.setattr(ContainerCommandBuilder, "build", slow)
    watch = open_watch(home)
    asked = order("def f(): pass")
    attempts = [AttemptId(run_id=RUN_ID, path=f"task-{n}", number=1) for n in range(MANY)]
    for attempt in attempts:
        launching = watch.executor.launch(msgspec.structs.replace(asked, attempt=attempt))
        with pytest.raises(StopIteration):
            launching.send(None)
    assert begun == []
    for attempt in attempts[:3]:
        await watch.executor.stop(attempt)
        assert isinstance(await watch.end_of(attempt), Stopped)
