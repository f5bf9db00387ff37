"""How long runs take, each beside as many bare `python -c pass` processes in the same minute on the same machine.

    .venv/bin/python benchmarks/run.py                      # everything: some minutes
    .venv/bin/python benchmarks/run.py one chain20 fan200   # some of it
    .venv/bin/python benchmarks/run.py --json result.json

Absolute times are this machine's; the ratios are what to look at.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from headrace.client import Headrace
from headrace.compiler import Compiler
from headrace.dsl import ParallelFor, component, pipeline
from headrace.wire.api import CreateRun

CONCURRENCY = 2
#: Not this checkout's accident: byte code is written, as on users' machines.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@component(base_image="python:3.11")
def nothing(value: int = 0) -> int:
    return value


@pipeline(name="one")
def one() -> None:
    nothing()


@pipeline(name="chain20")
def chain20() -> None:
    task = nothing()
    for _ in range(19):
        task = nothing(value=task.output)


def fan(count: int) -> Any:
    @pipeline(name=f"fan{count}")
    def wide() -> None:
        with ParallelFor(list(range(count))) as item:
            nothing(value=item)

    return wide


class Measure(NamedTuple):
    """One workload: seconds of ours and of the bare processes beside it, one pair a round."""

    name: str
    tasks: int
    ours: list[float]
    bare: list[float]

    @property
    def line(self) -> str:
        """A row of the table."""
        mine, floor = statistics.median(self.ours), statistics.median(self.bare)
        return (
            f"| {self.name} | {self.tasks} | {mine:.2f} | {1000 * mine / self.tasks:.0f} | {floor:.2f} "
            f"| {mine / floor:.1f} |"
        )


# --- beside what -------------------------------------------------------------------------------


def bare(count: int, concurrency: int) -> float:
    """Seconds for so many `python -c pass`, so many at once."""
    began = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        list(
            pool.map(
                lambda _: subprocess.run([sys.executable, "-c", "pass"], env=ENVIRONMENT, check=True), range(count)
            )
        )
    return time.perf_counter() - began


# --- ours --------------------------------------------------------------------------------------


def document(built: Any) -> str:
    """The pipeline's document as text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        Compiler().compile(built, str(path))
        return path.read_text()


@contextmanager
def server(home: Path) -> Iterator[tuple[Headrace, subprocess.Popen[bytes], float]]:
    """`headrace up`: a client, its process, and the seconds to its first HTTP 200."""
    words = [sys.executable, "-m", "headrace.cli.main", "up", "--no-open", "--port", "0", "--home", str(home)]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*words, "--max-parallel", str(CONCURRENCY)], env=ENVIRONMENT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        url = until(lambda: json.loads((home / "server.json").read_text())["url"] or None)
        until(lambda: urllib.request.urlopen(f"{url}/apis/v2beta1/healthz", timeout=5).status == 200 or None)
        ready_s = time.perf_counter() - began
        yield Headrace(url, token=(home / "token").read_text().strip(), home=home), process, ready_s
    finally:
        process.terminate()
        process.wait()


def until(fact: Callable[[], Any]) -> Any:
    """Look again until the fact is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if (found := fact()) is not None:
                return found
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.002)
    raise TimeoutError("the server does not answer")


def submitted(client: Headrace, text: str) -> float:
    """Seconds from sending a run to seeing it SUCCEEDED; no cache is read."""
    began = time.perf_counter()
    run = client.create_run(CreateRun(document=text, caching=False))
    for change in client.watch_run(run.run_id):
        run = change.run
    spent = time.perf_counter() - began
    if run.state != "SUCCEEDED":
        raise RuntimeError(f"{run.display_name} ended {run.state}: {run.error}")
    return spent


def command_line(home: Path, path: Path) -> float:
    """Seconds from the start of `headrace run` to its end, without a running server; no cache is read."""
    words = [sys.executable, "-m", "headrace.cli.main", "run", str(path), "--no-cache", "--home", str(home)]
    began = time.perf_counter()
    subprocess.run(words, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def measure_command(home: Path, rounds: int) -> Measure:
    """One task, process start to SUCCEEDED, server included."""
    path = home.with_name("one.yaml")
    path.write_text(document(one))
    command_line(home, path)  # makes the environment and the byte code
    ours, floor = [], []
    for _ in range(rounds):
        floor.append(bare(1, 1))
        ours.append(command_line(home, path))
    return Measure("`headrace run`, one task, no server running", 1, ours, floor)


def measure_server(client: Headrace, name: str, built: Any, tasks: int, concurrency: int, rounds: int) -> Measure:
    """A pipeline on a running server."""
    text = document(built)
    ours, floor = [], []
    for _ in range(rounds):
        floor.append(bare(tasks, concurrency))
        ours.append(submitted(client, text))
    return Measure(name, tasks, ours, floor)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="one chain20 fan200 fan1000 up; all when nothing is named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    wanted = asked.what or ["one", "chain20", "fan200", "fan1000", "up"]
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        measures, facts = measure(Path(folder), wanted, asked.rounds)
    report(measures, facts)
    if asked.json:
        found = {"machine": machine(), "facts": facts, "measures": [measured._asdict() for measured in measures]}
        asked.json.write_text(json.dumps(found, indent=1))


def measure(folder: Path, wanted: list[str], rounds: int) -> tuple[list[Measure], dict[str, float]]:
    """Everything that is wanted."""
    home = folder / "home"
    measures = [measure_command(home, rounds)] if "one" in wanted else []
    ready: list[float] = []
    with server(home):
        pass  # byte code and database are made
    for _ in range(rounds):
        with server(home) as (_, _, ready_s):
            ready.append(ready_s)
    with server(home) as (client, process, _):
        submitted(client, document(one))
        time.sleep(1.0)  # what is idle is measured idle
        facts = {"up_to_200_s": statistics.median(ready), "idle_rss_mb": rss_mb(process.pid)}
        shapes = {"one": (one, 1, 1, rounds), "chain20": (chain20, 20, 1, rounds)}
        shapes |= {
            f"fan{n}": (fan(n), n, CONCURRENCY, rounds if n < 1000 else 1) for n in (200, 1000) if f"fan{n}" in wanted
        }
        for name, (built, tasks, concurrency, times) in shapes.items():
            if name in wanted:
                measures.append(
                    measure_server(client, f"{name}, submitted to a server", built, tasks, concurrency, times)
                )
        facts["rss_after_mb"] = rss_mb(process.pid)
        facts["cpu_s_of_server"] = sum(psutil.Process(process.pid).cpu_times()[:2])
    return measures, facts


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    process = psutil.Process(pid)
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 1e6


def machine() -> str:
    """What it was measured on."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load} before"


def report(measures: list[Measure], facts: dict[str, float]) -> None:
    """The table."""
    print(f"{time.strftime('%Y-%m-%d')}; {machine()}; concurrency {CONCURRENCY}\n")
    print("| workload | tasks | seconds | ms a task | as many `python -c pass`, s | ratio |")
    print("|---|---|---|---|---|---|")
    for measured in measures:
        print(measured.line)
    print()
    for name, value in facts.items():
        print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
