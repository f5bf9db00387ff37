"""Checks of many runs after faults of servers and database: each run ends, and no attempt's code starts twice.

They compare what the database has recorded with the starts that the tasks have written down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Recorded(NamedTuple):
    """One attempt as the database has it."""

    run_id: str
    path: str
    number: int
    state: str
    #: Code of its error; "" without one.
    code: str


#: Errors that say that an attempt was lost, not that it failed: each allows one more start.
LOST = frozenset({"SERVER_LOST", "ATTEMPT_LOST"})
#: What a task may fail of that is the database's doing, which it never may.
DATABASES = ("DATABASE_", "STORE_", "OUTCOME_", "INTERNAL_")


def violations(
    accepted: Iterable[str],
    states: Mapping[str, str],
    attempts: Sequence[Recorded],
    starts: Iterable[tuple[str, str]],
    *,
    tasks: int,
) -> list[str]:
    """Every breach of the promise, in words; empty for a history as it should be.

    `accepted`: runs that were acknowledged. `starts`: `(run, path)` for each time user code began, from a file that the
    tasks themselves append to. Each run has `tasks` tasks, all of which can succeed.
    """
    found = [f"run {run_id} is lost" for run_id in accepted if run_id not in states]
    found += [f"run {run_id} is {state}" for run_id, state in states.items() if state != "SUCCEEDED"]
    by_task: dict[tuple[str, str], list[Recorded]] = {}
    for one in attempts:
        by_task.setdefault((one.run_id, one.path), []).append(one)
    per_run = Counter(run_id for run_id, _ in by_task)
    found += [f"run {run_id} has {per_run[run_id]} tasks" for run_id in states if per_run[run_id] != tasks]
    begun = Counter(starts)
    for task, made in by_task.items():
        good = sum(one.state == "SUCCEEDED" for one in made)
        if good != 1:
            found.append(f"{task} succeeded {good} times")
        lost = sum(one.code in LOST for one in made)
        if begun[task] > 1 + lost:
            found.append(f"{task} was begun {begun[task]} times with {lost} recorded losses")
        if not begun[task]:
            found.append(f"{task} succeeded and was never begun")
        found += [f"{task} failed of {one.code}" for one in made if one.code.startswith(DATABASES)]
        numbers = sorted(one.number for one in made)
        if numbers != list(range(1, len(made) + 1)):
            found.append(f"{task} has attempts {numbers}")
    found += [f"{task} was begun and is not recorded" for task in begun if task not in by_task]
    return found
