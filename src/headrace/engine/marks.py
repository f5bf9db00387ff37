"""Marks: a user decides the outcome of a task."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from headrace.engine.index import count_dag_children, count_loop_children, unmet_below
from headrace.engine.mark_checks import mark_reason, mark_refused
from headrace.engine.model import Bundle, Execution, ExecutionMarked, Kind, Mark, State
from headrace.engine.plan import child_path
from headrace.engine.redo import fresh, reset_tree
from headrace.engine.transition import FollowUp, Transition, replace


def mark_execution(t: Transition, event: ExecutionMarked) -> None:
    """A user decides the outcome of a task: now, or, when it runs, as soon as its attempt has been stopped.

    Tasks that have run are not run again. Tasks that did not begin because of this one may begin.
    """
    execution = t.executions.get(event.path)
    if execution is None or mark_refused(t.state, t.executions, execution, event.state) is not None:
        return
    mark = Mark(state=event.state, by=event.by, note=event.note, at=t.at, outputs=event.outputs)
    if execution.state.final:
        t.put(replace(execution, **mark_fields(mark, t.at)))
        _reopen_above(t, t.executions[event.path])
    elif execution.is_attempted:
        t.set(execution, state=State.CANCELING, marked=mark)
    else:
        t.set(execution, **mark_fields(mark, t.at))
        if execution.iteration is not None and execution.parent is not None:
            # It may have been the iteration that begins next.
            _recount(t, execution.parent)


def mark_fields(mark: Mark, at: float) -> dict[str, Any]:
    """The fields of an execution that change when its mark takes effect, and their values."""
    return {
        "state": mark.state, "outputs": mark.outputs, "reason": mark_reason(mark),
        "marked": replace(mark, outputs=Bundle()), "ended_at": at,
        "retry_at": None, "looking_up": False, "cached_from": None,
    }  # fmt: skip


def _reopen_above(t: Transition, changed: Execution) -> None:
    """A final task has another outcome now: in all groups around it, tasks that it kept from running may begin."""
    chain = [changed]
    while (above := chain[-1].parent) is not None and t.executions[above].state.final:
        chain.append(t.executions[above])
    top = chain[-1]
    holder = t.executions[top.parent] if top.parent is not None else None
    if holder is not None and top is not changed and top.iteration is not None and _is_full(t, holder):
        # Its tasks stay as they are until `fill_loop` has room for it again: see `groups.begin_dag`.
        t.put(fresh(top))
    else:
        for child, group in pairwise(chain):
            _reset_blocked(t, group.path, child)
            t.put(replace(group, state=State.RUNNING, reason=None, ended_at=None, outputs=Bundle()))
            _recount(t, group.path)
    if holder is None:
        t.change_run(state=State.RUNNING, error=None, ended_at=None)
    else:
        _reset_blocked(t, holder.path, top)
        _recount(t, holder.path)


def _is_full(t: Transition, loop: Execution) -> bool:
    """Whether as many iterations run as the loop's parallelism allows."""
    iterator = t.plan.task_at(loop.path).iterator
    limit, counts = (iterator.parallelism if iterator else 0), t.child_counts.get(loop.path)
    return bool(limit) and counts is not None and counts.active >= limit


def _reset_blocked(t: Transition, path: str, child: Execution) -> None:
    """Reset the tasks of a DAG that ended without beginning because of this child."""
    if child.iteration is not None:
        return
    freed = {child.task}
    for name, task in t.plan.dag_at(path).tasks.items():
        other = t.executions[child_path(path, name)]
        waited = not freed.isdisjoint(task.dependencies)
        if waited and other.state.final and not other.begun and other.marked is None:
            reset_tree(t, other.path)
            freed.add(name)


def _recount(t: Transition, path: str) -> None:
    """Count the children of a group again, and queue what follows."""
    execution = t.executions[path]
    if execution.kind is Kind.LOOP:
        t.child_counts[path] = count_loop_children(execution, t.executions)
        t.queue(FollowUp.FILL_LOOP, path)
    else:
        dag = t.plan.dag_at(path)
        t.child_counts[path] = count_dag_children(dag, path, t.executions)
        for waiting, count in unmet_below(dag, path, t.executions).items():
            t.unmet[waiting] = count
        ready = (child_path(path, name) for name in dag.tasks)
        for task_path in ready:
            if task_path not in t.unmet:
                t.queue(FollowUp.CONSIDER, task_path)
    t.queue(FollowUp.FINISH, path)
