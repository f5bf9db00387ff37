"""The inbox of the run loop: events wait here until the loop takes them, in batches.

News that nothing depends on (an attempt waits, an attempt has begun) may lie for a moment, so that it is recorded
together with what follows it. A reader of an executor's reports waits while the inbox is full.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headrace.engine.model import AnyEvent, AttemptStarted, AttemptWaiting
from headrace.service.active import PendingEvent

#: Events of one batch at most: they are folded without a break, so this bounds how long the event loop is busy.
BATCH = 512
#: Seconds for which idle news may lie. Most tasks of a quick run are over by then: one commit each instead of two.
_IDLE_NEWS_S = 0.05
#: Events in the inbox above which reports are not read.
_FULL = 4 * BATCH
#: Idle news: the engine wants nothing because of it, and adopted attempts report it again, so losing it is harmless.
_IDLE_NEWS = (AttemptWaiting, AttemptStarted)


@dataclass(kw_only=True)
class QueuedEvent(PendingEvent):
    """An event in the inbox, and the future of the request that waits until it is recorded."""

    recorded: asyncio.Future[None] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether a request still waits for it."""
        return self.recorded is not None and not self.recorded.done()


def answer(batch: Iterable[QueuedEvent], error: Exception | None = None) -> None:
    """Tell the requests that wait for these events that they are recorded or, with `error`, that they are not."""
    for queued in batch:
        if queued.recorded is None or queued.recorded.done():
            continue
        if error is None:
            queued.recorded.set_result(None)
        else:
            queued.recorded.set_exception(error)


class Inbox:
    """Events on their way into the record, in the order in which they came."""

    def __init__(self) -> None:
        self._queue: list[QueuedEvent] = []
        #: The batch that the loop is handling.
        self._taken: Sequence[QueuedEvent] = ()
        self._ready = asyncio.Event()
        self._has_room = asyncio.Event()
        #: Runs while the inbox holds nothing but idle news.
        self._idle_timer: asyncio.TimerHandle | None = None

    def put(self, queued: QueuedEvent) -> None:
        """Add an event."""
        self._queue.append(queued)
        if queued.recorded is not None or not isinstance(queued.event, _IDLE_NEWS) or len(self._queue) >= BATCH:
            self._ready.set()
        elif self._idle_timer is None and not self._ready.is_set():
            self._idle_timer = asyncio.get_running_loop().call_later(_IDLE_NEWS_S, self._ready.set)

    def put_events(self, events: Iterable[tuple[str, AnyEvent]]) -> None:
        """Add events, each with the id of its run; no request waits for them."""
        for run_id, event in events:
            self.put(QueuedEvent(run_id=run_id, event=event))

    async def take(self) -> list[QueuedEvent]:
        """Wait for events, and take the next batch."""
        await self._ready.wait()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
        if not self._queue:
            self._ready.clear()
        self._has_room.set()
        self._taken = batch
        return batch

    async def room(self) -> None:
        """Wait until the inbox is not full."""
        while len(self._queue) > _FULL:
            self._has_room.clear()
            await self._has_room.wait()

    def fail_all(self, error: Exception) -> None:
        """Answer all requests that wait, also those of the batch that is being handled, with this error.

        Their events stay: they are recorded as soon as that is possible.
        """
        answer([*self._taken, *self._queue], error)

    def close(self) -> None:
        """Cancel the requests that wait."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        for queued in self._queue:
            if queued.is_awaited and queued.recorded is not None:
                queued.recorded.cancel()
