"""Hostile components are contained: the right word for their end, nothing left of them, nothing noticed next door."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.executor.test_lives import GIVES, WAITS, let_go, log_of, log_says
from conformance.executor.zoo import ANIMALS, COLD_ANIMALS, PROCESS_ANIMALS, WARM_ANIMALS
from harness import groups_of, processes_of
from headrace.executors.local.limits import Allowance, Confinement
from headrace.executors.local.processes import stat_of
from headrace.executors.log_store import follow_log
from headrace.executors.port import Failed, Lost, Succeeded

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

GRACE_S = 0.5


async def prove(animal, kind, home, open_watch, order):
    watch = open_watch(home, allowance=Allowance(**animal.allowance), **{"stop_grace_s": GRACE_S, **animal.options})
    neighbour = order(WAITS, path="neighbour", gives=GIVES)
    asked = an_animal(animal, order)
    await watch.executor.launch(neighbour)
    await log_says(watch.executor, neighbour.attempt, b"begun")
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    if animal.code:
        assert isinstance(end, Failed | Lost), end
        assert end.error.code == animal.code, end
        assert all(word in end.error.message for word in animal.words), end.error.message
    else:
        assert isinstance(end, Succeeded), end
    assert [pid for pid in processes_of(home) if belongs(pid, asked)] == []
    if kind != "container":  # in a container, numbers are other ones
        strays = re.findall(rb"stray (\d+)", (await log_of(watch.executor, asked.attempt))[:1000])
        assert [pid for pid in map(int, strays) if (stat := stat_of(pid)) and not stat.gone] == []
    let_go(home, neighbour.attempt)
    end = await watch.end_of(neighbour.attempt)
    assert isinstance(end, Succeeded), end
    assert end.parameters == {"signal_file": "seen", "Output": "done"}
    assert processes_of(home) == []
    # Its executor keeps empty control groups for the next attempts, until it closes.
    for over in (asked, neighbour):
        await watch.executor.settle(over.attempt)
    await watch.close()
    assert (groups_of(home), processes_of(home)) == ([], [])


@pytest.mark.parametrize("kind", ["process"], indirect=True)
@pytest.mark.parametrize("name", COLD_ANIMALS)
async def test_animal_started_cold(name, kind, home, open_watch, order):
    await prove(COLD_ANIMALS[name], kind, home, open_watch, order)


@pytest.mark.cold_too
@pytest.mark.parametrize("kind", ["warm"], indirect=True)
@pytest.mark.parametrize("name", WARM_ANIMALS)
async def test_animal_started_warm(name, kind, home, open_watch, order):
    await prove(WARM_ANIMALS[name], kind, home, open_watch, order)


@pytest.mark.parametrize("kind", ["process"], indirect=True)
@pytest.mark.parametrize("name", ["bombs with memory", "bombs with processes", "fills its directory"])
async def test_animal_without_control_groups(name, kind, home, open_watch, order, monkeypatch):
    monkeypatch.setattr(Confinement, "here", lambda *_: Confinement(None, "There are none in this test."))
    await prove({**ANIMALS, **PROCESS_ANIMALS}[name], kind, home, open_watch, order)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["process"], indirect=True)
async def test_a_gigabyte_of_log_costs_the_server_no_memory(kind, home, open_watch, order):
    watch = open_watch(home)
    asked = order("def f():\n    import os\n    for _ in range(1024): os.write(1, b'x' * 1_048_575 + b'\\n')")
    before = resident()
    await watch.executor.launch(asked)
    assert isinstance(await watch.end_of(asked.attempt), Succeeded)
    read = 0
    async for chunk in follow_log(watch.executor.logs, asked.attempt):
        read += len(chunk)
    assert read == 1 << 30
    assert resident() - before < 64 << 20
    (home / "attempts").joinpath(*asked_place(asked), "log").unlink()


def resident() -> int:
    """Our own memory."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])


def asked_place(asked) -> tuple[str, ...]:
    attempt = asked.attempt
    return attempt.run_id, attempt.execution_id, str(attempt.number)


def an_animal(animal, order):
    makes = {"a": "system.Dataset"} if "a: Output[Dataset]" in animal.source else {}
    return order(
        animal.source,
        path="animal",
        gives=animal.gives,
        makes=makes,
        timeout_s=animal.timeout_s,
        resources=animal.resources,
    )


def belongs(pid, asked) -> bool:
    try:
        told = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return asked.attempt.execution_id.encode() in told


@pytest.mark.parametrize("name", ANIMALS)
async def test_animal(name, kind, home, open_watch, order):
    await prove(ANIMALS[name], kind, home, open_watch, order)


@pytest.mark.parametrize("kind", ["process", "warm"], indirect=True)
@pytest.mark.parametrize("name", PROCESS_ANIMALS)
async def test_animal_among_processes(name, kind, home, open_watch, order):
    await prove(PROCESS_ANIMALS[name], kind, home, open_watch, order)
