"""What the engine costs: microseconds per event as runs grow, beside a loop of plain Python in the same process.

    python benchmarks/engine.py [TASKS ...]

Two shapes: `layers`, a DAG whose tasks each wait for two of the layer before, and `loop`, a `ParallelFor` over one
container with at most 1,000 iterations at a time. Each task sends two events: it started, it succeeded. Times are of
the processor, so that busy neighbours do not count; only the longest event's is by the clock. The unit is one turn
of an empty-handed Python loop (a dict lookup, an addition, a store), so figures of two machines compare.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from headrace import engine
from headrace.engine.model import (
    AttemptStarted,
    AttemptSucceeded,
    Bundle,
    Event,
    Launch,
    RunStarted,
    RunState,
    State,
    Step,
)
from headrace.spec.document import parse_document

SIZES = (100, 10_000, 100_000)
WIDTH = 100
#: The root, and the loop where there is one, are executions too.
ROOM = 2


def calibration(turns: int = 1_000_000) -> float:
    """Microseconds of one turn of the plain loop, the best of five."""
    return min(_plain_loop(turns) for _ in range(5)) / turns * 1e6


def _plain_loop(turns: int) -> float:
    counts = dict.fromkeys(range(64), 0)
    begun = time.process_time()
    for number in range(turns):
        counts[number & 63] = counts[number & 63] + 1
    return time.process_time() - begun


def document(tasks: dict[str, Any]) -> engine.Plan:
    """A pipeline of these tasks, all of one component."""
    item = {"item": {"parameterType": "NUMBER_INTEGER", "isOptional": True}}
    component = {"executorLabel": "exec-work", "inputDefinitions": {"parameters": item}}
    return engine.plan(
        parse_document(
            {
                "pipelineInfo": {"name": "bench"},
                "root": {"dag": {"tasks": tasks}},
                "components": {"comp-work": component},
                "deploymentSpec": {"executors": {"exec-work": {"container": {"image": "python:3.11"}}}},
            }
        )
    )


def layers(count: int) -> engine.Plan:
    """Tasks in layers of WIDTH, each after two of the layer before."""
    tasks = {}
    for number in range(count):
        above = number - WIDTH
        after = sorted({f"t{above}", f"t{above - above % WIDTH + (above + 1) % WIDTH}"}) if above >= 0 else []
        tasks[f"t{number}"] = {"componentRef": {"name": "comp-work"}, "dependentTasks": after}
    return document(tasks)


def loop(count: int) -> engine.Plan:
    """One container, looped."""
    items = msgspec.json.encode(list(range(count))).decode()
    task = {
        "componentRef": {"name": "comp-work"},
        "parameterIterator": {"items": {"raw": items}, "itemInput": "item"},
        "iteratorPolicy": {"parallelismLimit": 1000.0},
    }
    return document({"work": task})


class Bench:
    """One run from start to end, timed."""

    def __init__(self, plan: engine.Plan) -> None:
        self.plan = plan
        self.state = engine.new_run(plan, run_id="r", display_name="bench", arguments={}, at=0.0)
        self.events = 0
        self.longest = 0.0
        self.todo: deque[Event] = deque()

    def run(self) -> tuple[float, float, float]:
        """Seconds of the start, seconds of all that follows, seconds to bring the state back from its rows."""
        begun = time.process_time()
        self._advance(RunStarted(at=0.0))
        started = time.process_time()
        self.events, self.longest = 0, 0.0
        while self.todo:
            self._advance(self.todo.popleft())
        ended = time.process_time()
        assert self.state.state is State.SUCCEEDED, self.state.state
        return started - begun, ended - started, self._restore()

    def _advance(self, event: Any) -> None:
        begun = time.perf_counter()
        step: Step = engine.advance(self.plan, self.state, event)
        self.longest = max(self.longest, time.perf_counter() - begun)
        self.state = step.state
        self.events += 1
        for command in step.commands:
            if isinstance(command, Launch):
                self.todo.append(AttemptStarted(at=1.0, attempt=command.attempt))
                self.todo.append(AttemptSucceeded(at=2.0, attempt=command.attempt, outputs=Bundle()))

    def _restore(self) -> float:
        rows = list(self.state.executions.values())
        header: RunState = engine.header(self.state)
        begun = time.process_time()
        back = engine.restore(self.plan, header, rows)
        assert len(back.executions) == len(rows)
        return time.process_time() - begun


def main(sizes: tuple[int, ...]) -> None:
    """Print one line per shape and size."""
    unit = calibration()
    print(f"plain loop: {unit * 1000:.0f} ns a turn, the unit below")
    print("shape       tasks   events  us/event   units  longest ms  start ms  restore ms")
    shapes: dict[str, Callable[[int], engine.Plan]] = {"layers": layers, "loop": loop}
    for name, make in shapes.items():
        for size in sizes:
            count = min(size, engine.MAX_EXECUTIONS - ROOM)
            bench = Bench(make(count))
            gc.collect()
            start, rest, restore = bench.run()
            each = rest / bench.events * 1e6
            print(
                f"{name:8}{size:>9,}{bench.events:>9,}{each:>10.1f}{each / unit:>8.0f}{bench.longest * 1e3:>12.1f}"
                f"{start * 1e3:>10.1f}{restore * 1e3:>12.1f}",
                flush=True,
            )
    print(f"plain loop again: {calibration() * 1000:.0f} ns a turn")


if __name__ == "__main__":
    main(tuple(int(text) for text in sys.argv[1:]) or SIZES)
