"""kfp's own local runner, tuned: no environment and no installation per task. `python kfp_local.py SHAPE FOLDER`."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
import training
from kfp import dsl, local

LENGTH = {"one": 1, "chain20": 20, "fan200": 200}.get(sys.argv[1], 1)


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def nothing(value: int = 0) -> int:
    return int(value)


@dsl.pipeline(name="chain")
def chain(count: int = 20):  # type: ignore[no-untyped-def]
    task = nothing()
    for _ in range(LENGTH - 1):
        task = nothing(value=task.output)


@dsl.pipeline(name="fan")
def fan():  # type: ignore[no-untyped-def]
    with dsl.ParallelFor(list(range(LENGTH)), parallelism=2) as item:
        nothing(value=item)


if __name__ == "__main__":
    shape, folder = sys.argv[1], Path(sys.argv[2])
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder / "outputs"))
    job: Any = training.components("kfp", folder) if shape == "training" else fan if shape == "fan200" else chain
    job()
