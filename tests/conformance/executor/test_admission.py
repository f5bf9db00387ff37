"""What attempts ask for decides when they begin, also across a restart of the server."""

from __future__ import annotations

import pytest

from conformance.executor.test_lives import GIVES, WAITS, let_go, log_says
from harness import groups_of, processes_of
from headrace.executors.local.machine import Machine
from headrace.executors.port import Failed, Started, Stopped, Succeeded, Waiting

pytestmark = pytest.mark.anyio

MACHINE = Machine(cpus=1.0, memory_bytes=1 << 30, accelerators={"nvidia.com/gpu": ("7",)})
HUNGRY = WAITS.replace("return 'done'", "held = []\n    while True: held.append(bytearray(1 << 20))")


@pytest.mark.parametrize("kind", ["process"], indirect=True)
async def test_what_runs_is_counted_and_held_after_a_restart(kind, home, open_watch, order):
    first = open_watch(home, machine=MACHINE)
    running = order(HUNGRY, path="running", gives=GIVES, resources={"cpu_request": "1", "memory_limit": "128Mi"})
    await first.executor.launch(running)
    await log_says(first.executor, running.attempt, b"begun")
    await first.close()
    # 1. A later server counts what runs already; who waits says for what, and can be stopped.
    second = open_watch(home, machine=MACHINE)
    await second.start_of(running.attempt)
    waiting, next_one = (order("def f():\n    pass", path=path, resources={"cpu_limit": "1"}) for path in ("b", "c"))
    for asked in (waiting, next_one):
        await second.executor.launch(asked)
        told = await second.until(asked.attempt, Waiting)
        while told.reason.code == "BUILDING_ENVIRONMENT":
            told = await second.until(asked.attempt, Waiting, after=second.seen.index(told) + 1)
        assert told.reason.code == "WAITING_FOR_CPU"
        assert told.reason.details == {"asked": 1, "used": 1, "limit": 1}
    await second.executor.stop(waiting.attempt)
    assert isinstance(await second.end_of(waiting.attempt), Stopped)
    # 2. It holds it to the limit it began with, and gives on what it held.
    let_go(home, running.attempt)
    end = await second.end_of(running.attempt)
    assert isinstance(end, Failed)
    assert end.error.code == "OUT_OF_MEMORY"
    assert "128Mi" in end.error.message
    assert isinstance(await second.end_of(next_one.attempt), Succeeded)
    assert not [report for report in second.of(waiting.attempt) if isinstance(report, Started)]
    for asked in (running, waiting, next_one):
        await second.executor.settle(asked.attempt)
    await second.close()
    assert (groups_of(home), processes_of(home)) == ([], [])


async def test_what_can_never_begin_fails_at_once(kind, home, open_watch, order):
    watch = open_watch(home, machine=MACHINE)
    asked = order("def f():\n    pass", resources={"memory_limit": "2Gi"})
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Failed)
    assert (end.error.code, end.retryable) == ("DOES_NOT_FIT", False)
    assert "2Gi of memory, and this machine has 1Gi for attempts (setting machine_memory_bytes)" in end.error.message


@pytest.mark.parametrize("kind", ["process", "warm"], indirect=True)
async def test_an_attempt_sees_its_own_accelerators(kind, home, open_watch, order):
    watch = open_watch(home, machine=MACHINE)
    asked = order(
        "def f() -> str:\n    import os\n    return os.environ['CUDA_VISIBLE_DEVICES']",
        gives={"Output": "STRING"},
        resources={"accelerator_type": "NVIDIA_TESLA_P4", "accelerator_count": "1"},
    )
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Succeeded), end
    assert end.parameters == {"Output": "7"}
