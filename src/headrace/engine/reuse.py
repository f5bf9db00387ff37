"""What a rerun reuses of the earlier run, decided for each task when it could begin.

A task's outputs are reused when `RunState.reuse` has them and nothing that the task depends on, inside or around its
groups, ended differently than before. Parameters of the run do not count: the user who chose the tasks to run again
has chosen which tasks they change.
"""

from __future__ import annotations

from headrace.engine import values
from headrace.engine.model import Bundle, Execution, Json, Reason, Reusable, RunState, State
from headrace.engine.plan import Lookup, Plan, TaskPlan, child_path


def reusable(plan: Plan, state: RunState, executions: Lookup, execution: Execution) -> Reusable | None:
    """What this execution, whose inputs are resolved, reuses; None when it has to run."""
    found = state.reuse.get(execution.path)
    if found is None or found.state is not State.SUCCEEDED:
        return None
    return found if _nothing_before_differs(plan, state, executions, execution) else None


def reused_group(
    plan: Plan, state: RunState, executions: Lookup, execution: Execution, children: list[Execution], outputs: Bundle
) -> str | None:
    """Id of the earlier execution with the same children and outputs as a DAG or loop that SUCCEEDED now; else None."""
    found = state.reuse.get(execution.path)
    if found is None or found.state is not State.SUCCEEDED or found.iteration_count != execution.iteration_count:
        return None
    same = all(_as_before(state, child) for child in children) and outputs == found.outputs
    return found.execution_id if same and _nothing_before_differs(plan, state, executions, execution) else None


def outdated(task: TaskPlan, found: Reusable, inputs: Bundle, origin: str) -> Reason | None:
    """The reason that tells a user why reused outputs differ from those that the task would make now; else None.

    Only inputs that can come from the run's arguments are compared: others name the run, or are as before.
    """
    differences, details = [], {}
    for name in sorted(n for n, source in task.task.inputs.parameters.items() if source.component_input is not None):
        then, now = (bundle.parameters.get(name) for bundle in (found.inputs, inputs))
        if not values.same(then, now):
            differences.append(f"its input {name} was {values.shown(then)} and would be {values.shown(now)}")
            details[name] = {"then": values.shown(then), "now": values.shown(now)}
    differences += [f"its {word} has changed" for word in found.changed]
    if not differences:
        return None
    return Reason(
        code="REUSED_OUTDATED",
        message=f"Its outputs are those of the earlier run, as asked, though {'; '.join(differences)}.",
        details={"run_id": origin, "inputs": details, "changed": list(found.changed)},
    )


def _nothing_before_differs(plan: Plan, state: RunState, executions: Lookup, execution: Execution) -> bool:
    """Whether all that the execution and the groups around it waited for ended as before."""
    at = execution
    while at.parent is not None:
        task = plan.task_at(at.path)
        if at.iteration is not None:
            if not _same_item(state, task, at):
                return False
        elif not all(_as_before(state, executions[child_path(at.parent, name)]) for name in task.dependencies):
            return False
        at = executions[at.parent]
    return True


def _as_before(state: RunState, execution: Execution) -> bool:
    """Whether a final execution ended as in the earlier run: reused, or skipped by its condition then and now."""
    if execution.reused_from is not None:
        return True
    if execution.state is not State.SKIPPED:
        return False
    found = state.reuse.get(execution.path)
    return found is not None and found.state is State.SKIPPED


def _same_item(state: RunState, task: TaskPlan, execution: Execution) -> bool:
    found = state.reuse.get(execution.path)
    return found is not None and _item(task, found.inputs) == _item(task, execution.inputs)


def _item(task: TaskPlan, inputs: Bundle) -> Json:
    name = task.iterator.item_input if task.iterator else ""
    return [inputs.parameters.get(name), inputs.artifacts.get(name)]
