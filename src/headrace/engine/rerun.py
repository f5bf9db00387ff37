"""Reruns: which parts of an earlier run a new run reuses, when a user chooses tasks to run again."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from headrace.engine.arguments import Faults
from headrace.engine.model import Execution, Kind, Reusable, RunState, State, execution_id
from headrace.engine.plan import DagPlan, Plan, TaskPlan, child_path, iteration_path, node_path
from headrace.spec.document import ArtifactDefinition, Interface

_ITERATION = re.compile(r"\[\d+\]$")
#: A task that was skipped for one of these reasons is skipped again if nothing before it changes.
_MILD = frozenset({"CONDITION_FALSE", "UPSTREAM_SKIPPED"})


class RerunFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why the rerun is refused."""

    #: Path of the task, or the text that should name one.
    task: str
    #: RERUN_TASK_UNKNOWN, RERUN_TASK_AMBIGUOUS, RERUN_KIND, RERUN_INPUT, RERUN_OUTPUT or RERUN_NOTHING.
    code: str
    #: What differs, or is missing.
    problem: str
    #: How to fix it.
    fix: str

    def __str__(self) -> str:
        return f"{self.task}: {self.problem} {self.fix}".removeprefix(": ")


class InvalidRerun(Faults[RerunFault]):
    """The rerun is refused; `faults` lists everything that is wrong."""

    code = "INVALID_RERUN"


class ReusePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a new run reuses of an earlier one."""

    #: By path.
    reuse: dict[str, Reusable]
    #: Paths of the tasks that the user chose.
    again: tuple[str, ...]


def plan_reuse(target: Plan, source: Plan, state: RunState, wanted: Sequence[str]) -> ReusePlan:
    """What a run of `target` reuses of the earlier run `state`, whose document is `source`. Raises InvalidRerun.

    The `wanted` tasks run, all that depends on them, and all that did not succeed; the rest is reused. A task is named
    by its path (`train/for-loop-1[3]/evaluate`; without a number: in all iterations), or by its name when only one task
    has it. Without wanted tasks, only what did not succeed runs.
    """
    patterns, faults = _patterns(target, state, wanted)
    if faults:
        raise InvalidRerun("The run cannot be rerun like this:", tuple(faults))
    planner = _ReusePlanner(source, state, patterns)
    clean = planner.dag(target.root, "")
    if clean and not wanted:
        nothing = RerunFault(
            task="", code="RERUN_NOTHING", problem="Every task of the run succeeded, so nothing would run again.",
            fix="Name the task to begin with.",
        )  # fmt: skip
        planner.faults.append(nothing)
    if planner.faults:
        raise InvalidRerun("The run cannot be rerun like this:", tuple(planner.faults))
    return ReusePlan(reuse=planner.reuse, again=tuple(patterns))


# --- which tasks are named -----------------------------------------------------------------------------


def _patterns(target: Plan, state: RunState, wanted: Sequence[str]) -> tuple[list[str], list[RerunFault]]:
    nodes = dict.fromkeys(_nodes(target.root, ""))
    found: list[str] = []
    faults = []
    for text in dict.fromkeys(one.strip().strip("/") for one in wanted):
        meant = _meant(text, nodes)
        if len(meant) == 1 and ("[" not in text or any(_matches(path, meant[0]) for path in state.executions)):
            found.append(meant[0])
        else:
            faults.append(_unclear(text, meant, nodes, state))
    return found, faults


def _nodes(dag: DagPlan, above: str) -> Iterator[str]:
    for name, task in dag.tasks.items():
        path = child_path(above, name)
        yield path
        if task.dag is not None:
            yield from _nodes(task.dag, path)


def _meant(text: str, nodes: Iterable[str]) -> list[str]:
    if node_path(text) in nodes:
        return [text]
    if "/" in text or "[" in text:
        return []
    return [node for node in nodes if node.rpartition("/")[2] == text]


def _unclear(text: str, meant: list[str], nodes: Iterable[str], state: RunState) -> RerunFault:
    if len(meant) > 1:
        return RerunFault(
            task=text, code="RERUN_TASK_AMBIGUOUS", problem=f"{len(meant)} tasks have this name.",
            fix=f"Name one by its path: {', '.join(meant[:10])}.",
        )  # fmt: skip
    if meant:
        count = sum(node_path(path) == node_path(text) for path in state.executions)
        return RerunFault(
            task=text, code="RERUN_TASK_UNKNOWN", problem="The earlier run had no such iteration.",
            fix=f"It had {count} executions of {node_path(text)}; without a number all of them are meant.",
        )  # fmt: skip
    names = {node.rpartition("/")[2]: node for node in nodes}
    near = difflib.get_close_matches(node_path(text).rpartition("/")[2], names, 1)
    known = ", ".join(list(nodes)[:20])
    return RerunFault(
        task=text, code="RERUN_TASK_UNKNOWN", problem="The document has no such task.",
        fix=f"Did you mean {names[near[0]]}?" if near else f"It has: {known}.",
    )  # fmt: skip


def _matches(path: str, pattern: str) -> bool:
    mine, its = path.split("/"), pattern.split("/")
    return len(mine) == len(its) and all(a == b or _ITERATION.sub("", a) == b for a, b in zip(mine, its, strict=True))


# --- what is reused ------------------------------------------------------------------------------


class _ReusePlanner:
    """Walks the new document along the earlier run."""

    def __init__(self, source: Plan, state: RunState, patterns: Sequence[str]) -> None:
        self.source = source
        self.state = state
        self.patterns = patterns
        self.reuse: dict[str, Reusable] = {}
        self.faults: list[RerunFault] = []
        self.compared: dict[str, tuple[tuple[str, ...], list[RerunFault]]] = {}
        self.refused: set[str] = set()

    def dag(self, dag: DagPlan, path: str) -> bool:
        """Collect what the tasks of this DAG leave for reuse; True when none of them runs again."""
        again: set[str] = set()
        for name, task in dag.tasks.items():
            child = child_path(path, name)
            if any(other in again for other in task.dependencies) or not self._task(task, child):
                again.add(name)
        return not again

    def _task(self, task: TaskPlan, path: str) -> bool:
        earlier = self.state.executions.get(path)
        if earlier is None or any(_matches(path, pattern) for pattern in self.patterns):
            return False
        if earlier.state is State.SKIPPED and earlier.reason is not None and earlier.reason.code in _MILD:
            self._leave(earlier)
            return True
        changed = self._compare(task, earlier)
        if changed is None or not earlier.begun:
            return False
        if earlier.kind is Kind.LOOP:
            return self._loop(task, earlier)
        return self._body(task, earlier, changed)

    def _body(self, task: TaskPlan, earlier: Execution, changed: tuple[str, ...]) -> bool:
        """A task, or a DAG with what is in it."""
        clean = earlier.state is State.SUCCEEDED and (task.dag is None or earlier.kind is Kind.DAG)
        if task.dag is not None:
            clean &= self.dag(task.dag, earlier.path)
        if clean:
            self._leave(earlier, changed)
        elif earlier.iteration is not None and task.dag is not None:
            # What is inside of it is reused only for the same item.
            self.reuse[earlier.path] = self._entry(earlier, State.PENDING)
        return clean

    def _loop(self, task: TaskPlan, loop: Execution) -> bool:
        clean = loop.state is State.SUCCEEDED
        for number in range(loop.iteration_count or 0):
            clean &= self._iteration(task, iteration_path(loop.path, number))
        if clean:
            self._leave(loop)
        return clean

    def _iteration(self, task: TaskPlan, path: str) -> bool:
        earlier = self.state.executions.get(path)
        if earlier is None or not earlier.begun or any(_matches(path, pattern) for pattern in self.patterns):
            return False
        changed = self._compare(task, earlier)
        return changed is not None and self._body(task, earlier, changed)

    def _leave(self, earlier: Execution, changed: tuple[str, ...] = ()) -> None:
        self.reuse[earlier.path] = self._entry(earlier, earlier.state, changed)

    def _entry(self, earlier: Execution, state: State, changed: tuple[str, ...] = ()) -> Reusable:
        return Reusable(
            execution_id=execution_id(self.state.run_id, earlier.path),
            state=state,
            inputs=earlier.inputs,
            outputs=earlier.outputs,
            iteration_count=earlier.iteration_count,
            changed=changed,
        )

    # --- two documents -----------------------------------------------------------------------

    def _compare(self, task: TaskPlan, earlier: Execution) -> tuple[str, ...] | None:
        """What changed in the component, compared once for all iterations; None, with a fault, if it does not fit."""
        node = node_path(earlier.path)
        if node not in self.compared:
            before = self.source.task_at(node)
            self.compared[node] = (
                _changed(task, before),
                [] if before is task else list(_differences(task, before, node)),
            )
        changed, faults = self.compared[node]
        if not faults:
            return changed
        if earlier.state is State.SUCCEEDED and node not in self.refused:
            self.refused.add(node)
            self.faults += faults
        return None


def _differences(now: TaskPlan, before: TaskPlan, node: str) -> Iterator[RerunFault]:
    """Why the outputs of the earlier task do not fit the task as it is now."""
    fix = f"Let it run again, too: --from {node}."
    if (now.kind, now.body) != (before.kind, before.body):
        words = f"It is a {now.kind.lower()} in the document and was a {before.kind.lower()} in the run."
        yield RerunFault(task=node, code="RERUN_KIND", problem=words, fix=fix)
        return
    if now.dag is not None:
        return  # Its outputs are made again from those of its tasks.
    for name, is_, was in _unlike(now.component.outputs, before.component.outputs):
        yield RerunFault(
            task=node, code="RERUN_OUTPUT", problem=f"Its output {name} is {is_} in the document and {was} in the run.",
            fix=fix,
        )  # fmt: skip
    required = {name for name, one in now.component.inputs.parameters.items() if one.required}
    required |= {name for name, one in now.component.inputs.artifacts.items() if not one.optional}
    for name, is_, was in _unlike(now.component.inputs, before.component.inputs):
        if was != "absent" or name in required:
            yield RerunFault(
                task=node, code="RERUN_INPUT",
                problem=f"Its input {name} is {is_} in the document and {was} in the run.", fix=fix,
            )  # fmt: skip


def _unlike(now: Interface, before: Interface) -> Iterator[tuple[str, str, str]]:
    mine, its = _types(now), _types(before)
    for name, is_ in mine.items():
        was = its.get(name, "absent")
        if is_ != was:
            yield name, is_, was


def _types(interface: Interface) -> Mapping[str, str]:
    parameters = {name: one.type for name, one in interface.parameters.items()}
    return parameters | {name: _kind(one) for name, one in interface.artifacts.items()}


def _kind(artifact: ArtifactDefinition) -> str:
    title = artifact.schema.schema_title or artifact.schema.schema_uri or "any artifact"
    return f"a list of {title}" if artifact.is_list else title


def _changed(now: TaskPlan, before: TaskPlan) -> tuple[str, ...]:
    """Words for what differs in how the component runs."""
    mine, its = now.executor, before.executor
    if now is before or mine is None or its is None or mine == its:
        return ()
    if mine.container is None or its.container is None:
        return ("import",)
    pairs = {
        "image": (mine.container.image, its.container.image),
        "command": ((*mine.container.command, *mine.container.args), (*its.container.command, *its.container.args)),
        "environment": (mine.container.env, its.container.env),
    }
    return tuple(word for word, (one, other) in pairs.items() if one != other)
