"""Performing: what the engine wishes is asked of the executor and of the cache.

Each command is idempotent, because it names its attempt or execution: it may be performed again at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from headrace.attempt.derive import launch_order
from headrace.engine.model import (
    AttemptFailed,
    AttemptId,
    CacheHit,
    Command,
    Launch,
    LookUpCache,
    Reason,
    RunState,
    Stop,
)
from headrace.failpoints import failpoint
from headrace.service.active import ActiveRun, still_wanted
from headrace.service.caching import Cache, Wanted
from headrace.service.context import Context
from headrace.service.inbox import Inbox, QueuedEvent
from headrace.service.side_tasks import SideTasks
from headrace.slices import in_slices

log = logging.getLogger(__name__)

#: A command, with its run and the state of the run in which the engine wished it.
Wish: TypeAlias = tuple[ActiveRun, RunState, Command]
#: Commands that are performed without a break for other work of the event loop.
_SLICE = 32


class Performer:
    """Performs commands. What comes of them is put into the inbox as events."""

    def __init__(
        self, context: Context, inbox: Inbox, driven: Mapping[str, ActiveRun], cache: Cache, side: SideTasks
    ) -> None:
        self._context = context
        self._inbox = inbox
        self._driven = driven
        self._cache = cache
        self._side = side

    async def perform(self, wishes: Sequence[Wish]) -> None:
        """Perform these commands, in order; look-ups of the cache go on in the background."""
        lookups: list[Wanted] = []
        async for run, state, command in in_slices(wishes, _SLICE):
            match command:
                case LookUpCache():
                    lookups.append((run, state, command.path))
                case Launch():
                    await self._launch(run, state, command.attempt)
                case Stop():
                    await self.stop(command.attempt)
        self.look_up(lookups)

    async def _launch(self, run: ActiveRun, state: RunState, attempt: AttemptId) -> None:
        if not still_wanted(run, attempt) or self._driven.get(run.run_id) is not run:
            # The wish is older than the attempt's end, its stop, or the run's move to another server.
            return
        if self._context.lease is not None and not self._context.lease.live():
            # Another server may drive the run by now. If not, this is asked for again when the lease is renewed.
            return
        try:
            order = launch_order(run.plan, state, attempt)
            failpoint("launch.before")
            await self._context.executor.launch(order)
            failpoint("launch.after")
        except Exception as error:
            log.exception("attempt %s could not be launched", attempt)
            self._inbox.put(QueuedEvent(run_id=run.run_id, event=self._launch_failed(attempt, error)))

    def _launch_failed(self, attempt: AttemptId, error: Exception) -> AttemptFailed:
        reason = Reason(
            code="LAUNCH_FAILED", message=f"The attempt could not be started: {type(error).__name__}: {error}"
        )
        return AttemptFailed(at=self._context.now(), attempt=attempt, error=reason, retryable=False)

    async def stop(self, attempt: AttemptId) -> None:
        """Ask the executor to stop the attempt."""
        try:
            failpoint("stop.before")
            await self._context.executor.stop(attempt)
            failpoint("stop.after")
        except Exception:
            log.exception("the executor could not stop %s", attempt)

    async def settle(self, attempt: AttemptId) -> None:
        """Tell the executor that the attempt's end is recorded."""
        try:
            failpoint("settle.before")
            await self._context.executor.settle(attempt)
            failpoint("settle.after")
        except Exception:
            log.exception("the executor could not settle %s", attempt)

    def look_up(self, wanted: list[Wanted]) -> None:
        """Ask the cache, in the background."""
        if wanted:
            self._side.start(self._look_up(wanted))

    async def _look_up(self, wanted: list[Wanted]) -> None:
        asked_for = {(run.run_id, path): state.executions[path].inputs for run, state, path in wanted}
        for run_id, event in await self._cache.look_up(wanted):
            # A hit is for an execution that asked just now; when it is folded, the execution may have other inputs.
            inputs = asked_for.get((run_id, event.path)) if isinstance(event, CacheHit) else None
            self._inbox.put(QueuedEvent(run_id=run_id, event=event, asked_for=inputs))
