"""A second engine, slow and plain: after each event it looks at every execution again until nothing changes.

It shares only the values with the real engine. It reads the document without a plan and without an index; the rules of
inputs and outputs are in `reference_rules`. The histories compare both engines after each event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from headrace.engine.model import *
from headrace.spec.document import Component, Dag, Document, Task
from properties import reference_rules
from properties.reference_rules import Scope, Wrong

replace = msgspec.structs.replace
LIVE = (State.RUNNING, State.CANCELING)
MAX_LOST = 3


@dataclass
class ReferenceEngine:
    document: Document
    state: RunState
    all: dict[str, Execution] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.all = dict(self.state.executions)
        self.dags: dict[str, Dag] = {}
        self.moved = False

    # --- looking things up -------------------------------------------------------------------

    def tasks_below(self, path: str) -> dict[str, Task]:
        """Task name -> task of the document, for the DAG execution at `path`."""
        return self.dag(path).tasks

    def dag(self, path: str) -> Dag:
        if path not in self.dags:
            dag = self.document.root.dag
            for name in [n.split("[")[0] for n in path.split("/")] if path else []:
                dag = self.document.components[dag.tasks[name].component].dag
            self.dags[path] = dag
        return self.dags[path]

    def component(self, e: Execution) -> Component:
        return self.document.components[self.task(e).component]

    def body(self, e: Execution) -> Kind:
        """What the task is, or one iteration of it if it is a loop."""
        component = self.component(e)
        if component.dag is not None:
            return Kind.DAG
        executor = self.document.executors[component.executor]
        return Kind.IMPORTER if executor.importer is not None else Kind.TASK

    def task(self, e: Execution) -> Any:
        parent = self.all[e.parent]
        if e.iteration is not None:
            parent = self.all[parent.parent]
        return self.tasks_below(parent.path)[e.task]

    def upstream(self, e: Execution) -> list[Execution]:
        task = self.task(e)
        names = set(task.after)
        names |= {s.task_output.task for s in task.inputs.parameters.values() if s.task_output}
        names |= {s.task_output.task for s in task.inputs.artifacts.values() if s.task_output}
        names |= {s.final_status_of for s in task.inputs.parameters.values() if s.final_status_of}
        prefix = e.path[: len(e.path) - len(e.task)]
        return [self.all[prefix + name] for name in names]

    def children(self, e: Execution) -> list[Execution]:
        if e.kind is Kind.LOOP:
            return [self.all[f"{e.path}[{i}]"] for i in range(e.iteration_count or 0)]
        prefix = f"{e.path}/" if e.path else ""
        return [self.all[prefix + n] for n in self.tasks_below(e.path) if prefix + n in self.all]

    def exempt(self, e: Execution) -> bool:
        while e.parent is not None:
            if self.task(e).strategy == "ALL_UPSTREAM_TASKS_COMPLETED":
                return True
            e = self.all[e.parent]
        return False

    def asks_cache(self) -> bool:
        named = self.state.origin is not None and bool(self.state.origin.again)
        return self.state.caching is True or (self.state.caching is None and not named)

    # --- reuse of an earlier run ----------------------------------------------------------------

    def reused(self, e: Execution) -> Reusable | None:
        """What this task may reuse: it is in the reuse plan, and so is all that it and its groups waited for."""
        left = self.state.reuse.get(e.path)
        if left is None or left.state is not State.SUCCEEDED:
            return None
        while e.parent is not None:
            if e.iteration is not None:
                name = self.task(e).iterator.item_input
                then = self.state.reuse[e.path].inputs if e.path in self.state.reuse else None
                if then is None or then.parameters.get(name) != e.inputs.parameters.get(name):
                    return None
                if then.artifacts.get(name) != e.inputs.artifacts.get(name):
                    return None
            elif not all(self.unchanged(u) for u in self.upstream(e)):
                return None
            e = self.all[e.parent]
        return left

    def outdated(self, e: Execution, left: Reusable) -> Reason | None:
        """Whether an input that comes from outside its DAG, or the component, is another than then."""
        sources = self.task(e).inputs.parameters
        names = [name for name, source in sources.items() if source.component_input is not None]
        same = all(left.inputs.parameters.get(name) == e.inputs.parameters.get(name) for name in names)
        return None if same and not left.changed else Reason(code="REUSED_OUTDATED", message="")

    def unchanged(self, e: Execution) -> bool:
        left = self.state.reuse.get(e.path)
        if e.state is State.SKIPPED:
            return left is not None and left.state is State.SKIPPED
        return e.reused_from is not None

    # --- marks -------------------------------------------------------------------

    def mark(self, event: ExecutionMarked) -> None:
        e, state = self.all.get(event.path), self.state
        if e is None or e.kind not in (Kind.TASK, Kind.IMPORTER) or e.state in (State.SUCCEEDED, event.state):
            return
        if state.cancel_requested or state.state in (State.SUCCEEDED, State.CANCELED):
            return
        above = e
        while above.parent is not None:
            number, above = above.iteration, self.all[above.parent]
            if not above.begun or above.state is State.SUCCEEDED:
                return
            if number is not None and number >= above.iteration_count:
                return
        mark = Mark(state=event.state, at=event.at, outputs=event.outputs)
        if e.state.final:
            self.decide(e, mark)
            self.reopen(self.all[e.path])
        elif e.attempts and not e.attempts[-1].state.final:
            self.put(e, state=State.CANCELING, marked=mark)
        else:
            self.decide(e, mark)

    def decide(self, e: Execution, mark: Mark) -> None:
        self.put(
            e, state=mark.state, outputs=mark.outputs, marked=mark, reason=Reason(code="MARKED", message=""),
            retry_at=None, looking_up=False, cached_from=None,
        )  # fmt: skip

    def reopen(self, e: Execution) -> None:
        """Reopen what ended because of it, up to the first group around it that has not ended."""
        chain = [e]
        while chain[-1].parent is not None and self.all[chain[-1].parent].state.final:
            chain.append(self.all[chain[-1].parent])
        top = chain[-1]
        if top.parent is not None and top is not e and top.iteration is not None:
            limit = self.task(top).iterator.parallelism
            busy = sum(c.begun and not c.state.final for c in self.children(self.all[top.parent]))
            if limit and busy >= limit:
                self.fresh(top.path)
                return
        for one in chain:
            if one is not e:
                self.put(self.all[one.path], state=State.RUNNING, reason=None, outputs=Bundle())
            if one.parent is None:
                self.run(State.RUNNING)
            elif one.iteration is None:
                self.free(one)

    def free(self, e: Execution) -> None:
        freed = {e.path}
        while True:
            held = [
                c for c in self.children(self.all[e.parent])
                if c.path not in freed and any(u.path in freed for u in self.upstream(c))
                and c.state.final and not c.begun and c.marked is None
            ]  # fmt: skip
            if not held:
                return
            for c in held:
                self.reset(c.path)
                freed.add(c.path)

    def cancels(self, e: Execution) -> bool:
        return self.state.cancel_requested and not self.exempt(e)

    # --- one event -----------------------------------------------------------------------------

    def advance(self, event: AnyEvent) -> None:
        self.at = event.at
        self.happens(event)
        while self.follows():
            pass

    def put(self, e: Execution, **fields: Any) -> None:
        self.set(replace(e, **fields))

    def set(self, e: Execution) -> None:
        self.moved = self.moved or self.all.get(e.path) != e
        self.all[e.path] = e

    def end(self, e: Execution, state: State, code: str = "") -> None:
        reason = Reason(code=code, message="") if code else None
        self.put(e, state=state, reason=reason, ended_at=self.at, retry_at=None, looking_up=False)
        if not e.begun:
            word = State.CANCELED if state is State.CANCELED else State.SKIPPED
            for below in [x for x in self.all.values() if x.path.startswith((f"{e.path}/", f"{e.path}["))]:
                if not below.state.final:
                    self.put(below, state=word, reason=reason)

    def happens(self, event: AnyEvent) -> None:
        state = self.state
        if isinstance(event, RunStarted):
            root = self.all[""]
            if not root.begun and not state.state.final:
                self.put(root, state=State.RUNNING, begun=True)
                self.state = state = replace(state, origin=event.origin, reuse=event.reuse)
                self.limit()
                self.run(State.PAUSED if state.paused else State.RUNNING)
        elif isinstance(event, CacheHit | CacheMissed | CacheWaiting):
            e = self.all.get(event.path)
            if e is None or not e.looking_up:
                return
            if isinstance(event, CacheHit):
                note = CacheNote(fingerprint=event.fingerprint)
                self.put(e, looking_up=False, state=State.SUCCEEDED, outputs=event.outputs, cache=note)
            else:
                note = CacheNote(fingerprint=event.fingerprint, reason=event.reason)
                self.put(e, looking_up=isinstance(event, CacheWaiting), cache=note)
        elif isinstance(event, CancelRequested):
            self.cancel_run(timed_out=False)
        elif isinstance(event, ExecutionMarked):
            self.mark(event)
        elif isinstance(event, PauseRequested):
            if state.state in (State.PENDING, State.RUNNING):
                self.state = replace(state, paused=True)
                self.run(State.PENDING if state.state is State.PENDING else State.PAUSED)
        elif isinstance(event, ResumeRequested):
            if state.paused:
                self.state = replace(state, paused=False)
                self.run(State.RUNNING if self.all[""].begun else State.PENDING)
                if state.deadline_at is not None and event.at >= state.deadline_at:
                    self.cancel_run(timed_out=True)
                self.clock()
        elif isinstance(event, Tick):
            if state.deadline_at is not None and event.at >= state.deadline_at:
                self.cancel_run(timed_out=True)
            if not self.state.paused:
                self.clock()
        elif isinstance(event, RetryRequested):
            if state.state in (State.FAILED, State.CANCELED):
                self.state = replace(state, cancel_requested=False, paused=False, timed_out=False)
                self.run(State.RUNNING)
                self.limit()
                root = self.all[""]
                began = root.begun
                self.put(root, state=State.RUNNING, begun=True, reason=None)
                if began:
                    self.redo_dag(self.all[""])
        else:
            self.report(event)

    def limit(self) -> None:
        limit = self.document.kubernetes.pipeline_config.get("activeDeadlineSeconds")
        self.state = replace(self.state, deadline_at=self.at + limit if limit else None)

    def cancel_run(self, *, timed_out: bool) -> None:
        if self.state.state.final or self.state.cancel_requested:
            return
        self.state = replace(
            self.state, cancel_requested=True, paused=False, state=State.CANCELING, timed_out=timed_out
        )
        for e in list(self.all.values()):
            if not self.all[e.path].state.final and not self.exempt(e):
                self.cancel(e)

    @property
    def why(self) -> str:
        return "RUN_TIMEOUT" if self.state.timed_out else "RUN_CANCELED"

    def run(self, word: State) -> None:
        self.state = replace(self.state, state=word)

    def clock(self) -> None:
        for e in list(self.all.values()):
            if e.retry_at is not None and e.retry_at <= self.at:
                self.put(e, retry_at=None)

    def cancel(self, e: Execution) -> None:
        live = e.attempts and not e.attempts[-1].state.final
        if live or (e.kind in (Kind.DAG, Kind.LOOP, Kind.ROOT) and e.state is State.RUNNING):
            self.put(e, state=State.CANCELING)
        else:
            self.end(e, State.CANCELED, self.why)
            if e.kind is Kind.ROOT:
                self.run(State.CANCELED)

    def report(self, event: Any) -> None:
        e = self.all.get(event.attempt.path)
        if e is None or not e.attempts or e.attempts[-1].number != event.attempt.number:
            return
        last = e.attempts[-1]
        if last.state.final or e.state.final:
            return

        def record(word: State, /, **fields: Any) -> None:
            self.put(e, attempts=(*e.attempts[:-1], replace(last, state=word)), **fields)

        if e.marked is not None and not isinstance(event, AttemptWaiting | AttemptStarted):
            words = {AttemptSucceeded: State.SUCCEEDED, AttemptFailed: State.FAILED}
            record(words.get(type(event), State.CANCELED))
            self.decide(self.all[e.path], e.marked)
        elif isinstance(event, AttemptStarted):
            if last.state is State.PENDING:
                record(State.RUNNING, state=State.CANCELING if e.state is State.CANCELING else State.RUNNING)
        elif isinstance(event, AttemptSucceeded):
            record(State.SUCCEEDED, state=State.SUCCEEDED, outputs=event.outputs, reason=None)
        elif isinstance(event, AttemptFailed):
            if e.state is State.CANCELING:
                record(State.FAILED, state=State.CANCELED, reason=Reason(code=self.why, message=""))
                return
            policy = self.task(e).retry
            failed_before = len(e.attempts) - 1 - e.earlier_attempts - e.lost_count
            if not event.retryable or policy is None or failed_before >= policy.max_count:
                record(State.FAILED, state=State.FAILED, reason=event.error)
            else:
                record(State.FAILED, state=State.PENDING, retry_at=self.delayed(policy, failed_before))
        elif isinstance(event, AttemptLost | AttemptStopped):
            if e.state is State.CANCELING:
                record(State.CANCELED, state=State.CANCELED, reason=Reason(code=self.why, message=""))
            elif e.lost_count == MAX_LOST:
                reason = Reason(code="EXECUTOR_LOST", message="")
                record(State.FAILED, state=State.FAILED, lost_count=e.lost_count + 1, reason=reason)
            else:
                due = self.at + (1, 5, 25)[e.lost_count]
                record(State.FAILED, state=State.PENDING, lost_count=e.lost_count + 1, retry_at=due)

    def delayed(self, policy: Any, done: int) -> float | None:
        delay = policy.backoff_s
        for _ in range(done):
            delay = delay * policy.backoff_factor if policy.backoff_factor else delay
        if policy.backoff_max_s:
            delay = min(delay, policy.backoff_max_s)
        return self.at + delay if delay else None

    # --- what follows --------------------------------------------------------------------------

    def follows(self) -> bool:
        """Make one change that follows from the state; False when nothing follows."""
        self.moved = False
        for path in sorted(self.all):
            e = self.all[path]
            if e.state is State.PENDING:
                self.pending(e)
            elif e.kind in (Kind.DAG, Kind.LOOP, Kind.ROOT) and not e.state.final:
                self.live_group(e)
            if self.moved:
                return True
        return False

    def pending(self, e: Execution) -> None:
        if e.begun:
            live = e.attempts and not e.attempts[-1].state.final
            if live or e.looking_up or e.retry_at is not None or self.state.paused:
                return
            if self.cancels(e):
                self.end(e, State.CANCELED, self.why)
            elif e.kind is Kind.DAG:
                self.put(e, state=State.RUNNING, retries=e.retries + 1, reason=None)
                self.redo_dag(e)
            else:
                number = len(e.attempts) + 1
                self.put(e, attempts=(*e.attempts, AttemptRecord(number=number, state=State.PENDING)))
            return
        if e.parent is None or e.iteration is not None or self.all[e.parent].state not in LIVE:
            return
        upstream = self.upstream(e)
        if not all(u.state.final for u in upstream):
            return
        task = self.task(e)
        always = task.strategy == "ALL_UPSTREAM_TASKS_COMPLETED"
        bad = [u for u in upstream if u.state is not State.SUCCEEDED]
        if self.cancels(e):
            self.end(e, State.CANCELED, self.why)
        elif bad and not always:
            mild = all(u.state is State.SKIPPED and u.reason.code != "UPSTREAM_FAILED" for u in bad)
            self.end(e, State.SKIPPED, "UPSTREAM_SKIPPED" if mild else "UPSTREAM_FAILED")
        elif not self.state.paused:
            self.begin_task(e, task)

    def begin_task(self, e: Execution, task: Task) -> None:
        try:
            scope = Scope(self.document, self.state, self.all, self.all[e.parent])
            found = reference_rules.inputs_of(scope, task, self.component(e))
            if task.condition and not reference_rules.holds(task.condition, found):
                self.end(replace(e, inputs=found), State.SKIPPED, "CONDITION_FALSE")
                return
            self.begin(replace(e, inputs=found), task)
        except Wrong as wrong:
            self.end(e, State.FAILED, wrong.code)

    def begin(self, e: Execution, task: Task) -> None:
        if e.kind is Kind.LOOP:
            count = len(reference_rules.items_of(task, e.inputs))
            self.put(e, state=State.RUNNING, begun=True, iteration_count=count)
            for i in range(count):
                path = f"{e.path}[{i}]"
                if path not in self.all:
                    kind = self.body(e)
                    self.set(
                        Execution(path=path, task=e.task, kind=kind, state=State.PENDING, parent=e.path, iteration=i)
                    )
            for gone in [p for p in self.all if p.startswith(f"{e.path}[")]:
                if int(gone[len(e.path) + 1 :].split("]")[0]) >= count:
                    if not self.all[gone].state.final:
                        self.end(self.all[gone], State.SKIPPED, "ITERATION_GONE")
        elif e.kind is Kind.DAG:
            self.put(e, state=State.RUNNING, begun=True)
            self.redo_dag(self.all[e.path])
        elif self.document.executors[self.component(e).executor].unsupported:
            raise Wrong("EXECUTOR_UNSUPPORTED")
        elif (left := self.reused(e)) is not None:
            self.put(
                e, begun=True, state=State.SUCCEEDED, inputs=left.inputs, outputs=left.outputs,
                reused_from=left.execution_id, reason=self.outdated(e, left),
            )  # fmt: skip
        elif task.cache and e.kind is Kind.TASK and self.asks_cache():
            self.put(e, begun=True, looking_up=True)
        else:
            self.put(e, begun=True)

    def live_group(self, e: Execution) -> None:
        if e.kind is Kind.ROOT or e.kind is Kind.DAG:
            for name, task in self.tasks_below(e.path).items():
                path = f"{e.path}/{name}" if e.path else name
                if path not in self.all:
                    new = Execution(path=path, task=name, kind=Kind.LOOP, state=State.PENDING, parent=e.path)
                    self.set(new if task.iterator else replace(new, kind=self.body(new)))
        children = self.children(e)
        if e.kind is Kind.LOOP and not self.state.paused:
            task = self.task(e)
            limit = task.iterator.parallelism or len(children)
            active = sum(c.begun and not c.state.final for c in children)
            for c in children:
                if active < limit and c.state is State.PENDING and not c.begun:
                    self.begin_iteration(c, e, task)
                    active += self.all[c.path].begun
            children = self.children(e)
        if all(c.state.final for c in children):
            self.finish(e, children)

    def begin_iteration(self, c: Execution, loop: Execution, task: Task) -> None:
        try:
            item = reference_rules.items_of(task, loop.inputs)[c.iteration]
            found = reference_rules.iteration_inputs(task, self.component(loop), loop.inputs, item)
            self.begin(replace(c, inputs=found), task)
        except Wrong as wrong:
            self.end(c, State.FAILED, wrong.code)

    def finish(self, e: Execution, children: list[Execution]) -> None:
        states = [c.state for c in children]
        word = State.SUCCEEDED
        if State.FAILED in states:
            word = State.FAILED
        if State.CANCELED in states or (self.state.cancel_requested and e.kind is Kind.ROOT):
            word = State.CANCELED
        if self.state.timed_out and e.kind is Kind.ROOT:
            word = State.FAILED
        if word is State.FAILED and e.kind is Kind.DAG and not self.cancels(e):
            policy = self.task(e).retry
            if policy is not None and e.retries < policy.max_count:
                self.put(e, state=State.PENDING, retry_at=self.delayed(policy, e.retries))
                return
        if e.kind is Kind.LOOP:
            outputs = reference_rules.collected(self.component(e), children)
        else:
            outputs = reference_rules.handed_out(self.dag(e.path), e.path, self.all)
        left = self.state.reuse.get(e.path)
        same = (
            word is State.SUCCEEDED and left is not None and left.iteration_count == e.iteration_count
            and left.outputs == outputs and all(self.unchanged(c) for c in children) and self.reused(e)
        )  # fmt: skip
        self.put(e, state=word, outputs=outputs, reused_from=left.execution_id if same else None)
        if e.kind is Kind.ROOT:
            self.run(word)
            self.state = replace(self.state, paused=False)

    # --- again -----------------------------------------------------------------------------------

    def redo_dag(self, e: Execution) -> None:
        children = self.children(e)
        again = {c.path for c in children if not self.stands(c)}
        while True:
            more = {c.path for c in children if any(u.path in again for u in self.upstream(c))} - again
            if not more:
                break
            again |= more
        for c in children:
            if c.path not in again:
                continue
            because = any(u.path in again for u in self.upstream(c))
            if because or not (c.begun and c.kind in (Kind.DAG, Kind.LOOP)):
                self.reset(c.path)
            else:
                self.put(c, state=State.RUNNING, reason=None, retry_at=None, retries=0, outputs=Bundle())
                if c.kind is Kind.DAG:
                    self.redo_dag(self.all[c.path])
                else:
                    self.redo_loop(self.all[c.path])

    def stands(self, e: Execution) -> bool:
        return e.state is State.SUCCEEDED or (e.marked is not None and e.state.final)

    def redo_loop(self, e: Execution) -> None:
        for c in self.children(e):
            if self.stands(c):
                continue
            if c.begun and c.kind is Kind.DAG:
                self.fresh(c.path)
            else:
                self.reset(c.path)

    def reset(self, path: str) -> None:
        for below in list(self.all):
            if below == path or below.startswith((f"{path}/", f"{path}[")):
                self.fresh(below)

    def fresh(self, path: str) -> None:
        e = self.all[path]
        self.put(
            e, state=State.PENDING, begun=False, looking_up=False, reason=None, retry_at=None, retries=0,
            lost_count=0, earlier_attempts=len(e.attempts), inputs=Bundle(), outputs=Bundle(), cached_from=None,
            cache=None, reused_from=None, marked=None,
        )  # fmt: skip


# --- to compare ------------------------------------------------------------------------------


def seen(e: Execution) -> tuple[Any, ...]:
    """The fields of an execution that both engines must agree on."""
    return (
        e.state, e.begun, e.looking_up, e.retry_at, e.lost_count, e.retries, e.earlier_attempts, e.iteration_count,
        tuple((a.number, a.state) for a in e.attempts), e.reused_from, e.marked.state if e.marked else None,
        e.reason.code if e.reason and e.kind not in (Kind.DAG, Kind.LOOP, Kind.ROOT) else None,
        {n: without_wording(v) for n, v in e.inputs.parameters.items()}, e.inputs.artifacts, e.outputs, e.cache,
    )  # fmt: skip


def seen_run(state: RunState) -> tuple[Any, ...]:
    """The fields of the run that both engines must agree on."""
    return state.state, state.cancel_requested, state.paused, state.timed_out, state.deadline_at


def without_wording(value: Any) -> Any:
    """A task's final status without its error: the reference engine does not write messages."""
    return {**value, "error": {}} if isinstance(value, dict) and "pipelineTaskName" in value else value
