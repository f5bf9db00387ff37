"""The state of a run for the terminal: its tasks, what each is doing, and which changes are worth a line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from headrace.wire.api import ExecutionView, GraphNode, RunChange, RunSummary, RunView

#: Loops with more iterations than this show failures and a count instead of a line each.
MANY = 24
FINAL = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
_ITERATION = re.compile(r"^(.*)\[(\d+)\]$")
#: Reasons to wait that every run has: not worth a line.
_ORDINARY_WAITS = frozenset({"WAITING_FOR_SLOT"})


class BoardLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that the terminal shows about one task."""

    label: str
    #: A state, or WAITING or RETRYING.
    word: str
    note: str = ""
    #: RFC 3339, or None where the server does not know it.
    started_at: str | None = None
    ended_at: str | None = None
    #: True for a line that a screen does not print if it shows running tasks in another way.
    passing: bool = False


class Board:
    """The run, as of the last change that was applied."""

    def __init__(self, view: RunView) -> None:
        self.run: RunSummary = view.run
        self._groups = dict(_groups(view.graph, ""))
        self._executions: dict[str, ExecutionView] = {}
        self._shown: set[tuple[str, str, int]] = set()
        # Updated with each change: screens ask ten times a second, and a run may have 100,000 tasks.
        self._active: dict[str, ExecutionView] = {}
        self._loops: dict[str, ExecutionView] = {}
        self._counts: Counter[str] = Counter()

    @property
    def tasks(self) -> list[ExecutionView]:
        """Executions that do something themselves, in the order in which they came up."""
        return [execution for execution in list(self._executions.values()) if execution.kind in ("TASK", "IMPORTER")]

    @property
    def executions(self) -> list[ExecutionView]:
        """All of them, groups and the run's own included."""
        return list(self._executions.values())

    @property
    def active(self) -> list[ExecutionView]:
        """Tasks that have begun or wait for something of their own, oldest first."""
        return list(self._active.values())

    @property
    def counts(self) -> Counter[str]:
        """How many tasks are in each state."""
        return Counter(self._counts)

    @property
    def failed(self) -> list[ExecutionView]:
        """Tasks that failed, in the order in which they came up."""
        return [task for task in self.tasks if task.state == "FAILED"]

    def apply(self, change: RunChange) -> list[BoardLine]:
        """Apply a change. Returns the lines to show for it."""
        self.run = change.run
        for execution in change.executions:
            self._note(execution)
        return [line for execution in change.executions for line in self._lines(execution)]

    def _note(self, execution: ExecutionView) -> None:
        own = execution.execution_id
        before = self._executions.get(own)
        self._executions[own] = execution
        if execution.kind == "LOOP":
            self._loops[execution.path] = execution
        if execution.kind not in ("TASK", "IMPORTER"):
            return
        if before is not None:
            self._counts[before.state] -= 1
        self._counts[execution.state] += 1
        if execution.state not in FINAL and _in_hand(execution):
            self._active[own] = execution
        else:
            self._active.pop(own, None)

    def label(self, execution: ExecutionView) -> str:
        """The task's name as its author knows it: `train[3]`, `inner/train`; groups have no name of their own."""
        *above, own = execution.path.split("/")
        names, iterations, node = [], "", ""
        for segment in above:
            match = _ITERATION.match(segment)
            name = match[1] if match else segment
            iterations += f"[{match[2]}]" if match else ""
            node = f"{node}/{name}" if node else name
            if self._groups.get(node) in ("", "pipeline"):
                names.append(name)
        return "/".join([*names, own]) + iterations

    def _lines(self, execution: ExecutionView) -> Iterator[BoardLine]:
        if execution.kind not in ("TASK", "IMPORTER"):
            return
        last = execution.attempts[-1] if execution.attempts else None
        number = last.number if last else 0
        label = self.label(execution)
        if execution.state in FINAL:
            if self._first(execution, execution.state, number):
                yield self._ended(execution, label)
        elif execution.retry_at is not None and last is not None:
            if self._first(execution, "RETRYING", number):
                why = last.error.message if last.error else "it failed"
                yield BoardLine(label=label, word="RETRYING", note=f"attempt {number} failed: {why}")
        elif last is not None and last.waiting is not None:
            if last.waiting.code not in _ORDINARY_WAITS and self._first(execution, last.waiting.code, number):
                yield BoardLine(label=label, word="WAITING", note=last.waiting.message, passing=True)
        elif execution.waiting is not None and not self._one_of_many(execution):
            if self._first(execution, execution.waiting.code, number):
                yield BoardLine(label=label, word="WAITING", note=execution.waiting.message, passing=True)
        elif last is not None and last.state == "RUNNING" and self._first(execution, "RUNNING", number):
            note = f"attempt {number}" if number > 1 else ""
            yield BoardLine(label=label, word="RUNNING", note=note, started_at=last.started_at, passing=True)

    def _ended(self, execution: ExecutionView, label: str) -> BoardLine:
        note = "cached" if execution.cached_from else "reused" if execution.reused_from else ""
        if execution.reason is not None and (execution.state != "SUCCEEDED" or execution.marked is not None):
            note = execution.reason.message
        return BoardLine(
            label=label,
            word=execution.state,
            note=note,
            started_at=execution.started_at,
            ended_at=execution.ended_at,
            passing=execution.state == "SUCCEEDED" and self._one_of_many(execution),
        )

    def _one_of_many(self, execution: ExecutionView) -> bool:
        parent = execution.parent
        while parent:
            loop = self._loops.get(_ITERATION.sub(r"\1", parent))
            if loop is not None and (loop.iteration_count or 0) > MANY:
                return True
            parent = parent.rpartition("/")[0]
        return False

    def _first(self, execution: ExecutionView, what: str, number: int) -> bool:
        key = (execution.execution_id, what, number)
        fresh = key not in self._shown
        self._shown.add(key)
        return fresh


def _in_hand(task: ExecutionView) -> bool:
    last = task.attempts[-1] if task.attempts else None
    if last is None:
        return False
    return last.state == "RUNNING" or (last.waiting is not None and last.waiting.code not in _ORDINARY_WAITS)


def _groups(nodes: Iterable[GraphNode], above: str) -> Iterator[tuple[str, str]]:
    for node in nodes:
        path = f"{above}/{node.name}" if above else node.name
        yield path, node.group
        yield from _groups(node.children, path)
