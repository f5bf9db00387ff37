"""Who drives a run: every request in every state is a transition or a refusal by name, and each has its meaning."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest

import documents
from headrace.engine import new_run, plan
from headrace.engine.model import State
from headrace.service.active import ActiveRun
from headrace.service.driver import DRIVEN, TABLE, DriveRefusal, DriveRequest, DriveState, Registry, decide
from headrace.spec.document import parse_document
from headrace.store.records import RunRecord

S, R, N = DriveState, DriveRequest, DriveRefusal

#: How a run gets into each state, from being ABSENT.
WAYS: Mapping[DriveState, tuple[DriveRequest, ...]] = {
    S.ABSENT: (),
    S.RECOVERING: (R.START,),
    S.LOSING: (R.LOSE,),
    S.DRIVING: (R.TAKE,),
    S.REVIVED: (R.REVIVE,),
    S.LEAVING: (R.TAKE, R.LEAVE),
    S.DELETING: (R.TAKE, R.DELETE),
    S.STOPPING: (R.TAKE, R.DELETE, R.STOP),
    S.ABANDONED: (R.TAKE, R.ABANDON),
}
#: How a run gets from each state back to ABSENT.
WAYS_OUT: Mapping[DriveState, tuple[DriveRequest, ...]] = {
    S.ABSENT: (),
    S.RECOVERING: (R.RESUME, R.CONTINUE, R.END),
    S.LOSING: (R.LOSSES_RECORDED, R.RESUME, R.END),
    S.DRIVING: (R.END,),
    S.REVIVED: (R.CONTINUE, R.LEAVE, R.RELEASE),
    S.LEAVING: (R.RELEASE,),
    S.DELETING: (R.FORGET,),
    S.STOPPING: (R.STOPPED,),
    S.ABANDONED: (R.TAKE_OVER, R.RESUME, R.DELETE, R.RESTORE, R.END),
}


def a_run() -> ActiveRun:
    compiled = plan(parse_document(documents.chain(2), None))
    state = new_run(compiled, run_id="r", display_name="a run", arguments={}, at=0.0, scheduled_at=0.0)
    record = RunRecord(
        run_id="r", display_name="a run", experiment_id="e", experiment_name="e", pipeline_name="p",
        state=State.PENDING, created_at=0.0, scheduled_at=0.0,
    )  # fmt: skip
    return ActiveRun(
        record=record, plan=compiled, state=state, version=0, event_count=0, state_history=(), task_counts={}
    )  # fmt: skip


def registry_in(state: DriveState) -> tuple[Registry, ActiveRun]:
    registry, run = Registry(), a_run()
    for request in WAYS[state]:
        assert registry.request(request, "r", run) is None, request
    assert registry.state("r") is state
    return registry, run


def seen(registry: Registry) -> tuple[object, ...]:
    return registry.state("r"), registry.run("r"), dict(registry.driven), registry.ours(), registry.all()


def test_the_table_answers_every_request_in_every_state():
    assert set(TABLE) == set(DriveState)
    for state in DriveState:
        assert set(TABLE[state]) == set(DriveRequest), state
    used = {answer for row in TABLE.values() for answer in row.values()}
    assert used >= set(DriveRefusal), "each refusal is given somewhere"
    assert used >= set(DriveState), "each state can be reached"


@pytest.mark.parametrize(
    ("state", "request_"), list(itertools.product(DriveState, DriveRequest)), ids=lambda one: one.name
)
def test_each_request_is_a_transition_or_a_refusal_that_changes_nothing(state: DriveState, request_: DriveRequest):
    registry, run = registry_in(state)
    before, expected = seen(registry), decide(state, request_)
    refused = registry.request(request_, "r", run)
    if isinstance(expected, DriveRefusal):
        assert refused is expected
        assert seen(registry) == before
        return
    assert refused is None
    assert registry.state("r") is expected
    assert (registry.driven == {"r": run}) is (expected in DRIVEN)
    assert (registry.ours() == {"r"}) is (expected in DRIVEN or expected is S.LOSING) is registry.wants(run)
    assert (registry.all() == ("r",)) is (expected is not S.ABSENT) is (registry.run("r") is run)


@pytest.mark.parametrize("state", list(DriveState), ids=lambda one: one.name)
def test_no_run_stays_in_a_state_without_a_way_out(state: DriveState):
    registry, run = registry_in(state)
    for request in WAYS_OUT[state]:
        assert registry.request(request, "r", run) is None, request
    assert registry.state("r") is S.ABSENT
    assert registry.all() == ()


def allowed(request: DriveRequest) -> set[DriveState]:
    return {state for state in DriveState if isinstance(decide(state, request), DriveState)}


# Rules that hold in whole columns of the table, said a second time.


def test_a_run_begins_to_be_driven_only_where_nothing_of_it_goes_on():
    for request in (R.START, R.TAKE):
        assert allowed(request) == {S.ABSENT}
    assert allowed(R.REVIVE) == {S.ABSENT}
    for request in (R.TAKE_OVER, R.LOSE):
        assert set(S) - allowed(request) == {S.LOSING, S.LEAVING, S.DELETING, S.STOPPING}


def test_nothing_of_a_run_is_asked_for_before_its_losses_are_recorded():
    assert decide(S.LOSING, R.RESUME) is N.LOSSES_NOT_RECORDED
    assert allowed(R.RESUME) == {S.RECOVERING, S.DRIVING}
    assert S.LOSING not in DRIVEN


def test_attempts_are_stopped_and_forgotten_only_of_a_run_that_is_deleted_or_left():
    assert allowed(R.STOP) == {S.DELETING, S.LEAVING}
    assert allowed(R.FORGET) == {S.DELETING, S.LEAVING, S.ABSENT}
    assert allowed(R.STOPPED) == {S.STOPPING}


def test_a_deletion_that_failed_goes_on_from_what_was_committed_meanwhile():
    registry, run = registry_in(S.DRIVING)
    registry.request(R.DELETE, "r")
    assert registry.request(R.CONTINUE, "r") is None
    assert not registry.wants(run)
    assert registry.request(R.RESTORE, "r") is None
    assert registry.driven["r"] is run


def test_an_older_state_of_a_run_that_was_loaded_again_is_not_recorded():
    registry, old = registry_in(S.DRIVING)
    new = a_run()
    assert registry.request(R.TAKE_OVER, "r", new) is None
    assert registry.wants(new)
    assert not registry.wants(old)
