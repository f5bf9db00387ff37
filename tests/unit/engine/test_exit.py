"""Exit tasks and the status they are told."""

from __future__ import annotations

from headrace.engine.model import State
from properties.documents import const, group, leaf, out, param, pipeline, status
from scenario import Scenario

RESOURCE = "p-r"


def with_exit(**fields: object) -> Scenario:
    notify = leaf(after=["body"], always=True, takes={"s": "TASK_FINAL_STATUS"}, wires={"s": status("body")}, **fields)
    return Scenario(pipeline({"body": group({"a": leaf(), "b": leaf(after=["a"])}), "notify": notify}))


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
    run = Scenario(pipeline({"body": leaf(), "notify": inner}))
    run.starts()
    assert run.fails("body") == ["launch notify/x#1"]
    assert run.gets("notify/x")["s"]["state"] == "FAILED"
    run.is_cancelled()
    assert run.succeeds("notify/x") == ["launch notify/y#1"]


def test_ignoring_a_failure_upstream_takes_the_default_for_what_is_missing():
    task = leaf(always=True, takes={"v": {"parameterType": "STRING", "isOptional": True, "defaultValue": "none"}},
                wires={"v": out("a")})  # fmt: skip
    run = Scenario(pipeline({"a": leaf(gives={"Output": "STRING"}), "after": task}))
    run.starts()
    assert run.fails("a") == ["launch after#1"]
    assert run.gets("after") == {"v": "none"}


def test_ignoring_a_failure_upstream_without_a_default_fails_the_task():
    task = leaf(always=True, takes={"v": "STRING"}, wires={"v": out("a")})
    run = Scenario(pipeline({"a": leaf(gives={"Output": "STRING"}), "after": task}))
    run.starts()
    run.fails("a")
    assert (run["after"].state, run.code("after")) == (State.FAILED, "INPUT_MISSING")


def test_an_exit_task_runs_though_the_body_was_skipped():
    body = leaf(condition="inputs.parameter_values['v'] == 'yes'", takes={"v": "STRING"}, wires={"v": const("no")})
    notify = leaf(after=["body"], always=True, takes={"s": "TASK_FINAL_STATUS"}, wires={"s": status("body")})
    run = Scenario(pipeline({"body": body, "notify": notify}))
    assert run.starts() == ["launch notify#1"]
    assert run.gets("notify")["s"]["state"] == "SKIPPED"


# --- where several of them, or groups, are about -------------------------------------------------


def exit_task(name: str, *more: str) -> dict:
    return leaf(after=[name, *more], always=True, takes={"s": "TASK_FINAL_STATUS"}, wires={"s": status(name)})


def test_two_exit_tasks_of_one_body_both_run_and_each_once():
    run = Scenario(pipeline({"body": leaf(), "mail": exit_task("body"), "clean": exit_task("body")}))
    run.starts()
    assert sorted(run.fails("body")) == ["launch clean#1", "launch mail#1"]
    run.succeeds("mail")
    run.succeeds("clean")
    assert (run.end, len(run["mail"].attempts), len(run["clean"].attempts)) == (State.FAILED, 1, 1)


def test_an_exit_task_of_several_waits_for_the_last_and_runs_once():
    run = Scenario(pipeline({"a": leaf(), "b": leaf(), "c": leaf(condition="1 == 2"), "e": exit_task("a", "b", "c")}))
    run.starts()
    assert run.fails("a") == []
    assert run.succeeds("b") == ["launch e#1"]
    assert run.gets("e")["s"]["state"] == "FAILED"


def looped_handlers(**loop: object) -> Scenario:
    each = group(
        {"body": group({"x": leaf()}), "clean": exit_task("body")}, loop="[1, 2, 3]",
        takes={"item": "NUMBER_INTEGER"}, **loop,
    )  # fmt: skip
    run = Scenario(pipeline({"each": each, "last": leaf(after=["each"])}))
    run.starts()
    return run


def test_an_exit_handler_in_a_loop_cleans_up_after_each_iteration():
    run = looped_handlers()
    assert run.fails("each[1]/body/x") == ["launch each[1]/clean#1"]
    assert run.succeeds("each[0]/body/x") == ["launch each[0]/clean#1"]
    run.succeeds("each[2]/body/x")
    for i in range(3):
        run.succeeds(f"each[{i}]/clean")
    assert (run["each[1]"].state, run["each"].state, run["last"].state) == (State.FAILED, State.FAILED, State.SKIPPED)


def test_after_a_cancel_only_iterations_that_had_begun_clean_up():
    run = looped_handlers(parallelism=1)
    run.runs("each[0]/body/x")
    assert run.is_cancelled() == ["stop each[0]/body/x#1"]
    assert run.is_stopped("each[0]/body/x") == ["launch each[0]/clean#1"]
    assert run.gets("each[0]/clean")["s"]["state"] == "CANCELED"
    run.succeeds("each[0]/clean")
    assert (run.end, run["each[1]"].state) == (State.CANCELED, State.CANCELED)
    assert "each[1]/clean" not in run.state.executions


def test_an_exit_handler_in_a_branch_that_is_not_taken_never_happens():
    branch = group({"body": leaf(), "clean": exit_task("body")}, condition="1 == 2")
    run = Scenario(pipeline({"branch": branch}))
    assert run.starts() == []
    assert (run.end, run.states()) == (State.SUCCEEDED, {"branch": "SKIPPED"})


def test_a_retry_of_the_run_lets_the_exit_task_run_once_more():
    run = with_exit()
    run.starts()
    run.fails("body/a")
    run.succeeds("notify")
    assert run.is_retried() == ["launch body/a#2"]
    run.succeeds("body/a")
    assert run.succeeds("body/b") == ["launch notify#2"]
    assert run.gets("notify")["s"]["state"] == "SUCCEEDED"
    run.succeeds("notify")
    assert run.end is State.SUCCEEDED


def test_a_cancel_reaches_what_waits_for_a_retry_the_cache_an_import_or_a_pause_and_lets_exit_tasks_run():
    imports = {"importer": {"artifactUri": {"constant": "s3://b/k"}, "typeSchema": {"schemaTitle": "system.Model"}}}
    tasks = {
        "retries": leaf(retry=(3, 60)), "asks": leaf(cache=True), "imports": leaf(executor=imports, makes=("artifact",)),
        "later": leaf(after=["retries"]), "runs": leaf(),
    }  # fmt: skip
    run = Scenario(pipeline({**tasks, "exit": exit_task("retries", *tasks)}))
    run.starts()
    run.fails("retries")
    run.is_paused()
    assert sorted(run.is_cancelled()) == ["stop imports#1", "stop runs#1"]
    assert {run[name].state for name in ("retries", "asks", "later")} == {State.CANCELED}
    run.ignores(lambda: run.hits("asks"))
    run.is_stopped("imports")
    assert run.is_stopped("runs") == ["launch exit#1"]
    run.succeeds("exit")
    assert run.end is State.CANCELED
