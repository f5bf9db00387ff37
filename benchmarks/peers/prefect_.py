"""Prefect over a running server, tasks in a pool of two processes. `python prefect_.py SHAPE FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
import floor
import training
from prefect import flow, task
from prefect.task_runners import ProcessPoolTaskRunner


@task
def step(name: str, shape: str, folder: str) -> str:
    if shape == "training":
        training.step(name, Path(folder))
    return name


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def run(shape: str, folder: str) -> None:
    futures: dict[str, Any] = {}
    for name, after in floor.SHAPES[shape]().items():
        futures[name] = step.submit(name, shape, folder, wait_for=[futures[above] for above in after])
    for future in futures.values():
        future.result()


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
