from __future__ import annotations

import pytest

from headrace import engine
from headrace.engine.attempts import backoff
from headrace.engine.model import State
from headrace.spec.document import RetryPolicy
from properties.documents import group, leaf, pipeline
from scenario import Scenario


def attempts(run: Scenario, path: str) -> list[tuple[int, str]]:
    return [(a.number, str(a.state)) for a in run[path].attempts]


def test_a_failure_is_tried_again_after_a_growing_pause():
    run = Scenario(pipeline({"a": leaf(retry=(2, 10)), "b": leaf(after=["a"])}))
    run.starts()
    run.now = 100.0
    assert run.fails("a") == []
    assert (run["a"].state, run["a"].retry_at) == (State.PENDING, 110.0)
    assert engine.wake_at(run.state) == 110.0
    assert run.is_woken(109.0) == []
    assert run.is_woken(110.0) == ["launch a#2"]
    assert engine.wake_at(run.state) is None
    assert run.fails("a") == []
    assert run["a"].retry_at == 130.0  # Twice as long.
    assert run.is_woken(130.0) == ["launch a#3"]
    assert run.succeeds("a") == ["launch b#1"]
    assert attempts(run, "a") == [(1, "FAILED"), (2, "FAILED"), (3, "SUCCEEDED")]
    assert run["a"].reason is None


def test_retries_end():
    run = Scenario(pipeline({"a": leaf(retry=(1, 0))}))
    run.starts()
    assert run.fails("a") == ["launch a#2"]
    assert run.fails("a") == []
    assert (run["a"].state, run.end) == (State.FAILED, State.FAILED)


def test_without_a_policy_there_is_one_attempt():
    run = Scenario(pipeline({"a": leaf()}))
    run.starts()
    assert run.fails("a") == []
    assert run.end is State.FAILED


def test_what_cannot_be_helped_by_trying_again_is_not_tried_again():
    run = Scenario(pipeline({"a": leaf(retry=(5, 0))}))
    run.starts()
    assert run.fails("a", "NO_CONTAINER_ENGINE", retryable=False) == []
    assert run.code("a") == "NO_CONTAINER_ENGINE"


def lost_and_due(run: Scenario, path: str) -> list[str]:
    """The attempt is lost, and its pause passes."""
    assert run.is_lost(path) == []
    run.now = run[path].retry_at or 0.0
    return run.is_woken(run.now)


def test_a_lost_attempt_is_repeated_without_a_policy_after_pauses_that_grow():
    run = Scenario(pipeline({"a": leaf()}))
    run.starts()
    run.runs("a")
    assert lost_and_due(run, "a") == ["launch a#2"]
    assert run.now == 1.0
    assert lost_and_due(run, "a") == ["launch a#3"]
    assert run.now == 6.0
    run.succeeds("a")
    assert run.end is State.SUCCEEDED
    assert attempts(run, "a") == [(1, "FAILED"), (2, "FAILED"), (3, "SUCCEEDED")]


def test_losses_do_not_count_as_retries():
    run = Scenario(pipeline({"a": leaf(retry=(1, 0))}))
    run.starts()
    assert lost_and_due(run, "a") == ["launch a#2"]
    assert run.fails("a") == ["launch a#3"]
    assert lost_and_due(run, "a") == ["launch a#4"]
    assert run.fails("a") == []


def test_losses_end():
    run = Scenario(pipeline({"a": leaf()}))
    run.starts()
    for number in range(engine.MAX_LOST):
        assert lost_and_due(run, "a") == [f"launch a#{number + 2}"]
    assert run.is_lost("a") == []
    assert (run.code("a"), run.end) == ("EXECUTOR_LOST", State.FAILED)
    assert "host_restarted happened" in run.message("a")


def test_an_attempt_that_somebody_else_stopped_is_as_good_as_lost():
    run = Scenario(pipeline({"a": leaf()}))
    run.starts()
    assert run.is_stopped("a") == []
    assert run.is_woken(1.0) == ["launch a#2"]


def test_a_pipelines_policy_repeats_what_did_not_succeed_in_it():
    inner = group({"a": leaf(), "b": leaf(after=["a"]), "c": leaf(after=["b"]), "d": leaf()}, retry=(1, 10))
    run = Scenario(pipeline({"inner": inner, "after": leaf(after=["inner"])}))
    run.starts()
    run.succeeds("inner/a")
    run.succeeds("inner/d")
    assert run.fails("inner/b") == []
    assert (run["inner"].state, run["inner"].retry_at, run["after"].state) == (State.PENDING, 10.0, State.PENDING)
    assert run.is_woken(10.0) == ["launch inner/b#2"]
    assert run.states()["inner/c"] == "PENDING"
    assert run.succeeds("inner/b") == ["launch inner/c#1"]
    assert run.succeeds("inner/c") == ["launch after#1"]
    assert run["inner"].retries == 1


def test_a_pipelines_policy_ends():
    run = Scenario(pipeline({"inner": group({"a": leaf()}, retry=(1, 0))}))
    run.starts()
    assert run.fails("inner/a") == ["launch inner/a#2"]
    assert run.fails("inner/a") == []
    assert run.end is State.FAILED


def test_a_task_in_a_repeated_pipeline_has_its_own_retries_each_time():
    run = Scenario(pipeline({"inner": group({"a": leaf(retry=(1, 0))}, retry=(1, 0))}))
    run.starts()
    assert [run.fails("inner/a")[0] for _ in range(3)] == [f"launch inner/a#{n}" for n in (2, 3, 4)]
    assert run.fails("inner/a") == []
    assert run.end is State.FAILED


def test_a_loops_policy_is_each_iterations():
    loop = group({"x": leaf()}, loop="[1, 2]", takes={"item": "NUMBER_INTEGER"}, retry=(1, 0))
    run = Scenario(pipeline({"loop": loop}))
    run.starts()
    assert run.fails("loop[0]/x") == ["launch loop[0]/x#2"]
    assert run.fails("loop[1]/x") == ["launch loop[1]/x#2"]
    assert run.fails("loop[0]/x") == []
    assert run.succeeds("loop[1]/x") == []
    assert (run["loop[0]"].state, run["loop[1]"].state) == (State.FAILED, State.SUCCEEDED)


def test_a_cancel_ends_what_waits_for_a_retry():
    run = Scenario(pipeline({"a": leaf(retry=(3, 60)), "inner": group({"b": leaf()}, retry=(3, 60))}))
    run.starts()
    run.fails("a")
    run.fails("inner/b")
    assert run.is_cancelled() == []
    assert run.end is State.CANCELED
    assert engine.wake_at(run.state) is None
    assert run.is_woken(1000.0) == []


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (RetryPolicy(max_count=3, backoff_s=1, backoff_factor=2, backoff_max_s=3), [1, 2, 3, 3]),
        (RetryPolicy(max_count=3, backoff_s=5), [5, 5, 5]),
        (RetryPolicy(max_count=3), [0, 0]),
        (RetryPolicy(max_count=3, backoff_s=1e9, backoff_factor=1e300), [86_400, 86_400]),
        (RetryPolicy(max_count=3, backoff_s=float("inf"), backoff_max_s=float("inf")), [30 * 86_400]),
    ],
)
def test_backoff(policy: RetryPolicy, delays: list[float]):
    assert [backoff(policy, n + 1) for n in range(len(delays))] == delays
