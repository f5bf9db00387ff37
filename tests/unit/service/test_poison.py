"""A run that ends the server is found out, by servers that are really killed, and the others go on."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import documents
from fake_executor import FakeExecutor, World, hang
from headrace.engine.model import State
from headrace.service.handling import HandlingNotes
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from owned_service import Service
from waiting import until_final

pytestmark = pytest.mark.anyio

#: A server that is killed while it handles the end of a task of any run whose pipeline is named `deadly`.
DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from fake_executor import FakeExecutor, World, succeed
from headrace.service import active
from headrace.service.settings import Settings
from owned_service import Service

fold_each = active._fold_each

def fold(batch, now):
    if any(run.record.pipeline_name == "deadly" for run, _ in batch):
        os.kill(os.getpid(), signal.SIGKILL)
    return fold_each(batch, now)

async def main():
    active._fold_each = fold
    await Service.open(Settings(home=Path(sys.argv[1])), executor=FakeExecutor(World(behaviour=succeed)))
    await asyncio.Event().wait()

asyncio.run(main())
"""


def dies(home: Path) -> None:
    tests = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", DYING, home], cwd=tests, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


async def open_home(home: Path, **world: object) -> Service:
    return await Service.open(Settings(home=home), executor=FakeExecutor(World(**world)))


async def test_a_run_that_ends_three_servers_fails_and_the_others_go_on(tmp_path: Path):
    service = await open_home(tmp_path, behaviour=hang)
    deadly, harmless = [
        await service.create_run(NewRun(pipeline_spec=documents.one_task(name=name), display_name=name))
        for name in ("deadly", "harmless")
    ]
    await service.close()
    for _ in range(3):
        await asyncio.to_thread(dies, tmp_path)
    service = await open_home(tmp_path)
    assert (await until_final(service, harmless.run_id)).state is State.SUCCEEDED
    ended = await service.get_run(deadly.run_id)
    assert (ended.state, ended.error and ended.error.code) == (State.FAILED, "POISON")
    # A retry begins again, with three more tries.
    await service.retry_run(deadly.run_id)
    assert (await until_final(service, deadly.run_id)).state is State.SUCCEEDED
    await service.close()
    assert list((tmp_path / "handling").iterdir()) == []


def test_runs_that_were_handled_when_a_server_died_are_handled_one_by_one(tmp_path: Path):
    notes, before = HandlingNotes.open(tmp_path)
    assert (notes.apart("abc"), before) == ([["a", "b", "c"]], {})
    notes.suspect("b")
    assert notes.apart("abc") == [["a", "c"], ["b"]]
    with notes.of("ab"), notes.of("a"):
        # Its process lives: nothing is counted.
        other, found = HandlingNotes.open(tmp_path)
        assert not found
        other.close()
    notes.close()
