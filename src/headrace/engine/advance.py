"""Advance: one event in, the new state and the commands out. Pure: the same inputs give the same outputs.

An event changes one execution, or the run. Each change queues what may follow from it, until nothing follows any more.
No function writes commands: a command is what a changed execution wants the world to do now and did not want before
(`commands.wish`).

The map, by event:

================  ============================  ==================================================================
Event             Function                      What may follow
================  ============================  ==================================================================
RunStarted        start.start_run               CONSIDER the root's first tasks; FINISH of an empty run
CacheHit          lookups.cache_hit             the task is final: see below
CacheMissed       lookups.cache_missed          LAUNCH
CacheWaiting      lookups.cache_waiting         nothing
AttemptWaiting    attempts.attempt_waiting      nothing
AttemptStarted    attempts.attempt_started      nothing
AttemptSucceeded  attempts.attempt_succeeded    the task is final: see below
AttemptFailed     attempts.attempt_failed       LAUNCH (a retry, at once or after a Tick), or the task is final
AttemptLost       attempts.attempt_lost         LAUNCH, or the task is final
AttemptStopped    attempts.attempt_lost         LAUNCH, or the task is final
CancelRequested   control.cancel_run            tasks are final or being stopped; CONSIDER and LAUNCH of exit tasks
RetryRequested    control.retry_run             CONSIDER, FILL_LOOP and FINISH of all that did not succeed
ExecutionMarked   marks.mark_execution          the task is final; CONSIDER, FILL_LOOP and FINISH around it
PauseRequested    control.pause_run             nothing
ResumeRequested   control.resume_run            CONSIDER, LAUNCH and FILL_LOOP of all that the pause held back
Tick              control.tick                  LAUNCH of due retries; as CancelRequested when the time limit is over
================  ============================  ==================================================================

When an execution becomes final (`Transition.set`): CONSIDER each sibling that waited only for it; FILL_LOOP of its
loop; FINISH of its parent when it was the last child. What is queued is done in order:

================  ============================  ==================================================================
Follow-up         Function                      What may follow
================  ============================  ==================================================================
CONSIDER          start.consider                it is final; or LAUNCH of a task; or, of a DAG or loop that begins,
                                                CONSIDER of its first tasks, FILL_LOOP or FINISH
LAUNCH            attempts.launch               an attempt (the command Launch); CONSIDER inside a DAG begun again
FILL_LOOP         start.fill_loop               LAUNCH of tasks, CONSIDER inside DAGs that begin, or it is final
FINISH            groups.finish                 the group is final, and with the root the run; LAUNCH of a DAG that
                                                its retry policy begins again
================  ============================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from headrace.engine import attempts, control, groups, lookups, marks, start
from headrace.engine.model import (
    AnyEvent,
    AttemptFailed,
    AttemptLost,
    AttemptStarted,
    AttemptStopped,
    AttemptSucceeded,
    AttemptWaiting,
    CacheHit,
    CacheMissed,
    CacheWaiting,
    CancelRequested,
    ExecutionMarked,
    PauseRequested,
    Reason,
    ResumeRequested,
    RetryRequested,
    RunStarted,
    RunState,
    Step,
    Tick,
)
from headrace.engine.plan import Plan
from headrace.engine.transition import FollowUp, Transition

_STOPPED = Reason(code="STOPPED", message="The attempt was stopped from outside, not by this run.")

_FOLLOW_UPS: dict[FollowUp, Callable[[Transition, str], None]] = {
    FollowUp.CONSIDER: start.consider,
    FollowUp.LAUNCH: attempts.launch,
    FollowUp.FILL_LOOP: start.fill_loop,
    FollowUp.FINISH: groups.finish,
}


def advance(plan: Plan, state: RunState, event: AnyEvent) -> Step:
    """What follows from one event. Late, repeated and unknown reports change nothing and raise nothing."""
    transition = Transition(plan, state, event.at)
    _apply(transition, event)
    while transition.follow_ups:
        follow_up, path = transition.follow_ups.popleft()
        _FOLLOW_UPS[follow_up](transition, path)
    return transition.step()


def _apply(t: Transition, event: AnyEvent) -> None:
    match event:
        case RunStarted():
            start.start_run(t, event)
        case CacheHit():
            lookups.cache_hit(t, event)
        case CacheMissed():
            lookups.cache_missed(t, event)
        case CacheWaiting():
            lookups.cache_waiting(t, event)
        case AttemptWaiting():
            attempts.attempt_waiting(t, event)
        case AttemptStarted():
            attempts.attempt_started(t, event)
        case AttemptSucceeded():
            attempts.attempt_succeeded(t, event)
        case AttemptFailed():
            attempts.attempt_failed(t, event)
        case AttemptLost():
            attempts.attempt_lost(t, event.attempt, event.error)
        case AttemptStopped():
            attempts.attempt_lost(t, event.attempt, _STOPPED)
        case CancelRequested():
            control.cancel_run(t)
        case RetryRequested():
            control.retry_run(t)
        case ExecutionMarked():
            marks.mark_execution(t, event)
        case PauseRequested():
            control.pause_run(t)
        case ResumeRequested():
            control.resume_run(t)
        case Tick():
            control.tick(t)
        case _:
            assert_never(event)
