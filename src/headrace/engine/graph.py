"""The plan as the web UI draws it, before anything has run."""

from __future__ import annotations

import re
from typing import Literal

from headrace.engine.plan import DagPlan, Plan, TaskPlan
from headrace.wire.api import GraphNode

Group = Literal["", "condition", "condition-branches", "for-loop", "exit-handler", "pipeline"]

_GROUPS: tuple[tuple[re.Pattern[str], Group], ...] = (
    (re.compile(r"^comp-condition-branches-\d+(-\d+)?$"), "condition-branches"),
    (re.compile(r"^comp-condition-\d+(-\d+)?$"), "condition"),
    (re.compile(r"^comp-for-loop-\d+(-\d+)?$"), "for-loop"),
    (re.compile(r"^comp-exit-handler-\d+(-\d+)?$"), "exit-handler"),
)


def graph(plan: Plan) -> list[GraphNode]:
    """The tasks of the root DAG, each with the DAG below it."""
    return _tasks(plan.root)


def _tasks(dag: DagPlan) -> list[GraphNode]:
    return [_node(task) for task in dag.tasks.values()]


def _node(task: TaskPlan) -> GraphNode:
    container = task.container
    return GraphNode(
        name=task.task.name,
        display_name=task.task.display_name or task.task.name,
        kind=task.kind.value,  # type: ignore[arg-type]  # A task is never the ROOT.
        group=_group(task),
        component=task.component.name,
        depends_on=list(task.dependencies),
        condition=task.task.condition or None,
        runs_after_failure=task.task.runs_after_failure,
        image=container.image if container else None,
        children=_tasks(task.dag) if task.dag else [],
    )


def _group(task: TaskPlan) -> Group:
    """The kind of group that the author wrote: compilers name the components of groups by it."""
    if task.dag is None:
        return "for-loop" if task.iterator else ""
    for pattern, group in _GROUPS:
        if pattern.match(task.component.name):
            return group
    if task.iterator:
        return "for-loop"
    return "condition" if task.task.condition else "pipeline"
