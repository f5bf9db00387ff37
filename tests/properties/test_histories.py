"""Random documents in a random world: HEADRACE_HISTORIES histories, each from one seed."""

from __future__ import annotations

import os
from random import Random

import pytest

from headrace import engine
from headrace.engine.model import State
from properties.documents import random_document
from properties.world import Faults, World

HISTORIES = int(os.environ.get("HEADRACE_HISTORIES", "300"))
FIRST = int(os.environ.get("HEADRACE_FIRST_SEED", "0"))
GROUPS = 10


def history(seed: int) -> World:
    rng = Random(seed)
    world = World(engine.plan(random_document(rng)), seed, Faults.drawn(rng))
    try:
        world.run()
    except BaseException as error:
        again = f"HEADRACE_FIRST_SEED={seed} HEADRACE_HISTORIES=1 pytest tests/properties/test_histories.py -k group0"
        error.add_note(f"To run this history again: {again}")
        raise
    return world


@pytest.mark.parametrize("group", range(GROUPS), ids=lambda group: f"group{group}")
def test_every_history_keeps_the_invariants_and_equals_the_oracle(group: int) -> None:
    for seed in range(FIRST + group, FIRST + HISTORIES, GROUPS):
        history(seed)


def test_histories_reach_what_they_are_meant_to_reach() -> None:
    worlds = [history(seed) for seed in range(120)]
    ends = {world.state.state for world in worlds}
    codes = {e.reason.code for w in worlds for e in w.state.executions.values() if e.reason}
    assert ends == {State.SUCCEEDED, State.FAILED, State.CANCELED}
    assert {"CONDITION_FALSE", "CONDITION_ERROR", "UPSTREAM_FAILED", "UPSTREAM_SKIPPED", "RUN_CANCELED"} <= codes
    assert any(world.user_retries for world in worlds)
    assert any(e.retries for w in worlds for e in w.state.executions.values())
    assert any(e.cached_from for w in worlds for e in w.state.executions.values())
    assert any(e.lost_count for w in worlds for e in w.state.executions.values())
