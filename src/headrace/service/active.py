"""One run under way, in memory: folding events into the next state and into what must be committed with it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from headrace.attempt.result import ProducedArtifact
from headrace.engine import Plan, advance, fingerprint_parts, node_path, shown_parts, time_to_live_s, uses_cache
from headrace.engine.fingerprint import digest_of
from headrace.engine.model import (
    AnyEvent,
    AttemptFailed,
    AttemptId,
    AttemptLost,
    AttemptStopped,
    AttemptSucceeded,
    Bundle,
    CacheHit,
    Command,
    Execution,
    Kind,
    Reason,
    RunState,
    State,
    Tick,
    execution_id,
)
from headrace.executors.port import LACKING
from headrace.service import outcomes
from headrace.store.cache import CacheEntry, CacheKey
from headrace.store.records import RunRecord
from headrace.store.run_changes import RunChangeSet

#: Kinds that have attempts: what `task_counts` counts.
TASKS = frozenset({Kind.TASK, Kind.IMPORTER})
_STORY_LENGTH = 20
#: A document with at most so many tasks and without loops is handled on the event loop, and at most so many events
#: together: that takes a few milliseconds. A thread costs 0.1 ms each time.
_SMALL = 64
T = TypeVar("T")


@dataclass(kw_only=True)
class PendingEvent:
    """One event of one run, on its way into the record."""

    run_id: str
    event: AnyEvent
    #: What the executor says of the artifacts among the event's outputs, by their ids.
    contents: Mapping[str, ProducedArtifact] = field(default_factory=dict)
    #: Id of the inbox message it came in, from another server; the commit deletes it.
    message_id: str = ""
    #: For an answer of the cache: the inputs that the execution had when it asked.
    asked_for: Bundle | None = None


@dataclass(kw_only=True)
class ActiveRun:
    """A run that is not final, and what is known of it beside its state."""

    record: RunRecord
    plan: Plan
    state: RunState
    version: int
    event_count: int
    state_history: tuple[tuple[float, State, Reason | None], ...]
    task_counts: dict[State, int]
    #: Nothing of it is recorded yet: its root execution, too, is to be written.
    is_new: bool = False
    #: The last events, for the error when Headrace itself fails in handling the run.
    story: list[str] = field(default_factory=list)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.record.run_id


@dataclass(kw_only=True)
class BatchResult:
    """What a batch of events did to one run, before it is committed."""

    run: ActiveRun
    change: RunChangeSet
    #: Each with the state in which it was wished for.
    commands: list[tuple[RunState, Command]]
    #: Attempts whose end is recorded by this.
    ended: list[AttemptId]


def is_small(plan: Plan) -> bool:
    """Whether a run of this plan is always small and quick: steps of it may be made on the event loop."""
    return plan.root.size <= _SMALL and not plan.root.has_loops and not plan.root.has_costly_expressions


async def off_loop(run: ActiveRun, work: Callable[[], T]) -> T:
    """The result of work that looks at all executions of a run: in a thread, unless the run is small."""
    return work() if is_small(run.plan) else await asyncio.to_thread(work)


async def fold_batch(batch: Sequence[tuple[ActiveRun, Sequence[PendingEvent]]], now: float) -> list[BatchResult]:
    """`fold` for each of these runs. On the event loop if that is quick, else in one thread.

    One step may make 100,000 executions of a loop, which takes seconds; a thread gives way to the event loop every few
    milliseconds. Nothing else may change these runs meanwhile.
    """
    if sum(len(events) for _, events in batch) <= _SMALL and all(is_small(run.plan) for run, _ in batch):
        return _fold_each(batch, now)
    return await asyncio.to_thread(_fold_each, batch, now)


def _fold_each(batch: Sequence[tuple[ActiveRun, Sequence[PendingEvent]]], now: float) -> list[BatchResult]:
    return [fold(run, events, now) for run, events in batch]


def fold(run: ActiveRun, batch: Sequence[PendingEvent], now: float) -> BatchResult:
    """The run after these events. An error in it ends this run, FAILED, and no other."""
    try:
        return _fold(run, batch)
    except Exception as error:
        return failed_by(run, error, now)


def _fold(run: ActiveRun, batch: Sequence[PendingEvent]) -> BatchResult:
    state = run.state
    touched: dict[str, None] = {}
    commands: list[tuple[RunState, Command]] = []
    for pending in batch:
        if answers_another_question(state, pending):
            pending.event = Tick(at=pending.event.at)
        step = advance(run.plan, state, pending.event)
        state = step.state
        touched.update(dict.fromkeys(step.changed))
        commands += ((state, command) for command in step.commands)
        _tell(run.story, pending.event)
    change = _change(run, state, list(touched), batch)
    ended = [attempt for pending in batch if (attempt := ended_by(pending.event))]
    return BatchResult(run=run, change=change, commands=commands, ended=ended)


def answers_another_question(state: RunState, pending: PendingEvent) -> bool:
    """Whether the cache has found outputs for inputs that the execution had before it was begun again."""
    event = pending.event
    if not isinstance(event, CacheHit) or pending.asked_for is None:
        return False
    execution = state.executions.get(event.path)
    return execution is None or execution.inputs != pending.asked_for


def ended_by(event: AnyEvent) -> AttemptId | None:
    """The attempt whose end this event reports."""
    match event:
        case AttemptSucceeded() | AttemptFailed() | AttemptLost() | AttemptStopped():
            return event.attempt
        case _:
            return None


def _tell(story: list[str], event: AnyEvent) -> None:
    attempt = getattr(event, "attempt", None)
    where = f" {attempt.path}#{attempt.number}" if attempt else f" {getattr(event, 'path', '')}".rstrip()
    story.append(f"{event.at:.3f} {type(event).__name__}{where}")
    del story[:-_STORY_LENGTH]


def _change(run: ActiveRun, state: RunState, touched: list[str], batch: Sequence[PendingEvent]) -> RunChangeSet:
    before: Mapping[str, Execution] = {} if run.is_new else run.state.executions
    if run.is_new:
        # Those that `new_run` made, the root, come first.
        touched = [*run.state.executions, *(path for path in touched if path not in run.state.executions)]
    changed = [path for path in touched if state.executions[path] != before.get(path)]
    settled = [state.executions[path] for path in changed if _settles(before.get(path), state.executions[path])]
    contents = {artifact_id: made for pending in batch for artifact_id, made in pending.contents.items()}
    at = batch[-1].event.at
    return RunChangeSet(
        run_id=run.run_id,
        base_version=run.version,
        state=state,
        changed=tuple(_placed(state, before, changed)),
        first_seq=run.event_count,
        events=tuple(pending.event for pending in batch),
        state_history=_history(run, state, at),
        task_counts=_counts(run, state, changed),
        expires_at=_expires_at(run, state),
        artifacts=tuple(
            artifact
            for execution in settled
            if execution.kind in TASKS
            for artifact in outcomes.made_by(run.state, execution, at, contents)
        ),
        edges=tuple(
            edge for execution in settled if execution.kind in TASKS for edge in outcomes.edges(run.run_id, execution)
        ),
        cache_entries=tuple(_cache_entries(run, state, settled, batch, at)),
        messages=tuple(pending.message_id for pending in batch if pending.message_id),
    )


def _placed(state: RunState, before: Mapping[str, Execution], changed: list[str]) -> Iterable[tuple[int, Execution]]:
    place = len(before)
    for path in changed:
        new = path not in before
        # The place of one that has a row already is not written again.
        yield place if new else 0, state.executions[path]
        place += new


def _expires_at(run: ActiveRun, state: RunState) -> float | None:
    if not state.state.final or state.ended_at is None:
        return None
    kept_s = time_to_live_s(run.plan, state.state)
    return None if kept_s is None else state.ended_at + kept_s


def _history(run: ActiveRun, state: RunState, at: float) -> tuple[tuple[float, State, Reason | None], ...]:
    if run.state_history and run.state_history[-1][1] is state.state:
        return run.state_history
    return (*run.state_history, (at, state.state, state.error))


def _counts(run: ActiveRun, state: RunState, changed: list[str]) -> dict[State, int]:
    counts = dict(run.task_counts)
    for path in changed:
        old, new = run.state.executions.get(path), state.executions[path]
        if new.kind not in TASKS:
            continue
        if old is not None:
            counts[old.state] = counts.get(old.state, 0) - 1
        counts[new.state] = counts.get(new.state, 0) + 1
    return {word: count for word, count in counts.items() if count}


def _cache_entries(
    run: ActiveRun, state: RunState, settled: list[Execution], batch: Sequence[PendingEvent], at: float
) -> Iterable[CacheEntry]:
    ran_in = {
        pending.event.attempt.path: pending.event.surroundings
        for pending in batch
        if isinstance(pending.event, AttemptSucceeded)
    }
    for execution in settled:
        if execution.state is not State.SUCCEEDED or execution.kind is not Kind.TASK or not _own(execution):
            continue
        surroundings = ran_in.get(execution.path, {})
        if not uses_cache(run.plan, state, execution.path) or _lacks_content(execution) or LACKING in surroundings:
            continue
        # By what it did run in, which was perhaps not known when the cache was asked.
        parts = fingerprint_parts(run.plan, state, execution.path, surroundings)
        yield CacheEntry(
            key=CacheKey(
                namespace=run.record.namespace, pipeline_name=run.record.pipeline_name, fingerprint=digest_of(parts)
            ),
            execution_id=execution_id(run.run_id, execution.path),
            run_id=run.run_id,
            task=node_path(execution.path),
            parts=shown_parts(parts),
            outputs=execution.outputs,
            created_at=at,
        )


def _lacks_content(execution: Execution) -> bool:
    """Whether it did not write one of its outputs: the next one may."""
    return any(one.not_written for many in execution.outputs.artifacts.values() for one in many)


def _settles(old: Execution | None, new: Execution) -> bool:
    """Whether it became final, or (a mark can do that) final with other outputs."""
    return new.state.final and not (old is not None and old.state.final and old.outputs == new.outputs)


def _own(execution: Execution) -> bool:
    """Whether its outputs were made by itself."""
    return execution.cached_from is None and execution.reused_from is None and execution.marked is None


def failed_by(run: ActiveRun, error: Exception, now: float) -> BatchResult:
    """The run's end when Headrace itself failed in handling it: its story goes into the error."""
    return failed_for(run, internal_error(error, run.story), now)


def failed_for(run: ActiveRun, reason: Reason, now: float) -> BatchResult:
    """The run's end for a reason that the engine does not know: FAILED, with all that was open in it canceled."""
    state = run.state
    ended = {path: _ended(execution, reason, now) for path, execution in state.executions.items()}
    changed = [path for path, execution in ended.items() if execution is not state.executions[path]]
    executions = state.executions.update(ended)
    state = msgspec.structs.replace(state, state=State.FAILED, error=reason, ended_at=now, executions=executions)
    change = RunChangeSet(
        run_id=run.run_id,
        base_version=run.version,
        state=state,
        changed=tuple((0, executions[path]) for path in changed),
        first_seq=run.event_count,
        state_history=(*run.state_history, (now, State.FAILED, reason)),
        task_counts=_counts(run, state, changed),
        expires_at=_expires_at(run, state),
    )
    return BatchResult(run=run, change=change, commands=[], ended=live_attempts(run))


def _ended(execution: Execution, reason: Reason, now: float) -> Execution:
    if execution.state.final:
        return execution
    word = State.FAILED if execution.kind is Kind.ROOT else State.CANCELED
    return msgspec.structs.replace(execution, state=word, reason=reason, ended_at=now, looking_up=False, retry_at=None)


def live_attempts(run: ActiveRun) -> list[AttemptId]:
    """Attempts that have begun, as far as is recorded, and have not ended; in the order of their paths."""
    live = (
        AttemptId(run_id=run.run_id, path=path, number=execution.attempts[-1].number)
        for path, execution in run.state.executions.items()
        if not execution.state.final and execution.is_attempted
    )
    return sorted(live, key=lambda attempt: attempt.path)


def still_wanted(run: ActiveRun, attempt: AttemptId) -> bool:
    """Whether the run, as it is now, wants this attempt to run."""
    execution = run.state.executions.get(attempt.path)
    if execution is None or not execution.attempts or execution.state.final or execution.state is State.CANCELING:
        return False
    latest = execution.attempts[-1]
    return latest.number == attempt.number and not latest.state.final


def internal_error(error: Exception, story: Sequence[str]) -> Reason:
    """A fault of Headrace itself, with what a report of it needs."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    return Reason(
        code="INTERNAL_ERROR",
        message=(
            f"Headrace failed in handling this run ({type(error).__name__}: {error}). Other runs go on. "
            "This is a fault of Headrace: please report it with the details given here."
        ),
        details={
            "where": [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames],
            "story": list(story),
        },
    )


def adopt(folded: BatchResult) -> None:
    """The fold is committed: the run is what it says."""
    run, change = folded.run, folded.change
    run.state = change.state
    run.version = change.base_version + 1
    run.event_count = change.first_seq + len(change.events)
    run.state_history = change.state_history
    run.task_counts = change.task_counts
    run.is_new = False
