"""The longest time for which the server's event loop does nothing else, while something large is asked of it.

    .venv/bin/python benchmarks/stalls.py [ROUNDS]

Inside the server a ticker sleeps for one millisecond again and again; a stall is how much later than that it woke up.
Meanwhile no request is answered, no event stream goes on and no lease is renewed. Baselines, in the same run: the
ticker in a server with nothing to do, and in one beside a thread of plain Python, which takes the interpreter for up to
5 ms (`sys.getswitchinterval`) each time. The executor runs nothing, so all that is measured is the server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from service import Instantly, Never

from headrace.executors.port import Started, Succeeded
from headrace.server.collector import shorten_collections
from headrace.server.serve import running
from headrace.service.service import Service
from headrace.service.settings import Settings

GOAL_MS = 50.0
ITERATIONS = 10_000
SIZES = (100, 1_000, 5_000)
_TICK_S = 0.001


# --- the server --------------------------------------------------------------------------------


class Endless(Never):
    """Attempts begin, and never end."""

    async def surroundings(self, order: Any) -> dict[str, str]:
        """Nothing decides what they make."""
        return {}


class Listing(Instantly):
    """Attempts end at once; the task `list` gives the items of the loop."""

    async def launch(self, order: Any) -> None:
        if order.attempt.path != "list":
            await super().launch(order)
            return
        now = time.time()
        self._reports.put_nowait(Started(attempt=order.attempt, at=now))
        items = list(range(ITERATIONS))
        self._reports.put_nowait(Succeeded(attempt=order.attempt, at=now, parameters={"items": items}))


EXECUTORS = {"endless": Endless, "listing": Listing}


class Stall(NamedTuple):
    """The longest stall of some time."""

    ms: float = 0.0
    #: Milliseconds of processor that the server itself used in the stall that used the most.
    own_ms: float = 0.0


class Ticker:
    """Notes the longest stall."""

    def __init__(self) -> None:
        self._longest = Stall()

    async def run(self) -> None:
        """For as long as the loop lasts."""
        before, used = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(_TICK_S)
            now, using = time.perf_counter(), time.process_time()
            late = Stall(1000 * (now - before - _TICK_S), 1000 * (using - used))
            self._longest = Stall(*map(max, self._longest, late))
            before, used = now, using

    def take(self) -> Stall:
        """The longest stall since this was last asked."""
        longest, self._longest = self._longest, Stall()
        return longest


def burn(seconds: float) -> None:
    """Plain Python."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        sum(range(1000))


async def serve(home: Path, executor: str) -> None:
    """A server that answers on its standard output what is asked on its standard input."""
    ticker = Ticker()
    ticking = asyncio.create_task(ticker.run())

    async def opened(settings: Settings) -> Service:
        return await Service.open(settings, executor=EXECUTORS[executor]())

    async with running(Settings(home=home), port=0, open_service=opened) as (server, _):
        # As `serve` does.
        shorten_collections()
        print(json.dumps(server.info.url), flush=True)
        while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if word == "burn":
                await asyncio.to_thread(burn, 2.0)
            print(json.dumps(ticker.take()), flush=True)
    ticking.cancel()


# --- what asks it ------------------------------------------------------------------------------


class Server:
    """A server that is measured."""

    def __init__(self, home: Path, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._url = self._answer()
        self._token = (home / "token").read_text().strip()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def stall(self, word: str = "take") -> Stall:
        """The longest stall since this was last asked."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return Stall(*self._answer())

    def ask(self, path: str, body: bytes | None = None) -> Any:
        """One request."""
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self._url + path, body, headers), timeout=300) as answer:
            return json.load(answer)

    def until(self, run_id: str, state: str, count: int) -> None:
        """Wait until so many tasks of the run are in this state."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            for run in self.ask("/api/runs")["runs"]:
                if run["run_id"] == run_id and run["task_counts"].get(state, 0) >= count:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{run_id} does not get to {count} tasks {state}")


@contextlib.contextmanager
def server(home: Path, executor: str) -> Iterator[Server]:
    """A server in a process of its own."""
    words = [sys.executable, __file__, "--serve", str(home), executor]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(home, process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def document(tasks: int, *, components: int = 50) -> dict[str, Any]:
    """Tasks that all can begin, of several components, each with a constant, a condition's worth of text and a note."""
    names = [f"comp-{n}" for n in range(min(components, tasks))]
    return {
        "pipelineInfo": {"name": f"stalls-{tasks}"},
        "schemaVersion": "2.1.0",
        "components": {
            name: {
                "executorLabel": f"exec-{name}",
                "inputDefinitions": {
                    "parameters": {
                        "value": {"parameterType": "NUMBER_INTEGER"},
                        "options": {"parameterType": "STRUCT", "isOptional": True},
                    }
                },
                "outputDefinitions": {"parameters": {"n": {"parameterType": "NUMBER_INTEGER"}}},
            }
            for name in names
        },
        "deploymentSpec": {
            "executors": {f"exec-{name}": {"container": {"image": "x", "command": ["true"]}} for name in names}
        },
        "root": {
            "dag": {
                "tasks": {
                    f"task-{n}": {
                        "cachingOptions": {"enableCache": True},
                        "componentRef": {"name": names[n % len(names)]},
                        "inputs": {
                            "parameters": {
                                "value": {"runtimeValue": {"constant": n}},
                                "options": {"runtimeValue": {"constant": {"depth": n, "names": ["a", "b", str(n)]}}},
                            }
                        },
                        "taskInfo": {"name": f"Task number {n}"},
                    }
                    for n in range(tasks)
                }
            }
        },
    }


def looping() -> dict[str, Any]:
    """A task that gives a list, and one that runs for each of its items."""
    made = document(0)
    executor = {"container": {"image": "x", "command": ["true"]}}
    made["deploymentSpec"]["executors"] = {"exec-list": executor, "exec-work": executor}
    made["components"] = {
        "comp-list": {
            "executorLabel": "exec-list",
            "outputDefinitions": {"parameters": {"items": {"parameterType": "LIST"}}},
        },
        "comp-work": {
            "executorLabel": "exec-work",
            "inputDefinitions": {"parameters": {"item": {"parameterType": "NUMBER_INTEGER"}}},
            "outputDefinitions": {"parameters": {"n": {"parameterType": "NUMBER_INTEGER"}}},
        },
    }
    made["root"]["dag"]["tasks"] = {
        "list": {"componentRef": {"name": "comp-list"}},
        "work": {
            "componentRef": {"name": "comp-work"},
            "dependentTasks": ["list"],
            "inputs": {
                "parameters": {"all": {"taskOutputParameter": {"producerTask": "list", "outputParameterKey": "items"}}}
            },
            "parameterIterator": {"items": {"inputParameter": "all"}, "itemInput": "item"},
        },
    }
    return made


def created(asked: Server, path: str, body: dict[str, Any]) -> str:
    """Ask for a run; its id."""
    return str(asked.ask(path, json.dumps(body).encode())["run_id"])


def measure(folder: Path) -> Iterator[tuple[str, Stall]]:
    """What was done, and the longest stall meanwhile."""
    with server(folder / "a", "endless") as asked:
        asked.stall()
        time.sleep(2)
        yield "baseline: nothing to do", asked.stall()
        yield "baseline: beside a thread of plain Python", asked.stall("burn")
        for tasks in SIZES:
            body = {"display_name": "x", "pipeline_spec": document(tasks)}
            asked.stall()
            run_id = created(asked, "/apis/v2beta1/runs", body)
            yield f"{tasks:,} tasks posted as KFP's client does, to the answer", asked.stall()
            asked.until(run_id, "RUNNING", tasks)
            yield f"{tasks:,} tasks, until all have begun", asked.stall()
        asked.ask(f"/api/runs/{run_id}")
        yield f"the run of {SIZES[-1]:,} tasks shown whole", asked.stall()
    with server(folder / "a", "endless") as asked:
        time.sleep(5)
        yield f"restart over a run of {SIZES[-1]:,} tasks under way", asked.stall()
    with server(folder / "b", "endless") as asked:
        asked.stall()
        run_id = created(asked, "/api/runs", {"document": json.dumps(document(SIZES[-1]))})
        asked.until(run_id, "RUNNING", SIZES[-1])
        yield f"{SIZES[-1]:,} tasks posted as a text, until all have begun", asked.stall()
    with server(folder / "c", "listing") as asked:
        asked.stall()
        run_id = created(asked, "/api/runs", {"document": json.dumps(looping())})
        asked.until(run_id, "SUCCEEDED", ITERATIONS + 1)
        yield f"a loop of {ITERATIONS:,} iterations, from its list to its end", asked.stall()


def main() -> None:
    """Each figure is the worst of so many rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    worst: dict[str, Stall] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, stall in measure(Path(folder)):
                worst[name] = Stall(*map(max, worst.get(name, Stall()), stall))
    for name, stall in worst.items():
        missed = "  missed" if stall.ms > GOAL_MS else ""
        print(f"{name:62} {stall.ms:8.1f} ms, of them its own {stall.own_ms:8.1f} ms{missed}")


def _factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        with asyncio.Runner(loop_factory=_factory()) as runner:
            runner.run(serve(Path(sys.argv[2]), sys.argv[3]))
    else:
        main()
