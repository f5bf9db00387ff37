"""What the process executor adds to a task: tasks a second, beside bare `python -c pass` at the same concurrency.

    .venv/bin/python benchmarks/executor.py [--tasks 200] [--rounds 3]

No server, no database: orders go straight to the executor. Both kinds of rounds alternate, since machines have moods.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from headrace.artifacts.local import LocalStore
from headrace.engine.model import LaunchOrder
from headrace.executors.port import Succeeded
from headrace.executors.process import ProcessExecutor
from headrace.executors.select import make_executor

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from orders import python_order

CONCURRENCY = 2


def orders(round_: int, count: int) -> list[LaunchOrder]:
    """Attempts that return a number."""
    source = "def f(x: int) -> int:\n    return x"
    return [
        python_order(source, path=f"r{round_}-t{n}", parameters={"x": n}, gives={"Output": "NUMBER_INTEGER"})
        for n in range(count)
    ]


async def ours(executor: ProcessExecutor, asked: list[LaunchOrder]) -> float:
    """Seconds until all have succeeded."""
    began = time.perf_counter()
    for order in asked:
        await executor.launch(order)
    left = len(asked)
    reports = executor.reports()
    async for report in reports:
        left -= isinstance(report, Succeeded)
        if not left:
            return time.perf_counter() - began
    raise AssertionError("the executor ended first")


def bare(count: int, *argv: str) -> float:
    """Seconds for as many processes without anything of ours."""
    env = {"PATH": os.environ["PATH"]}
    began = time.perf_counter()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(lambda _: subprocess.run(argv, env=env, check=True), range(count)))
    return time.perf_counter() - began


async def measure(tasks: int, rounds: int) -> None:
    """Print a line for each round, then the medians."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        executor = make_executor(home, porter=LocalStore(home / "artifacts"), max_parallel=CONCURRENCY)
        await ours(executor, orders(0, 1))  # the environment is built, byte code written
        (environment,) = (path.parent for path in (home / "envs").glob("*/ready"))
        python = str(environment / "bin" / "python")
        ratios = []
        for round_ in range(1, rounds + 1):
            mine = await ours(executor, orders(round_, tasks))
            floor = await asyncio.to_thread(bare, tasks, python, "-c", "pass")
            ratios.append(mine / floor)
            print(f"ours {tasks / mine:6.1f}/s   python -c pass {tasks / floor:6.1f}/s   ratio {mine / floor:.2f}")
        print(f"median ratio {statistics.median(ratios):.2f} (load {os.getloadavg()[0]:.1f})")
        await executor.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(measure(given.tasks, given.rounds))
