"""Alarms: when a run is next due, the loop gets a `Tick` of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from headrace.engine import wake_at
from headrace.service.active import ActiveRun

#: The clock is looked at again so often: timers go by a clock that stands still while the machine sleeps, and that does
#: not know that the wall clock was set.
_LONGEST_WAIT_S = 30.0
#: A timer that fires so much before the wall clock says so is on time.
_EARLY_S = 0.05


class Alarms:
    """At most one alarm for each run."""

    def __init__(self, now: Callable[[], float], ring: Callable[[str, float], None]) -> None:
        """`now`: seconds since the epoch; `ring(run_id, at)` is called when a run is due."""
        self._now = now
        self._ring = ring
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def set(self, run: ActiveRun) -> None:
        """Set the alarm to the time at which the run, as it is now, is next due."""
        self.clear(run.run_id)
        due = wake_at(run.state)
        if due is not None:
            self._wait(run.run_id, due)

    def clear(self, run_id: str) -> None:
        """Remove the alarm of the run."""
        timer = self._timers.pop(run_id, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Remove all alarms."""
        for timer in self._timers.values():
            timer.cancel()

    def _wait(self, run_id: str, due: float) -> None:
        wait = min(max(0.0, due - self._now()), _LONGEST_WAIT_S)
        self._timers[run_id] = asyncio.get_running_loop().call_later(wait, self._due, run_id, due)

    def _due(self, run_id: str, due: float) -> None:
        if due - self._now() > _EARLY_S:
            self._wait(run_id, due)
            return
        self._timers.pop(run_id, None)
        # A timer may fire a little before the wall clock says so.
        self._ring(run_id, max(due, self._now()))
