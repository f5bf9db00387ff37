"""Loops: their items, the inputs of one iteration, and how a loop begins."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headrace.engine import values
from headrace.engine.endings import close_tree
from headrace.engine.groups import check_room
from headrace.engine.inputs import Fault
from headrace.engine.model import Artifact, Bundle, ChildCounts, Execution, Json, Reason, State
from headrace.engine.plan import MAX_LOOP_ITEMS, DagPlan, TaskPlan, iteration_path
from headrace.engine.transition import FollowUp, Transition


def items_of(task: TaskPlan, inputs: Bundle) -> Sequence[Any]:
    """The items of a loop: JSON values, or artifacts; raises Fault."""
    iterator = task.iterator
    assert iterator is not None
    if iterator.over == "artifact":
        items: Sequence[Any] = inputs.artifacts.get(iterator.input or "", ())
    elif iterator.raw is not None:
        items = _parsed(task, iterator.raw)
    else:
        items = _listed(task, iterator.input or "", inputs)
    if len(items) > MAX_LOOP_ITEMS:
        raise Fault(
            "LOOP_TOO_LONG", f"{task.task.name} has {len(items)} items; a loop may have {MAX_LOOP_ITEMS}.",
            items=len(items),
        )  # fmt: skip
    return items


def _listed(task: TaskPlan, name: str, inputs: Bundle) -> Sequence[Json]:
    value = inputs.parameters.get(name)
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return _parsed(task, value)
    raise Fault(
        "LOOP_ITEMS", f"{task.task.name} loops over {name}, which must be a list, but it is {values.kind_of(value)}.",
        input=name,
    )  # fmt: skip


def _parsed(task: TaskPlan, text: str) -> Sequence[Json]:
    value = _decoded(text)
    if value is None:
        raise Fault(
            "LOOP_ITEMS", f"The items of {task.task.name} are not the JSON text of a list: {values.shown(text)}."
        )
    return value


# A loop with limited parallelism asks for its items once per iteration.
@functools.lru_cache(maxsize=8)
def _decoded(text: str) -> Sequence[Json] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def iteration_inputs(task: TaskPlan, loop: Bundle, item: Any) -> Bundle:
    """Inputs of one iteration; raises Fault.

    A DAG's iteration holds only its item: the rest is looked up on the loop, so that a long list is not
    stored once for each of its items. A container's iteration has no tasks to look anything up, so it
    holds all but the list.
    """
    iterator = task.iterator
    assert iterator is not None
    own = _item(task, item)
    if task.dag is not None:
        return own
    parameters = {n: v for n, v in loop.parameters.items() if n != iterator.input}
    artifacts = {n: v for n, v in loop.artifacts.items() if n != iterator.input}
    return Bundle(parameters={**parameters, **own.parameters}, artifacts={**artifacts, **own.artifacts})


def _item(task: TaskPlan, item: Any) -> Bundle:
    iterator = task.iterator
    assert iterator is not None
    name = iterator.item_input
    if not name:
        return Bundle()
    if isinstance(item, Artifact):
        return Bundle(artifacts={name: (item,)})
    definition = task.component.inputs.parameters.get(name)
    if definition is None or item is None:
        return Bundle(parameters={name: item})
    try:
        return Bundle(parameters={name: values.fit(item, definition.type)})
    except values.Mismatch as mismatch:
        raise Fault(
            "INPUT_TYPE", f"An item of {task.task.name} must be {mismatch.expected}, but it is {mismatch.got}.",
            input=name,
        ) from None  # fmt: skip


def begin_loop(t: Transition, execution: Execution, task: TaskPlan) -> None:
    items = items_of(task, execution.inputs)
    new = len(items) - (execution.iteration_count or 0)
    # Also for what is inside of them, before any of it is made: a loop in a loop in a loop grows fast.
    check_room(t, new * (1 + (least_executions(task.dag, execution.inputs.parameters) if task.dag else 0)))
    path = execution.path
    execution = t.set(
        execution, state=State.RUNNING, begun=True, started_at=t.at, iteration_count=len(items)
    )  # fmt: skip
    for i in range(len(items)):
        t.add(iteration_path(path, i), path, execution.task, task.body, i)
    _drop_extra_iterations(t, execution)
    t.child_counts[path] = ChildCounts(open=len(items))
    t.queue(FollowUp.FILL_LOOP if items else FollowUp.FINISH, path)


def least_executions(dag: DagPlan, known: Mapping[str, Json]) -> int:
    """How many executions a DAG with these inputs gets when it succeeds, as far as that is known before it begins.

    What is behind a condition, or in a loop over what a task has yet to make, counts as nothing.
    """
    return sum(1 + _least_below(task, known) for task in dag.tasks.values())


def _least_below(task: TaskPlan, known: Mapping[str, Json]) -> int:
    if task.task.condition:
        return 0
    given = _given(task, known)
    inside = least_executions(task.dag, given) if task.dag is not None else 0
    iterator = task.iterator
    if iterator is None:
        return inside
    if iterator.over == "artifact" or (iterator.raw is None and iterator.input not in given):
        return 0
    try:
        return len(items_of(task, Bundle(parameters=given))) * (1 + inside)
    except Fault:
        return 0


def _given(task: TaskPlan, known: Mapping[str, Json]) -> dict[str, Json]:
    """Inputs of a task that are written in the document, or come as they are from the inputs of its DAG."""
    found: dict[str, Json] = {}
    for name, source in task.task.inputs.parameters.items():
        if source.selector:
            continue
        if source.component_input is not None and source.component_input in known:
            found[name] = known[source.component_input]
        elif source.constant is not msgspec.UNSET:
            found[name] = source.constant
    return found


def _drop_extra_iterations(t: Transition, loop: Execution) -> None:
    """After a full reset, the loop may have fewer items than in its earlier life."""
    gone = Reason(code="ITERATION_GONE", message="The loop has fewer items since it was begun again.")
    number = loop.iteration_count or 0
    while (path := iteration_path(loop.path, number)) in t.executions:
        close_tree(t, path, State.SKIPPED, gone)
        number += 1
