"""Exit tasks and the status they are told."""

from __future__ import annotations

from engine_story import Story
from headrace.engine.model import State
from properties.documents import const, group, leaf, out, param, pipeline, status

RESOURCE = "p-r"


def with_exit(**fields: object) -> Story:
    notify = leaf(after=["body"], always=True, takes={"s": "TASK_FINAL_STATUS"}, wires={"s": status("body")}, **fields)
    return Story(pipeline({"body": group({"a": leaf(), "b": leaf(after=["a"])}), "notify": notify}))


def test_an_exit_task_runs_after_success():
    run = with_exit()
    run.starts()
    run.succeeds("body/a")
    assert run.succeeds("body/b") == ["launch notify#1"]
    assert run.gets("notify") == {
        "s": {"state": "SUCCEEDED", "pipelineTaskName": "body", "pipelineJobResourceName": RESOURCE, "error": {}}
    }
    run.succeeds("notify")
    assert run.end is State.SUCCEEDED


def test_an_exit_task_runs_after_failure_and_is_told_why_and_the_run_stays_failed():
    run = with_exit()
    run.starts()
    assert run.fails("body/a") == ["launch notify#1"]
    told = run.gets("notify")["s"]
    assert (told["state"], told["error"]["code"], told["error"]["reason"]) == ("FAILED", 2, "TASK_FAILED")
    assert told["error"]["message"] == "body/a: task_failed happened"
    run.succeeds("notify")
    assert run.end is State.FAILED


def test_a_timeout_has_its_own_code_in_the_status():
    run = with_exit()
    run.starts()
    run.fails("body/a", "TIMEOUT")
    assert run.gets("notify")["s"]["error"]["code"] == 4


def test_an_exit_task_runs_after_a_cancel_and_the_run_stays_cancelled():
    run = with_exit()
    run.starts()
    run.runs("body/a")
    assert run.is_cancelled() == ["stop body/a#1"]
    assert run.is_stopped("body/a") == ["launch notify#1"]
    told = run.gets("notify")["s"]
    assert (told["state"], told["error"]["code"]) == ("CANCELED", 1)
    run.runs("notify")
    assert run.end is State.CANCELING
    run.succeeds("notify")
    assert run.end is State.CANCELED


def test_a_cancel_does_not_stop_an_exit_task_under_way():
    run = with_exit()
    run.starts()
    run.fails("body/a")
    assert run.is_cancelled() == []
    assert run.outstanding() == ["launch notify#1"]
    run.succeeds("notify")
    assert run.end is State.CANCELED


def test_an_exit_tasks_own_failure_fails_the_run():
    run = with_exit()
    run.starts()
    run.succeeds("body/a")
    run.succeeds("body/b")
    run.fails("notify")
    assert run.end is State.FAILED
    assert run.state.error is not None and run.state.error.details["path"] == "notify"


def test_an_exit_pipeline_is_told_the_status_and_is_not_cancelled():
    inner = group(
        {"x": leaf(takes={"s": "TASK_FINAL_STATUS"}, wires={"s": param("s")}), "y": leaf(after=["x"])},
        after=["body"], always=True, takes={"s": "TASK_FINAL_STATUS"}, wires={"s": status("body")},
    )  # fmt: skip
    run = Story(pipeline({"body": leaf(), "notify": inner}))
    run.starts()
    assert run.fails("body") == ["launch notify/x#1"]
    assert run.gets("notify/x")["s"]["state"] == "FAILED"
    run.is_cancelled()
    assert run.succeeds("notify/x") == ["launch notify/y#1"]


def test_ignoring_a_failure_upstream_takes_the_default_for_what_is_missing():
    task = leaf(always=True, takes={"v": {"parameterType": "STRING", "isOptional": True, "defaultValue": "none"}},
                wires={"v": out("a")})  # fmt: skip
    run = Story(pipeline({"a": leaf(gives={"Output": "STRING"}), "after": task}))
    run.starts()
    assert run.fails("a") == ["launch after#1"]
    assert run.gets("after") == {"v": "none"}


def test_ignoring_a_failure_upstream_without_a_default_fails_the_task():
    task = leaf(always=True, takes={"v": "STRING"}, wires={"v": out("a")})
    run = Story(pipeline({"a": leaf(gives={"Output": "STRING"}), "after": task}))
    run.starts()
    run.fails("a")
    assert (run["after"].state, run.code("after")) == (State.FAILED, "INPUT_MISSING")


def test_an_exit_task_runs_though_the_body_was_skipped():
    body = leaf(condition="inputs.parameter_values['v'] == 'yes'", takes={"v": "STRING"}, wires={"v": const("no")})
    notify = leaf(after=["body"], always=True, takes={"s": "TASK_FINAL_STATUS"}, wires={"s": status("body")})
    run = Story(pipeline({"body": body, "notify": notify}))
    assert run.starts() == ["launch notify#1"]
    assert run.gets("notify")["s"]["state"] == "SKIPPED"
