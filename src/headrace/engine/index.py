"""The index: counts that make `advance` fast, and how they follow from the executions."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.engine.maps import Map
from headrace.engine.model import ChildCounts, Execution, Index, Kind, State
from headrace.engine.plan import DagPlan, Lookup, Plan, child_path, iteration_path


def rebuild(plan: Plan, executions: Mapping[str, Execution]) -> Index:
    """The index of these executions, from scratch."""
    child_counts, unmet = {}, {}
    for path, execution in executions.items():
        if execution.state.final or not execution.begun:
            continue
        if execution.kind is Kind.LOOP:
            child_counts[path] = count_loop_children(execution, executions)
        elif execution.kind in (Kind.DAG, Kind.ROOT):
            dag = plan.dag_at(path)
            child_counts[path] = count_dag_children(dag, path, executions)
            unmet.update(unmet_below(dag, path, executions))
    due = {p: e.retry_at for p, e in executions.items() if e.retry_at is not None}
    return Index(child_counts=Map(child_counts), unmet=Map(unmet), due=Map(due))


def count_dag_children(dag: DagPlan, path: str, executions: Lookup) -> ChildCounts:
    """Counts of a DAG execution's children."""
    return ChildCounts(open=sum(not executions[child_path(path, name)].state.final for name in dag.tasks))


def count_loop_children(loop: Execution, executions: Lookup) -> ChildCounts:
    """Counts of a loop's iterations."""
    iterations = [executions[iteration_path(loop.path, i)] for i in range(loop.iteration_count or 0)]
    waiting = (i for i, e in enumerate(iterations) if not e.begun and not e.state.final)
    return ChildCounts(
        open=sum(not e.state.final for e in iterations),
        active=sum(e.begun and not e.state.final for e in iterations),
        next=next(waiting, len(iterations)),
    )


def unmet_below(dag: DagPlan, path: str, executions: Lookup) -> dict[str, int]:
    """For each child that is not final: how many of its upstream siblings are not final (none: no entry)."""
    states: dict[str, State] = {name: executions[child_path(path, name)].state for name in dag.tasks}
    found = {}
    for name, task in dag.tasks.items():
        count = sum(not states[other].final for other in task.dependencies)
        if count and not states[name].final:
            found[child_path(path, name)] = count
    return found
