"""Advance: one event in, the new state and what to do out. Pure; the same inputs give the same outputs.

How it works: an event touches one execution; each touch queues what may follow from it (a task whose last
upstream has become final, a DAG whose last child has) until nothing more follows. The commands are not
written by the branches: they are what the changed executions want now and did not want before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, assert_never

import msgspec
from immutables import MapMutation

from headrace.engine import inputs
from headrace.engine.commands import wish
from headrace.engine.conditions import ExpressionError, holds, referenced
from headrace.engine.index import count_dag_children, count_loop_children, unmet_below
from headrace.engine.inputs import Fault, Scope
from headrace.engine.limits import run_timeout_s
from headrace.engine.loops import items_of, iteration_inputs
from headrace.engine.marks import mark_refused, told
from headrace.engine.model import (
    AnyEvent,
    AttemptFailed,
    AttemptId,
    AttemptLost,
    AttemptRecord,
    AttemptStarted,
    AttemptStopped,
    AttemptSucceeded,
    AttemptWaiting,
    Bundle,
    CacheHit,
    CacheMissed,
    CacheNote,
    CacheWaiting,
    CancelRequested,
    ChildCounts,
    Execution,
    ExecutionMarked,
    Index,
    Kind,
    Mark,
    PauseRequested,
    Reason,
    ResumeRequested,
    RetryRequested,
    Reusable,
    RunStarted,
    RunState,
    State,
    Step,
    Tick,
)
from headrace.engine.outputs import dag_outputs, dag_state, first_cause, loop_outputs
from headrace.engine.plan import MAX_EXECUTIONS, DagPlan, Plan, TaskPlan, child_path, iteration_path
from headrace.engine.reuse import outdated, reusable, reused_group
from headrace.engine.values import shown
from headrace.spec.document import RetryPolicy

#: How often an attempt may be lost to infrastructure before its execution fails.
MAX_LOST = 3

_LONGEST_BACKOFF_S = 30 * 86_400.0

_CANCELED = Reason(code="RUN_CANCELED", message="The run was cancelled.")
_TIMED_OUT = Reason(code="RUN_TIMEOUT", message="The run's time limit has passed (activeDeadlineSeconds).")
_LIVE_DAG = (State.RUNNING, State.CANCELING)


def advance(plan: Plan, state: RunState, event: AnyEvent) -> Step:
    """What follows from one event. Late, repeated and unknown reports change nothing and raise nothing."""
    turn = Transition(plan, state, event.at)
    turn.take(event)
    turn.work()
    return turn.step()


class Transition:
    """One call of `advance` under way: the only mutable thing in the engine."""

    def __init__(self, plan: Plan, state: RunState, at: float) -> None:
        self.plan = plan
        self.state = state
        self.at = at
        self.executions: MapMutation[str, Execution] = state.executions.mutate()
        self.child_counts: MapMutation[str, ChildCounts] = state.index.child_counts.mutate()
        self.unmet: MapMutation[str, int] = state.index.unmet.mutate()
        self.due: MapMutation[str, float] = state.index.due.mutate()
        self.before: dict[str, Execution | None] = {}
        self.queue: deque[tuple[Any, str]] = deque()
        #: Of whom the cache has just told: should it be asked about them again, that is a new question.
        self.answered = ""

    # --- the frame ---------------------------------------------------------------------------

    def work(self) -> None:
        while self.queue:
            follow, path = self.queue.popleft()
            follow(path)

    def step(self) -> Step:
        touched = [path for path, old in self.before.items() if self.executions[path] is not old]
        changed = [path for path in touched if self.executions[path] != self.before[path]]
        commands = []
        for path in touched:
            wanted = wish(self.state.run_id, self.executions[path])
            if wanted is not None and (path == self.answered or wanted != wish(self.state.run_id, self.before[path])):
                commands.append(wanted)
        index = Index(child_counts=self.child_counts.finish(), unmet=self.unmet.finish(), due=self.due.finish())
        state = _replace(self.state, executions=self.executions.finish(), index=index)
        return Step(state=state, commands=tuple(commands), changed=tuple(changed))

    def set(self, old: Execution, **fields: Any) -> Execution:
        """Record a change of an execution, and queue what follows when it became final."""
        new: Execution = _replace(old, **fields)
        self.put(new)
        if new.state.final and not old.state.final:
            self._settled(new)
        return new

    def put(self, new: Execution) -> None:
        """Record an execution without consequences for others."""
        path = new.path
        old = self.executions.get(path)
        if path not in self.before:
            self.before[path] = old
        self.executions[path] = new
        if new.retry_at is not None:
            self.due[path] = new.retry_at
        elif old is not None and old.retry_at is not None:
            self.due.pop(path, None)

    def _settled(self, execution: Execution) -> None:
        """A child became final: count it, and queue siblings and the parent that waited for it."""
        path, parent = execution.path, execution.parent
        self.child_counts.pop(path, None)
        self.unmet.pop(path, None)
        counts = self.child_counts.get(parent) if parent is not None else None
        if counts is None or parent is None:
            return
        if execution.iteration is None:
            self._release(parent, self.plan.task_at(path))
            counts = _replace(counts, open=counts.open - 1)
        else:
            counts = _replace(counts, open=counts.open - 1, active=counts.active - int(execution.begun))
            self.queue.append((self.fill, parent))
        self.child_counts[parent] = counts
        if counts.open == 0:
            self.queue.append((self.finish, parent))

    def _release(self, parent: str, task: TaskPlan) -> None:
        for name in task.dependents:
            path = child_path(parent, name)
            count = self.unmet.get(path, 0)
            if count == 1:
                del self.unmet[path]
                self.queue.append((self.consider, path))
            elif count > 1:
                self.unmet[path] = count - 1

    # --- events ------------------------------------------------------------------------------

    def take(self, event: AnyEvent) -> None:
        match event:
            case RunStarted():
                self._start_run(event)
            case CacheHit():
                self._cache_hit(event)
            case CacheMissed():
                self._cache_missed(event)
            case CacheWaiting():
                self._cache_waiting(event)
            case AttemptWaiting():
                self._waiting(event)
            case AttemptStarted():
                self._started(event)
            case AttemptSucceeded():
                self._succeeded(event)
            case AttemptFailed():
                self._failed(event)
            case AttemptLost():
                self._lost(event.attempt, event.error)
            case AttemptStopped():
                self._lost(event.attempt, Reason(code="STOPPED", message="The attempt was stopped by somebody else."))
            case CancelRequested():
                self._cancel()
            case RetryRequested():
                self._retry_run()
            case ExecutionMarked():
                self._mark(event)
            case PauseRequested():
                self._pause()
            case ResumeRequested():
                self._resume()
            case Tick():
                self._tick()
            case _:
                assert_never(event)

    def _change_run(self, **fields: Any) -> None:
        self.state = _replace(self.state, **fields)

    def _start_run(self, event: RunStarted) -> None:
        root = self.executions[""]
        if root.begun or self.state.state.final:
            return
        self._change_run(origin=event.origin, reuse=event.reuse)
        self._begin_run(root)

    def _begin_run(self, root: Execution) -> None:
        word = State.PAUSED if self.state.paused else State.RUNNING
        self._change_run(state=word, started_at=self.at, deadline_at=self._deadline())
        root = self.set(root, state=State.RUNNING, begun=True, started_at=self.at)
        self._open_dag(root, self.plan.root)

    def _deadline(self) -> float | None:
        limit = run_timeout_s(self.plan)
        return None if limit is None else self.at + limit

    def _looking_up(self, path: str) -> Execution | None:
        execution = self.executions.get(path)
        return execution if execution is not None and execution.looking_up and not execution.state.final else None

    def _cache_hit(self, event: CacheHit) -> None:
        execution = self._looking_up(event.path)
        if execution is not None:
            self.answered = event.path
            self.set(
                execution, looking_up=False, state=State.SUCCEEDED, outputs=event.outputs,
                cached_from=event.cached_from, cache=CacheNote(fingerprint=event.fingerprint),
                started_at=self.at, ended_at=self.at,
            )  # fmt: skip

    def _cache_missed(self, event: CacheMissed) -> None:
        execution = self._looking_up(event.path)
        if execution is not None:
            self.answered = event.path
            self.set(execution, looking_up=False, cache=_note(event))
            self.queue.append((self.launch, event.path))

    def _cache_waiting(self, event: CacheWaiting) -> None:
        execution = self._looking_up(event.path)
        if execution is not None:
            self.set(execution, cache=_note(event))

    def _live(self, attempt: AttemptId) -> tuple[Execution, AttemptRecord] | None:
        """The execution whose present attempt this is; None for what is over or was never ours."""
        execution = self.executions.get(attempt.path)
        if execution is None or attempt.run_id != self.state.run_id or not execution.attempts:
            return None
        record = execution.attempts[-1]
        if record.number != attempt.number or record.state.final or execution.state.final:
            return None
        return execution, record

    def _waiting(self, event: AttemptWaiting) -> None:
        live = self._live(event.attempt)
        if live is not None and live[1].state is State.PENDING:
            self._record(live[0], _replace(live[1], waiting=event.reason))

    def _started(self, event: AttemptStarted) -> None:
        live = self._live(event.attempt)
        if live is None or live[1].state is not State.PENDING:
            return
        execution, record = live
        record = _replace(record, state=State.RUNNING, started_at=self.at, waiting=None)
        word = State.CANCELING if execution.state is State.CANCELING else State.RUNNING
        since = self.at if execution.started_at is None else execution.started_at
        self._record(execution, record, state=word, started_at=since)

    def _succeeded(self, event: AttemptSucceeded) -> None:
        live = self._live(event.attempt)
        if live is not None:
            record = _replace(live[1], state=State.SUCCEEDED, ended_at=self.at, waiting=None)
            if live[0].marked is not None:
                self._stopped_for_mark(live[0], record)
                return
            self._record(
                live[0], record, state=State.SUCCEEDED, outputs=event.outputs, ended_at=self.at, reason=None
            )  # fmt: skip

    def _record(self, execution: Execution, record: AttemptRecord, **fields: Any) -> Execution:
        return self.set(execution, attempts=(*execution.attempts[:-1], record), **fields)

    def _failed(self, event: AttemptFailed) -> None:
        live = self._live(event.attempt)
        if live is None:
            return
        execution, record = live
        record = _replace(record, state=State.FAILED, ended_at=self.at, error=event.error, waiting=None)
        if execution.marked is not None:
            self._stopped_for_mark(execution, record)
            return
        if execution.state is State.CANCELING:
            self._record(execution, record, state=State.CANCELED, ended_at=self.at, reason=self._why)
            return
        policy = self.plan.task_at(execution.path).task.retry
        failures = len(execution.attempts) - execution.earlier_attempts - execution.lost_count
        if not event.retryable or policy is None or failures > policy.max_count or self._cancels(execution.path):
            self._record(execution, record, state=State.FAILED, ended_at=self.at, reason=event.error)
            return
        self._try_again(execution, record, backoff(policy, failures))

    def _try_again(self, execution: Execution, record: AttemptRecord, delay: float) -> None:
        retry_at = self.at + delay if delay > 0 else None
        self._record(execution, record, state=State.PENDING, retry_at=retry_at)
        if retry_at is None:
            self.queue.append((self.launch, execution.path))

    def _lost(self, attempt: AttemptId, error: Reason) -> None:
        live = self._live(attempt)
        if live is None:
            return
        execution, record = live
        if execution.state is State.CANCELING:
            record = _replace(record, state=State.CANCELED, ended_at=self.at, waiting=None)
            if execution.marked is not None:
                self._stopped_for_mark(execution, record)
            else:
                self._record(execution, record, state=State.CANCELED, ended_at=self.at, reason=self._why)
            return
        record = _replace(record, state=State.FAILED, ended_at=self.at, error=error, waiting=None)
        lost = execution.lost_count + 1
        execution = _replace(execution, lost_count=lost)
        if lost > MAX_LOST:
            reason = Reason(
                code="EXECUTOR_LOST",
                message=f"The attempt was lost {lost} times; the last time: {error.message}",
                details={"last": error.code},
            )
            self._record(execution, record, state=State.FAILED, ended_at=self.at, reason=reason)
        else:
            self._try_again(execution, record, 0.0)

    # --- tasks -------------------------------------------------------------------------------

    def _ready(self, path: str) -> Execution | None:
        """The execution, when it waits to be begun and its DAG is under way."""
        execution = self.executions[path]
        if execution.state is not State.PENDING or execution.begun or execution.parent is None:
            return None
        return execution if self.executions[execution.parent].state in _LIVE_DAG else None

    def _cancels(self, path: str) -> bool:
        """Whether a requested cancel holds for this execution: all but exit tasks and what is inside them."""
        return self.state.cancel_requested and not self._exempt(path)

    def _exempt(self, path: str) -> bool:
        at: str | None = path
        while at:
            if self.plan.task_at(at).task.runs_after_failure:
                return True
            at = self.executions[at].parent
        return False

    def consider(self, path: str) -> None:
        """All upstream is final: skip, cancel, fail or begin the task."""
        execution = self._ready(path)
        # It may have been queued before its DAG was begun again, and with it what it waits for.
        if execution is None or path in self.unmet:
            return
        task = self.plan.task_at(path)
        if self._cancels(path):
            self._end(execution, State.CANCELED, self._why)
            return
        skip = None if task.task.runs_after_failure else self._upstream_reason(execution, task)
        if skip is not None:
            self._end(execution, State.SKIPPED, skip)
        elif not self.state.paused:
            self._try_to_begin(execution, task)

    def _end(self, execution: Execution, state: State, reason: Reason) -> None:
        self.set(execution, state=state, reason=reason, ended_at=self.at, retry_at=None, looking_up=False)
        if execution.kind in (Kind.DAG, Kind.LOOP) and not execution.begun:
            self._close_tree(execution.path, State.CANCELED if state is State.CANCELED else State.SKIPPED, reason)

    def _close_tree(self, path: str, state: State, reason: Reason) -> None:
        """What an earlier life left below an execution that is not begun again ends with it."""
        for below in self._tree(path):
            old = self.executions[below]
            if not old.state.final:
                self.put(_replace(old, state=state, reason=reason, ended_at=self.at, retry_at=None))

    def _upstream_reason(self, execution: Execution, task: TaskPlan) -> Reason | None:
        """Why the task cannot run, when something it depends on did not succeed. A failure outweighs a skip."""
        skipped = None
        for name in task.dependencies:
            upstream = self.executions[child_path(execution.parent or "", name)]
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

    def _try_to_begin(self, execution: Execution, task: TaskPlan) -> None:
        scope = Scope(self.plan, self.state, self.executions, execution.parent or "")
        try:
            bundle = inputs.resolve(scope, task, execution.path)
            skip = _condition_reason(task, bundle)
            if skip is not None:
                self._end(_replace(execution, inputs=bundle), State.SKIPPED, skip)
                return
            self._begin(_replace(execution, inputs=bundle), task)
        except Fault as fault:
            self._end(execution, State.FAILED, fault.reason)

    def _begin(self, execution: Execution, task: TaskPlan) -> None:
        if execution.kind is Kind.LOOP:
            self._begin_loop(execution, task)
        elif task.dag is not None:
            self._begin_dag(execution, task.dag)
        else:
            self._begin_task(execution, task)

    def _begin_task(self, execution: Execution, task: TaskPlan) -> None:
        if task.executor is None or task.executor.unsupported:
            word = task.executor.unsupported if task.executor else "none"
            raise Fault("EXECUTOR_UNSUPPORTED", f"{task.task.name} wants the executor kind {word}, which nobody runs.")
        found = reusable(self.plan, self.state, self.executions, execution) if self.state.reuse else None
        if found is not None:
            self._reuse(execution, task, found)
        elif task.task.cache and task.body is Kind.TASK and self._asks_cache():
            self.set(execution, begun=True, looking_up=True)
        else:
            self.set(execution, begun=True)
            self.queue.append((self.launch, execution.path))

    def _asks_cache(self) -> bool:
        """Whether tasks that want the cache may use it. Whoever names tasks to run again wants to see them run."""
        if self.state.caching is None and self.state.origin is not None:
            return not self.state.origin.again
        return self.state.caching is not False

    def _reuse(self, execution: Execution, task: TaskPlan, found: Reusable) -> None:
        """Take over what an earlier run left: the very same values and artifacts."""
        origin = self.state.origin.run_id if self.state.origin else ""
        self.set(
            execution, begun=True, state=State.SUCCEEDED, inputs=found.inputs, outputs=found.outputs,
            reused_from=found.execution_id, reason=outdated(task, found, execution.inputs, origin), started_at=self.at,
            ended_at=self.at,
        )  # fmt: skip

    def launch(self, path: str) -> None:
        """Begin the next attempt of a task that is under way and has none, or a DAG's next round."""
        execution = self.executions[path]
        if execution.state is not State.PENDING or not execution.begun or self.state.paused:
            return
        if self._cancels(path):
            self._end(execution, State.CANCELED, self._why)
        elif execution.kind is Kind.DAG:
            self._begin_dag_again(execution)
        elif not execution.is_attempted:
            # Several things at once may ask for it: a resume, and a deadline that passed during the pause.
            number = execution.attempts[-1].number + 1 if execution.attempts else 1
            record = AttemptRecord(number=number, state=State.PENDING)
            self.set(execution, attempts=(*execution.attempts, record), retry_at=None)

    # --- marks -------------------------------------------------------------------------------

    def _mark(self, event: ExecutionMarked) -> None:
        """Somebody decides what a task came to. Nothing that has run is run again for that."""
        execution = self.executions.get(event.path)
        if execution is None or mark_refused(self.state, self.executions, execution, event.state) is not None:
            return
        mark = Mark(state=event.state, by=event.by, note=event.note, at=self.at, outputs=event.outputs)
        if execution.state.final:
            self.put(_replace(execution, **_marking(mark, self.at)))
            self._reopen_above(self.executions[event.path])
        elif execution.is_attempted:
            self.set(execution, state=State.CANCELING, marked=mark)
        else:
            self.set(execution, **_marking(mark, self.at))
            if execution.iteration is not None and execution.parent is not None:
                # It may have been the next to begin.
                self._recount(execution.parent)

    def _stopped_for_mark(self, execution: Execution, record: AttemptRecord) -> None:
        """The attempt of a marked task is over; what it came to in the end does not count."""
        assert execution.marked is not None
        self._record(execution, record, **_marking(execution.marked, self.at))

    def _reopen_above(self, changed: Execution) -> None:
        """A task that was over has come to something else: let go on what it held back, in all groups around it."""
        chain = [changed]
        while (above := chain[-1].parent) is not None and self.executions[above].state.final:
            chain.append(self.executions[above])
        top = chain[-1]
        holder = self.executions[top.parent] if top.parent is not None else None
        if holder is not None and top is not changed and top.iteration is not None and self._is_full(holder):
            # Its tasks stay as they are until `fill` has room for it again: see `_begin_dag`.
            self.put(_fresh(top))
        else:
            for child, group in pairwise(chain):
                self._free(group.path, child)
                self.put(_replace(group, state=State.RUNNING, reason=None, ended_at=None, outputs=Bundle()))
                self._recount(group.path)
        if holder is None:
            self._change_run(state=State.RUNNING, error=None, ended_at=None)
        else:
            self._free(holder.path, top)
            self._recount(holder.path)

    def _is_full(self, loop: Execution) -> bool:
        iterator = self.plan.task_at(loop.path).iterator
        limit, counts = (iterator.parallelism if iterator else 0), self.child_counts.get(loop.path)
        return bool(limit) and counts is not None and counts.active >= limit

    def _free(self, path: str, child: Execution) -> None:
        """Reset what has not begun because of a child: it may begin now."""
        if child.iteration is not None:
            return
        freed = {child.task}
        for name, task in self.plan.dag_at(path).tasks.items():
            other = self.executions[child_path(path, name)]
            waited = not freed.isdisjoint(task.dependencies)
            if waited and other.state.final and not other.begun and other.marked is None:
                self._reset_tree(other.path)
                freed.add(name)

    def _recount(self, path: str) -> None:
        """The index of a group whose children were changed, and what follows from it."""
        execution = self.executions[path]
        if execution.kind is Kind.LOOP:
            self.child_counts[path] = count_loop_children(execution, self.executions)
            self.queue.append((self.fill, path))
        else:
            dag = self.plan.dag_at(path)
            self.child_counts[path] = count_dag_children(dag, path, self.executions)
            for waiting, count in unmet_below(dag, path, self.executions).items():
                self.unmet[waiting] = count
            ready = (child_path(path, name) for name in dag.tasks)
            self.queue.extend((self.consider, p) for p in ready if p not in self.unmet)
        self.queue.append((self.finish, path))

    # --- DAGs --------------------------------------------------------------------------------

    def _begin_dag(self, execution: Execution, dag: DagPlan) -> None:
        again = any(child_path(execution.path, name) in self.executions for name in dag.roots[:1])
        self._check_room(0 if again else len(dag.tasks))
        execution = self.set(execution, state=State.RUNNING, begun=True, started_at=self.at)
        if again:
            self._redo_dag(execution.path)
        else:
            self._open_dag(execution, dag)

    def _check_room(self, more: int) -> None:
        if len(self.executions) + more > MAX_EXECUTIONS:
            raise Fault("RUN_TOO_LARGE", f"The run would have more than {MAX_EXECUTIONS} executions.")

    def _open_dag(self, execution: Execution, dag: DagPlan) -> None:
        """Make the children, and begin those that depend on nothing."""
        path = execution.path
        for name, task in dag.tasks.items():
            self._add(child_path(path, name), path, name, task.kind, None)
        self.child_counts[path] = ChildCounts(open=len(dag.tasks))
        for name, task in dag.tasks.items():
            if task.dependencies:
                self.unmet[child_path(path, name)] = len(task.dependencies)
        self.queue.extend((self.consider, child_path(path, name)) for name in dag.roots)
        if not dag.tasks:
            self.queue.append((self.finish, path))

    def _add(self, path: str, parent: str, task: str, kind: Kind, iteration: int | None) -> None:
        if path not in self.executions:
            new = Execution(
                path=path, task=task, kind=kind, state=State.PENDING, parent=parent, iteration=iteration,
                created_at=self.at,
            )  # fmt: skip
            self.put(new)

    def finish(self, path: str) -> None:
        """All children are final: so is the DAG or loop, unless its policy begins it again."""
        execution = self.executions[path]
        counts = self.child_counts.get(path)
        if counts is None or counts.open or execution.state not in _LIVE_DAG:
            return
        children = self._children(execution)
        root = execution.kind is Kind.ROOT
        cancel, timeout = self.state.cancel_requested and root, self.state.timed_out and root
        word = dag_state({child.state for child in children}, cancel_requested=cancel, timed_out=timeout)
        if word is State.FAILED and self._begins_again(execution, children):
            return
        reason = first_cause(children, word) if word is not State.SUCCEEDED else None
        if word is State.CANCELED or timeout:
            reason = self._why
        outputs = self._outputs(execution)
        again = self._repeats(execution, children, outputs) if word is State.SUCCEEDED else None
        done = self.set(
            execution, state=word, outputs=outputs, reason=reason, ended_at=self.at, reused_from=again
        )  # fmt: skip
        if done.kind is Kind.ROOT:
            self._change_run(state=word, error=reason, ended_at=self.at, paused=False)

    def _repeats(self, execution: Execution, children: list[Execution], outputs: Bundle) -> str | None:
        if not self.state.reuse:
            return None
        return reused_group(self.plan, self.state, self.executions, execution, children, outputs)

    def _children(self, execution: Execution) -> list[Execution]:
        return [self.executions[path] for path in self._child_paths(execution)]

    def _child_paths(self, execution: Execution) -> list[str]:
        if execution.kind is Kind.LOOP:
            return [iteration_path(execution.path, i) for i in range(execution.iteration_count or 0)]
        if execution.kind in (Kind.DAG, Kind.ROOT):
            return [child_path(execution.path, name) for name in self.plan.dag_at(execution.path).tasks]
        return []

    def _outputs(self, execution: Execution) -> Bundle:
        if execution.kind is Kind.LOOP:
            return loop_outputs(self.plan.task_at(execution.path), execution, self.executions)
        return dag_outputs(self.plan.dag_at(execution.path), execution.path, self.executions)

    def _begins_again(self, execution: Execution, children: list[Execution]) -> bool:
        """Whether a failed DAG's retry policy gives it another round. A loop has none: its iterations do."""
        if execution.kind is not Kind.DAG or self._cancels(execution.path):
            return False
        policy = self.plan.task_at(execution.path).task.retry
        if policy is None or execution.retries >= policy.max_count:
            return False
        delay = backoff(policy, execution.retries + 1)
        reason = first_cause(children, State.FAILED)
        retry_at = self.at + delay if delay > 0 else None
        self.set(execution, state=State.PENDING, retry_at=retry_at, reason=reason)
        if retry_at is None:
            self.queue.append((self.launch, execution.path))
        return True

    def _begin_dag_again(self, execution: Execution) -> None:
        self.set(execution, state=State.RUNNING, retry_at=None, reason=None, retries=execution.retries + 1)
        self._redo_dag(execution.path)

    # --- loops -------------------------------------------------------------------------------

    def _begin_loop(self, execution: Execution, task: TaskPlan) -> None:
        items = items_of(task, execution.inputs)
        self._check_room(len(items) - (execution.iteration_count or 0))
        path = execution.path
        execution = self.set(
            execution, state=State.RUNNING, begun=True, started_at=self.at, iteration_count=len(items)
        )  # fmt: skip
        for i in range(len(items)):
            self._add(iteration_path(path, i), path, execution.task, task.body, i)
        self._drop_extra_iterations(execution)
        self.child_counts[path] = ChildCounts(open=len(items))
        self.queue.append((self.fill, path) if items else (self.finish, path))

    def _drop_extra_iterations(self, loop: Execution) -> None:
        """After a full reset, the loop may have fewer items than in its earlier life."""
        gone = Reason(code="ITERATION_GONE", message="The loop has fewer items since it was begun again.")
        number = loop.iteration_count or 0
        while (path := iteration_path(loop.path, number)) in self.executions:
            self._close_tree(path, State.SKIPPED, gone)
            number += 1

    def fill(self, path: str) -> None:
        """Begin iterations of a loop, in order, as far as its parallelism allows."""
        loop, counts = self.executions[path], self.child_counts.get(path)
        if counts is None or loop.state not in _LIVE_DAG or self.state.paused:
            return
        task = self.plan.task_at(path)
        limit = task.iterator.parallelism if task.iterator else 0
        count, number, active = loop.iteration_count or 0, counts.next, counts.active
        items: Sequence[Any] | None = None
        while number < count:
            child = self.executions[iteration_path(path, number)]
            if child.state is State.PENDING and not child.begun:
                if limit and active >= limit:
                    break
                items = items_of(task, loop.inputs) if items is None else items
                active += self._begin_iteration(child, loop, task, items[number])
            number += 1
        # Iterations that ended at once have counted themselves out already.
        counts = self.child_counts.get(path, counts)
        self.child_counts[path] = _replace(counts, active=active, next=number)

    def _begin_iteration(self, child: Execution, loop: Execution, task: TaskPlan, item: Any) -> int:
        if self._cancels(child.path):
            self._end(child, State.CANCELED, self._why)
            return 0
        try:
            self._begin(_replace(child, inputs=iteration_inputs(task, loop.inputs, item)), task)
        except Fault as fault:
            self._end(child, State.FAILED, fault.reason)
        # One that was over as it began is not under way.
        return int(not self.executions[child.path].state.final)

    # --- cancel, pause, retry, time ------------------------------------------------------------

    @property
    def _why(self) -> Reason:
        """Why what has not ended is cancelled."""
        return _TIMED_OUT if self.state.timed_out else _CANCELED

    def _cancel(self) -> None:
        if self.state.state.final or self.state.cancel_requested:
            return
        self._change_run(cancel_requested=True, paused=False, state=State.CANCELING)
        for path in sorted(p for p, e in self.state.executions.items() if not e.state.final and not self._exempt(p)):
            self._cancel_one(self.executions[path])
        # What a pause held back and a cancel does not stop (exit tasks) may go on.
        self._go_on()

    def _cancel_one(self, execution: Execution) -> None:
        if execution.state.final:
            return  # It ended with the DAG it is in.
        if execution.is_attempted or (execution.path in self.child_counts and execution.state is not State.PENDING):
            self.set(execution, state=State.CANCELING)
        else:
            self._end(execution, State.CANCELED, self._why)
            if execution.kind is Kind.ROOT:
                self._change_run(state=State.CANCELED, error=self._why, ended_at=self.at)

    def _pause(self) -> None:
        if self.state.state in (State.PENDING, State.RUNNING):
            word = State.PAUSED if self.state.state is State.RUNNING else self.state.state
            self._change_run(paused=True, state=word)

    def _resume(self) -> None:
        if self.state.paused and not self.state.state.final:
            word = State.RUNNING if self.executions[""].begun else State.PENDING
            self._change_run(paused=False, state=word)
            self._go_on()
            self._tick()

    def _go_on(self) -> None:
        """Begin all that a pause held back."""
        for path in sorted(self.state.executions):
            execution = self.executions[path]
            if execution.state is State.PENDING:
                self._go_on_with(execution)
            elif execution.kind is Kind.LOOP and path in self.child_counts:
                self.queue.append((self.fill, path))

    def _go_on_with(self, execution: Execution) -> None:
        if execution.begun:
            waits = execution.retry_at is not None or execution.looking_up
            if not waits and not execution.is_attempted:
                self.queue.append((self.launch, execution.path))
        elif execution.iteration is None and execution.path and execution.path not in self.unmet:
            self.queue.append((self.consider, execution.path))

    def _tick(self) -> None:
        deadline = self.state.deadline_at
        if deadline is not None and deadline <= self.at and not self.state.cancel_requested:
            self._change_run(timed_out=not self.state.state.final)
            self._cancel()
        if self.state.paused:
            return
        for path in sorted(p for p, due in self.state.index.due.items() if due <= self.at):
            self.set(self.executions[path], retry_at=None)
            self.queue.append((self.launch, path))

    def _retry_run(self) -> None:
        """Keep what succeeded, run the rest."""
        root = self.executions[""]
        if self.state.state not in (State.FAILED, State.CANCELED):
            return
        self._change_run(
            cancel_requested=False, timed_out=False, paused=False, error=None, ended_at=None, state=State.RUNNING,
            deadline_at=self._deadline(),
        )  # fmt: skip
        if not root.begun:
            root = _replace(_fresh(root), inputs=self.state.inputs)
            self.put(root)
            self._begin_run(root)
            return
        self.put(_replace(root, state=State.RUNNING, reason=None, ended_at=None, outputs=Bundle()))
        self._redo_dag("")

    def _redo_dag(self, path: str) -> None:
        """Reset those children of a DAG that did not succeed, and all that depends on them."""
        dag = self.plan.dag_at(path)
        redone: set[str] = set()
        for name, task in dag.tasks.items():
            child = self.executions[child_path(path, name)]
            upstream = any(other in redone for other in task.dependencies)
            if not upstream and _stands(child):
                continue
            redone.add(name)
            if upstream or not self._has_begun_body(child):
                self._reset_tree(child.path)
            else:
                self._redo_body(child)
        self.child_counts[path] = count_dag_children(dag, path, self.executions)
        for waiting, count in unmet_below(dag, path, self.executions).items():
            self.unmet[waiting] = count
        ready = (child_path(path, name) for name in dag.tasks if name in redone)
        self.queue.extend((self.consider, p) for p in ready if p not in self.unmet)
        self.queue.append((self.finish, path))

    def _has_begun_body(self, execution: Execution) -> bool:
        return execution.begun and execution.kind in (Kind.DAG, Kind.LOOP)

    def _redo_body(self, execution: Execution) -> None:
        """Go on with a DAG or loop that ended badly: its inputs stand."""
        self.put(
            _replace(
                execution, state=State.RUNNING, reason=None, ended_at=None, retry_at=None, retries=0, outputs=Bundle()
            )
        )  # fmt: skip
        if execution.kind is Kind.LOOP:
            self._redo_loop(execution)
        else:
            self._redo_dag(execution.path)

    def _redo_loop(self, loop: Execution) -> None:
        for child in self._children(loop):
            if _stands(child):
                continue
            if self._has_begun_body(child):
                # Its tasks stay as they are until `fill` has room for it again: see `_begin_dag`.
                self.put(_fresh(child))
                self.child_counts.pop(child.path, None)
            else:
                self._reset_tree(child.path)
        self.child_counts[loop.path] = count_loop_children(self.executions[loop.path], self.executions)
        self.queue.append((self.fill, loop.path))
        self.queue.append((self.finish, loop.path))

    def _reset_tree(self, path: str) -> None:
        """Make an execution and all below it as if they had not been begun. Attempts keep their numbers."""
        for below in self._tree(path):
            self.put(_fresh(self.executions[below]))
            self.child_counts.pop(below, None)
            self.unmet.pop(below, None)

    def _tree(self, path: str) -> list[str]:
        """An execution and all below it that exist."""
        found = [path]
        for at in found:
            execution = self.executions[at]
            paths = self._iteration_paths(at) if execution.kind is Kind.LOOP else self._child_paths(execution)
            found.extend(p for p in paths if p in self.executions)
        return found

    def _iteration_paths(self, loop: str) -> Iterator[str]:
        """All iterations a loop ever had: in an earlier life it may have had more items."""
        number = 0
        while (path := iteration_path(loop, number)) in self.executions:
            yield path
            number += 1


def backoff(policy: RetryPolicy, retry: int) -> float:
    """Seconds to wait before the n-th retry, from 1."""
    try:
        delay = policy.backoff_s * (policy.backoff_factor or 1.0) ** (retry - 1)
    except OverflowError:
        delay = float("inf")
    # Without a limit of its own a policy waits at most a day. With one, too, it must stay a date.
    return min(delay, policy.backoff_max_s or 86_400.0, _LONGEST_BACKOFF_S)


def _fresh(execution: Execution) -> Execution:
    """The execution as if it had not been begun; its attempts stay as history."""
    return Execution(
        path=execution.path, task=execution.task, kind=execution.kind, state=State.PENDING, parent=execution.parent,
        iteration=execution.iteration, iteration_count=execution.iteration_count,
        attempts=tuple(_over(attempt) for attempt in execution.attempts),
        earlier_attempts=len(execution.attempts), created_at=execution.created_at,
    )  # fmt: skip


def _note(event: CacheMissed | CacheWaiting) -> CacheNote:
    return CacheNote(fingerprint=event.fingerprint, reason=event.reason)


def _over(attempt: AttemptRecord) -> AttemptRecord:
    """A run that was ended from outside may have left an attempt open; nobody waits for it any more."""
    return attempt if attempt.state.final else _replace(attempt, state=State.CANCELED, waiting=None)


def _marking(mark: Mark, at: float) -> dict[str, Any]:
    """What of an execution changes when its mark takes effect."""
    return {
        "state": mark.state, "outputs": mark.outputs, "reason": told(mark), "marked": _replace(mark, outputs=Bundle()),
        "ended_at": at, "retry_at": None, "looking_up": False, "cached_from": None,
    }  # fmt: skip


def _stands(execution: Execution) -> bool:
    """Whether a new life of its DAG leaves it as it is: it succeeded, or somebody has decided its outcome."""
    return execution.state is State.SUCCEEDED or (execution.marked is not None and execution.state.final)


def _because_of_failure(execution: Execution) -> bool:
    return execution.reason is not None and execution.reason.code == "UPSTREAM_FAILED"


def _condition_reason(task: TaskPlan, bundle: Bundle) -> Reason | None:
    """Why the condition skips the task, None when it holds; raises Fault when it cannot be evaluated."""
    condition = task.task.condition
    if not condition:
        return None
    named = referenced(condition, bundle)
    told = ", ".join(f"{name} = {shown(value)}" for name, value in named.items())
    try:
        if holds(condition, bundle):
            return None
    except (ExpressionError, RecursionError) as error:
        raise Fault(
            "CONDITION_ERROR", f"The condition `{condition}` fails: {error}. ({told})", condition=condition
        ) from None
    return Reason(
        code="CONDITION_FALSE",
        message=f"The condition `{condition}` is false: {told}.",
        details={"condition": condition, "values": {name: shown(value) for name, value in named.items()}},
    )


_replace = msgspec.structs.replace
