"""The outputs of DAGs and loops: chosen and collected from the outputs of their children."""

from __future__ import annotations

from typing import TypeVar

from headrace.engine.model import Artifact, Bundle, Execution, Json, Reason, State
from headrace.engine.plan import DagPlan, Lookup, TaskPlan, child_path, iteration_path
from headrace.spec.document import DagOutput

T = TypeVar("T")


def dag_state(states: set[State], *, cancel_requested: bool = False, timed_out: bool = False) -> State:
    """The state of a DAG or loop whose children are all final, a function of their states alone.

    | a child is CANCELED | else a child is FAILED | else (SUCCEEDED, SKIPPED or no children) |
    |---|---|---|
    | CANCELED | FAILED | SUCCEEDED |

    For the root alone, a cancel that was asked for makes it CANCELED whatever the children did, and its own time
    limit, once passed, FAILED.
    """
    if timed_out:
        return State.FAILED
    if cancel_requested or State.CANCELED in states:
        return State.CANCELED
    return State.FAILED if State.FAILED in states else State.SUCCEEDED


def first_cause(children: list[Execution], state: State) -> Reason | None:
    """Why a DAG failed or was cancelled: the reason of the first child that was, naming the task at the bottom."""
    first = first_of(children, state)
    if first is None or first.reason is None:
        return None
    reason = first.reason
    if "path" in reason.details:
        return reason
    return Reason(
        code=reason.code, message=f"{first.path}: {reason.message}", details={**reason.details, "path": first.path}
    )


def first_of(children: list[Execution], state: State) -> Execution | None:
    """The child that reached this state first, with a reason."""
    culprits = [child for child in children if child.state is state and child.reason]
    return min(culprits, key=lambda child: child.ended_at or 0.0, default=None)


def dag_outputs(dag: DagPlan, path: str, executions: Lookup) -> Bundle:
    """Outputs of a DAG execution. What no child produced is left out."""
    parameters: dict[str, Json] = {}
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    for name, output in dag.dag.outputs.parameters.items():
        for child, key in _chosen(output, path, executions):
            if key in child.outputs.parameters:
                parameters[name] = child.outputs.parameters[key]
                break
    for name, output in dag.dag.outputs.artifacts.items():
        for child, key in _chosen(output, path, executions):
            if key in child.outputs.artifacts:
                artifacts[name] = child.outputs.artifacts[key]
                break
    return Bundle(parameters=parameters, artifacts=artifacts)


def _chosen(output: DagOutput, path: str, executions: Lookup) -> list[tuple[Execution, str]]:
    """Producers to ask, in order: of several (OneOf) only those that succeeded."""
    children = [(executions[child_path(path, s.task)], s.output) for s in output.selectors]
    if not output.one_of:
        return children
    return [(child, key) for child, key in children if child.state is State.SUCCEEDED]


def loop_outputs(task: TaskPlan, loop: Execution, executions: Lookup) -> Bundle:
    """Outputs of a loop: a list per output, in the order of the items.

    An iteration that did not produce an output (its branch was skipped, or it failed) has no entry in the
    list: the list is then shorter than the loop, and it never has a placeholder entry.
    """
    made = [executions[iteration_path(loop.path, i)].outputs for i in range(loop.iteration_count or 0)]
    declared = task.component.outputs
    return Bundle(
        parameters={n: [o.parameters[n] for o in made if n in o.parameters] for n in declared.parameters},
        artifacts={n: tuple(a for o in made for a in o.artifacts.get(n, ())) for n in declared.artifacts},
    )
