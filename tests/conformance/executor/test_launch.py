"""`launch` accepts an attempt and never waits."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from headrace.engine.model import AttemptId
from headrace.executors.local.container import ContainerCommandBuilder
from headrace.executors.local.python import PythonCommandBuilder
from headrace.executors.port import Stopped, Succeeded
from orders import RUN_ID
from waiting import until

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


async def test_no_process_is_started_without_permission(home, open_watch, order):
    """A server whose lease is over prepares, and waits until it knows whether the run is still its own."""
    allowed = False
    watch = open_watch(home, may_start=lambda: allowed)
    asked = order("def f() -> str:\n    return 'x'", gives={"Output": "STRING"})
    await watch.executor.launch(asked)
    await until(lambda: bool(list((home / "attempts" / ".live").iterdir())))
    await asyncio.sleep(0.3)  # three looks at the permission
    assert not (home / "attempts" / RUN_ID / asked.attempt.execution_id / "1" / "claim").exists()
    allowed = True
    assert isinstance(await watch.end_of(asked.attempt), Succeeded)
