"""What users and the clock ask of a run: cancel, pause, resume, retry, deadlines."""

from __future__ import annotations

from headrace.engine.endings import cancel_reason, end, survives_cancel
from headrace.engine.model import Bundle, Execution, Kind, State
from headrace.engine.redo import fresh, redo_dag
from headrace.engine.sorting import sorted_in_pieces
from headrace.engine.start import begin_run, deadline
from headrace.engine.transition import FollowUp, Transition, replace


def cancel_run(t: Transition) -> None:
    """End all that has not begun, and stop all that runs, but for exit tasks and what is inside them."""
    if t.state.state.final or t.state.cancel_requested:
        return
    t.change_run(cancel_requested=True, paused=False, state=State.CANCELING)
    live = (p for p, e in t.state.executions.items() if not e.state.final and not survives_cancel(t, p))
    for path in sorted_in_pieces(live):
        _cancel_one(t, t.executions[path])
    # Exit tasks that a pause held back may begin: a cancel does not stop them.
    _begin_held_back(t)


def _cancel_one(t: Transition, execution: Execution) -> None:
    """End the execution, or, when attempts or children of it run, let it end with them."""
    if execution.state.final:
        return  # It ended with the DAG around it.
    if execution.is_attempted or (execution.path in t.child_counts and execution.state is not State.PENDING):
        t.set(execution, state=State.CANCELING)
    else:
        end(t, execution, State.CANCELED, cancel_reason(t))
        if execution.kind is Kind.ROOT:
            t.change_run(state=State.CANCELED, error=cancel_reason(t), ended_at=t.executions[execution.path].ended_at)


def pause_run(t: Transition) -> None:
    """Begin nothing more; what runs goes on."""
    if t.state.state in (State.PENDING, State.RUNNING):
        word = State.PAUSED if t.state.state is State.RUNNING else t.state.state
        t.change_run(paused=True, state=word)


def resume_run(t: Transition) -> None:
    """Begin what the pause held back, and what became due meanwhile."""
    if t.state.paused and not t.state.state.final:
        word = State.RUNNING if t.executions[""].begun else State.PENDING
        t.change_run(paused=False, state=word)
        _begin_held_back(t)
        tick(t)


def _begin_held_back(t: Transition) -> None:
    """Queue all that would have begun during a pause."""
    for path in sorted_in_pieces(t.state.executions):
        execution = t.executions[path]
        if execution.state is State.PENDING:
            _begin_one_held_back(t, execution)
        elif execution.kind is Kind.LOOP and path in t.child_counts:
            t.queue(FollowUp.FILL_LOOP, path)


def _begin_one_held_back(t: Transition, execution: Execution) -> None:
    """Queue a PENDING execution, unless it waits for a retry, the cache, an attempt or upstream tasks."""
    if execution.begun:
        waits = execution.retry_at is not None or execution.looking_up
        if not waits and not execution.is_attempted:
            t.queue(FollowUp.LAUNCH, execution.path)
    elif execution.iteration is None and execution.path and execution.path not in t.unmet:
        t.queue(FollowUp.CONSIDER, execution.path)


def tick(t: Transition) -> None:
    """Time has passed: cancel the run if its time limit is over, and launch the retries that are due."""
    limit = t.state.deadline_at
    if limit is not None and limit <= t.at and not t.state.cancel_requested:
        t.change_run(timed_out=not t.state.state.final)
        cancel_run(t)
    if t.state.paused:
        return
    for path in sorted_in_pieces(p for p, due in t.state.index.due.items() if due <= t.at):
        t.set(t.executions[path], retry_at=None)
        t.queue(FollowUp.LAUNCH, path)


def retry_run(t: Transition) -> None:
    """Run again what did not succeed in a failed or cancelled run, and what depends on it."""
    root = t.executions[""]
    if t.state.state not in (State.FAILED, State.CANCELED):
        return
    t.change_run(
        cancel_requested=False, timed_out=False, paused=False, error=None, ended_at=None, state=State.RUNNING,
        deadline_at=deadline(t),
    )  # fmt: skip
    if not root.begun:
        root = replace(fresh(root), inputs=t.state.inputs)
        t.put(root)
        begin_run(t, root)
        return
    t.put(replace(root, state=State.RUNNING, reason=None, ended_at=None, outputs=Bundle()))
    redo_dag(t, "")
