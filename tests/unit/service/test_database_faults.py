"""500 runs over a PostgreSQL that crashes, and connections that break at commits: none lost, none doubled, none failed."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

import documents
from fake_executor import FakeExecutor, World
from headrace.engine.model import State
from headrace.service.errors import Unavailable
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.store.records import ListQuery, Predicate
from headrace.store.urls import DatabaseUrl
from owned_service import Service
from postgres import Postgres, binaries
from proxy import Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SEED = int(os.environ.get("HEADRACE_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
RUNS = int(os.environ.get("HEADRACE_CHAOS_RUNS") or 500)
_SHAPES = (documents.chain(2), documents.fan(3, artifacts=True), documents.loop(), documents.with_exit_task())


async def test_500_runs_while_the_database_crashes_and_hangs_up(tmp_path: Path):
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    print(f"to repeat: HEADRACE_CHAOS_SEED={SEED}")
    dice = random.Random(SEED)
    server = Postgres(found)
    proxy = Proxy(server.port, lambda: dice.choices(("pass", "done", "lost", "late"), (60, 1, 1, 1))[0])
    url = DatabaseUrl.parse(server.url(server.create(), port=proxy.port))
    world = World()
    services = [
        await Service.open(
            Settings(home=tmp_path / "home", database=url, lease_s=5.0, caching=False), executor=FakeExecutor(world)
        )
        for _ in range(2)
    ]
    faults = asyncio.create_task(_trouble(server, proxy, dice))
    try:
        accepted: list[str] = []
        unknown = 0
        left = iter(range(RUNS))

        async def submit(service: Service) -> None:
            nonlocal unknown
            for n in left:
                while True:
                    try:
                        run = await service.create_run(NewRun(pipeline_spec=_SHAPES[n % len(_SHAPES)]))
                        accepted.append(run.run_id)
                        break
                    except Unavailable as error:
                        assert error.code in ("DATABASE_UNREACHABLE", "OUTCOME_UNKNOWN", "STORE_BUSY")
                        unknown += error.code == "OUTCOME_UNKNOWN"

        await asyncio.gather(*(submit(service) for service in services for _ in range(2)))
        faults.cancel()
        await asyncio.gather(faults, return_exceptions=True)
        proxy.fate = lambda: "pass"
        async with asyncio.timeout(90):
            while await _count(services[0], "state", "NOT_EQUALS", "SUCCEEDED"):
                await asyncio.sleep(0.2)
        assert len(set(accepted)) == RUNS
        for run_id in accepted:
            assert (await services[1].get_run(run_id)).state is State.SUCCEEDED
        # One more may be there for each time that nobody could tell, which was said.
        everything = await _count(services[0], "state", "EQUALS", "SUCCEEDED")
        assert RUNS <= everything <= RUNS + unknown
        assert max(world.starts.values()) == 1
        assert {attempt.number for attempt in world.starts} == {1}
        assert min(proxy.met.values()) > 0
        print(f"{RUNS} runs, {len(world.starts)} attempts, commits by fate {proxy.met}")
    finally:
        faults.cancel()
        for service in services:
            await service.close()
        proxy.close()
        server.remove()


async def _count(service: Service, key: str, operation: str, value: str) -> int:
    try:
        predicate = Predicate(key=key, operation=operation, value=value)
        return (await service.list_runs(ListQuery(page_size=1, predicates=(predicate,)))).total_size
    except Unavailable:
        return 1


async def _trouble(server: Postgres, proxy: Proxy, dice: random.Random) -> None:
    while True:
        await asyncio.sleep(dice.uniform(1.0, 4.0))
        if dice.random() < 0.4:
            await asyncio.to_thread(server.restart)
        else:
            proxy.cut()
