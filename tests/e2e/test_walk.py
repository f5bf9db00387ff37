"""The walk of one attempt in ARCHITECTURE.md is the one that a real server takes."""

from __future__ import annotations

import runpy

import pytest

from architecture import PAGE, ROOT
from unit.test_architecture import mentions_in

pytestmark = pytest.mark.slow


def test_every_function_of_the_walk_runs_when_a_run_does() -> None:
    found = runpy.run_path(str(ROOT / "benchmarks" / "walks.py"))["measure"](ROOT)
    ran = {name for counted in found.values() for name in counted["names"]}
    text = PAGE.read_text()
    walk = text[text.index("## The walk of one attempt") : text.index("## Invariants")]
    named = [f"{path}: {name.strip()}" for path, names in mentions_in(walk) if names for name in names.split(",")]
    assert len(named) > 25
    # A class without a method stands for the whole class, and a type of values has no functions that run.
    missed = [one for one in named if not any(name == one or name.startswith(f"{one}.") for name in ran)]
    assert missed == ["executors/port.py: Succeeded"]
