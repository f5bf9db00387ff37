"""Steps of large runs do not hold up the event loop: they are made in a thread."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

import documents
from fake_executor import FakeExecutor
from headrace.engine.model import RunStarted, State
from headrace.service import active
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from owned_service import Service
from waiting import until_final

pytestmark = pytest.mark.anyio
LARGE_LOOP = documents.loop(json.dumps(list(range(500))))


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[bool]:
    """Whether steps of the engine were made on the main thread."""
    seen: set[bool] = set()
    real = active.advance

    def advance(plan: Any, state: Any, event: Any) -> Any:
        # The first step of a new run is always made in a thread.
        if not isinstance(event, RunStarted):
            seen.add(threading.current_thread() is threading.main_thread())
        return real(plan, state, event)

    monkeypatch.setattr(active, "advance", advance)
    return seen


@pytest.mark.parametrize(
    ("document", "on_the_loop"),
    [(documents.chain(3), True), (documents.fan(200), False), (LARGE_LOOP, False)],
    ids=["small", "many tasks", "a loop"],
)
async def test_only_steps_of_small_runs_are_made_on_the_loop(
    home: Path, threads: set[bool], document: dict[str, Any], on_the_loop: bool
) -> None:
    service = await Service.open(Settings(home=home), executor=FakeExecutor())
    try:
        run = await service.create_run(NewRun(display_name="r", pipeline_spec=document))
        ended = await until_final(service, run.run_id)
        assert ended.state is State.SUCCEEDED
        assert threads == {on_the_loop}
    finally:
        await service.close()
