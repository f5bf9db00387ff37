"""A run's beginning, and its state as it is stored."""

from __future__ import annotations

import uuid

import msgspec

from headrace import engine
from headrace.engine.model import Kind, State, execution_id
from properties.documents import leaf, pipeline
from scenario import Scenario


def test_a_new_run_waits():
    plan = engine.plan(pipeline({"a": leaf()}))
    run = engine.new_run(plan, run_id="r", display_name="d", arguments={}, at=5.0, scheduled_at=4.0, caching=False)
    root = run.executions[""]
    assert (run.state, run.created_at, run.scheduled_at, run.caching) == (State.PENDING, 5.0, 4.0, False)
    assert (root.kind, root.state, root.created_at) == (Kind.ROOT, State.PENDING, 5.0)
    assert engine.outstanding(plan, run) == ()
    assert engine.wake_at(run) is None


def test_the_header_is_the_state_without_its_executions():
    run = Scenario(pipeline({"a": leaf(retry=(1, 5))}, takes={"v": {"parameterType": "LIST", "defaultValue": [1.0]}}))
    run.starts()
    run.fails("a")
    stored = msgspec.json.decode(engine.encode_header(run.state))
    assert stored["executions"] == {}
    assert not any(stored["index"].values())
    assert engine.decode_header(engine.encode_header(run.state)) == engine.header(run.state)
    run.survives_a_restart()
    assert engine.wake_at(run.state) == 5.0


def test_a_step_names_what_changed_once_and_nothing_else():
    run = Scenario(pipeline({"a": leaf(), "b": leaf(after=["a"]), "c": leaf()}))
    run.starts()
    before = run.state
    run.succeeds("a")
    changed = {p for p in run.state.executions if run.state.executions[p] is not before.executions.get(p)}
    assert changed == {"a", "b"}


def test_an_old_state_stays_what_it_was():
    run = Scenario(pipeline({"a": leaf(), "b": leaf(after=["a"])}))
    run.starts()
    before = run.state
    run.succeeds("a")
    assert before.executions["a"].state is State.PENDING
    assert run["a"].state is State.SUCCEEDED


def test_execution_ids_follow_from_run_and_path():
    # Ids are stored and stand in links: they must be the same in every later version.
    assert execution_id("r", "a/b[0]") == "f1900e27-877c-52bd-bc5c-58725d085b3c"
    assert len({execution_id("r", "a"), execution_id("r", "b"), execution_id("s", "a")}) == 3
    assert uuid.UUID(execution_id("r", "a")).version == 5
