"""Ours beside what else runs pipelines on one machine: the same workloads in the same minutes, two tasks at a time.

    .venv/bin/python benchmarks/peers.py                       # all of them; a few minutes, and their installation once
    .venv/bin/python benchmarks/peers.py luigi kfp --shapes one training

Each peer lives in an environment of its own, which uv makes in the user's cache directory; what does not install is
named and left out. A time is that of the whole process, imports included: what somebody who types the command waits
for. Ours is `headrace run` with its server brought along, with and without warm starts, and the run submitted to a
running server. Byte code is compiled beforehand for all. `peers/*.py` are the peers' pipelines.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import training
from floor import ENVIRONMENT, Floor, calibration
from uv import find_uv_bin

from serving import KNOWS_WARM, documents, server, settings, submitted, until

SHAPES = ("one", "chain20", "fan200", "training")
_HERE = Path(__file__).parent
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace-benchmarks"
_LIMIT_S = 300.0


class Peer(NamedTuple):
    """One of them."""

    name: str
    program: str
    requirements: tuple[str, ...]
    #: What a task is to it.
    isolation: str
    #: Where what has happened is kept.
    record: str
    #: Shapes that take minutes.
    leave_out: tuple[str, ...] = ()
    #: Runs beside it, if anything: words, and its address once it answers.
    serve: tuple[str, ...] = ()


PEERS = {
    "kfp": Peer("kfp local 2.17, tuned", "kfp_local.py", ("kfp==2.17.3",), "process", "files"),
    "luigi": Peer("Luigi 3.8, 2 workers", "luigi_.py", ("luigi==3.8.1",), "fork", "output files"),
    "metaflow": Peer("Metaflow 2.19", "metaflow_.py", ("metaflow==2.19.39",), "process", "files"),
    "prefect": Peer(
        "Prefect 3.8, running server", "prefect_.py", ("prefect==3.8.8", "fastapi==0.139"), "pool of 2 processes",
        "SQLite", serve=("-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", "{port}"),
    ),
    "dagster": Peer(
        "Dagster 1.13, multiprocess", "dagster_.py", ("dagster==1.13.27",), "process", "SQLite", leave_out=("fan200",)
    ),
}  # fmt: skip


def installed(name: str, requirements: tuple[str, ...]) -> str | None:
    """An interpreter with these, from the cache or made now; None when they do not install."""
    wanted = [*requirements, *training.REQUIREMENTS]
    key = hashlib.sha256(json.dumps([wanted, sys.version]).encode()).hexdigest()[:12]
    place = _CACHE / f"{name}-{key}"
    python = str(place / "bin" / "python")
    if (place / "ready").exists():
        return python
    shutil.rmtree(place, ignore_errors=True)
    uv = find_uv_bin()
    base = getattr(sys, "_base_executable", sys.executable)
    make = subprocess.run([uv, "venv", "-q", "--python", base, str(place)], capture_output=True, text=True)
    words = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", python, *wanted]
    done = subprocess.run(words, capture_output=True, text=True) if make.returncode == 0 else make
    if done.returncode != 0:
        print(f"{name} does not install, left out: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    (place / "ready").touch()
    return python


@contextlib.contextmanager
def beside(peer: Peer, python: str, folder: Path) -> Iterator[dict[str, str]]:
    """What runs beside it, and the variables that say where."""
    if not peer.serve:
        yield {}
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    own = {"PREFECT_HOME": str(folder / "home"), "PREFECT_LOGGING_LEVEL": "ERROR", "DO_NOT_TRACK": "1"}
    words = [python, *(word.format(port=port) for word in peer.serve)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(words, env={**ENVIRONMENT, **own}, **quiet)
    try:
        url = f"http://127.0.0.1:{port}/api"
        until(lambda: urllib.request.urlopen(f"{url}/health", timeout=5).status == 200 or None)
        yield {**own, "PREFECT_API_URL": url}
    finally:
        process.terminate()
        process.wait()


def timed(words: list[str], variables: dict[str, str], folder: Path) -> float | None:
    """Seconds of a process; None, and why, when it does not end well."""
    began = time.perf_counter()
    with (folder / "log").open("ab") as log:
        try:
            done = subprocess.run(
                words, env={**ENVIRONMENT, **variables}, cwd=folder, stdout=log, stderr=log, timeout=_LIMIT_S
            )
        except subprocess.TimeoutExpired:
            print(f"{words[1]} {words[2]}: longer than {_LIMIT_S:g} s", file=sys.stderr)
            return None
    if done.returncode == 0:
        return time.perf_counter() - began
    print(f"{words[1]} {words[2]}: {(folder / 'log').read_text(errors='replace')[-600:]}", file=sys.stderr)
    return None


# --- one column a shape ------------------------------------------------------------------------

Row = tuple[str, str, str, dict[str, list[float]]]


def of_peer(peer: Peer, python: str, shapes: list[str], rounds: int) -> Row:
    """A peer's times."""
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as place, beside(peer, python, Path(place)) as variables:
        program = str(_HERE / "peers" / peer.program)
        for number in range(1 + rounds):
            for shape in shapes:
                if shape in peer.leave_out or (number == 0 and shape != "one"):
                    continue
                folder = Path(place, f"{shape}-{number}")
                folder.mkdir()
                spent = timed([python, program, shape, str(folder)], variables, folder)
                if spent is not None and number:  # the first is to warm up
                    times.setdefault(shape, []).append(spent)
    return peer.name, peer.isolation, peer.record, times


def of_floor(python: str, shapes: list[str], rounds: int) -> list[Row]:
    """Both floors' times."""
    with Floor(python) as floor:
        ways: dict[str, Callable[[str], float]] = {"spawn": floor.spawn, "fork": floor.fork}
        return [
            (f"*floor, {name}*", "process", "SQLite", {shape: [way(shape) for _ in range(rounds)] for shape in shapes})
            for name, way in ways.items()
        ]


def of_ours(shapes: list[str], rounds: int) -> Iterator[Row]:
    """Ours, from the command line and on a running server."""
    texts = documents(shapes)
    for warm in (False, True) if KNOWS_WARM else (False,):
        word = "warm" if warm else "cold"
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            with server(settings(folder / "home", warm=warm)) as started:
                for text in texts.values():
                    submitted(started.client, text)  # environments are built, byte code is written
                rows = {
                    name: [submitted(started.client, text)[0] for _ in range(rounds)] for name, text in texts.items()
                }
            yield f"**Headrace, {word}, running server**", "process", "SQLite", rows
            if warm == KNOWS_WARM:
                yield "**`headrace run`**, no server", "process", "SQLite", _commands(folder, texts, rounds)


def _commands(folder: Path, texts: dict[str, str], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    for name, text in texts.items():
        path = folder / f"{name}.yaml"
        path.write_text(text)
        words = [
            sys.executable,
            "-m",
            "headrace.cli.main",
            "run",
            str(path),
            "--no-cache",
            "--home",
            str(folder / "home"),
        ]
        found = [timed([*words, "--max-parallel", "2"], {}, folder) for _ in range(rounds)]
        times[name] = [spent for spent in found if spent is not None]
    return times


def line(row: Row, shapes: list[str]) -> str:
    """A row of the table."""
    name, isolation, record, times = row
    cells = (f"{statistics.median(times[shape]):.2f}" if times.get(shape) else "-" for shape in shapes)
    return f"| {name} | {isolation} | {record} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", help=f"of {', '.join(PEERS)}; all when nothing is named")
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES), choices=SHAPES)
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    names = asked.peers or list(PEERS)
    pythons = {name: installed(name, PEERS[name].requirements) for name in names}
    plain = installed("floor", ())
    print(f"seconds; 3 million turns of a plain loop: {calibration():.2f} s\n")
    print(f"| | a task is | record | {' | '.join(asked.shapes)} |\n|---|---|---|{'---|' * len(asked.shapes)}")
    if plain is not None:
        for row in of_floor(plain, asked.shapes, asked.rounds):
            print(line(row, asked.shapes), flush=True)
    for row in of_ours(asked.shapes, asked.rounds):
        print(line(row, asked.shapes), flush=True)
    for name, python in pythons.items():
        if python is not None:
            print(line(of_peer(PEERS[name], python, asked.shapes, asked.rounds), asked.shapes), flush=True)


if __name__ == "__main__":
    main()
