"""The run loop alone: how many task transitions it records a second, beside raw SQLite commits.

    .venv/bin/python benchmarks/service.py [TASKS]

The executor runs nothing and answers at once, so all that is measured is ours: engine, store, loop. A transition is
one recorded event of an attempt (begun, ended). The floor commits one row and one update per transaction, WAL with
synchronous=FULL, one after the other: what a server without group commit could do at best. Memory is what is left
resident after a run, the database's and the allocator's own room with it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from headrace.attempt.order import LaunchOrder
from headrace.engine.model import AttemptId
from headrace.executors.log_store import FileLogs
from headrace.executors.port import AnyReport, Started, Succeeded
from headrace.service.access import owner
from headrace.service.service import NewRun, Service
from headrace.service.settings import Settings


class Instantly:
    """An executor whose attempts take no time."""

    def __init__(self) -> None:
        self._reports: asyncio.Queue[AnyReport] = asyncio.Queue()
        self.domain = "nowhere"
        self.logs = FileLogs(lambda _: Path("/nonexistent"), lambda _: None)

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


def loop(count: int) -> dict[str, Any]:
    """One task over so many items."""
    items = json.dumps(list(range(count)))
    task = {
        "componentRef": {"name": "comp-t"},
        "parameterIterator": {"items": {"raw": items}, "itemInput": "item"},
    }
    made = document({"work": task})
    made["components"]["comp-t"]["inputDefinitions"] = {"parameters": {"item": {"parameterType": "NUMBER_INTEGER"}}}
    return made


async def to_the_end(service: Service, documents: list[dict[str, Any]]) -> None:
    """Run them all."""
    session = service.for_caller(owner())
    runs = [await session.create_run(NewRun(pipeline_spec=one)) for one in documents]
    for run in runs:
        async for _ in session.watch_run(run.run_id, after_version=1 << 60):
            pass
        if (ended := await session.get_run(run.run_id)).state != "SUCCEEDED":
            raise RuntimeError(f"{ended.pipeline_name} ended {ended.state}: {ended.error}")


async def measure(home: Path, name: str, documents: list[dict[str, Any]], tasks: int) -> float:
    """Run them all on a server of their own; transitions a second."""
    service = await Service.open(Settings(home=home), executor=Instantly())
    await to_the_end(service, [fan(10)])
    gc.collect()
    before = rss_kb()
    cpu, began = time.process_time(), time.perf_counter()
    await to_the_end(service, documents)
    took, used = time.perf_counter() - began, time.process_time() - cpu
    gc.collect()
    kept = (rss_kb() - before) / tasks
    await service.close()
    rate = 2 * tasks / took
    print(
        f"{name:32} {took:8.2f} s {rate:10.0f} transitions/s {1000 * used / tasks:8.3f} ms CPU a task "
        f"{kept:6.2f} kB a task kept"
    )
    return rate


async def again_and_again(home: Path, times: int = 5, count: int = 10_000) -> None:
    """What one run after the other leaves in memory, once the first has made its room."""
    service = await Service.open(Settings(home=home), executor=Instantly())
    sizes = []
    for _ in range(times):
        await to_the_end(service, [loop(count)])
        gc.collect()
        sizes.append(rss_kb())
    await service.close()
    grown = (sizes[-1] - sizes[0]) / (count * (times - 1))
    print(f"{f'{times} runs of {count:,} iterations':32} {grown:8.3f} kB a task kept, the first run's room left out")


def rss_kb() -> float:
    """Resident size of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1000


class Never(Instantly):
    """An executor whose attempts never end."""

    async def launch(self, order: LaunchOrder) -> None:
        self._reports.put_nowait(Started(attempt=order.attempt, at=time.time()))


_COPIES = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
INSERT INTO runs ({names}) SELECT {values} FROM runs, n
"""


def add_ended(database: Path) -> None:
    """A hundred copies of each run, which have ended."""
    conn = sqlite3.connect(database)
    names = [row[1] for row in conn.execute("PRAGMA table_info(runs)")]
    other = {"run_id": "lower(hex(randomblob(16)))", "state": "'SUCCEEDED'", "finished_at": "created_at"}
    values = ", ".join(other.get(name, name) for name in names)
    conn.execute(_COPIES.format(names=", ".join(names), values=values))
    conn.commit()
    conn.close()


async def restart(home: Path) -> None:
    """Time to open a home with 100 active runs of 50 tasks, and 10,000 finished ones."""
    service = await Service.open(Settings(home=home), executor=Never())
    for _ in range(100):
        await service.for_caller(owner()).create_run(NewRun(pipeline_spec=fan(50)))
    await service.close()
    add_ended(home / "headrace.db")
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
            "10,000 tasks": ([fan(10_000)], 10_000),
            "1,000 iterations": ([loop(1_000)], 1_000),
            "10,000 iterations": ([loop(10_000)], 10_000),
            "100,000 iterations": ([loop(100_000)], 100_000),
        }
        for name, (documents, count) in cases.items():
            rate = await measure(home / name.replace(" ", "-"), name, documents, count)
            print(f"{'':32} {rate / base:8.2f} x the floor")
        await again_and_again(home / "again")
        await restart(home / "restart")
        print(f"largest resident size {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
