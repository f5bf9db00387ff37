"""Metaflow, local: a process a step, two at a time. `python metaflow_.py SHAPE FOLDER` writes the flow and runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = str(Path(__file__).parent.parent)
HEAD = f"""
import sys
sys.path.insert(0, {BENCHMARKS!r})
from pathlib import Path
import training
from metaflow import FlowSpec, step
FOLDER = Path({{folder!r}})

class Flow(FlowSpec):
"""


def step(name: str, body: str, after: str, inputs: str = "self") -> str:
    """One step's source."""
    follow = f"        self.next({after})\n" if after else ""
    return f"    @step\n    def {name}({inputs}):\n        {body}\n{follow}"


def chain(count: int) -> str:
    """So many steps, of which Metaflow wants the first and the last by these names."""
    names = ["start", *(f"t{n}" for n in range(max(count - 2, 0))), "end"]
    after = [f"self.{name}" for name in names[1:]] + [""]
    return "".join(step(name, "pass", follow) for name, follow in zip(names, after, strict=True))


def fan(count: int) -> str:
    """So many branches, between a start and an end."""
    return (
        step("start", f"self.items = list(range({count}))", "self.work, foreach='items'")
        + step("work", "pass", "self.join")
        + step("join", "pass", "self.end", "self, inputs")
        + step("end", "pass", "")
    )


def job() -> str:
    """The training job; the choice is the join."""
    return (
        step("start", "training.step('load', FOLDER)", "self.split")
        + step("split", "training.step('split', FOLDER); self.items = [0, 1, 2]", "self.train, foreach='items'")
        + step("train", "self.n = self.input; training.step(f'train-{self.n}', FOLDER)", "self.evaluate")
        + step("evaluate", "training.step(f'evaluate-{self.n}', FOLDER)", "self.join")
        + step("join", "training.step('choose', FOLDER)", "self.end", "self, inputs")
        + step("end", "pass", "")
    )


if __name__ == "__main__":
    shape, folder = sys.argv[1], Path(sys.argv[2])
    body = {"one": lambda: chain(1), "chain20": lambda: chain(20), "fan200": lambda: fan(200), "training": job}[shape]()
    path = folder / "flow.py"
    path.write_text(HEAD.format(folder=str(folder)) + body + "\nif __name__ == '__main__':\n    Flow()\n")
    own = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder), "USERNAME": "bench", "METAFLOW_HOME": str(folder)}
    words = [sys.executable, str(path), "--quiet", "run", "--max-workers", "2", "--max-num-splits", "1000"]
    sys.exit(subprocess.run(words, env={**os.environ, **own}, cwd=folder).returncode)
