"""The run loop alone: how many task transitions it records a second, beside raw SQLite commits.

    .venv/bin/python benchmarks/service.py [TASKS]

The executor runs nothing and answers at once, so all that is measured is ours: engine, store, loop. A transition is
one recorded event of an attempt (begun, ended). The floor commits one row and one update per transaction, WAL with
synchronous=FULL, one after the other: what a server without group commit could do at best.
"""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from headrace.engine.model import AttemptId, LaunchOrder
from headrace.executors.port import AnyReport, Started, Succeeded
from headrace.service.service import NewRun, Service
from headrace.service.settings import Settings


class Instantly:
    """An executor whose attempts take no time."""

    def __init__(self) -> None:
        self._reports: asyncio.Queue[AnyReport] = asyncio.Queue()

    async def launch(self, order: LaunchOrder) -> None:
        now = time.time()
        self._reports.put_nowait(Started(attempt=order.attempt, at=now))
        self._reports.put_nowait(Succeeded(attempt=order.attempt, at=now, parameters={"n": 1}))

    async def stop(self, attempt: AttemptId) -> None: ...

    async def settle(self, attempt: AttemptId) -> None: ...

    async def keep_only(self, attempts: Any, *, within: Any = None) -> None: ...

    async def reports(self) -> AsyncIterator[AnyReport]:
        while True:
            yield await self._reports.get()

    async def logs(self, attempt: AttemptId, *, offset: int = 0, follow: bool = False) -> AsyncIterator[bytes]:
        return
        yield b""

    async def log_size(self, attempt: AttemptId) -> int:
        return 0

    async def close(self) -> None: ...


def document(tasks: dict[str, Any]) -> dict[str, Any]:
    """A pipeline of these tasks, all of one component."""
    return {
        "pipelineInfo": {"name": "bench"},
        "schemaVersion": "2.1.0",
        "components": {
            "comp-t": {
                "executorLabel": "exec-t",
                "outputDefinitions": {"parameters": {"n": {"parameterType": "NUMBER_INTEGER"}}},
            }
        },
        "deploymentSpec": {"executors": {"exec-t": {"container": {"image": "x", "command": ["true"]}}}},
        "root": {"dag": {"tasks": tasks}},
    }


def fan(width: int) -> dict[str, Any]:
    """All at once."""
    return document({f"t{n}": {"componentRef": {"name": "comp-t"}} for n in range(width)})


def chain(length: int) -> dict[str, Any]:
    """One after the other."""
    return document(
        {
            f"t{n}": {"componentRef": {"name": "comp-t"}, "dependentTasks": [f"t{n - 1}"] if n else []}
            for n in range(length)
        }
    )


async def measure(home: Path, name: str, documents: list[dict[str, Any]], tasks: int) -> float:
    """Run them all; transitions a second."""
    service = await Service.open(Settings(home=home), executor=Instantly())
    cpu, began = time.process_time(), time.perf_counter()
    runs = [await service.create_run(NewRun(pipeline_spec=one)) for one in documents]
    for run in runs:
        async for change in service.watch_run(run.run_id, after_version=1 << 60):
            last = change  # noqa: F841
        assert (await service.get_run(run.run_id)).state == "SUCCEEDED"
    took, used = time.perf_counter() - began, time.process_time() - cpu
    await service.close()
    rate = 2 * tasks / took
    print(f"{name:32} {took:8.2f} s {rate:10.0f} transitions/s {1000 * used / tasks:8.3f} ms CPU a task")
    return rate


class Never(Instantly):
    """An executor whose attempts never end."""

    async def launch(self, order: LaunchOrder) -> None:
        self._reports.put_nowait(Started(attempt=order.attempt, at=time.time()))


_COPIES = """
INSERT INTO runs SELECT lower(hex(randomblob(16))), display_name, description, experiment_id, namespace, pipeline_name,
pipeline_id, pipeline_version_id, recurring_run_id, service_account, pipeline_root, 'SUCCEEDED', archived, parameters,
created_at, scheduled_at, started_at, created_at, error, state_history, task_counts, version, event_count, document,
head, lease_owner, lease_until FROM runs,
(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
SELECT i FROM n)
"""


async def restart(home: Path) -> None:
    """Time to open a home with 100 active runs of 50 tasks, and 10,000 finished ones."""
    service = await Service.open(Settings(home=home), executor=Never())
    for _ in range(100):
        await service.create_run(NewRun(pipeline_spec=fan(50)))
    await service.close()
    conn = sqlite3.connect(home / "headrace.db")
    conn.execute(_COPIES)
    conn.commit()
    conn.close()
    cpu, began = time.process_time(), time.perf_counter()
    service = await Service.open(Settings(home=home), executor=Never())
    took, used = time.perf_counter() - began, time.process_time() - cpu
    print(f"{'restart, 100 active, 10k final':32} {took:8.2f} s, {used:.2f} s CPU")
    await service.close()


def floor(home: Path, count: int) -> float:
    """Raw commits a second."""
    conn = sqlite3.connect(home / "floor.db", isolation_level=None)
    conn.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, v);")
    conn.execute("CREATE TABLE e (id INTEGER, body TEXT)")
    conn.execute("INSERT INTO t VALUES (1, 0)")
    began = time.perf_counter()
    for n in range(count):
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("UPDATE t SET v = ? WHERE id = 1", (n,))
        conn.execute("INSERT INTO e VALUES (?, ?)", (n, "x" * 200))
        conn.execute("COMMIT")
    rate = count / (time.perf_counter() - began)
    conn.close()
    print(f"{'floor: raw commits':32} {count / rate:8.2f} s {rate:10.0f} commits/s")
    return rate


async def main(tasks: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        base = floor(home, 2000)
        cases = {
            f"fan of {tasks}": ([fan(tasks)], tasks),
            f"{tasks // 50} runs of 50": ([fan(50)] * (tasks // 50), tasks // 50 * 50),
            "chain of 200": ([chain(200)], 200),
        }
        for name, (documents, count) in cases.items():
            rate = await measure(home / name.replace(" ", "-"), name, documents, count)
            print(f"{'':32} {rate / base:8.2f} x the floor")
        await restart(home / "restart")
        print(f"largest resident size {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
