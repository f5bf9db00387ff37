"""Attempts of tasks: the next one, what is reported of it, and what follows from its end."""

from __future__ import annotations

from typing import Any

from headrace.engine.endings import cancel_reason, cancels, end
from headrace.engine.marks import mark_fields
from headrace.engine.model import (
    AttemptFailed,
    AttemptId,
    AttemptRecord,
    AttemptStarted,
    AttemptSucceeded,
    AttemptWaiting,
    Execution,
    Kind,
    Reason,
    State,
)
from headrace.engine.redo import begin_dag_again
from headrace.engine.transition import FollowUp, Transition, replace
from headrace.spec.document import RetryPolicy

#: How often an attempt may be lost to infrastructure before its execution fails.
MAX_LOST = 3
#: Seconds before the next attempt after each loss: what has failed the machine once may last a little.
LOST_PAUSES_S = (1.0, 5.0, 25.0)
#: The reason for which an attempt waits whose code has run: it is RUNNING until what it made is stored.
STORING_OUTPUTS = "STORING_OUTPUTS"

_LONGEST_BACKOFF_S = 30 * 86_400.0


def launch(t: Transition, path: str) -> None:
    """Make the next attempt of a task that has begun and has no open one, or begin a DAG's next round."""
    execution = t.executions[path]
    if execution.state is not State.PENDING or not execution.begun or t.state.paused:
        return
    if cancels(t, path):
        end(t, execution, State.CANCELED, cancel_reason(t))
    elif execution.kind is Kind.DAG:
        begin_dag_again(t, execution)
    elif not execution.is_attempted:
        # A resume and a deadline that passed during the pause may both have queued this.
        number = execution.attempts[-1].number + 1 if execution.attempts else 1
        record = AttemptRecord(number=number, state=State.PENDING)
        t.set(execution, attempts=(*execution.attempts, record), retry_at=None)


def attempt_waiting(t: Transition, event: AttemptWaiting) -> None:
    """The executor holds an attempt back: record for what it waits. One that runs waits only for what follows its end.

    Reports may come late: what a running attempt had waited for before its start is ignored.
    """
    live = _live_attempt(t, event.attempt)
    if live is None:
        return
    if live[1].state is State.PENDING or (live[1].state is State.RUNNING and event.reason.code == STORING_OUTPUTS):
        _record(t, live[0], replace(live[1], waiting=event.reason))


def attempt_started(t: Transition, event: AttemptStarted) -> None:
    """The user's code runs: so does the execution, unless it is being cancelled."""
    live = _live_attempt(t, event.attempt)
    if live is None or live[1].state is not State.PENDING:
        return
    execution, record = live
    record = replace(record, state=State.RUNNING, started_at=_not_before(t, execution), waiting=None)
    word = State.CANCELING if execution.state is State.CANCELING else State.RUNNING
    _record(t, execution, record, state=word)


def attempt_succeeded(t: Transition, event: AttemptSucceeded) -> None:
    """The attempt succeeded, and its execution with it; also while it is being cancelled."""
    live = _live_attempt(t, event.attempt)
    if live is not None:
        record = _ended(t, *live, State.SUCCEEDED)
        if live[0].marked is not None:
            _end_marked(t, live[0], record)
            return
        _record(t, live[0], record, state=State.SUCCEEDED, outputs=event.outputs, ended_at=t.at, reason=None)


def attempt_failed(t: Transition, event: AttemptFailed) -> None:
    """The attempt failed: try again as the retry policy says, or fail the execution."""
    live = _live_attempt(t, event.attempt)
    if live is None:
        return
    execution, record = live
    record = _ended(t, execution, record, State.FAILED, event.error)
    if execution.marked is not None:
        _end_marked(t, execution, record)
        return
    if execution.state is State.CANCELING:
        _record(t, execution, record, state=State.CANCELED, ended_at=t.at, reason=cancel_reason(t))
        return
    policy = t.plan.task_at(execution.path).task.retry
    failures = len(execution.attempts) - execution.earlier_attempts - execution.lost_count
    if not event.retryable or policy is None or failures > policy.max_count or cancels(t, execution.path):
        _record(t, execution, record, state=State.FAILED, ended_at=t.at, reason=event.error)
        return
    _try_again(t, execution, record, backoff(policy, failures))


def attempt_lost(t: Transition, attempt: AttemptId, error: Reason) -> None:
    """The attempt is gone without a result: try again after a pause that grows, at most MAX_LOST times."""
    live = _live_attempt(t, attempt)
    if live is None:
        return
    execution, record = live
    if execution.state is State.CANCELING:
        record = _ended(t, execution, record, State.CANCELED)
        if execution.marked is not None:
            _end_marked(t, execution, record)
        else:
            _record(t, execution, record, state=State.CANCELED, ended_at=t.at, reason=cancel_reason(t))
        return
    record = _ended(t, execution, record, State.FAILED, error)
    lost = execution.lost_count + 1
    execution = replace(execution, lost_count=lost)
    if lost > MAX_LOST:
        reason = Reason(
            code="EXECUTOR_LOST",
            message=f"The attempt was lost {lost} times; the last time: {error.message}",
            details={"last": error.code},
        )
        _record(t, execution, record, state=State.FAILED, ended_at=t.at, reason=reason)
    else:
        _try_again(t, execution, record, LOST_PAUSES_S[lost - 1])


def _live_attempt(t: Transition, attempt: AttemptId) -> tuple[Execution, AttemptRecord] | None:
    """The execution and its open attempt, if this is it; None for an old, ended or unknown attempt."""
    execution = t.executions.get(attempt.path)
    if execution is None or attempt.run_id != t.state.run_id or not execution.attempts:
        return None
    record = execution.attempts[-1]
    if record.number != attempt.number or record.state.final or execution.state.final:
        return None
    return execution, record


def _not_before(t: Transition, execution: Execution) -> float:
    """Now, but not before the latest attempt can have begun: clocks differ, and are set."""
    before = execution.attempts[-2].ended_at if len(execution.attempts) > 1 else None
    return max(t.at, *(at for at in (before, execution.created_at, t.at) if at is not None))


def _ended(
    t: Transition, execution: Execution, record: AttemptRecord, state: State, error: Reason | None = None
) -> AttemptRecord:
    """The latest attempt at its end: not before its start, and a start that was never reported is not later."""
    since = _not_before(t, execution) if record.started_at is None else record.started_at
    return replace(record, state=state, started_at=since, ended_at=max(t.at, since), error=error, waiting=None)


def _record(t: Transition, execution: Execution, record: AttemptRecord, **fields: Any) -> Execution:
    """Change the latest attempt of an execution, and fields of the execution, which began with its first attempt."""
    since = record.started_at if execution.started_at is None else execution.started_at
    return t.set(execution, attempts=(*execution.attempts[:-1], record), started_at=since, **fields)


def _try_again(t: Transition, execution: Execution, record: AttemptRecord, delay: float) -> None:
    """The attempt ended without a result that counts: the next one follows after `delay` seconds."""
    retry_at = t.at + delay if delay > 0 else None
    _record(t, execution, record, state=State.PENDING, retry_at=retry_at)
    if retry_at is None:
        t.queue(FollowUp.LAUNCH, execution.path)


def _end_marked(t: Transition, execution: Execution, record: AttemptRecord) -> None:
    """The attempt of a marked task has ended. The mark decides the outcome, not the attempt."""
    assert execution.marked is not None
    _record(t, execution, record, **mark_fields(execution.marked, t.at))


def backoff(policy: RetryPolicy, retry: int) -> float:
    """Seconds to wait before the n-th retry; the first is 1. Source: KFP's retry policy, with limits of our own."""
    try:
        delay = policy.backoff_s * (policy.backoff_factor or 1.0) ** (retry - 1)
    except OverflowError:
        delay = float("inf")
    # A policy without a maximum waits at most a day. Any policy waits at most 30 days, so that the sum is a valid date.
    return min(delay, policy.backoff_max_s or 86_400.0, _LONGEST_BACKOFF_S)
