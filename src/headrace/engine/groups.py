"""DAGs: how they begin with their tasks, and how DAGs and loops end."""

from __future__ import annotations

from headrace.engine.attempts import backoff
from headrace.engine.endings import cancel_reason, cancels
from headrace.engine.inputs import Fault
from headrace.engine.model import Bundle, ChildCounts, Execution, Kind, State
from headrace.engine.outputs import dag_outputs, dag_state, first_cause, loop_outputs
from headrace.engine.plan import MAX_EXECUTIONS, DagPlan, child_path
from headrace.engine.redo import redo_dag
from headrace.engine.reuse import reused_group
from headrace.engine.transition import LIVE_GROUP, FollowUp, Transition


def begin_dag(t: Transition, execution: Execution, dag: DagPlan) -> None:
    """Begin a nested DAG, for the first time or again; raises Fault when the run would become too large."""
    again = any(child_path(execution.path, name) in t.executions for name in dag.roots[:1])
    check_room(t, 0 if again else len(dag.tasks))
    execution = t.set(execution, state=State.RUNNING, begun=True, started_at=t.at)
    if again:
        redo_dag(t, execution.path)
    else:
        open_dag(t, execution, dag)


def open_dag(t: Transition, execution: Execution, dag: DagPlan) -> None:
    """Add the child executions, and consider those that depend on no other."""
    path = execution.path
    for name, task in dag.tasks.items():
        t.add(child_path(path, name), path, name, task.kind, None)
    t.child_counts[path] = ChildCounts(open=len(dag.tasks))
    for name, task in dag.tasks.items():
        if task.dependencies:
            t.unmet[child_path(path, name)] = len(task.dependencies)
    for name in dag.roots:
        t.queue(FollowUp.CONSIDER, child_path(path, name))
    if not dag.tasks:
        t.queue(FollowUp.FINISH, path)


def check_room(t: Transition, more: int) -> None:
    """Raise Fault when so many more executions would be more than MAX_EXECUTIONS."""
    count = len(t.executions) + more
    if count > MAX_EXECUTIONS:
        message = f"The run would have at least {count} executions; at most {MAX_EXECUTIONS} are allowed."
        raise Fault("RUN_TOO_LARGE", message, executions=count, limit=MAX_EXECUTIONS)


def finish(t: Transition, path: str) -> None:
    """When all children are final, so is the DAG or loop, unless its retry policy begins it again."""
    execution = t.executions[path]
    counts = t.child_counts.get(path)
    if counts is None or counts.open or execution.state not in LIVE_GROUP:
        return
    children = t.children(execution)
    root = execution.kind is Kind.ROOT
    cancel, timeout = t.state.cancel_requested and root, t.state.timed_out and root
    word = dag_state({child.state for child in children}, cancel_requested=cancel, timed_out=timeout)
    if word is State.FAILED and _begins_again(t, execution, children):
        return
    reason = first_cause(children, word) if word is not State.SUCCEEDED else None
    if word is State.CANCELED or timeout:
        reason = cancel_reason(t)
    outputs = _group_outputs(t, execution)
    again = _repeats(t, execution, children, outputs) if word is State.SUCCEEDED else None
    # Reports come in any order: the last one may be of an earlier time.
    at = max((child.ended_at for child in children if child.ended_at is not None), default=t.at)
    done = t.set(
        execution, state=word, outputs=outputs, reason=reason, ended_at=max(at, t.at), reused_from=again
    )  # fmt: skip
    if done.kind is Kind.ROOT:
        t.change_run(state=word, error=reason, ended_at=done.ended_at, paused=False)


def _group_outputs(t: Transition, execution: Execution) -> Bundle:
    """The outputs of a DAG or loop, made of its children's."""
    if execution.kind is Kind.LOOP:
        return loop_outputs(t.plan.task_at(execution.path), execution, t.executions)
    return dag_outputs(t.plan.dag_at(execution.path), execution.path, t.executions)


def _repeats(t: Transition, execution: Execution, children: list[Execution], outputs: Bundle) -> str | None:
    """Execution id of the earlier run's group that had the same children and outputs; None when there is none."""
    if not t.state.reuse:
        return None
    return reused_group(t.plan, t.state, t.executions, execution, children, outputs)


def _begins_again(t: Transition, execution: Execution, children: list[Execution]) -> bool:
    """Begin a failed DAG again if its retry policy allows one more round. Loops have none: their iterations do."""
    if execution.kind is not Kind.DAG or cancels(t, execution.path):
        return False
    policy = t.plan.task_at(execution.path).task.retry
    if policy is None or execution.retries >= policy.max_count:
        return False
    delay = backoff(policy, execution.retries + 1)
    reason = first_cause(children, State.FAILED)
    retry_at = t.at + delay if delay > 0 else None
    t.set(execution, state=State.PENDING, retry_at=retry_at, reason=reason)
    if retry_at is None:
        t.queue(FollowUp.LAUNCH, execution.path)
    return True
