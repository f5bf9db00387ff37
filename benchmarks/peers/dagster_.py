"""Dagster's multiprocess executor, two at a time, with an instance on disk. `python dagster_.py SHAPE FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
import floor
import training
from dagster import DagsterInstance, In, Nothing, execute_job, job, multiprocess_executor, op, reconstructable


def _op(name: str, after: tuple[str, ...], shape: str, folder: Path) -> Any:
    @op(name=name.replace("-", "_"), ins={f"after_{n}": In(Nothing) for n in range(len(after))})
    def work() -> None:
        if shape == "training":
            training.step(name, folder)

    return work


def make() -> Any:
    """The job; made anew in each of Dagster's processes, which are told what by the environment."""
    shape, folder = os.environ["BENCH_SHAPE"], Path(os.environ["BENCH_FOLDER"])
    graph = floor.SHAPES[shape]()

    @job(name="bench", executor_def=multiprocess_executor.configured({"max_concurrent": 2}))
    def bench() -> None:
        made: dict[str, Any] = {}
        for name, after in graph.items():
            made[name] = _op(name, after, shape, folder)(**{f"after_{n}": made[above] for n, above in enumerate(after)})

    return bench


if __name__ == "__main__":
    os.environ.update(BENCH_SHAPE=sys.argv[1], BENCH_FOLDER=sys.argv[2], DAGSTER_HOME=sys.argv[2])
    with DagsterInstance.get() as instance:
        if not execute_job(reconstructable(make), instance=instance).success:
            sys.exit(1)
