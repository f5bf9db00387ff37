"""A Headrace server to measure, the pipelines that are run on it, and one run of them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
import training
from floor import CONCURRENCY, ENVIRONMENT

from headrace.client import Headrace
from headrace.compiler import Compiler
from headrace.dsl import ParallelFor, component, pipeline
from headrace.service.settings import Settings
from headrace.wire.api import CreateRun


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
    """So many tasks at once."""

    @pipeline(name=f"fan{count}")
    def wide() -> None:
        with ParallelFor(list(range(count))) as item:
            nothing(value=item)

    return wide


def document(built: Any) -> str:
    """The pipeline's document as text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        Compiler().compile(built, str(path))
        return path.read_text()


def documents(names: list[str]) -> dict[str, str]:
    """Texts of the shapes that `floor.SHAPES` names."""
    with tempfile.TemporaryDirectory() as folder:
        built: dict[str, Callable[[], Any]] = {
            "one": lambda: one,
            "chain20": lambda: chain20,
            "fan200": lambda: fan(200),
            "fan1000": lambda: fan(1000),
            "training": lambda: training.components("headrace", Path(folder)),
        }
        return {name: document(built[name]()) for name in names}


#: Whether this version knows warm starts: the two ways are measured apart.
KNOWS_WARM = "warm_starts" in Settings.__struct_fields__


def settings(home: Path, *, warm: bool) -> Settings:
    """Settings of a server that is measured."""
    words: dict[str, Any] = {"warm_starts": warm} if KNOWS_WARM else {}
    return Settings(home=home, max_parallel=CONCURRENCY, **words)


_SERVE = """
import sys, msgspec
from headrace.server.serve import run_server
from headrace.service.settings import Settings
run_server(msgspec.json.decode(sys.argv[1], type=Settings, dec_hook=lambda kind, word: kind(word)), port=0)
"""


class Server(NamedTuple):
    """A server that answers."""

    client: Headrace
    process: psutil.Process
    #: Seconds from its start to the first HTTP 200.
    ready_s: float

    def cpu_s(self) -> float:
        """Processor seconds of the server itself so far; what it starts is not in it."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Resident megabytes of it and all it has started."""
        family = [self.process, *self.process.children(recursive=True)]
        return float(sum(one.memory_info().rss for one in family) / 1e6)


@contextlib.contextmanager
def server(wanted: Settings) -> Iterator[Server]:
    """`headrace up` with these settings."""
    (wanted.home / "server.json").unlink(missing_ok=True)
    words = [sys.executable, "-c", _SERVE, msgspec.json.encode(wanted, enc_hook=os.fspath).decode()]
    began = time.perf_counter()
    process = subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        url = until(lambda: json.loads((wanted.home / "server.json").read_text())["url"] or None)
        until(lambda: urllib.request.urlopen(f"{url}/apis/v2beta1/healthz", timeout=5).status == 200 or None)
        ready_s = time.perf_counter() - began
        token = (wanted.home / "token").read_text().strip()
        yield Server(Headrace(url, token=token, home=wanted.home), psutil.Process(process.pid), ready_s)
    finally:
        process.terminate()
        process.wait()


def until(fact: Callable[[], Any]) -> Any:
    """Look again until the fact is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError, KeyError):
            if (found := fact()) is not None:
                return found
        time.sleep(0.002)
    raise TimeoutError("the server does not answer")


def submitted(client: Headrace, text: str, *, caching: bool = False) -> tuple[float, int]:
    """Seconds from sending a run to its client seeing it SUCCEEDED, and its number of tasks."""
    began = time.perf_counter()
    run = client.create_run(CreateRun(document=text, caching=caching))
    for change in client.watch_run(run.run_id):
        run = change.run
    spent = time.perf_counter() - began
    if run.state != "SUCCEEDED":
        raise RuntimeError(f"{run.display_name} ended {run.state}: {run.error}")
    return spent, sum(run.task_counts.values())
