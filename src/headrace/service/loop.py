"""The run loop: record, then act.

Everything that happens to a run comes in here as an event. All events that wait are folded into the states of their
runs, committed in one transaction, and only then is done what they ask for. A crash between the two is repaired at the
next start, when everything that the states of the runs ask for (`engine.outstanding`) is asked for again.

    inbox     events that wait, and the requests that wait for them to be recorded
    recorder  commits, tries again, and finds out what a commit of unknown outcome did
    driver    which runs the loop drives: a state machine for each
    perform   launches, stops, look-ups of the cache
    alarms    when a run is next due
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from headrace.engine.model import AnyEvent, AttemptId, Tick
from headrace.service.active import ActiveRun, BatchResult, PendingEvent, ended_by, fold_batch
from headrace.service.alarms import Alarms
from headrace.service.caching import Cache
from headrace.service.context import Context
from headrace.service.driver import Driver, DriveState, Registry
from headrace.service.errors import ServiceError, Unavailable
from headrace.service.inbox import Inbox, QueuedEvent, answer
from headrace.service.outcomes import contents, to_event
from headrace.service.perform import Performer
from headrace.service.recorder import Recorder
from headrace.service.side_tasks import SideTasks
from headrace.store import leases
from headrace.store.errors import StoreError

log = logging.getLogger(__name__)

_LISTEN_AGAIN_S = 0.5


class RunLoop:
    """Drives runs that are not final: with one server all, with several those that its server owns."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._registry = Registry()
        self._inbox = Inbox()
        self._side = SideTasks()
        self._cache = Cache(context, self._registry.driven)
        self._alarms = Alarms(lambda: context.now(), self._ring)
        performer = Performer(context, self._inbox, self._registry.driven, self._cache, self._side)
        self._driver = Driver(
            context,
            self._registry,
            inbox=self._inbox,
            recorder=Recorder(context, self._inbox.fail_all),
            performer=performer,
            cache=self._cache,
            alarms=self._alarms,
            side=self._side,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._giving_back = False
        #: Sends an event to the server that drives its run; None while there is only one server.
        self.forward: Callable[[str, AnyEvent], Awaitable[None]] | None = None

    # life ------------------------------------------------------------------------------------

    async def start(self, runs: Iterable[ActiveRun], *, alone: bool = True) -> None:
        """Drive these runs from where their records say they are; `alone`: all other attempts are stopped."""
        found = list(runs)
        await self._driver.start(found, alone=alone)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._drive())]
        # Not waited for: a server that has thousands of attempts to start answers requests meanwhile.
        self._side.start(self._driver.resync([run.run_id for run in found]))

    async def close(self) -> None:
        """Stop driving; what is recorded is enough for the next start."""
        self._alarms.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._side.close()
        self._inbox.close()

    # runs ------------------------------------------------------------------------------------

    @property
    def expiring(self) -> asyncio.Event:
        """Set when a run has ended whose files are removed after a while."""
        return self._driver.expiring

    def active(self, run_id: str) -> ActiveRun | None:
        """The run, while this loop drives it."""
        return self._registry.driven.get(run_id)

    def run_ids(self) -> frozenset[str]:
        """The runs that this server should own, as far as the loop is concerned."""
        return self._registry.ours()

    def known_ids(self) -> tuple[str, ...]:
        """The runs that the loop has to do with, also those that it only stops, leaves or deletes."""
        return self._registry.all()

    def leader_of(self, run_id: str, path: str) -> tuple[str, str] | None:
        """`(run id, path)` of the execution that does the same, while this one waits for it."""
        return self._cache.leader_of(run_id, path)

    async def take(self, recorded: BatchResult) -> None:
        """Drive a new run whose first events are recorded."""
        await self._driver.take(recorded)

    def revive(self, run: ActiveRun) -> bool:
        """Take up a run that has ended; False when the loop drives it already."""
        return self._driver.revive(run)

    async def take_over(self, found: Sequence[tuple[ActiveRun, Sequence[AttemptId]]]) -> None:
        """Drive runs of other servers, each with its attempts that no executor here can reach: those are lost."""
        await self._driver.take_over(found)

    async def drive_alone(self, run: ActiveRun) -> None:
        """Drive this run, and no other that the loop does not drive yet: it was opened without driving anything."""
        if not self._tasks:
            await self.start((), alone=False)
        await self._driver.take_over([(run, ())])

    async def resume_all(self) -> None:
        """Ask for everything again that should be going on."""
        await self._driver.resync(list(self._registry.driven))

    async def leave(self, run_id: str) -> None:
        """The run is not ours any more: another server drives it, or has deleted it."""
        await self._driver.leave(run_id)

    def drop(self, run_id: str) -> ActiveRun | None:
        """The run is about to be deleted; returns it if it was driven. `forget` or `restore` must follow."""
        return self._driver.drop(run_id)

    async def restore(self, run_id: str) -> None:
        """The run could not be deleted."""
        await self._driver.restore(run_id)

    async def forget(self, run_id: str) -> None:
        """The run is deleted: stop what it has going, then remove what is kept of its attempts."""
        await self._driver.forget(run_id)

    def give_back_space(self) -> None:
        """Something was deleted: the disk gets its space back, in the background."""
        if not self._giving_back:
            self._giving_back = True
            self._side.start(self._give_back_space())

    async def _give_back_space(self) -> None:
        try:
            await self._context.database.give_back_space()
        except StoreError as error:
            log.warning("the space of what was deleted could not be given back: %s", error)
        finally:
            self._giving_back = False

    # events ----------------------------------------------------------------------------------

    async def post(self, run_id: str, event: AnyEvent) -> None:
        """Add an event; returns when it is recorded. Raises Unavailable when it cannot be recorded now.

        An event of a run that another server drives is sent to that server.
        """
        if self.forward is not None and run_id not in self._registry.driven:
            await self.forward(run_id, event)
            return
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inbox.put(QueuedEvent(run_id=run_id, event=event, recorded=recorded))
        await recorded

    def deliver(self, message: leases.InboxMessage) -> bool:
        """Take in an event from another server; False while the loop does not drive its run."""
        if message.run_id not in self._registry.driven:
            return False
        self._inbox.put(QueuedEvent(run_id=message.run_id, event=message.event, message_id=message.inbox_id))
        return True

    def _ring(self, run_id: str, at: float) -> None:
        self._inbox.put(QueuedEvent(run_id=run_id, event=Tick(at=at)))

    async def _listen(self) -> None:
        while True:
            try:
                await self._read_reports()
                return
            except Exception:
                # A new reader begins with the truth about every live attempt, so nothing is missed.
                log.exception("the executor's reports broke off, listening again")
                await asyncio.sleep(_LISTEN_AGAIN_S)

    async def _read_reports(self) -> None:
        async for report in self._context.executor.reports():
            await self._inbox.room()
            run_id = report.attempt.run_id
            self._inbox.put(QueuedEvent(run_id=run_id, event=to_event(report), contents=contents(report)))

    async def _drive(self) -> None:
        while True:
            batch = await self._inbox.take()
            try:
                await self._handle(batch)
            except Exception:
                # No run may stop the loop for the others; what was left undone is asked for again.
                log.exception("the run loop could not handle a batch of %d events", len(batch))
                message = "Headrace failed in recording the request; it may not have been done. Look, and try again."
                answer(batch, Unavailable(message, code="INTERNAL_ERROR"))
                self._side.start(self._driver.resync(list(dict.fromkeys(queued.run_id for queued in batch))))

    async def _handle(self, batch: Sequence[QueuedEvent]) -> None:
        results, strays = await self._fold(batch)
        recorded = await self._driver.record(results)
        self._pass_on(batch, {one.run.run_id for one in recorded.done})
        answer(batch)
        self._driver.settle(strays)
        await self._driver.act(recorded.done)

    async def _fold(self, batch: Sequence[QueuedEvent]) -> tuple[list[BatchResult], list[AttemptId]]:
        """The results for the runs that are driven, and ended attempts that belong to no run."""
        by_run: dict[str, list[PendingEvent]] = {}
        strays = []
        for queued in batch:
            if queued.run_id in self._registry.driven:
                by_run.setdefault(queued.run_id, []).append(queued)
            elif self._is_stray(queued.run_id) and (attempt := ended_by(queued.event)) is not None:
                strays.append(attempt)
        now = self._context.now()
        results = []
        for ids in self._context.handling.apart(by_run):
            with self._context.handling.of(ids):
                results += await fold_batch([(self._registry.driven[run_id], by_run[run_id]) for run_id in ids], now)
        return results, strays

    def _is_stray(self, run_id: str) -> bool:
        """Whether an attempt of a run that is not driven can be settled when it ends."""
        state = self._registry.state(run_id)
        if state is DriveState.STOPPING:
            return True
        # With several servers it may be another's attempt, which finds its end where it is.
        return state is DriveState.ABSENT and self.forward is None

    def _pass_on(self, batch: Sequence[QueuedEvent], recorded: set[str]) -> None:
        """Requests for runs that another server has begun to drive meanwhile go to that server."""
        if self.forward is None:
            return
        for queued in batch:
            if queued.is_awaited and queued.run_id not in recorded and queued.run_id not in self._registry.driven:
                self._side.start(self._pass_one_on(self.forward, queued.run_id, queued.event, queued.recorded))
                queued.recorded = None

    async def _pass_one_on(
        self,
        forward: Callable[[str, AnyEvent], Awaitable[None]],
        run_id: str,
        event: AnyEvent,
        recorded: asyncio.Future[None] | None,
    ) -> None:
        assert recorded is not None
        try:
            await forward(run_id, event)
        except ServiceError as error:
            if not recorded.done():
                recorded.set_exception(error)
        else:
            if not recorded.done():
                recorded.set_result(None)
