"""What must hold in every simulated history: after each event, at each commit, at the end, and while nothing happens.

All of it is checked each time, but for what is stored as JSON and read back: that is compared whenever a server takes
the run over, and once at the end.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from headrace import engine
from headrace.attempt.order import LaunchOrder
from headrace.engine.index import rebuild
from headrace.engine.model import *
from headrace.service.active import ActiveRun, BatchResult
from properties import reference_rules
from properties.reference_engine import LIVE, ReferenceEngine, seen, seen_run

if TYPE_CHECKING:
    from properties.world import World

_LOST = ("GONE", "STOPPED", "SERVER_LOST")
_ENDS = (AttemptSucceeded, AttemptFailed, AttemptLost, AttemptStopped)
_GROUPS = (Kind.DAG, Kind.LOOP, Kind.ROOT)
#: Longest time in calm in which nothing is recorded while something is under way: a lease that runs out and is taken
#: by a server that has just been started, a task, its report, the cache, a stop with its grace.
PATIENCE_S = 300.0
#: Checks that look at every execution are made after each event of a run that has fewer executions, else after every
#: second event, third, …: a few large histories would take most of the time, and show hardly more.
_SMALL = 24


class Watch:
    """Checks the history while it runs; raises AssertionError."""

    def __init__(self, world: World, first: RunState) -> None:
        self.world, self.plan = world, world.plan
        self.first = first
        self.reference = ReferenceEngine(world.plan.document, first)
        self.compared: dict[str, tuple[Any, Any]] = {}
        self.log: list[AnyEvent] = []
        self.last_commit = 0.0
        self.seen_events = 0
        #: Reason codes that executions have had.
        self.codes: set[str] = set()
        self.by_fingerprint: dict[str, str] = {}
        self.by_sameness: dict[str, str] = {}
        self.upstream_names: dict[str, tuple[str, ...]] = {}
        for name, value in world.arguments.items():
            kind = world.plan.document.root.inputs.parameters[name].type
            fitted = None if value is None else reference_rules.typed(value, kind)
            assert first.inputs.parameters[name] == fitted, f"argument {name} is not what was given"

    # --- a commit ------------------------------------------------------------------------------

    def committed(self, run: ActiveRun, events: list[AnyEvent], folded: BatchResult) -> None:
        world, change, before = self.world, folded.change, run.state
        self.last_commit = world.now
        assert change.state.error is None or change.state.error.code != "INTERNAL_ERROR", change.state.error
        state, wanted = before, []
        for event in events:
            step = engine.advance(self.plan, state, event)
            self.event(state, event, step)
            self.log.append(event)
            self._tell(event, state, step)
            state = step.state
            wanted += step.commands
        assert change.state == state, "fold and advance do not agree"
        assert [command for _, command in folded.commands] == wanted, "fold lost a command"
        assert folded.ended == [event.attempt for event in events if isinstance(event, _ENDS)]
        self._check_change(before, state, change)
        assert world.record.rows == dict(state.executions.items()), "the rows are not the state"

    def _check_change(self, before: RunState, after: RunState, change: Any) -> None:
        old, new = before.executions, after.executions
        differ = {path for path in new if path not in old or old[path] != new[path]}
        assert {execution.path for _, execution in change.changed} == differ, (
            "rows that did not change, or not all that did"
        )
        assert len(change.changed) == len(differ)
        places = [place for place, execution in change.changed if execution.path not in old]
        assert places == list(range(len(old), len(new))), "new rows are not in the order they were made"
        tasks = [execution.state for execution in new.values() if reference_rules.is_task(execution)]
        assert change.task_counts == dict(Counter(tasks)), "states are counted wrong"
        assert change.state_history[-1][1] is after.state
        settled = [
            new[p] for p in new
            if p in differ and new[p].state.final
            and not (p in old and old[p].state.final and old[p].outputs == new[p].outputs)
        ]  # fmt: skip
        settled = [execution for execution in settled if reference_rules.is_task(execution)]
        made = [a.artifact_id for e in settled for many in e.outputs.artifacts.values() for a in many]
        assert sorted(a.artifact.artifact_id for a in change.artifacts) == sorted(made), "artifacts do not come along"
        edges = [a for e in settled for b in (e.inputs, e.outputs) for many in b.artifacts.values() for a in many]
        assert len(change.edges) == len(edges), "lineage does not come along"
        kept = {}
        for e in settled:
            task = self.reference.task(e)
            plain = e.kind is Kind.TASK and e.state is State.SUCCEEDED and not e.cached_from
            plain = plain and e.reused_from is None and e.marked is None
            if plain and task.cache and after.caching is not False:
                kept[execution_id("r", e.path)] = e
        assert {entry.execution_id for entry in change.cache_entries} == set(kept), "cache entries do not come along"
        for entry in change.cache_entries:
            assert entry.outputs == kept[entry.execution_id].outputs
            self.fingerprint(after, kept[entry.execution_id].path, entry.key.fingerprint)

    # --- an event ------------------------------------------------------------------------------

    def event(self, before: RunState, event: AnyEvent, step: Step) -> None:
        after = step.state
        old, new = before.executions, after.executions
        self.seen_events += 1
        if self.seen_events % (1 + len(new) // _SMALL):
            self.reference.advance(event)
            self._compare(after, event)
            for path in step.changed:
                self._check_execution(old.get(path), new[path], event, before, after)
            return
        self._check_commands(before, event, step)
        differ = [p for p, e in new.items() if (o := old.get(p)) is not e and o != e]
        assert set(step.changed) == set(differ) and len(step.changed) == len(differ), "changed is not what changed"
        assert not set(old) - set(new), "an execution is gone"
        self._check_index(after, event)
        due = [] if after.paused else [e.retry_at for e in new.values() if e.retry_at is not None]
        if after.deadline_at is not None and not after.cancel_requested:
            due.append(after.deadline_at)
        wake = None if after.state.final else min(due, default=None)
        assert engine.wake_at(after) == wake, "the clock is set wrong"
        self.reference.advance(event)
        self._compare(after, event)
        for path in differ:
            self._check_execution(old.get(path), new[path], event, before, after)
        for execution in new.values():
            self._check_place(after, execution)

    def _check_commands(self, before: RunState, event: AnyEvent, step: Step) -> None:
        wanted_before = set(map(repr, engine.outstanding(self.plan, before)))
        if isinstance(event, CacheHit | CacheMissed):
            # An answered question may be asked again.
            wanted_before.discard(repr(LookUpCache(path=event.path)))
        wanted = set(map(repr, engine.outstanding(self.plan, step.state)))
        commands = list(map(repr, step.commands))
        assert set(commands) == wanted - wanted_before, "commands are not what became wanted"
        assert len(commands) == len(set(commands)), "a command twice"

    def _check_index(self, after: RunState, event: AnyEvent) -> None:
        index = rebuild(self.plan, after.executions)
        if after.index == index:
            return
        for name in ("child_counts", "unmet", "due"):
            kept, made = getattr(after.index, name), getattr(index, name)
            wrong = {p: (kept.get(p), made.get(p)) for p in {*kept, *made} if kept.get(p) != made.get(p)}
            assert not wrong, f"index.{name} (kept, rebuilt) does not follow from the executions after {event}: {wrong}"

    def _compare(self, after: RunState, event: AnyEvent) -> None:
        mine, other = after.executions, self.reference.all
        different: dict[str, Any] = {}
        for path in mine.keys() | other.keys():
            pair = (mine.get(path), other.get(path))
            last = self.compared.get(path)
            if last is not None and last[0] is pair[0] and last[1] is pair[1]:
                continue
            self.compared[path] = pair
            if pair[0] is None or pair[1] is None or seen(pair[0]) != seen(pair[1]):
                different[path] = tuple(e and seen(e) for e in pair)
        if seen_run(after) != seen_run(self.reference.state):
            different["run"] = (seen_run(after), seen_run(self.reference.state))
        assert not different, f"the reference engine differs (engine, reference engine) after {event}: {different}"

    def _check_execution(
        self, old: Execution | None, new: Execution, event: Any, before: RunState, after: RunState
    ) -> None:
        """An execution changed only in ways that are allowed."""
        if new.reason is not None:
            self.codes.add(new.reason.code)
        if old is None:
            assert new.created_at == event.at
        elif old.state.final:
            # A group that runs again because of a mark may fail again, and its retry policy may begin it again.
            above = self._ancestor_began_again(new, before, after)
            again = above or isinstance(event, RetryRequested | ExecutionMarked)
            undone = isinstance(event, ExecutionMarked) and old.state is State.SUCCEEDED and not above
            assert not undone, "a mark undid a success"
            assert again, f"{new.path} left its final state {old.state}, or its outputs changed"
        if new.state.final and not (old is not None and old.state.final):
            assert new.ended_at is not None and new.ended_at >= event.at, f"{new.path} does not say when it ended"
            assert new.created_at <= (new.started_at or new.created_at) <= new.ended_at, f"the times of {new.path}"
        elif not new.state.final:
            assert new.ended_at is None
        assert (new.cached_from is not None) <= (new.state is State.SUCCEEDED and new.kind is Kind.TASK)
        if new.outputs != Bundle() and new.kind not in _GROUPS:
            assert new.state is State.SUCCEEDED, f"{new.path} has outputs, but is {new.state}"
        if new.kind not in _GROUPS:
            self._check_attempts(old, new)
        elif new.begun and new.state is State.FAILED and not (old is not None and old.state.final):
            if new.reason is None or new.reason.code != "RUN_TIMEOUT":
                self._check_cause(after, new)

    def _check_attempts(self, old: Execution | None, new: Execution) -> None:
        numbers = [attempt.number for attempt in new.attempts]
        assert numbers == list(range(1, len(numbers) + 1)), f"attempts of {new.path} are {numbers}"
        if old is not None and len(new.attempts) > len(old.attempts):
            assert len(new.attempts) == len(old.attempts) + 1, f"two attempts of {new.path} at once"
        life = new.attempts[new.earlier_attempts :]
        assert all(a.state is State.FAILED for a in life[:-1]), f"{new.path} has another attempt without need"
        lost = sum(a.error is not None and a.error.code in _LOST for a in life)
        policy = self.reference.task(new).retry
        most = 1 + (policy.max_count if policy else 0) + lost
        assert len(life) <= most, f"{new.path} has {len(life)} attempts, at most {most} are allowed"
        assert new.lost_count == lost, f"{lost} attempts of {new.path} were lost, counted {new.lost_count}"
        if new.state is State.SUCCEEDED and new.kind is Kind.TASK and not (new.marked or new.reused_from):
            made = bool(life) and life[-1].state is State.SUCCEEDED
            assert made == (new.cached_from is None), f"{new.path} does not say where its outputs are from"
        for was, now in zip(old.attempts if old is not None else (), new.attempts, strict=False):
            assert was.started_at in (None, now.started_at), f"{new.path}#{now.number} started twice"
            assert was.state is now.state or not was.state.final, f"{new.path}#{now.number} left its end"
        times = [at for a in new.attempts for at in (a.started_at, a.ended_at) if at is not None]
        assert times == sorted(times), f"an attempt of {new.path} ended before it began: {times}"
        assert not times or times[0] >= new.created_at, f"{new.path} began before it was made"
        for one in new.attempts:
            assert (one.ended_at is None) is not one.state.final, f"{new.path}#{one.number} does not say when it ended"
            assert one.state is State.PENDING or one.started_at is not None, f"{new.path}#{one.number} has no start"

    def _check_cause(self, after: RunState, new: Execution) -> None:
        """A failed group names the first child that failed, and the task inside of it that caused that."""
        failed = [c for c in self._children(after, new) if c.state is State.FAILED and c.reason is not None]
        first = min(child.ended_at for child in failed)
        causes = [(c.reason.details.get("path", c.path), c.reason.code) for c in failed if c.ended_at == first]
        assert new.reason is not None
        named = new.reason.details["path"]
        assert (named, new.reason.code) in causes, f"{new.path} names {named}, not one of {causes}"
        assert named in new.reason.message

    def _ancestor_began_again(self, e: Execution, before: RunState, after: RunState) -> bool:
        while e.parent is not None:
            e = after.executions[e.parent]
            old = before.executions.get(e.path)
            if e.kind is Kind.DAG and (old is None or e.retries > old.retries or (e.begun and not old.begun)):
                return True
        return False

    # --- where an execution stands -------------------------------------------------------------

    def _upstream(self, state: RunState, e: Execution) -> list[Execution]:
        node = engine.node_path(e.path)
        if node not in self.upstream_names:
            task = self.reference.task(e)
            names = {*task.after, *(s.task_output.task for s in task.inputs.parameters.values() if s.task_output)}
            names |= {s.task_output.task for s in task.inputs.artifacts.values() if s.task_output}
            names |= {s.final_status_of for s in task.inputs.parameters.values() if s.final_status_of}
            self.upstream_names[node] = tuple(sorted(names))
        prefix = e.path[: len(e.path) - len(e.task)]
        return [state.executions[prefix + name] for name in self.upstream_names[node]]

    def _children(self, state: RunState, e: Execution) -> list[Execution]:
        if e.kind is Kind.LOOP:
            return [state.executions[f"{e.path}[{i}]"] for i in range(e.iteration_count or 0)]
        prefix = f"{e.path}/" if e.path else ""
        return [state.executions[prefix + name] for name in self.reference.tasks_below(e.path)]

    def _check_place(self, state: RunState, e: Execution) -> None:
        """Nothing runs that must not run, and nothing waits that could run."""
        if e.state.final:
            return
        parent = state.executions[e.parent] if e.parent is not None else None
        if e.begun and parent is not None:
            assert not parent.state.final, f"{e.path} goes on in a final parent"
            if e.iteration is None:
                exempt = self.reference.task(e).strategy == "ALL_UPSTREAM_TASKS_COMPLETED"
                for upstream in self._upstream(state, e):
                    # A mark lets upstream go on again while an exit task that has seen its end is under way.
                    ended = upstream.state.final or (exempt and self.world.marks > 0)
                    assert ended, f"{e.path} goes on before {upstream.path} is final"
                    assert exempt or upstream.state is State.SUCCEEDED, f"{e.path} goes on after {upstream.path}"
        if e.kind in _GROUPS and e.state in LIVE:
            children = self._children(state, e)
            assert any(not child.state.final for child in children), f"{e.path} does not end, though its children have"
            if e.kind is Kind.LOOP:
                self._check_loop(state, e, children)
        if state.paused or e.state is not State.PENDING:
            return
        if e.begun:
            live = bool(e.attempts) and not e.attempts[-1].state.final
            assert live or e.looking_up or e.retry_at is not None, f"{e.path} is under way, but waits for nothing"
        elif parent is not None and e.iteration is None and parent.state in LIVE:
            assert any(not u.state.final for u in self._upstream(state, e)), f"{e.path} could begin, but does not"

    def _check_loop(self, state: RunState, e: Execution, iterations: list[Execution]) -> None:
        """Iterations begin in order, as many as allowed and no more."""
        limit = self.reference.task(e).iterator.parallelism or len(iterations)
        active = sum(i.begun and not i.state.final for i in iterations)
        assert active <= limit, f"{e.path} has {active} iterations under way, limit {limit}"
        waiting = [i.iteration for i in iterations if i.state is State.PENDING and not i.begun]
        if waiting and not state.paused:
            assert active == limit, f"{e.path} could begin iteration {waiting[0]}"

    # --- what the executor and the cache receive ----------------------------------------------

    def launching(self, state: RunState, attempt: AttemptId) -> None:
        """Nothing is launched that is not wanted any more, as far as its server can know."""
        e = state.executions[attempt.path]
        assert e.state in (State.PENDING, State.RUNNING), f"{e.path} is launched, but it is {e.state}"
        assert e.attempts[-1].number == attempt.number, f"an old attempt of {e.path} is launched"

    def ordered(self, state: RunState, order: LaunchOrder) -> None:
        e = state.executions[order.attempt.path]
        task, component = self.reference.task(e), self.reference.component(e)
        assert order.inputs == e.inputs and order.task == task.name and order.component == component.name
        assert order.outputs.parameters == {n: d.type for n, d in component.outputs.parameters.items()}
        assert set(order.outputs.artifacts) == set(component.outputs.artifacts)
        assert (order.facts["pipeline_task_name"], order.facts["pipeline_job_name"]) == (task.name, "a run")
        assert order.facts["pipeline_task_uuid"] == execution_id("r", e.path)
        executor = self.plan.document.executors[component.executor]
        if executor.container is not None:
            assert order.importer is None and order.container.args == executor.container.args
            return
        importer, v = executor.importer, e.inputs.parameters.get("v")
        assert order.importer is not None
        uri = e.inputs.parameters["uri"] if importer.uri_input else importer.uri
        assert order.importer.uri == reference_rules.text_of(uri)
        assert order.importer.reimport == importer.reimport
        if importer.metadata and "v" in e.inputs.parameters:
            assert order.importer.metadata == {f"k {'' if v is None else v}": v, "n": 1}

    def fingerprint(self, state: RunState, path: str, key: str) -> None:
        """The same work has the same fingerprint, other work another."""
        e = state.executions[path]
        same = reference_rules.sameness(self.plan.document, self.reference.task(e), e)
        assert self.by_fingerprint.setdefault(key, same) == same, f"{path} has the fingerprint of other work"
        assert self.by_sameness.setdefault(same, key) == key, f"{path} has another fingerprint than the same work"

    # --- time passes ---------------------------------------------------------------------------

    def waiting(self) -> None:
        """In calm, something is recorded again and again until the run is final."""
        world = self.world
        if not world.calm or world.state.state.final:
            return
        since = max(self.last_commit, world.faults.calm_at)
        due = engine.wake_at(world.state)
        if due is not None:
            since = max(since, due - min(server.skew for server in world.servers))
        patience = PATIENCE_S + world.faults.cache_s
        assert world.now <= since + patience, f"nothing has happened for {patience:g} s of calm"

    # --- the end -------------------------------------------------------------------------------

    def end(self) -> None:
        world = self.world
        state, executions = world.state, world.state.executions
        assert all(e.state.final for e in executions.values()), "something is not final in a final run"
        assert engine.outstanding(self.plan, state) == ()
        assert engine.wake_at(state) is None
        assert not state.paused
        if state.cancel_requested:
            assert state.state is (State.FAILED if state.timed_out else State.CANCELED)
        if state.state is State.FAILED:
            assert state.error == executions[""].reason
        self._check_starts(state)
        for e in executions.values():
            if e.parent is not None and e.iteration is None:
                self._check_exit_task(executions, e)
        again = self.first
        for event in world.record.events:
            again = engine.advance(self.plan, again, event).state
        assert world.record.events == self.log
        assert again == state == world.record.load(self.plan), "replaying the log gives another state"
        self._check_late(state)

    def _check_starts(self, state: RunState) -> None:
        """No attempt was started twice, and each that was started is recorded."""
        starts = self.world.fleet.starts
        recorded = {(e.path, a.number) for e in state.executions.values() for a in e.attempts}
        assert all(count == 1 for count in starts.values()), "an attempt was started twice"
        assert starts.keys() <= recorded, "an attempt was started that is not recorded"
        if self.world.faults.none:
            assert starts.keys() == recorded, "an attempt was recorded and not started"

    def _check_exit_task(self, executions: Any, e: Execution) -> None:
        """An exit task runs once, however the other tasks ended."""
        parent = executions[e.parent]
        if self.reference.task(e).strategy != "ALL_UPSTREAM_TASKS_COMPLETED" or not parent.begun:
            return
        if e.marked is not None:
            return
        word = e.reason.code if e.reason else ""
        assert e.state is not State.CANCELED or not self.reference.cancels(e), f"exit task {e.path} was cancelled"
        assert e.state is not State.SKIPPED or word == "CONDITION_FALSE", f"exit task {e.path} was skipped: {word}"
        if e.kind is Kind.TASK and e.state is State.SUCCEEDED:
            done = [a for a in e.attempts[e.earlier_attempts :] if a.state is State.SUCCEEDED]
            assert len(done) == (0 if e.cached_from or e.reused_from else 1), (
                f"exit task {e.path} ran {len(done)} times"
            )

    def _check_late(self, state: RunState) -> None:
        """Events after the end change nothing."""
        late = [job.ended for job in self.world.fleet.jobs.values() if job.ended is not None]
        people = (RunStarted, CancelRequested, PauseRequested, ResumeRequested, Tick)
        for event in [*late, *(kind(at=self.world.now) for kind in people)]:
            step = engine.advance(self.plan, state, event)
            assert step.state == state and not step.commands and not step.changed, f"{event} changed a final run"

    # --- the last events -----------------------------------------------------------------------------

    def _tell(self, event: AnyEvent, state: RunState, step: Step) -> None:
        """Add the event to the hash that identifies the history, and to the last events that a failure prints."""
        moved = [
            (p, state.executions[p].state if p in state.executions else "", step.state.executions[p].state)
            for p in step.changed
        ]
        self.world.trace.update(msgspec.json.encode((event, moved, step.commands)))
        self.world.story.append((self.world.now, step.state.state, event, moved, step.commands))
        del self.world.story[:-80]

    def story(self) -> str:
        """The last events, a line each."""
        return "\n".join(_line(*entry) for entry in self.world.story)


def _line(now: float, run: State, event: AnyEvent, moved: Any, commands: Any) -> str:
    attempt = getattr(event, "attempt", None)
    where = f"{attempt.path}#{attempt.number}" if attempt else getattr(event, "path", "")
    changes = ", ".join(f"{path or 'root'} {old}->{new}" for path, old, new in moved)
    asked = ", ".join(
        f"{type(c).__name__} {c.path if isinstance(c, LookUpCache) else c.attempt.path}" for c in commands
    )
    return f"{now:9.2f} {run:9} {type(event).__name__} {where} | {changes} | {asked}"
