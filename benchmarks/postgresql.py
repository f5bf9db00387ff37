"""PostgreSQL beside SQLite: transitions a second, and the start over 10,000 ended and 100 active runs.

    .venv/bin/python benchmarks/postgresql.py

Needs the server's programs (Debian: `apt-get install postgresql`); one is started, with its data in memory, so this is
what the work costs and not what a disk costs. SQLite's file is in the same place.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Set
from pathlib import Path
from typing import Any

from service import Instantly, Never, add_ended, fan

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.store.records import ListQuery, Predicate
from headrace.store.urls import DatabaseUrl
from owned_service import Service
from postgres import Postgres, binaries

_COPIES = """
INSERT INTO runs ({names}) SELECT {values} FROM runs, generate_series(1, 100)
"""


class AtOnce(Instantly):
    """Ends attempts at once; there may be several servers of it."""

    async def live(self) -> Set[Any]:
        return frozenset()

    async def hand_over(self, run_id: str) -> None: ...


class Endless(Never, AtOnce):
    """Attempts never end."""


async def _unended(service: Service) -> int:
    predicate = Predicate(key="state", operation="NOT_EQUALS", value="SUCCEEDED")
    return (await service.list_runs(ListQuery(page_size=1, predicates=(predicate,)))).total_size


async def transitions(name: str, settings: Settings, runs: int, tasks: int) -> None:
    """Events of attempts recorded a second."""
    service = await Service.open(settings, executor=AtOnce())
    cpu, began = time.process_time(), time.perf_counter()
    for _ in range(runs):
        await service.create_run(NewRun(pipeline_spec=fan(tasks)))
    while await _unended(service):  # noqa: ASYNC110 - asked as a stranger would
        await asyncio.sleep(0.05)
    took, used = time.perf_counter() - began, time.process_time() - cpu
    await service.close()
    count = 2 * runs * tasks
    what = f"{name}: {runs} runs of {tasks}"
    print(f"{what:36} {took:6.2f} s {count / took:8.0f} /s {1e6 * used / count:6.0f} us CPU each")


async def restart(name: str, settings: Settings, copy: Any) -> None:
    """Opening, with all active runs taken up."""
    service = await Service.open(settings, executor=Endless())
    for _ in range(100):
        await service.create_run(NewRun(pipeline_spec=fan(50)))
    await service.close()
    copy()
    cpu, began = time.process_time(), time.perf_counter()
    service = await Service.open(settings, executor=Endless())
    took, used = time.perf_counter() - began, time.process_time() - cpu
    print(f"{f'{name}: start, 100 active, 10k ended':36} {took:6.2f} s {used:8.2f} s CPU")
    await service.close()


def copy_ended(server: Postgres, database: str) -> None:
    """A hundred copies of each run, which have ended."""
    found = server.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'runs'", database=database
    )
    names = [row[0] for row in found]
    other = {"run_id": "gen_random_uuid()::text", "state": "'SUCCEEDED'", "finished_at": "created_at"}
    values = ", ".join(other.get(name, name) for name in names)
    server.sql(_COPIES.format(names=", ".join(names), values=values), database=database)


async def main() -> None:
    found = binaries()
    if found is None:
        raise SystemExit("PostgreSQL is missing: apt-get install postgresql")
    server = Postgres(found)
    try:
        with tempfile.TemporaryDirectory(dir=server.root.parent) as folder:
            home = Path(folder)
            for runs, tasks in ((1, 1000), (40, 50)):
                await transitions("SQLite", Settings(home=home / f"s{runs}", caching=False), runs, tasks)
                url = DatabaseUrl.parse(server.url(server.create()))
                await transitions(
                    "PostgreSQL", Settings(home=home / f"p{runs}", caching=False, database=url), runs, tasks
                )
            await restart("SQLite", Settings(home=home / "s"), lambda: add_ended(home / "s" / "headrace.db"))
            name = server.create()
            settings = Settings(home=home / "p", database=DatabaseUrl.parse(server.url(name)))
            await restart("PostgreSQL", settings, lambda: copy_ended(server, name))
    finally:
        server.remove()


if __name__ == "__main__":
    asyncio.run(main())
