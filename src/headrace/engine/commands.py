"""Commands follow from the state: what each execution, and the run, wants the world to do."""

from __future__ import annotations

from headrace.engine.model import AttemptId, Command, Execution, Launch, LookUpCache, RunState, State, Stop
from headrace.engine.plan import Plan
from headrace.engine.sorting import sorted_in_pieces


def wish(run_id: str, execution: Execution | None) -> Command | None:
    """The command of this execution in this state; None when it waits or is final."""
    if execution is None or execution.state.final:
        return None
    if execution.looking_up:
        return LookUpCache(path=execution.path)
    if not execution.is_attempted:
        return None
    attempt = AttemptId(run_id=run_id, path=execution.path, number=execution.attempts[-1].number)
    return Stop(attempt=attempt) if execution.state is State.CANCELING else Launch(attempt=attempt)


def outstanding(plan: Plan, state: RunState) -> tuple[Command, ...]:
    """All commands of this run in this state, to be performed at start, after a crash and at each resync."""
    wishes = (wish(state.run_id, execution) for execution in state.executions.values())
    return tuple(sorted_in_pieces((w for w in wishes if w is not None), key=_path_of))


def _path_of(command: Command) -> str:
    return command.path if isinstance(command, LookUpCache) else command.attempt.path


def wake_at(state: RunState) -> float | None:
    """When the next Tick is due; None when only events from outside can change anything."""
    if state.state.final:
        return None
    due = [] if state.paused else list(state.index.due.values())
    if state.deadline_at is not None and not state.cancel_requested:
        due.append(state.deadline_at)  # A pause does not stop this clock.
    return min(due, default=None)
