"""Whole runs on a real server, each beside both floors (floor.py) in the same minute on the same machine.

    .venv/bin/python benchmarks/run.py                        # everything: some minutes
    .venv/bin/python benchmarks/run.py chain20 fan200         # some of it
    .venv/bin/python benchmarks/run.py --rounds 1 --json result.json

Rounds are interleaved: floor, floor, ours without and with warm starts, and again. Medians are shown. Absolute times
are this machine's; the ratios, and what a figure is in turns of a plain loop, are what to look at.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from floor import CONCURRENCY, ENVIRONMENT, SHAPES, Floor, calibration
from service import add_ended

from headrace.wire.api import CreateRun
from serving import KNOWS_WARM, Server, document, documents, fan, one, server, settings, submitted

RUNS = ("chain20", "fan200", "fan1000", "training")
ALONE = ("one", "command", "cached", "restart", "up")
EXAMPLE = Path(__file__).parent.parent / "examples" / "breast_cancer.py"
#: At most so many times the floor.
LIMITS = {"spawn": 1.5, "fork": 2.0}
#: The training job's tasks import scikit-learn: only the fork floor is the least that it could take.
TRAINING_LIMIT = 1.5


class Row(NamedTuple):
    """One workload in one of our ways beside its floor: seconds, one pair a round."""

    name: str
    tasks: int
    floor: str
    ours: list[float]
    least: list[float]
    limit: float

    @property
    def line(self) -> str:
        """A row of the table."""
        mine, least = statistics.median(self.ours), statistics.median(self.least)
        verdict = "yes" if mine <= self.limit * least else "**no**"
        return (
            f"| {self.name} | {self.tasks} | {mine:.2f} | {1000 * mine / self.tasks:.1f} | {self.floor} {least:.2f} "
            f"| {mine / least:.2f} | {self.limit:g} | {verdict} |"
        )


class Fact(NamedTuple):
    """One figure that stands by itself."""

    name: str
    values: list[float]
    unit: str
    limit: float | None = None

    @property
    def line(self) -> str:
        """A row of the table."""
        middle = statistics.median(self.values)
        reached = "" if self.limit is None else "yes" if middle <= self.limit else "**no**"
        limit = "" if self.limit is None else f"{self.limit:g} {self.unit}"
        return f"| {self.name} | {middle:.3g} {self.unit} | {limit} | {reached} |"


class Found(NamedTuple):
    """All that was measured."""

    rows: list[Row]
    facts: list[Fact]


# --- on running servers ------------------------------------------------------------------------


class Way(NamedTuple):
    """A running server, and what of ours it shows."""

    name: str
    floor: str
    server: Server


def runs_beside_floors(ways: list[Way], shapes: list[str], rounds: int, floor: Floor) -> Found:
    """Each shape: both floors, then each of our ways, round by round."""
    texts = documents(shapes)
    found = Found([], [])
    for shape in shapes:
        times: dict[str, list[float]] = {}
        cpu: dict[str, list[float]] = {}
        tasks = len(SHAPES[shape]())
        for _ in range(1 if shape == "fan1000" else rounds):
            times.setdefault("spawn", []).append(floor.spawn(shape))
            times.setdefault("fork", []).append(floor.fork(shape))
            for way in ways:
                before = way.server.cpu_s()
                times.setdefault(way.name, []).append(submitted(way.server.client, texts[shape])[0])
                cpu.setdefault(way.name, []).append(1000 * (way.server.cpu_s() - before) / tasks)
        for way in ways:
            least, limit = way.floor, LIMITS[way.floor]
            if shape == "training":
                least, limit = ("fork", TRAINING_LIMIT) if way.floor == "fork" else ("spawn", LIMITS["spawn"])
            found.rows.append(Row(f"{shape}, {way.name}", tasks, least, times[way.name], times[least], limit))
            print(found.rows[-1].line, flush=True)
            if shape in ("fan200", "fan1000"):
                name = f"processor time of the server a task, {shape}, {way.name}"
                found.facts.append(Fact(name, cpu[way.name], "ms", 3))
    return found


def one_task(ways: list[Way], rounds: int) -> list[Fact]:
    """Submit to SUCCEEDED seen by the client."""
    text = document(one)
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(5 * rounds):
        for way in ways:
            times[way.name].append(1000 * submitted(way.server.client, text)[0])
            time.sleep(0.2)  # what follows is not its business
    return [Fact(f"one task, submitted to seen SUCCEEDED, {way.name}", times[way.name], "ms", 100) for way in ways]


def cached(way: Way, rounds: int) -> Fact:
    """The demo again, all of it from the cache."""
    text = _compiled(EXAMPLE)
    submitted(way.server.client, text, caching=True)
    again = [submitted(way.server.client, text, caching=True) for _ in range(3 * rounds)]
    return Fact("the demo again, all cached, a task", [1000 * spent / tasks for spent, tasks in again], "ms", 5)


def _compiled(path: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.yaml")
        words = [sys.executable, "-m", "headrace.cli.main", "compile", str(path), "--output", str(out)]
        subprocess.run(words, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
        return out.read_text()


# --- a server's start --------------------------------------------------------------------------


def command(folder: Path, rounds: int) -> Fact:
    """`headrace run` of one task from the start of the process to its end; no server runs, no cache is read."""
    home, path = folder / "command", folder / "one.yaml"
    path.write_text(document(one))
    words = [sys.executable, "-m", "headrace.cli.main", "run", str(path), "--no-cache", "--home", str(home)]
    times = []
    for _ in range(1 + 3 * rounds):
        began = time.perf_counter()
        subprocess.run(words, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    # The first makes the environment and the byte code.
    return Fact("`headrace run` of one task, no server running", times[1:], "s", 1)


def up(folder: Path, rounds: int) -> list[Fact]:
    """A server over an empty directory."""
    ready, memory = [], []
    for number in range(1 + rounds):
        with server(settings(folder / f"up{number}", warm=KNOWS_WARM)) as started:
            time.sleep(0.5)  # what is idle is measured idle
            ready.append(started.ready_s)
            memory.append(started.rss_mb())
    return [
        Fact("`headrace up` to its first HTTP 200", ready[1:], "s"),
        Fact("resident memory, idle, all processes", memory, "MB"),
    ]


def restart(folder: Path, rounds: int) -> Fact:
    """A server over 100 runs under way, of 50 tasks each, and 10,000 that have ended."""
    home = folder / "restart"
    with server(settings(home, warm=KNOWS_WARM)) as started:
        text = document(fan(50))
        for _ in range(100):
            started.client.create_run(CreateRun(document=text, caching=False))
        started.process.kill()
    add_ended(home / "headrace.db")
    times = []
    for _ in range(rounds):
        with server(settings(home, warm=KNOWS_WARM)) as started:
            times.append(started.ready_s)
            started.process.kill()
    return Fact("restart over 10,000 ended and 100 active runs, to HTTP 200", times, "s", 2)


# --- all of it ---------------------------------------------------------------------------------


def measure(folder: Path, wanted: list[str], rounds: int) -> Found:
    """Everything that is wanted."""
    found = Found([], [])
    shapes = [name for name in RUNS if name in wanted]
    if shapes or {"one", "cached"} & set(wanted):
        with contextlib.ExitStack() as servers:
            cold = servers.enter_context(server(settings(folder / "cold", warm=False)))
            ways = [Way("cold", "spawn", cold)]
            if KNOWS_WARM:
                ways.append(Way("warm", "fork", servers.enter_context(server(settings(folder / "warm", warm=True)))))
            _on_servers(ways, wanted, rounds, folder / "cold", found)
    if "command" in wanted:
        found.facts.append(command(folder, rounds))
    if "restart" in wanted:
        found.facts.append(restart(folder, rounds))
    if "up" in wanted:
        found.facts.extend(up(folder, rounds))
    return found


def _on_servers(ways: list[Way], wanted: list[str], rounds: int, home: Path, found: Found) -> None:
    shapes = [name for name in RUNS if name in wanted]
    for way in ways:
        for text in documents(["one", *(["training"] if "training" in shapes else [])]).values():
            submitted(way.server.client, text)  # environments are built, byte code is written
    if "one" in wanted:
        found.facts.extend(one_task(ways, rounds))
    with Floor(_python_of(home)) as floor:
        done = runs_beside_floors(ways, shapes, rounds, floor)
    found.rows.extend(done.rows)
    found.facts.extend(done.facts)
    if "cached" in wanted:
        found.facts.append(cached(ways[-1], rounds))
    memory = [Fact(f"resident memory after all that, {way.name}", [way.server.rss_mb()], "MB") for way in ways]
    found.facts.extend(memory)


def _python_of(home: Path) -> str:
    """An interpreter of the tasks: of the environment that has scikit-learn, where there is one."""
    made = [path.parent for path in (home / "envs").glob("*/ready")]
    made.sort(key=lambda path: any(path.glob("lib/*/site-packages/sklearn")))
    return str(made[-1] / "bin" / "python")


def machine() -> str:
    """What it was measured on."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{time.strftime('%Y-%m-%d')}; Python {platform.python_version()}, {os.cpu_count()} cores, load {load} before"
    )


def report(found: Found, unit: float) -> None:
    """The tables."""
    print(f"\n{machine()}; concurrency {CONCURRENCY}; 3 million turns of a plain loop: {unit:.2f} s\n")
    print("| workload | tasks | s | ms a task | floor, s | times the floor | at most | reached |")
    print("|---|---|---|---|---|---|---|---|")
    for row in found.rows:
        print(row.line)
    print("\n| figure | | at most | reached |\n|---|---|---|---|")
    for fact in found.facts:
        print(fact.line)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help=f"of {' '.join((*RUNS, *ALONE))}; all when nothing is named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    before = calibration()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        found = measure(Path(folder), asked.what or [*RUNS, *ALONE], asked.rounds)
    report(found, before)
    if asked.json:
        rows, facts = ([one._asdict() for one in some] for some in found)
        asked.json.write_text(
            json.dumps({"machine": machine(), "loop_s": before, "rows": rows, "facts": facts}, indent=1)
        )


if __name__ == "__main__":
    main()
