"""The planted faults still apply, and the simulation still finds them: three a day here, all of them in `make mutants`."""

from __future__ import annotations

from datetime import date

import pytest

from mutants.mutants import ROOT, Mutant, diff, everyone, hunt, mutated

ALL = everyone()
_FIRST = 3 * date.today().toordinal()
TODAY = [ALL[(_FIRST + n) % len(ALL)] for n in range(3)]


def test_there_are_enough_of_them_and_everywhere_in_the_core() -> None:
    files = {hunk.file.removeprefix("src/headrace/") for mutant in ALL for hunk in mutant.hunks}
    assert len(ALL) >= 40
    assert {f"engine/{name}.py" for name in ("advance", "commands", "index", "inputs", "loops", "outputs")} <= files
    assert {f"engine/{name}.py" for name in ("conditions", "facts", "fingerprint", "orders", "plan", "run")} <= files
    assert {"service/active.py", "store/runs.py"} <= files


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_a_planted_fault_applies(mutant: Mutant) -> None:
    """Where it does not: see the head of mutants.py. The source must compile with it, and differ."""
    for file, (before, after) in mutated(mutant, ROOT).items():
        assert after != before
        compile(after, file, "exec")
    assert diff(mutant, ROOT).startswith(f"breaks: {mutant.breaks}\n--- a/")


@pytest.mark.slow
@pytest.mark.parametrize("mutant", TODAY, ids=lambda mutant: mutant.name)
def test_a_planted_fault_is_found(mutant: Mutant) -> None:
    assert hunt(mutant), f"the simulation does not see that {mutant.breaks}"
