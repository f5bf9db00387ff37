"""What people ask of a run that is under way or over: cancel, pause, resume, retry. And reports nobody waits for."""

from __future__ import annotations

import msgspec

from headrace import engine
from headrace.engine.model import AttemptFailed, AttemptId, AttemptSucceeded, Bundle, CacheHit, Reason, State
from properties.documents import group, leaf, out, param, pipeline
from scenario import Scenario


def chain() -> Scenario:
    run = Scenario(pipeline({"a": leaf(), "b": leaf(after=["a"]), "c": leaf(after=["b"])}))
    run.starts()
    return run


# --- cancel ----------------------------------------------------------------------------------


def test_a_cancel_stops_what_runs_and_ends_the_rest():
    run = chain()
    run.runs("a")
    assert run.is_cancelled() == ["stop a#1"]
    assert (run.end, run["a"].state) == (State.CANCELING, State.CANCELING)
    assert run.outstanding() == ["stop a#1"]
    assert run.is_stopped("a") == []
    assert run.states() == {"a": "CANCELED", "b": "CANCELED", "c": "CANCELED"}
    assert (run.end, run.code("b")) == (State.CANCELED, "RUN_CANCELED")


def test_a_task_that_ends_before_it_is_stopped_keeps_its_end_but_the_run_is_cancelled():
    run = chain()
    run.is_cancelled()
    run.succeeds("a")
    assert (run["a"].state, run["b"].state, run.end) == (State.SUCCEEDED, State.CANCELED, State.CANCELED)


def test_a_task_that_breaks_while_it_is_stopped_is_cancelled():
    run = chain()
    run.is_cancelled()
    run.fails("a")
    assert (run["a"].state, run.end) == (State.CANCELED, State.CANCELED)


def test_a_task_that_is_lost_while_it_is_stopped_is_cancelled():
    run = chain()
    run.is_cancelled()
    assert run.is_lost("a") == []
    assert (run["a"].state, run["a"].attempts[-1].state) == (State.CANCELED, State.CANCELED)


def test_a_task_that_starts_late_is_still_to_be_stopped():
    run = chain()
    run.is_cancelled()
    assert run.runs("a") == []
    assert run.outstanding() == ["stop a#1"]


def test_a_cancel_before_the_start():
    run = Scenario(pipeline({"a": leaf()}))
    assert run.is_cancelled() == []
    assert run.end is State.CANCELED
    run.ignores(run.starts, run.is_cancelled)


def test_a_cancel_reaches_into_pipelines_and_loops():
    loop = group({"x": leaf()}, loop="[1, 2, 3]", takes={"item": "NUMBER_INTEGER"}, parallelism=1)
    run = Scenario(pipeline({"inner": group({"loop": loop, "z": leaf(after=["loop"])})}))
    run.starts()
    assert run.is_cancelled() == ["stop inner/loop[0]/x#1"]
    run.is_stopped("inner/loop[0]/x")
    assert set(run.states().values()) == {"CANCELED"}
    assert "inner/loop[1]/x" not in run.state.executions


def test_a_second_cancel_changes_nothing():
    run = chain()
    run.is_cancelled()
    run.ignores(run.is_cancelled, run.is_paused, run.is_resumed, run.is_retried)


# --- pause -----------------------------------------------------------------------------------


def test_a_pause_lets_what_runs_end_and_starts_nothing():
    run = chain()
    assert run.is_paused() == []
    assert run.end is State.PAUSED
    assert run.succeeds("a") == []
    assert (run["b"].state, run["b"].begun) == (State.PENDING, False)
    run.survives_a_restart()
    assert run.is_resumed() == ["launch b#1"]
    assert run.end is State.RUNNING


def test_a_pause_holds_back_retries():
    run = Scenario(pipeline({"a": leaf(retry=(1, 5))}))
    run.starts()
    run.is_paused()
    assert run.fails("a") == []
    assert engine.wake_at(run.state) is None
    assert run.is_woken(10.0) == []
    assert run.is_resumed() == ["launch a#2"]


def test_a_pause_holds_back_iterations():
    loop = group({"x": leaf()}, loop="[1, 2]", takes={"item": "NUMBER_INTEGER"}, parallelism=1)
    run = Scenario(pipeline({"loop": loop}))
    run.starts()
    run.is_paused()
    assert run.succeeds("loop[0]/x") == []
    assert run.is_resumed() == ["launch loop[1]/x#1"]


def test_a_run_may_be_paused_before_it_starts():
    run = Scenario(pipeline({"a": leaf()}))
    run.is_paused()
    assert run.starts() == []
    assert run.end is State.PAUSED
    assert run.is_resumed() == ["launch a#1"]


def test_a_run_may_end_while_it_is_paused():
    run = Scenario(pipeline({"a": leaf()}))
    run.starts()
    run.is_paused()
    run.succeeds("a")
    assert (run.end, run.state.paused) == (State.SUCCEEDED, False)


def test_a_cancel_ends_a_pause():
    run = chain()
    run.is_paused()
    run.succeeds("a")
    run.is_cancelled()
    assert run.end is State.CANCELED


def test_an_exit_task_that_a_pause_held_back_runs_after_a_cancel():
    run = Scenario(pipeline({"a": leaf(), "exit": leaf(after=["a"], always=True)}))
    run.starts()
    run.is_paused()
    assert run.succeeds("a") == []
    assert run.is_cancelled() == ["launch exit#1"]


# --- retry -----------------------------------------------------------------------------------


def test_a_retry_keeps_what_succeeded_and_runs_the_rest():
    run = Scenario(pipeline({"a": leaf(gives={"Output": "STRING"}), "b": leaf(after=["a"]), "c": leaf(after=["b"])}))
    run.starts()
    run.succeeds("a", Output="kept")
    run.fails("b")
    assert run.end is State.FAILED
    assert run.is_retried() == ["launch b#2"]
    assert (run.end, run.state.error, run.state.ended_at) == (State.RUNNING, None, None)
    assert run.gives("a") == {"Output": "kept"}
    assert run.states() == {"a": "SUCCEEDED", "b": "PENDING", "c": "PENDING"}
    assert run.succeeds("b") == ["launch c#1"]
    run.succeeds("c")
    assert run.end is State.SUCCEEDED


def test_a_retry_gives_the_policy_afresh():
    run = Scenario(pipeline({"a": leaf(retry=(1, 0))}))
    run.starts()
    run.fails("a")
    run.fails("a")
    assert run.is_retried() == ["launch a#3"]
    assert run.fails("a") == ["launch a#4"]
    assert run.fails("a") == []
    assert run.end is State.FAILED


def test_a_retry_goes_into_pipelines_and_loops():
    loop = group({"x": leaf(), "y": leaf(after=["x"])}, loop="[1, 2]", takes={"item": "NUMBER_INTEGER"})
    run = Scenario(pipeline({"inner": group({"loop": loop})}))
    run.starts()
    run.succeeds("inner/loop[0]/x")
    run.succeeds("inner/loop[0]/y")
    run.succeeds("inner/loop[1]/x")
    run.fails("inner/loop[1]/y")
    assert run.is_retried() == ["launch inner/loop[1]/y#2"]
    run.succeeds("inner/loop[1]/y")
    assert run.end is State.SUCCEEDED


def test_what_a_pause_held_back_keeps_its_order_when_it_is_done_again():
    inner = group({"a": leaf(), "b": leaf(after=["a"])}, after=["u"], always=True)
    run = Scenario(pipeline({"u": leaf(), "inner": inner}))
    run.starts()
    run.fails("u")
    run.succeeds("inner/a")
    run.succeeds("inner/b")
    assert run.is_retried() == ["launch u#2"]
    run.is_paused()
    run.succeeds("u")
    assert run.is_resumed() == ["launch inner/a#2"]
    assert run.succeeds("inner/a") == ["launch inner/b#2"]


def test_a_loop_may_have_fewer_items_when_it_is_done_again_and_more_the_next_time():
    loop = leaf(takes={"all": "LIST"}, wires={"all": out("u", "items")}, loop="all")
    run = Scenario(pipeline({"p": leaf(), "u": leaf(after=["p"], always=True, gives={"items": "LIST"}), "loop": loop}))
    run.starts()
    run.fails("p")
    assert run.succeeds("u", items=[1, 2, 3]) == ["launch loop[0]#1", "launch loop[1]#1", "launch loop[2]#1"]
    for i in range(3):
        run.succeeds(f"loop[{i}]")
    run.is_retried()
    run.fails("p")
    assert run.succeeds("u", items=[1]) == ["launch loop[0]#2"]
    assert (run.code("loop[1]"), run.code("loop[2]")) == ("ITERATION_GONE", "ITERATION_GONE")
    run.succeeds("loop[0]")
    run.is_retried()
    run.succeeds("p")
    assert run.succeeds("u", items=[1, 2]) == ["launch loop[0]#3", "launch loop[1]#2"]
    run.succeeds("loop[0]")
    run.succeeds("loop[1]")
    assert run.end is State.SUCCEEDED


def test_what_depends_on_something_redone_is_redone():
    last = leaf(after=["b"], always=True)
    run = Scenario(pipeline({"a": leaf(), "b": leaf(after=["a"]), "exit": last}))
    run.starts()
    run.succeeds("a")
    run.fails("b")
    run.succeeds("exit")  # It succeeded, but after a failure that is to be undone.
    assert run.is_retried() == ["launch b#2"]
    assert run["exit"].state is State.PENDING
    assert run.succeeds("b") == ["launch exit#2"]


def test_a_condition_is_asked_again():
    task = leaf(condition="inputs.parameter_values['v'] == 'yes'", takes={"v": "STRING"}, wires={"v": out("a")})
    run = Scenario(pipeline({"a": leaf(gives={"Output": "STRING"}), "b": leaf(after=["a"]), "c": task}))
    run.starts()
    run.succeeds("a", Output="no")
    run.fails("b")
    assert run.is_retried() == ["launch b#2"]
    assert (run["c"].state, run.code("c")) == (State.SKIPPED, "CONDITION_FALSE")


def test_a_cancelled_run_may_be_retried():
    run = chain()
    run.is_cancelled()
    run.is_stopped("a")
    assert run.is_retried() == ["launch a#2"]
    assert run.state.cancel_requested is False


def test_a_run_cancelled_before_it_started_may_be_retried_with_its_arguments():
    task = leaf(takes={"v": "STRING"}, wires={"v": param("v")})
    run = Scenario(pipeline({"a": task}, takes={"v": "STRING"}), v="kept")
    run.is_cancelled()
    assert run.is_retried() == ["launch a#1"]
    assert run.gets("a") == {"v": "kept"}


def test_a_retry_of_a_run_that_was_ended_from_outside_waits_for_no_old_attempt():
    run = chain()
    run.succeeds("a")
    run.runs("b")
    ended = {p: msgspec.structs.replace(run[p], state=State.CANCELED) for p in ("b", "c")}
    ended[""] = msgspec.structs.replace(run[""], state=State.FAILED)
    state = msgspec.structs.replace(run.state, state=State.FAILED, executions=run.state.executions.update(ended))
    run.state = engine.restore(run.plan, engine.header(state), state.executions.values())
    assert run.is_retried() == ["launch b#2"]
    assert [str(attempt.state) for attempt in run["b"].attempts] == ["CANCELED", "PENDING"]


def test_a_retry_is_for_runs_that_failed():
    run = chain()
    run.ignores(run.is_retried)
    for path in ("a", "b", "c"):
        run.succeeds(path)
    run.ignores(run.is_retried)


# --- reports that nobody waits for -------------------------------------------------------------


def test_reports_come_late_twice_and_from_nowhere_and_change_nothing():
    run = Scenario(pipeline({"a": leaf(retry=(1, 0)), "b": leaf(after=["a"]), "c": leaf()}))
    run.starts()
    run.runs("a")
    run.ignores(lambda: run.runs("a"), lambda: run.waits("a"), run.starts, run.is_resumed, lambda: run.is_woken(9.0))
    run.fails("a")
    first, reason = run.attempt("a", 1), Reason(code="X", message="late")
    run.ignores(
        lambda: run.happens(AttemptSucceeded(at=9.0, attempt=first, outputs=Bundle())),
        lambda: run.happens(AttemptFailed(at=9.0, attempt=first, error=reason)),
        lambda: run.happens(AttemptFailed(at=9.0, attempt=run.attempt("a", 7), error=reason)),
        lambda: run.happens(AttemptFailed(at=9.0, attempt=run.attempt("b", 1), error=reason)),
        lambda: run.happens(
            AttemptSucceeded(at=9.0, attempt=AttemptId(run_id="r", path="nowhere", number=1), outputs=Bundle())
        ),
        lambda: run.happens(
            AttemptSucceeded(at=9.0, attempt=AttemptId(run_id="other", path="a", number=2), outputs=Bundle())
        ),
        lambda: run.happens(CacheHit(at=9.0, path="a", outputs=Bundle(), cached_from="x")),
        lambda: run.happens(CacheHit(at=9.0, path="nowhere", outputs=Bundle(), cached_from="x")),
    )
    assert run.succeeds("a") == ["launch b#1"]
    run.ignores(lambda: run.fails("a"), lambda: run.is_lost("a"), lambda: run.is_stopped("a"))


def test_nothing_happens_to_a_final_run():
    run = Scenario(pipeline({"a": leaf()}))
    run.starts()
    run.succeeds("a")
    run.ignores(run.starts, run.is_cancelled, run.is_paused, run.is_resumed, lambda: run.is_lost("a"))


def test_a_running_attempt_waits_only_for_the_storing_of_what_it_made():
    run = chain()
    run.runs("a")
    run.waits("a", "WAITING_FOR_SLOT")
    assert run["a"].attempts[-1].waiting is None
    run.waits("a", "STORING_OUTPUTS")
    waiting = run["a"].attempts[-1].waiting
    assert (run["a"].state, waiting and waiting.code) == (State.RUNNING, "STORING_OUTPUTS")
    run.succeeds("a")
    assert run["a"].attempts[-1].waiting is None


def test_what_an_attempt_waits_for_is_told_until_it_runs():
    run = chain()
    run.waits("a", "ENVIRONMENT")
    assert run["a"].attempts[-1].waiting == Reason(code="ENVIRONMENT", message="environment happened")
    run.now = 5.0
    run.runs("a")
    record = run["a"].attempts[-1]
    assert (record.waiting, record.started_at, run["a"].started_at) == (None, 5.0, 5.0)


def test_after_a_restart_the_same_is_wished_for():
    loop = group({"x": leaf(retry=(1, 30))}, loop="[1, 2, 3]", takes={"item": "NUMBER_INTEGER"}, parallelism=2)
    run = Scenario(pipeline({"a": leaf(cache=True), "loop": loop, "after": leaf(after=["a", "loop"])}))
    run.starts()
    run.fails("loop[0]/x")
    wished = run.outstanding()
    assert wished == ["look up a", "launch loop[1]/x#1"]
    run.survives_a_restart()
    assert run.outstanding() == wished
    assert run.is_woken(30.0) == ["launch loop[0]/x#2"]
    run.is_cancelled()
    run.survives_a_restart()
    assert run.outstanding() == ["stop loop[0]/x#2", "stop loop[1]/x#1"]
