"""Luigi with its local scheduler and two workers, which fork. `python luigi_.py SHAPE FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
import floor
import luigi
import training

SHAPE, FOLDER = sys.argv[1], Path(sys.argv[2])
GRAPH = floor.SHAPES[SHAPE]()


class Step(luigi.Task):  # type: ignore[misc]
    name = luigi.Parameter()

    def requires(self) -> list[Any]:
        return [Step(name=above) for above in GRAPH[self.name]]

    def output(self) -> Any:
        return luigi.LocalTarget(str(FOLDER / "done" / self.name))

    def run(self) -> None:
        if SHAPE == "training":
            training.step(self.name, FOLDER)
        with self.output().open("w") as file:
            file.write("done")


if __name__ == "__main__":
    steps = [Step(name=name) for name in GRAPH]
    if not luigi.build(steps, workers=2, local_scheduler=True, log_level="ERROR"):
        sys.exit(1)
