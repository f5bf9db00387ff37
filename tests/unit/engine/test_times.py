"""`created <= started <= ended`, for every attempt and execution, whatever the clocks that events were timed by."""

from __future__ import annotations

import pytest

from headrace.engine.model import State
from properties.documents import group, leaf, pipeline
from scenario import Scenario

ENDS = {"succeeds": State.SUCCEEDED, "fails": State.FAILED, "is_lost": State.FAILED, "is_stopped": State.FAILED}


def begun(at: float) -> Scenario:
    run = Scenario(pipeline({"a": leaf(retry=(1, 0)), "b": leaf(after=["a"])}))
    run.now = at
    run.starts()
    return run


@pytest.mark.parametrize("end", ENDS)
def test_an_attempt_whose_start_was_never_reported_has_one(end: str):
    run = begun(10.0)
    run.now = 12.0
    getattr(run, end)("a")
    first = run["a"].attempts[0]
    assert (first.state, first.started_at, first.ended_at) == (ENDS[end], 12.0, 12.0)
    assert run["a"].started_at == 12.0


@pytest.mark.parametrize("end", ENDS)
def test_an_attempt_does_not_end_before_its_start(end: str):
    run = begun(10.0)
    run.now = 12.0
    run.runs("a")
    run.now = 11.9
    getattr(run, end)("a")
    first = run["a"].attempts[0]
    assert (first.started_at, first.ended_at) == (12.0, 12.0)


def test_a_cancelled_attempt_ends_after_its_start():
    run = begun(10.0)
    run.now = 12.0
    run.runs("a")
    run.now = 3.0
    run.is_cancelled()
    run.is_stopped("a")
    first = run["a"].attempts[0]
    assert (first.state, first.started_at, first.ended_at) == (State.CANCELED, 12.0, 12.0)
    assert run.state.started_at == 10.0
    assert run.state.ended_at == 12.0


def test_an_attempt_begins_neither_before_its_task_nor_before_the_one_before_it_ended():
    run = begun(10.0)
    run.now = 4.0
    run.runs("a")
    assert run["a"].attempts[0].started_at == 10.0
    run.now = 20.0
    run.fails("a")
    run.now = 15.0
    run.runs("a")
    assert run["a"].attempts[1].started_at == 20.0
    assert run["a"].started_at == 10.0


def test_a_group_ends_with_the_last_of_its_tasks_whatever_is_reported_first():
    run = Scenario(pipeline({"inner": group({"a": leaf(), "b": leaf()})}))
    run.starts()
    run.now = 9.0
    run.succeeds("inner/a")
    run.now = 7.0
    run.succeeds("inner/b")
    assert (run["inner/b"].ended_at, run["inner"].ended_at, run[""].ended_at) == (7.0, 9.0, 9.0)
    assert run.state.ended_at == 9.0


def test_what_the_cache_gives_has_its_times_in_order():
    run = Scenario(pipeline({"a": leaf(cache=True)}), caching=True)
    run.now = 10.0
    run.starts()
    run.now = 8.0
    run.hits("a")
    assert (run["a"].started_at, run["a"].ended_at) == (10.0, 10.0)
