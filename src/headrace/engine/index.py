"""The index: counts that keep `advance` cheap, and how they follow from the executions."""

from __future__ import annotations

from collections.abc import Mapping

from immutables import Map

from headrace.engine.model import Execution, Family, Index, Kind, State
from headrace.engine.plan import DagPlan, Lookup, Plan, child_path, iteration_path


def rebuild(plan: Plan, executions: Mapping[str, Execution]) -> Index:
    """The index of these executions, from scratch."""
    families, unmet = {}, {}
    for path, execution in executions.items():
        if execution.state.final or not execution.begun:
            continue
        if execution.kind is Kind.LOOP:
            families[path] = loop_family(execution, executions)
        elif execution.kind in (Kind.DAG, Kind.ROOT):
            dag = plan.dag_at(path)
            families[path] = dag_family(dag, path, executions)
            unmet.update(unmet_below(dag, path, executions))
    due = {p: e.retry_at for p, e in executions.items() if e.retry_at is not None}
    return Index(families=Map(families), unmet=Map(unmet), due=Map(due))


def dag_family(dag: DagPlan, path: str, executions: Lookup) -> Family:
    """Counts of a DAG execution's children."""
    return Family(open=sum(not executions[child_path(path, name)].state.final for name in dag.tasks))


def loop_family(loop: Execution, executions: Lookup) -> Family:
    """Counts of a loop's iterations."""
    iterations = [executions[iteration_path(loop.path, i)] for i in range(loop.iteration_count or 0)]
    waiting = (i for i, e in enumerate(iterations) if not e.begun and not e.state.final)
    return Family(
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
