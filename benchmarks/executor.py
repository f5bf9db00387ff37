"""What the process executor takes for a task, started cold and warm, beside the least that such starts could take.

    .venv/bin/python benchmarks/executor.py [--tasks 200] [--rounds 3]

No server, no database: orders go straight to the executor, two at a time and then one after the other. Beside it, in
the same rounds since machines have moods: `python -c pass` of the same environment, and a fork of a Python that is
loaded already, each with a session and a log of its own (floor.py). Processor time is of all processes together:
ours, parents, supervisors, tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.artifacts.local import LocalStore
from headrace.attempt.order import LaunchOrder
from headrace.executors.local.assemble import make_executor
from headrace.executors.local.executor import LocalExecutor
from headrace.executors.port import AnyReport, Succeeded

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from orders import python_order

CONCURRENCY = 2
SHAPES = ("parallel", "chain")
BARE, FORK = "python -c pass", "fork"


def order(name: str) -> LaunchOrder:
    """An attempt that returns a number."""
    source = "def f(x: int) -> int:\n    return x"
    return python_order(source, path=name, parameters={"x": 1}, gives={"Output": "NUMBER_INTEGER"})


class Ours:
    """An executor with its reports read."""

    def __init__(self, home: Path, *, warm: bool) -> None:
        self.home = home
        store = LocalStore(home / "artifacts")
        self.executor: LocalExecutor = make_executor(
            home, artifacts=store, max_parallel=CONCURRENCY, warm_starts=warm, warm_patience_s=60.0
        )
        self._reports: AsyncIterator[AnyReport] = self.executor.reports()

    async def run(self, orders: list[LaunchOrder]) -> None:
        """All of them, as a server would have them run: launched, reported, settled."""
        for one in orders:
            await self.executor.launch(one)
        left = len(orders)
        while left:
            report = await anext(self._reports)
            if isinstance(report, Succeeded):
                await self.executor.settle(report.attempt)
                left -= 1

    @property
    def python(self) -> str:
        """The environment's."""
        (ready,) = (self.home / "envs").glob("*/ready")
        return str(ready.parent / "bin" / "python")


def log_at(folder: Path, name: int) -> int:
    """A task's own log."""
    return os.open(folder / str(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)


def bare(python: str, folder: Path, count: int, at_once: int) -> None:
    """As many interpreters with nothing to do."""
    running: set[int] = set()
    for number in range(count):
        log = log_at(folder, number)
        streams = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        running.add(os.posix_spawn(python, [python, "-c", "pass"], {}, file_actions=streams, setsid=True))
        os.close(log)
        while len(running) >= at_once or (running and number == count - 1):
            running.discard(os.wait()[0])


def forks(folder: Path, count: int, at_once: int) -> None:
    """As many children of one small process."""
    if (parent := os.fork()) == 0:
        running: set[int] = set()
        for number in range(count):
            if (pid := os.fork()) == 0:
                os.setsid()
                log = log_at(folder, number)
                os.dup2(log, 1)
                os.dup2(log, 2)
                os._exit(0)
            running.add(pid)
            while len(running) >= at_once or (running and number == count - 1):
                running.discard(os.wait()[0])
        os._exit(0)
    os.waitpid(parent, 0)


def spent() -> float:
    """Processor seconds of this process and of all its children that have ended."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in times)


class Figures:
    """Milliseconds a task of one way to start, one value a round."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.processor: list[float] = []

    @property
    def medians(self) -> tuple[float, float]:
        """By the clock, and of the processor."""
        return statistics.median(self.wall), statistics.median(self.processor)


class Table:
    """All figures, by shape and way."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.figures: dict[tuple[str, str], Figures] = {}

    @contextmanager
    def timing(self, shape: str, way: str, count: int) -> Iterator[None]:
        """Add a round."""
        figures = self.figures.setdefault((shape, way), Figures())
        began, before = time.perf_counter(), spent()
        yield
        figures.wall.append(1000 * (time.perf_counter() - began) / count)
        figures.processor.append(1000 * (spent() - before) / count)

    async def round(self, number: int, shape: str, count: int) -> None:
        """Ours cold and warm, and what is the least for each."""
        at_once = CONCURRENCY if shape == "parallel" else 1
        for way in ("cold", "warm"):
            ours = Ours(self.place / way, warm=way == "warm")
            await ours.run([order(f"first-{number}-{shape}")])  # the environment is built, the parent is there
            orders = [order(f"{number}-{shape}-{n}") for n in range(count)]
            with self.timing(shape, way, count):
                for group in [orders] if at_once > 1 else [[one] for one in orders]:
                    await ours.run(group)
                await ours.executor.close()
                reap()
        folder = Path(tempfile.mkdtemp(dir=self.place))
        with self.timing(shape, BARE, count):
            bare(ours.python, folder, count, at_once)
        with self.timing(shape, FORK, count):
            forks(folder, count, at_once)

    def show(self) -> None:
        """Print the medians, and what ours are beside the least."""
        for (shape, way), figures in sorted(self.figures.items()):
            wall, processor = figures.medians
            print(f"{shape:8} {way:15} {wall:6.1f} ms {processor:6.1f} ms of the processor")
        for shape in SHAPES:
            for way, least in (("cold", BARE), ("warm", FORK)):
                pairs = zip(self.figures[shape, way].medians, self.figures[shape, least].medians, strict=True)
                wall, processor = (mine / floor for mine, floor in pairs)
                print(f"{shape}, {way} / {least}: {wall:.2f} times the time, {processor:.2f} times the processor's")
        print(f"(load {os.getloadavg()[0]:.1f})")


async def measure(tasks: int, rounds: int) -> None:
    """Print the medians of all ways."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as place:
        table = Table(Path(place))
        for number in range(rounds):
            await table.round(number, "parallel", tasks)
            await table.round(number, "chain", max(tasks // 4, 10))
        table.show()


def reap() -> None:
    """See parents gone, so that what they and their children have taken counts."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(measure(given.tasks, given.rounds))
