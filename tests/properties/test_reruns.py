"""Runs made from random runs: what an earlier run leaves is taken as it is, and nothing that depends on a change is."""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random

import pytest

from headrace import engine
from headrace.engine.model import *
from headrace.engine.plan import child_path
from headrace.engine.rerun import InvalidRerun
from properties.faults import Faults
from properties.random_documents import random_arguments, random_document
from properties.test_histories import FIRST, HISTORIES
from properties.world import World

GROUPS = 20
RERUNS = int(os.environ.get("HEADRACE_RERUNS", str(HISTORIES // 20)))


def runs(seed: int) -> tuple[World, World] | None:
    """A run, and one made from it; None where nothing was left to run."""
    rng = Random(seed)
    plan = engine.plan(random_document(rng))
    arguments = random_arguments(rng)
    first = World(plan, seed, replace(Faults.drawn(rng), limit_s=None, skew_s=0, jump=0.0), arguments)
    first.run()
    paths = sorted(path for path in first.state.executions if path)
    chosen = [rng.choice(paths)] if paths and rng.random() < 0.8 else []
    try:
        reuse_plan = engine.plan_reuse(plan, plan, first.state, chosen)
    except InvalidRerun as error:
        assert {fault.code for fault in error.faults} <= {"RERUN_NOTHING", "RERUN_TASK_UNKNOWN"}
        return None
    origin = Origin(run_id="r", again=reuse_plan.again)
    start = RunStarted(at=0.0, origin=origin, reuse=reuse_plan.reuse)
    other = arguments if rng.random() < 0.5 else random_arguments(rng)
    second = World(
        plan,
        seed + 1_000_000,
        replace(Faults.drawn(rng), limit_s=None, skew_s=0, jump=0.0, mark=0.0),
        other,
        start=start,
    )
    second.run()
    return first, second


def check(first: World, second: World) -> None:
    plan, start = second.plan, second.start
    assert start.origin is not None
    for path, execution in second.state.executions.items():
        if execution.reused_from is None:
            continue
        earlier = first.state.executions[path]
        assert earlier.state is execution.state is State.SUCCEEDED
        assert execution.outputs == earlier.outputs
        assert execution.reused_from == execution_id("r", path)
        if execution.kind in (Kind.TASK, Kind.IMPORTER):
            assert not execution.attempts
            assert execution.inputs == earlier.inputs
        assert not any(path == again or path.startswith((f"{again}/", f"{again}[")) for again in start.origin.again)
        at = execution
        while at.parent is not None:
            for name in plan.task_at(at.path).dependencies if at.iteration is None else ():
                upstream = second.state.executions[child_path(at.parent, name)]
                assert upstream.reused_from or upstream.state is State.SKIPPED, (
                    f"{path} is reused after {upstream.path}"
                )
            at = second.state.executions[at.parent]


@pytest.mark.parametrize("group", range(GROUPS), ids=lambda group: f"group{group}")
def test_a_run_made_from_another_takes_over_what_has_not_changed(group: int) -> None:
    for seed in range(FIRST + group, FIRST + RERUNS, GROUPS):
        made = runs(seed)
        if made is not None:
            check(*made)


@pytest.mark.slow
def test_reruns_reach_what_they_are_meant_to_reach() -> None:
    made = [pair for seed in range(120) if (pair := runs(seed)) is not None]
    reused = [e for _, second in made for e in second.state.executions.values() if e.reused_from]
    assert {e.kind for e in reused} >= {Kind.TASK, Kind.DAG, Kind.LOOP}
    assert any("[" in e.path for e in reused)
    assert any(e.attempts for _, second in made for e in second.state.executions.values())
