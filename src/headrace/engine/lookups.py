"""Answers of the cache to the command LookUpCache."""

from __future__ import annotations

from headrace.engine.model import CacheHit, CacheMissed, CacheNote, CacheWaiting, Execution, State
from headrace.engine.transition import FollowUp, Transition


def cache_hit(t: Transition, event: CacheHit) -> None:
    """The task succeeds with the outputs of the cache entry."""
    execution = _looking_up(t, event.path)
    if execution is not None:
        t.answered = event.path
        t.set(
            execution, looking_up=False, state=State.SUCCEEDED, outputs=event.outputs,
            cached_from=event.cached_from, cache=CacheNote(fingerprint=event.fingerprint),
            started_at=t.at, ended_at=t.at,
        )  # fmt: skip


def cache_missed(t: Transition, event: CacheMissed) -> None:
    """The cache has no outputs for the task: launch it."""
    execution = _looking_up(t, event.path)
    if execution is not None:
        t.answered = event.path
        t.set(execution, looking_up=False, cache=_note(event))
        t.queue(FollowUp.LAUNCH, event.path)


def cache_waiting(t: Transition, event: CacheWaiting) -> None:
    """Another task computes the same now: record it. The answer follows as another event."""
    execution = _looking_up(t, event.path)
    if execution is not None:
        t.set(execution, cache=_note(event))


def _looking_up(t: Transition, path: str) -> Execution | None:
    """The execution, when it waits for the cache; else None."""
    execution = t.executions.get(path)
    return execution if execution is not None and execution.looking_up and not execution.state.final else None


def _note(event: CacheMissed | CacheWaiting) -> CacheNote:
    return CacheNote(fingerprint=event.fingerprint, reason=event.reason)
