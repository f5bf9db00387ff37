"""Time limits of a run, and how long its files are kept."""

from __future__ import annotations

import msgspec
import pytest

from headrace import engine
from headrace.engine.model import State
from headrace.spec.document import Document
from properties.documents import leaf, pipeline
from scenario import Scenario


def with_config(document: Document, **config: object) -> Document:
    kubernetes = msgspec.structs.replace(document.kubernetes, pipeline_config=config)
    return msgspec.structs.replace(document, kubernetes=kubernetes)


def limited() -> Scenario:
    tasks = {"a": leaf(retry=(5, 600)), "b": leaf(after=["a"]), "exit": leaf(after=["a", "b"], always=True)}
    run = Scenario(with_config(pipeline(tasks), activeDeadlineSeconds=60))
    run.starts()
    return run


def test_a_run_that_takes_too_long_is_stopped_and_fails_after_its_exit_tasks():
    run = limited()
    assert engine.wake_at(run.state) == 60
    assert run.is_woken(59) == []
    assert run.is_woken(60) == ["stop a#1"]
    assert run.end is State.CANCELING
    run.survives_a_restart()
    assert run.is_stopped("a") == ["launch exit#1"]
    assert run.states() == {"a": "CANCELED", "b": "CANCELED", "exit": "PENDING"}
    run.succeeds("exit")
    assert (run.end, run.code("b"), run.state.error.code) == (State.FAILED, "RUN_TIMEOUT", "RUN_TIMEOUT")
    assert engine.wake_at(run.state) is None


def test_a_pause_does_not_stop_the_clock():
    run = limited()
    run.is_paused()
    assert engine.wake_at(run.state) == 60
    assert run.is_woken(61) == ["stop a#1"]


def test_a_resume_after_the_limit_launches_an_exit_task_once():
    run = Scenario(with_config(pipeline({"exit": leaf(always=True), "b": leaf()}), activeDeadlineSeconds=60))
    run.starts()
    run.is_paused()
    run.is_lost("exit")
    run.now = 61.0
    assert sorted(run.is_resumed()) == ["launch exit#2", "stop b#1"]
    assert len(run["exit"].attempts) == 2


def test_a_limit_that_passes_while_a_retry_waits():
    run = limited()
    run.fails("a")
    assert engine.wake_at(run.state) == 60
    assert run.is_woken(60) == ["launch exit#1"]


def test_a_retry_of_the_run_has_the_whole_time_again():
    run = limited()
    run.is_woken(60)
    run.is_stopped("a")
    run.succeeds("exit")
    run.now = 100.0
    assert run.is_retried() == ["launch a#2"]
    assert (engine.wake_at(run.state), run.state.timed_out) == (160, False)


def test_after_a_cancel_the_limit_means_nothing():
    run = limited()
    run.is_cancelled()
    assert engine.wake_at(run.state) is None
    run.ignores(lambda: run.is_woken(100))
    run.is_stopped("a")
    run.succeeds("exit")
    assert run.end is State.CANCELED


@pytest.mark.parametrize("value", [0, -5, None, "soon", True, 1e300])
def test_what_is_no_limit(value: object):
    plan = engine.plan(with_config(pipeline({"a": leaf()}), activeDeadlineSeconds=value))
    assert engine.run_timeout_s(plan) is None


@pytest.mark.parametrize(
    ("config", "success", "failure"),
    [
        ({}, None, None),
        ({"resourceTtlOnCompletion": 10}, 10, 10),
        ({"resourceTtlOnCompletion": 10, "resourceTtlOnSuccess": 5}, 5, 10),
        ({"resource_ttl_on_failure": "7"}, None, 7),
    ],
)
def test_how_long_files_are_kept(config: dict, success: float | None, failure: float | None):
    plan = engine.plan(with_config(pipeline({"a": leaf()}), **config))
    kept = [engine.time_to_live_s(plan, state) for state in (State.SUCCEEDED, State.FAILED, State.CANCELED)]
    assert kept == [success, failure, failure]
