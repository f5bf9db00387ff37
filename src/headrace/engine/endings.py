"""How executions end without an attempt (skipped, failed, cancelled), and which of them a cancel concerns."""

from __future__ import annotations

from headrace.engine.model import Execution, Kind, Reason, State
from headrace.engine.transition import Transition, replace

_CANCELED = Reason(code="RUN_CANCELED", message="The run was cancelled.")
_TIMED_OUT = Reason(code="RUN_TIMEOUT", message="The run's time limit has passed (activeDeadlineSeconds).")


def end(t: Transition, execution: Execution, state: State, reason: Reason) -> None:
    """End an execution that has no open attempt."""
    t.set(execution, state=state, reason=reason, ended_at=t.at, retry_at=None, looking_up=False)
    if execution.kind in (Kind.DAG, Kind.LOOP) and not execution.begun:
        close_tree(t, execution.path, State.CANCELED if state is State.CANCELED else State.SKIPPED, reason)


def close_tree(t: Transition, path: str, state: State, reason: Reason) -> None:
    """End what is open below an execution that ends without beginning: it was reset, and its children remained."""
    for below in t.tree(path):
        old = t.executions[below]
        if not old.state.final:
            t.put(replace(old, state=state, reason=reason, ended_at=t.at, retry_at=None))


def cancels(t: Transition, path: str) -> bool:
    """Whether a cancel was requested that concerns this execution."""
    return t.state.cancel_requested and not survives_cancel(t, path)


def survives_cancel(t: Transition, path: str) -> bool:
    """Whether it is an exit task or inside of one: a cancel lets these run."""
    at: str | None = path
    while at:
        if t.plan.task_at(at).task.runs_after_failure:
            return True
        at = t.executions[at].parent
    return False


def cancel_reason(t: Transition) -> Reason:
    """The reason of executions that a cancel ends."""
    return _TIMED_OUT if t.state.timed_out else _CANCELED
