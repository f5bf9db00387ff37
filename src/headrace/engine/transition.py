"""The frame of one call of `advance`: what it has changed so far, and what still follows from that.

A function of a topic changes executions with `set` (or `put`) and queues what may follow from the change. It does not
write commands: `step` compares what each changed execution wants the world to do now with what it wanted before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec

from headrace.engine.commands import wish
from headrace.engine.maps import MapDraft
from headrace.engine.model import ChildCounts, Execution, Index, Kind, RunState, State, Step
from headrace.engine.plan import Plan, TaskPlan, child_path, iteration_path

replace = msgspec.structs.replace

#: States of a DAG or loop whose children may change.
LIVE_GROUP = (State.RUNNING, State.CANCELING)


class FollowUp(Enum):
    """What may follow from a change of an execution; `advance` says which function does it."""

    CONSIDER = "all upstream tasks of a task are final: skip, cancel, fail or begin it"
    LAUNCH = "a task has begun and has no attempt: make the next one; for a DAG: its next round"
    FILL_LOOP = "a loop may have room for iterations: begin as many as its parallelism allows"
    FINISH = "all children of a DAG or loop may be final: then it is final too"


class Transition:
    """One call of `advance` in progress. It is the only mutable object of the engine."""

    def __init__(self, plan: Plan, state: RunState, at: float) -> None:
        self.plan = plan
        self.state = state
        self.at = at
        self.executions: MapDraft[str, Execution] = MapDraft(state.executions)
        self.child_counts: MapDraft[str, ChildCounts] = MapDraft(state.index.child_counts)
        self.unmet: MapDraft[str, int] = MapDraft(state.index.unmet)
        self.due: MapDraft[str, float] = MapDraft(state.index.due)
        self.before: dict[str, Execution | None] = {}
        self.follow_ups: deque[tuple[FollowUp, str]] = deque()
        #: Path of the execution that the cache has just answered for: when it is looked up again, the command is new.
        self.answered = ""

    def queue(self, follow_up: FollowUp, path: str) -> None:
        """Let this follow for the execution at `path`, after all that is queued already."""
        self.follow_ups.append((follow_up, path))

    def step(self) -> Step:
        """The new state, what changed, and the commands that follow from the changes."""
        touched = [path for path, old in self.before.items() if self.executions[path] is not old]
        changed = [path for path in touched if self.executions[path] != self.before[path]]
        commands = []
        for path in touched:
            wanted = wish(self.state.run_id, self.executions[path])
            if wanted is not None and (path == self.answered or wanted != wish(self.state.run_id, self.before[path])):
                commands.append(wanted)
        index = Index(child_counts=self.child_counts.finish(), unmet=self.unmet.finish(), due=self.due.finish())
        state = replace(self.state, executions=self.executions.finish(), index=index)
        return Step(state=state, commands=tuple(commands), changed=tuple(changed))

    def set(self, old: Execution, **fields: Any) -> Execution:
        """Change fields of an execution. When it becomes final, count it, and queue what waited for it."""
        new = self.put(replace(old, **fields))
        if new.state.final and not old.state.final:
            self._settled(new)
        return new

    def put(self, new: Execution) -> Execution:
        """Record an execution, its times in order, and when its retry is due. Nothing follows: no counts, no queue."""
        new, path = _in_order(new), new.path
        old = self.executions.get(path)
        if path not in self.before:
            self.before[path] = old
        self.executions[path] = new
        if new.retry_at is not None:
            self.due[path] = new.retry_at
        elif old is not None and old.retry_at is not None:
            self.due.pop(path, None)
        return new

    def _settled(self, execution: Execution) -> None:
        """A child became final: count it, and queue the siblings and the parent that waited for it."""
        path, parent = execution.path, execution.parent
        self.child_counts.pop(path, None)
        self.unmet.pop(path, None)
        counts = self.child_counts.get(parent) if parent is not None else None
        if counts is None or parent is None:
            return
        if execution.iteration is None:
            self._release(parent, self.plan.task_at(path))
            counts = replace(counts, open=counts.open - 1)
        else:
            counts = replace(counts, open=counts.open - 1, active=counts.active - int(execution.begun))
            self.queue(FollowUp.FILL_LOOP, parent)
        self.child_counts[parent] = counts
        if counts.open == 0:
            self.queue(FollowUp.FINISH, parent)

    def _release(self, parent: str, task: TaskPlan) -> None:
        """Count down the tasks that depend on this one."""
        for name in task.dependents:
            path = child_path(parent, name)
            count = self.unmet.get(path, 0)
            if count == 1:
                del self.unmet[path]
                self.queue(FollowUp.CONSIDER, path)
            elif count > 1:
                self.unmet[path] = count - 1

    def change_run(self, **fields: Any) -> None:
        """Change fields of the run itself."""
        self.state = replace(self.state, **fields)

    def add(self, path: str, parent: str, task: str, kind: Kind, iteration: int | None) -> None:
        """Record a new execution; one that exists already stays as it is."""
        if path not in self.executions:
            new = Execution(
                path=path, task=task, kind=kind, state=State.PENDING, parent=parent, iteration=iteration,
                created_at=self.at,
            )  # fmt: skip
            self.put(new)

    def children(self, execution: Execution) -> list[Execution]:
        """The child executions of a DAG or loop, in the order of the document or of the items."""
        return [self.executions[path] for path in self.child_paths(execution)]

    def child_paths(self, execution: Execution) -> list[str]:
        """Paths of the children that a DAG or loop has now; none for a task."""
        if execution.kind is Kind.LOOP:
            return [iteration_path(execution.path, i) for i in range(execution.iteration_count or 0)]
        if execution.kind in (Kind.DAG, Kind.ROOT):
            return [child_path(execution.path, name) for name in self.plan.dag_at(execution.path).tasks]
        return []

    def tree(self, path: str) -> list[str]:
        """Paths of an execution and of all below it that exist, parents first."""
        found = [path]
        for at in found:
            execution = self.executions[at]
            paths = self._iteration_paths(at) if execution.kind is Kind.LOOP else self.child_paths(execution)
            found.extend(p for p in paths if p in self.executions)
        return found

    def _iteration_paths(self, loop: str) -> Iterator[str]:
        """Paths of all iterations a loop ever had: before it was begun again it may have had more items."""
        number = 0
        while (path := iteration_path(loop, number)) in self.executions:
            yield path
            number += 1


def _in_order(execution: Execution) -> Execution:
    """The execution with `created_at <= started_at <= ended_at`, whatever the clocks that events were timed by."""
    created, started, ended = execution.created_at, execution.started_at, execution.ended_at
    last = execution.attempts[-1].ended_at if execution.attempts else None
    started = None if started is None else _latest(started, created)
    ended = None if ended is None else _latest(ended, created, started, last)
    if started == execution.started_at and ended == execution.ended_at:
        return execution
    return replace(execution, started_at=started, ended_at=ended)


def _latest(at: float, *others: float | None) -> float:
    return max(at, *(other for other in others if other is not None))
