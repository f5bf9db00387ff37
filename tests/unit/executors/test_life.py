"""The life of an attempt, with real processes of a plain shell: no environment has to be made for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.artifacts.local import LocalStore
from headrace.attempt.order import LaunchOrder
from headrace.executors.local import assemble, processes
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.command import AttemptMeta, Command
from headrace.executors.local.executor import LocalExecutor
from headrace.executors.port import FINAL, AnyReport, Started, Succeeded
from orders import shell_order

pytestmark = pytest.mark.anyio


class ShellBuilder:
    """See CommandBuilder: the order's own command, on this machine."""

    def __init__(self, *_: object) -> None:
        pass

    async def build(self, order: LaunchOrder, attempt_dir: AttemptDir, waiting: object) -> tuple[Command, AttemptMeta]:
        assert order.container is not None
        command = Command(argv=("/bin/sh", *order.container.command[1:]), env={"PATH": "/usr/bin:/bin"})
        return command, AttemptMeta(builder="container", outputs_seen_at=str(attempt_dir.outputs))

    async def remove_container(self, meta: AttemptMeta) -> None:
        pass

    async def cause_of_death(self, meta: AttemptMeta, status: int | None) -> None:
        return None


@pytest.fixture
async def run(home: Path, monkeypatch: pytest.MonkeyPatch):
    """Starts an executor whose reports are collected."""
    monkeypatch.setattr(assemble, "ContainerCommandBuilder", ShellBuilder)
    opened: list[tuple[LocalExecutor, asyncio.Task[None]]] = []

    def begin(may_start: Callable[[], bool] = lambda: True) -> tuple[LocalExecutor, list[AnyReport]]:
        executor = assemble.make_executor(
            home, artifacts=LocalStore(home / "artifacts"), max_parallel=2, may_start=may_start
        )
        seen: list[AnyReport] = []

        async def read() -> None:
            async for report in executor.reports():
                seen.append(report)

        opened.append((executor, asyncio.create_task(read())))
        return executor, seen

    yield begin
    for executor, reader in opened:
        await executor.close()
        await reader


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_nothing_is_started_without_permission(home, run):
    looks = 0

    def may_start() -> bool:
        nonlocal looks
        looks += 1
        return looks > 3

    executor, seen = run(may_start)
    order = shell_order("echo here", image="x")
    claim = home / "attempts" / order.attempt.run_id / order.attempt.execution_id / "1" / "claim"
    await executor.launch(order)
    await until(lambda: looks > 1 or claim.exists())
    assert not claim.exists()
    await until(lambda: bool(seen) and isinstance(seen[-1], FINAL))
    assert isinstance(seen[-1], Succeeded), seen


async def test_an_attempt_that_is_over_before_the_executor_looks_has_a_start(run, monkeypatch):
    really_alive = processes.alive

    def looked_at_late(first: processes.ProcessIdentity) -> bool:
        while (stat := processes.stat_of(first.pid)) is not None and not stat.gone:
            time.sleep(0.001)
        return really_alive(first)

    monkeypatch.setattr(processes, "alive", looked_at_late)
    executor, seen = run()
    await executor.launch(shell_order("true", image="x"))
    await until(lambda: bool(seen) and isinstance(seen[-1], FINAL))
    assert [type(one) for one in seen] == [Started, Succeeded]
