"""How a DAG or loop is begun again (a retried run, a retry policy): what it keeps and what it resets."""

from __future__ import annotations

from headrace.engine.index import count_dag_children, count_loop_children, unmet_below
from headrace.engine.model import AttemptRecord, Bundle, Execution, Kind, State
from headrace.engine.plan import child_path
from headrace.engine.transition import FollowUp, Transition, replace


def redo_dag(t: Transition, path: str) -> None:
    """Reset the children of a DAG that did not succeed and all that depends on them; keep the others."""
    dag = t.plan.dag_at(path)
    redone: set[str] = set()
    for name, task in dag.tasks.items():
        child = t.executions[child_path(path, name)]
        upstream = any(other in redone for other in task.dependencies)
        if not upstream and _keeps_outcome(child):
            continue
        redone.add(name)
        if upstream or not _is_begun_group(child):
            reset_tree(t, child.path)
        else:
            _redo_group(t, child)
    t.child_counts[path] = count_dag_children(dag, path, t.executions)
    for waiting, count in unmet_below(dag, path, t.executions).items():
        t.unmet[waiting] = count
    ready = (child_path(path, name) for name in dag.tasks if name in redone)
    for task_path in ready:
        if task_path not in t.unmet:
            t.queue(FollowUp.CONSIDER, task_path)
    t.queue(FollowUp.FINISH, path)


def begin_dag_again(t: Transition, execution: Execution) -> None:
    """The next round of a failed DAG, by its retry policy."""
    t.set(execution, state=State.RUNNING, retry_at=None, reason=None, retries=execution.retries + 1)
    redo_dag(t, execution.path)


def _redo_group(t: Transition, execution: Execution) -> None:
    """Continue a DAG or loop that had begun and did not succeed; it keeps its inputs."""
    t.put(
        replace(
            execution, state=State.RUNNING, reason=None, ended_at=None, retry_at=None, retries=0, outputs=Bundle()
        )
    )  # fmt: skip
    if execution.kind is Kind.LOOP:
        _redo_loop(t, execution)
    else:
        redo_dag(t, execution.path)


def _redo_loop(t: Transition, loop: Execution) -> None:
    for child in t.children(loop):
        if _keeps_outcome(child):
            continue
        if _is_begun_group(child):
            # Its tasks stay as they are until `fill_loop` has room for it again: see `groups.begin_dag`.
            t.put(fresh(child))
            t.child_counts.pop(child.path, None)
        else:
            reset_tree(t, child.path)
    t.child_counts[loop.path] = count_loop_children(t.executions[loop.path], t.executions)
    t.queue(FollowUp.FILL_LOOP, loop.path)
    t.queue(FollowUp.FINISH, loop.path)


def _is_begun_group(execution: Execution) -> bool:
    return execution.begun and execution.kind in (Kind.DAG, Kind.LOOP)


def _keeps_outcome(execution: Execution) -> bool:
    """Whether it stays as it is when its DAG is begun again: it succeeded, or a user decided its outcome."""
    return execution.state is State.SUCCEEDED or (execution.marked is not None and execution.state.final)


def reset_tree(t: Transition, path: str) -> None:
    """Reset an execution and all below it. Attempts stay as history, so numbers go on from there."""
    for below in t.tree(path):
        t.put(fresh(t.executions[below]))
        t.child_counts.pop(below, None)
        t.unmet.pop(below, None)


def fresh(execution: Execution) -> Execution:
    """The execution as if it had not begun; its attempts stay as history."""
    return Execution(
        path=execution.path, task=execution.task, kind=execution.kind, state=State.PENDING, parent=execution.parent,
        iteration=execution.iteration, iteration_count=execution.iteration_count,
        attempts=tuple(_closed_attempt(attempt) for attempt in execution.attempts),
        earlier_attempts=len(execution.attempts), created_at=execution.created_at,
    )  # fmt: skip


def _closed_attempt(attempt: AttemptRecord) -> AttemptRecord:
    """An attempt that was still open when the run was ended from outside is cancelled; no event for it will come."""
    return attempt if attempt.state.final else replace(attempt, state=State.CANCELED, waiting=None)
