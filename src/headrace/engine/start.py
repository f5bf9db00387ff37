"""What begins: the run, a task whose upstream tasks are final, the iterations of a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.engine import inputs
from headrace.engine.conditions import holds, referenced
from headrace.engine.endings import cancel_reason, cancels, end
from headrace.engine.expressions import ExpressionError
from headrace.engine.groups import begin_dag, open_dag
from headrace.engine.inputs import Fault, Scope
from headrace.engine.limits import run_timeout_s
from headrace.engine.loops import begin_loop, items_of, iteration_inputs
from headrace.engine.model import Bundle, Execution, Kind, Reason, Reusable, RunStarted, State
from headrace.engine.plan import TaskPlan, child_path, iteration_path
from headrace.engine.reuse import outdated, reusable
from headrace.engine.transition import LIVE_GROUP, FollowUp, Transition, replace
from headrace.engine.values import shown


def start_run(t: Transition, event: RunStarted) -> None:
    """The run starts, with what it may reuse of an earlier run. A run that has started or ended stays as it is."""
    root = t.executions[""]
    if root.begun or t.state.state.final:
        return
    t.change_run(origin=event.origin, reuse=event.reuse)
    begin_run(t, root)


def begin_run(t: Transition, root: Execution) -> None:
    """Begin the root, and start the clock of the run's time limit."""
    word = State.PAUSED if t.state.paused else State.RUNNING
    root = t.set(root, state=State.RUNNING, begun=True, started_at=t.at)
    t.change_run(state=word, started_at=root.started_at, deadline_at=deadline(t))
    open_dag(t, root, t.plan.root)


def deadline(t: Transition) -> float | None:
    """When the time limit is over of a run that begins now (seconds since the epoch); None when it has no limit."""
    limit = run_timeout_s(t.plan)
    return None if limit is None else t.at + limit


def consider(t: Transition, path: str) -> None:
    """All upstream tasks are final: skip, cancel, fail or begin the task."""
    execution = _ready(t, path)
    # Its DAG may have been begun again after this was queued, and upstream tasks with it: then it waits again.
    if execution is None or path in t.unmet:
        return
    task = t.plan.task_at(path)
    if cancels(t, path):
        end(t, execution, State.CANCELED, cancel_reason(t))
        return
    skip = None if task.task.runs_after_failure else _upstream_reason(t, execution, task)
    if skip is not None:
        end(t, execution, State.SKIPPED, skip)
    elif not t.state.paused:
        _try_to_begin(t, execution, task)


def _ready(t: Transition, path: str) -> Execution | None:
    """The execution, when it has not begun and its DAG is running; else None."""
    execution = t.executions[path]
    if execution.state is not State.PENDING or execution.begun or execution.parent is None:
        return None
    return execution if t.executions[execution.parent].state in LIVE_GROUP else None


def _upstream_reason(t: Transition, execution: Execution, task: TaskPlan) -> Reason | None:
    """Why the task is skipped: a task it depends on did not succeed. A failure is named rather than a skip."""
    skipped = None
    for name in task.dependencies:
        upstream = t.executions[child_path(execution.parent or "", name)]
        failed = upstream.state is not State.SKIPPED or _because_of_failure(upstream)
        if upstream.state is State.SUCCEEDED:
            continue
        if failed:
            return Reason(
                code="UPSTREAM_FAILED", message=f"{name}, which it depends on, did not succeed.",
                details={"task": name, "state": upstream.state.value},
            )  # fmt: skip
        skipped = skipped or name
    if skipped is None:
        return None
    return Reason(
        code="UPSTREAM_SKIPPED", message=f"{skipped}, which it depends on, was skipped.", details={"task": skipped}
    )


def _because_of_failure(execution: Execution) -> bool:
    """Whether it was skipped because of a failure further up."""
    return execution.reason is not None and execution.reason.code == "UPSTREAM_FAILED"


def _try_to_begin(t: Transition, execution: Execution, task: TaskPlan) -> None:
    """Resolve the inputs, evaluate the condition, and begin, skip or fail the execution."""
    scope = Scope(t.plan, t.state, t.executions, execution.parent or "")
    try:
        bundle = inputs.resolve(scope, task, execution.path)
        skip = _condition_reason(task, bundle)
        if skip is not None:
            end(t, replace(execution, inputs=bundle), State.SKIPPED, skip)
            return
        _begin(t, replace(execution, inputs=bundle), task)
    except Fault as fault:
        end(t, execution, State.FAILED, fault.reason)


def _condition_reason(task: TaskPlan, bundle: Bundle) -> Reason | None:
    """Why the condition skips the task, None when it holds; raises Fault when it cannot be evaluated."""
    condition = task.task.condition
    if not condition:
        return None
    named = referenced(condition, bundle)
    values = ", ".join(f"{name} = {shown(value)}" for name, value in named.items())
    try:
        if holds(condition, bundle):
            return None
    except (ExpressionError, RecursionError) as error:
        raise Fault(
            "CONDITION_ERROR", f"The condition `{condition}` fails: {error}. ({values})", condition=condition
        ) from None
    return Reason(
        code="CONDITION_FALSE",
        message=f"The condition `{condition}` is false: {values}.",
        details={"condition": condition, "values": {name: shown(value) for name, value in named.items()}},
    )


def _begin(t: Transition, execution: Execution, task: TaskPlan) -> None:
    """Begin an execution whose inputs are resolved; raises Fault."""
    if execution.kind is Kind.LOOP:
        begin_loop(t, execution, task)
    elif task.dag is not None:
        begin_dag(t, execution, task.dag)
    else:
        _begin_task(t, execution, task)


def _begin_task(t: Transition, execution: Execution, task: TaskPlan) -> None:
    """Reuse outputs of an earlier run, look the task up in the cache, or launch it; raises Fault."""
    if task.executor is None or task.executor.unsupported:
        word = task.executor.unsupported if task.executor else "none"
        raise Fault("EXECUTOR_UNSUPPORTED", f"{task.task.name} needs the executor kind {word}, which no executor runs.")
    found = reusable(t.plan, t.state, t.executions, execution) if t.state.reuse else None
    if found is not None:
        _reuse_outputs(t, execution, task, found)
    elif task.task.cache and task.body is Kind.TASK and _asks_cache(t):
        t.set(execution, begun=True, looking_up=True)
    else:
        t.set(execution, begun=True)
        t.queue(FollowUp.LAUNCH, execution.path)


def _asks_cache(t: Transition) -> bool:
    """Whether tasks with caching may use the cache. A rerun of named tasks does not, unless it asks for caching."""
    if t.state.caching is None and t.state.origin is not None:
        return not t.state.origin.again
    return t.state.caching is not False


def _reuse_outputs(t: Transition, execution: Execution, task: TaskPlan, found: Reusable) -> None:
    """The task succeeds with the inputs and outputs that it had in the earlier run."""
    origin = t.state.origin.run_id if t.state.origin else ""
    t.set(
        execution, begun=True, state=State.SUCCEEDED, inputs=found.inputs, outputs=found.outputs,
        reused_from=found.execution_id, reason=outdated(task, found, execution.inputs, origin), started_at=t.at,
        ended_at=t.at,
    )  # fmt: skip


def fill_loop(t: Transition, path: str) -> None:
    """Begin iterations of a loop, in order, as many as its parallelism allows."""
    loop, counts = t.executions[path], t.child_counts.get(path)
    if counts is None or loop.state not in LIVE_GROUP or t.state.paused:
        return
    task = t.plan.task_at(path)
    limit = task.iterator.parallelism if task.iterator else 0
    count, number, active = loop.iteration_count or 0, counts.next, counts.active
    items: Sequence[Any] | None = None
    while number < count:
        child = t.executions[iteration_path(path, number)]
        if child.state is State.PENDING and not child.begun:
            if limit and active >= limit:
                break
            items = items_of(task, loop.inputs) if items is None else items
            active += _begin_iteration(t, child, loop, task, items[number])
        number += 1
    # Iterations that became final while they began have changed the counts already.
    counts = t.child_counts.get(path, counts)
    t.child_counts[path] = replace(counts, active=active, next=number)


def _begin_iteration(t: Transition, child: Execution, loop: Execution, task: TaskPlan, item: Any) -> int:
    """Begin one iteration; returns 1 when it runs now, 0 when it is final already."""
    if cancels(t, child.path):
        end(t, child, State.CANCELED, cancel_reason(t))
        return 0
    try:
        _begin(t, replace(child, inputs=iteration_inputs(task, loop.inputs, item)), task)
    except Fault as fault:
        end(t, child, State.FAILED, fault.reason)
    # An iteration that became final while it began needs no room.
    return int(not t.executions[child.path].state.final)
