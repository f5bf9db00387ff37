"""Folding events into a run."""

from __future__ import annotations

import documents
from headrace import engine
from headrace.engine.model import Bundle, CacheHit, RunStarted, State, Tick
from headrace.service.active import ActiveRun, BatchResult, PendingEvent, adopt, fold
from headrace.spec.document import parse_document
from headrace.store.records import RunRecord


def asking() -> ActiveRun:
    """A run whose task `work` waits for the cache's answer."""
    plan = engine.plan(parse_document(documents.one_task(cache=True)))
    state = engine.new_run(plan, run_id="r", display_name="r", arguments={}, at=0.0)
    record = RunRecord(
        run_id="r", display_name="r", experiment_id="e", experiment_name="e", pipeline_name="p", parameters={}, state=State.PENDING, created_at=0.0,
        scheduled_at=0.0,
    )  # fmt: skip
    run = ActiveRun(
        record=record, plan=plan, state=state, version=0, event_count=0, state_history=(), task_counts={}, is_new=True
    )
    adopt(fold(run, [PendingEvent(run_id="r", event=RunStarted(at=0.0))], 0.0))
    assert run.state.executions["work"].looking_up
    return run


def answered(run: ActiveRun, asked_for: Bundle) -> BatchResult:
    """The run after the cache has found something for these inputs."""
    hit = CacheHit(at=1.0, path="work", outputs=Bundle(parameters={"out": "x"}), cached_from="e")
    return fold(run, [PendingEvent(run_id="r", event=hit, asked_for=asked_for)], 1.0)


def test_the_answer_to_its_question_ends_a_task() -> None:
    run = asking()
    folded = answered(run, run.state.executions["work"].inputs)
    assert folded.change.state.executions["work"].state is State.SUCCEEDED


def test_what_was_found_for_earlier_inputs_is_not_taken() -> None:
    folded = answered(asking(), Bundle(parameters={"text": "of an earlier try"}))
    work = folded.change.state.executions["work"]
    assert (work.state, work.looking_up, folded.change.events) == (State.PENDING, True, (Tick(at=1.0),))
