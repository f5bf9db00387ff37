"""Tasks whose outcome a user decides."""

from __future__ import annotations

from typing import Any

import pytest

from headrace import engine
from headrace.engine.mark_checks import InvalidOutputs, check_outputs
from headrace.engine.model import ArtifactType, Kind, State
from properties.documents import group, leaf, out, param, pipeline, status
from scenario import Scenario, artifact


def chain() -> Scenario:
    tasks = {
        "a": leaf(gives={"Output": "STRING"}),
        "b": leaf(gives={"Output": "STRING"}, takes={"s": "STRING"}, wires={"s": out("a")}, after=["a"]),
        "c": leaf(after=["b"]),
    }
    run = Scenario(pipeline(tasks))
    run.starts()
    return run


# --- in a live run -------------------------------------------------------------------------------


def test_a_running_attempt_is_stopped_first_and_its_outcome_does_not_count():
    run = chain()
    run.runs("a")
    assert run.is_marked("a", Output="given") == ["stop a#1"]
    assert (run["a"].state, run.end) == (State.CANCELING, State.RUNNING)
    run.survives_a_restart()
    assert run.succeeds("a", Output="its own") == ["launch b#1"]
    assert (run["a"].state, run.gives("a"), run.gets("b")) == (State.SUCCEEDED, {"Output": "given"}, {"s": "given"})
    assert (run.code("a"), run.message("a")) == ("MARKED", "Marked SUCCEEDED by ann: looked at it")
    assert run["a"].attempts[-1].state is State.SUCCEEDED


@pytest.mark.parametrize("how", ["is_stopped", "fails", "is_lost"])
def test_however_the_attempt_ends_the_mark_holds(how: str):
    run = chain()
    run.is_marked("a", Output="given")
    assert getattr(run, how)("a") == ["launch b#1"]
    assert run["a"].state is State.SUCCEEDED


def test_a_task_that_waits_is_marked_at_once():
    run = chain()
    assert run.is_marked("b", Output="given") == ["launch c#1"], "c waited for b alone"
    assert run["b"].state is State.SUCCEEDED
    assert run.succeeds("a", Output="x") == []


def test_marks_while_a_retry_waits_and_while_the_cache_is_asked():
    run = Scenario(pipeline({"a": leaf(retry=(3, 10)), "b": leaf(cache=True), "c": leaf(after=["a", "b"])}))
    run.starts()
    run.fails("a")
    run.is_marked("a")
    run.is_marked("b")
    assert run.states() == {"a": "SUCCEEDED", "b": "SUCCEEDED", "c": "PENDING"}
    run.ignores(lambda: run.hits("b"))
    assert run["c"].attempts
    assert engine.wake_at(run.state) is None


def test_a_task_marked_skipped_skips_what_depends_on_it():
    run = chain()
    run.is_marked("a", "SKIPPED")
    run.is_stopped("a")
    assert run.states() == {"a": "SKIPPED", "b": "SKIPPED", "c": "SKIPPED"}
    assert (run.code("b"), run.end) == ("UPSTREAM_SKIPPED", State.SUCCEEDED)


def test_what_a_failure_held_back_goes_on_in_a_run_that_is_still_live():
    run = Scenario(pipeline({"a": leaf(), "b": leaf(after=["a"]), "c": leaf(after=["b"]), "long": leaf()}))
    run.starts()
    run.fails("a")
    assert run.states() == {"a": "FAILED", "b": "SKIPPED", "c": "SKIPPED", "long": "PENDING"}
    assert run.is_marked("a") == ["launch b#1"]
    run.succeeds("b")
    run.succeeds("c")
    run.succeeds("long")
    assert run.end is State.SUCCEEDED


def test_a_paused_run_takes_marks_and_begins_nothing():
    run = chain()
    run.is_paused()
    run.is_marked("a", Output="x")
    assert run.is_stopped("a") == []
    assert run.is_resumed() == ["launch b#1"]


def test_a_cancel_while_the_marked_attempt_is_stopped():
    run = chain()
    run.is_marked("a", Output="x")
    assert run.is_cancelled() == []
    run.is_stopped("a")
    assert run.states() == {"a": "SUCCEEDED", "b": "CANCELED", "c": "CANCELED"}
    assert run.end is State.CANCELED


# --- in a run that has failed ----------------------------------------------------------------------


def test_a_failed_run_goes_on_where_the_mark_lets_it():
    tasks = {"a": leaf(), "b": leaf(after=["a"]), "broken": leaf(), "exit": leaf(after=["a"], always=True)}
    run = Scenario(pipeline(tasks))
    run.starts()
    run.fails("a")
    run.fails("broken")
    run.succeeds("exit")
    assert run.end is State.FAILED
    assert run.is_marked("a") == ["launch b#1"]
    assert (run.end, run["broken"].state, run["exit"].state) == (State.RUNNING, State.FAILED, State.SUCCEEDED)
    run.survives_a_restart()
    run.succeeds("b")
    assert run.end is State.FAILED
    run.is_marked("broken", "SKIPPED")
    assert run.end is State.SUCCEEDED


def test_a_mark_leaves_later_tasks_as_the_user_has_decided_them():
    run = chain()
    run.fails("a")
    assert run.is_marked("b", Output="mine") == ["launch c#1"]
    assert run.is_marked("a", Output="x") == []
    assert run["b"].marked
    assert (run["b"].state, run.gives("b")) == (State.SUCCEEDED, {"Output": "mine"})
    run.succeeds("c")
    assert run.end is State.SUCCEEDED
    assert run["b"].attempts == ()


def nested(**loop: Any) -> Scenario:
    body = {"x": leaf(gives={"Output": "STRING"}), "y": leaf(after=["x"])}
    inner = group({"each": group(body, loop="[1, 2]", takes={"item": "NUMBER_INTEGER"}, **loop)})
    run = Scenario(pipeline({"inner": inner, "last": leaf(after=["inner"])}))
    run.starts()
    return run


def test_a_mark_deep_inside_lets_go_on_what_is_around_it():
    run = nested()
    run.succeeds("inner/each[0]/x", Output="o")
    run.succeeds("inner/each[0]/y")
    run.fails("inner/each[1]/x")
    assert (run.end, run["last"].state) == (State.FAILED, State.SKIPPED)
    assert run.is_marked("inner/each[1]/x", Output="o") == ["launch inner/each[1]/y#1"]
    assert [run[path].state for path in ("inner", "inner/each", "inner/each[1]")] == [State.RUNNING] * 3
    assert run["inner/each[0]"].state is State.SUCCEEDED
    assert run.succeeds("inner/each[1]/y") == ["launch last#1"]
    run.succeeds("last")
    assert run.end is State.SUCCEEDED


def test_an_iteration_takes_its_turn_where_its_loop_has_no_room():
    run = nested(parallelism=1)
    run.fails("inner/each[0]/x")
    assert run["inner/each[1]/x"].attempts
    assert run.is_marked("inner/each[0]/x", Output="o") == []
    assert run["inner/each[0]"].state is State.PENDING
    run.succeeds("inner/each[1]/x", Output="o")
    assert run.succeeds("inner/each[1]/y") == ["launch inner/each[0]/y#1"]
    assert run["inner/each[0]/x"].state is State.SUCCEEDED


def test_marks_stand_through_a_retry_of_the_run():
    run = Scenario(pipeline({"a": leaf(), "b": leaf(after=["a"]), "broken": leaf()}))
    run.starts()
    run.is_marked("a", "SKIPPED")
    run.is_stopped("a")
    run.fails("broken")
    assert run.is_retried() == ["launch broken#2"]
    assert run.states() == {"a": "SKIPPED", "b": "SKIPPED", "broken": "PENDING"}


def test_an_exit_task_reads_a_mark_as_the_final_status():
    run = Scenario(
        pipeline({"a": leaf(), "e": leaf(after=["a"], always=True, takes={"s": "STRUCT"}, wires={"s": status("a")})})
    )
    run.starts()
    run.is_marked("a", "SKIPPED")
    run.is_stopped("a")
    assert run.gets("e")["s"]["state"] == "SKIPPED"
    assert run.gets("e")["s"]["error"]["reason"] == "MARKED"


# --- what cannot be marked -------------------------------------------------------------------------


def test_what_cannot_be_marked_is_left_as_it_is_and_says_why():
    run = nested()
    run.succeeds("inner/each[0]/x", Output="o")

    def why(path: str, word: State = State.SUCCEEDED) -> str:
        refused = engine.mark_refused(run.state, run.state.executions, run[path], word)
        return refused.code if refused else ""

    assert why("inner/each[0]/x") == "MARK_FINAL"
    assert why("inner") == why("") == why("last", State.FAILED) == "MARK_GROUP"
    assert why("last") == ""
    run.ignores(lambda: run.is_marked("inner/each[0]/x"), lambda: run.is_marked("inner"), lambda: run.is_marked("no"))
    run.is_cancelled()
    assert why("last") == "RUN_CANCELING"
    run.is_stopped("inner/each[0]/y")
    run.is_stopped("inner/each[1]/x")
    run.ignores(lambda: run.is_marked("last"))


def test_a_group_that_succeeded_without_a_task_stays_as_it_is():
    run = Scenario(pipeline({"g": group({"x": leaf(condition="1 == 2")}), "y": leaf()}))
    run.starts()
    assert run["g"].state is State.SUCCEEDED
    run.ignores(lambda: run.is_marked("g/x"))


def test_what_is_in_a_group_that_has_not_begun_cannot_be_marked():
    run = Scenario(pipeline({"a": leaf(), "g": group({"x": leaf()}, after=["a"]), "z": leaf()}))
    run.starts()
    run.succeeds("a")
    run.fails("g/x")
    run.fails("z")
    run.is_retried()
    assert run["g"].kind is Kind.DAG
    assert engine.mark_refused(run.state, run.state.executions, run["g/x"], State.SKIPPED) is None


# --- outputs ---------------------------------------------------------------------------------------


def plan():
    tasks = {
        "a": leaf(gives={"n": "NUMBER_INTEGER", "unread": "STRING"}, makes=("model", "log")),
        "b": leaf(
            takes={"n": "NUMBER_INTEGER"}, wires={"n": out("a", "n")}, after=["a"],
            takes_artifacts={"m": "system.Model"},
            wires_artifacts={"m": {"taskOutputArtifact": {"producerTask": "a", "outputArtifactKey": "model"}}},
        ),
        "g": group({"x": leaf(gives={"Output": "STRING"})}, hands_out={"Output": ("x", "Output")}),
        "l": group({"y": leaf()}, loop="[1]", takes={"v": "STRING"}, wires={"v": param("v")}),
    }  # fmt: skip
    return engine.plan(pipeline(tasks, takes={"v": {"parameterType": "STRING", "defaultValue": ""}}))


def test_outputs_that_nobody_reads_may_be_left_out():
    found = check_outputs(plan(), "a", {"n": 3.0}, {"model": [artifact("m")]})
    assert (found.parameters, set(found.artifacts)) == ({"n": 3}, {"model"})
    assert type(found.parameters["n"]) is int
    assert check_outputs(plan(), "l[0]/y", {}, {}).parameters == {}


def test_everything_wrong_with_the_outputs_is_said_at_once():
    dataset = artifact("d").__class__(
        artifact_id="d", name="d", type=ArtifactType(schema_title="system.Dataset"), uri="file:///d"
    )
    with pytest.raises(InvalidOutputs) as caught:
        check_outputs(plan(), "a", {"n": "three", "typo": 1, "log": 2}, {"model": [dataset], "unread": [dataset]})
    assert {(fault.name, fault.code) for fault in caught.value.faults} == {
        ("n", "MARK_OUTPUT_TYPE"), ("typo", "MARK_OUTPUT_UNKNOWN"), ("log", "MARK_OUTPUT_TYPE"), ("model", "MARK_OUTPUT_TYPE"),
        ("unread", "MARK_OUTPUT_TYPE"),
    }  # fmt: skip
    assert "model: expected an artifact (system.Model), got system.Dataset." in str(caught.value)


def test_outputs_that_others_read_must_be_given():
    for path, names in (("a", {"n", "model"}), ("g/x", {"Output"})):
        with pytest.raises(InvalidOutputs) as caught:
            check_outputs(plan(), path, {}, {})
        assert {(fault.name, fault.code) for fault in caught.value.faults} == {
            (name, "MARK_OUTPUT_MISSING") for name in names
        }
    with pytest.raises(InvalidOutputs):
        check_outputs(plan(), "a", {"n": 1}, {"model": [artifact("m"), artifact("m")]})
