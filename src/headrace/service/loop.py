"""The run loop: record, then act.

Whatever happens to any run comes in here as an event. All that is waiting is folded into the runs' states, committed
in one transaction, and only then acted upon. A crash between the two is repaired at the next start, when everything
the runs' states ask for (`engine.outstanding`) is asked for again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.engine import launch_order, outstanding, wake_at
from headrace.engine.model import (
    AnyEvent,
    AttemptFailed,
    AttemptId,
    AttemptLost,
    AttemptStarted,
    AttemptStopped,
    AttemptWaiting,
    CacheHit,
    Command,
    Kind,
    Launch,
    LaunchOrder,
    LookUpCache,
    Reason,
    RunState,
    Stop,
    Tick,
)
from headrace.failpoints import failpoint
from headrace.service.active import (
    ActiveRun,
    BatchResult,
    PendingEvent,
    adopt,
    ended_by,
    failed_by,
    fold,
    live_attempts,
    still_wanted,
)
from headrace.service.caching import Cache
from headrace.service.context import Context, disk_failed
from headrace.service.errors import ServiceError, Unavailable
from headrace.service.importing import import_artifact
from headrace.service.outage_log import OutageLog
from headrace.service.outcomes import directories, to_event
from headrace.store import errors as store
from headrace.store import leases
from headrace.store import runs as rows

log = logging.getLogger(__name__)

#: Events folded into one transaction at most: what the event loop is busy with at a stretch.
BATCH = 512
#: Seconds for which news that nothing waits for (an attempt waits, has begun) may lie until something else is
#: recorded with it. Most tasks of a quick run are over by then: one transaction each instead of two.
_IDLE_NEWS_S = 0.05
#: Reports waiting to be recorded beyond which executors are not listened to.
_BACKLOG = 4 * BATCH
#: What makes the engine want nothing: to know it later loses nothing, and adopted attempts tell it again.
_IDLE_NEWS = (AttemptWaiting, AttemptStarted)
_RETRY_FIRST_S = 0.05
_RETRY_LONGEST_S = 2.0
_LISTEN_AGAIN_S = 0.5
#: Between two runs that are taken up again, in seconds.
_BREATH_S = 0.01
#: What may pass by itself: waiting and trying again is right.
_PASSING = (store.Full, store.ReadOnly, store.Busy, store.Broken, store.DatabaseUnreachable, store.CommitUnknown)


@dataclass(kw_only=True)
class QueuedEvent(PendingEvent):
    """An event in the inbox of the loop, and who waits for it to be recorded."""

    recorded: asyncio.Future[None] | None = None


class RunLoop:
    """Drives every run that is not final."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._runs: dict[str, ActiveRun] = {}
        self._cache = Cache(context, self._runs)
        self._inbox: list[QueuedEvent] = []
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._wakes: dict[str, asyncio.TimerHandle] = {}
        #: Runs while there is only idle news.
        self._lying: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._side: set[asyncio.Task[None]] = set()
        #: Runs that cannot be recorded any more; what their attempts came to is for the next start to read.
        self._given_up: set[str] = set()
        self._outage = OutageLog()
        #: Set when a run has ended whose files are to go after a while.
        self.expiring = asyncio.Event()
        #: Attempts of deleted runs that are still being stopped; the run is forgotten with the last of them.
        self._leaving: dict[str, set[AttemptId]] = {}
        #: Takes events of runs that another server drives to it, if there are others.
        self.forward: Callable[[str, AnyEvent], Awaitable[None]] | None = None

    # life ------------------------------------------------------------------------------------

    async def start(self, runs: Iterable[ActiveRun], *, alone: bool = True) -> None:
        """Take up these runs where their records say they are; `alone`, whatever else has been going on is stopped."""
        found = list(runs)
        self._runs.update({run.run_id: run for run in found})
        for run in found:
            self._cache.adopt(run)
        await self._cache.sweep()
        wished = [(run, outstanding(run.plan, run.state)) for run in found]
        keep = {c.attempt for _, commands in wished for c in commands if isinstance(c, Launch | Stop)}
        await self._context.executor.keep_only(keep, within=None if alone else frozenset(self._runs))
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._drive())]
        # Not waited for: a server that has thousands of attempts to start answers meanwhile.
        self._aside(self._resync([run.run_id for run in found]))

    async def close(self) -> None:
        """Stop driving; what is recorded is enough for the next start."""
        for handle in (*self._wakes.values(), *([self._lying] if self._lying else [])):
            handle.cancel()
        for task in (*self._tasks, *self._side):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._side, return_exceptions=True)
        for posted in self._inbox:
            if posted.recorded is not None and not posted.recorded.done():
                posted.recorded.cancel()

    # what may be asked -----------------------------------------------------------------------

    def active(self, run_id: str) -> ActiveRun | None:
        """The run, while it is not final."""
        return self._runs.get(run_id)

    async def take(self, recorded: BatchResult) -> None:
        """Drive a run whose first events were just recorded."""
        self._runs[recorded.run.run_id] = recorded.run
        self._adopted(recorded)
        await self._perform([(recorded.run, *command) for command in recorded.commands])

    def revive(self, run: ActiveRun) -> None:
        """Listen for events of a run that had ended."""
        self._runs[run.run_id] = run

    async def resume(self, run: ActiveRun) -> None:
        """Drive a run as it was recorded: ask for everything again that should be going on."""
        self._runs[run.run_id] = run
        self._set_alarm(run)
        await self._perform([(run, run.state, command) for command in outstanding(run.plan, run.state)])

    async def post(self, run_id: str, event: AnyEvent) -> None:
        """Hand in an event; returns when it is recorded. Raises Unavailable when it cannot be recorded now.

        Of a run that another server drives it is recorded as a message to that one.
        """
        if self.forward is not None and run_id not in self._runs:
            await self.forward(run_id, event)
            return
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(QueuedEvent(run_id=run_id, event=event, recorded=recorded))
        await recorded

    def drop(self, run_id: str) -> ActiveRun | None:
        """Forget a run that is about to be deleted; answers it if it was under way."""
        self._clear_alarm(run_id)
        run = self._runs.pop(run_id, None)
        self._put_all(self._cache.gone(run_id))
        return run

    async def forget(self, run_id: str, run: ActiveRun | None) -> None:
        """A run was deleted: stop whatever it has going, then remove what is kept of its attempts."""
        live = set(live_attempts(run)) if run is not None else set()
        if run is None or not live:
            await self._context.executor.forget(run_id)
            return
        self._leaving[run_id] = live
        for attempt in list(live):
            await self._stop(run, attempt)

    # with other servers ----------------------------------------------------------------------

    def run_ids(self) -> frozenset[str]:
        """The runs this loop drives."""
        return frozenset(self._runs)

    async def take_over(self, found: Sequence[tuple[ActiveRun, bool]]) -> None:
        """Drive runs that another server has driven; with each, whether its attempts are out of our reach.

        Those within reach are adopted. The others are lost: whatever becomes of them, nobody hears of it any more.
        """
        for run, _ in found:
            self._runs[run.run_id] = run
            self._cache.adopt(run)
        lost = [self._lose(run) for run, elsewhere in found if elsewhere]
        near = {run.run_id: run for run, elsewhere in found if not elsewhere}
        wished = [c for run in near.values() for c in outstanding(run.plan, run.state)]
        keep = {command.attempt for command in wished if isinstance(command, Launch | Stop)}
        await self._context.executor.keep_only(keep, within=frozenset(near))
        for run in near.values():
            if self._runs.get(run.run_id) is run:
                await self.resume(run)
        await asyncio.gather(*lost)

    async def _lose(self, run: ActiveRun) -> None:
        """Only when the loss is recorded may anything of it be started again."""
        at = self._context.now()
        reason = Reason(
            code="SERVER_LOST",
            message="The server that ran the attempt, on another machine or data directory, gave no sign of life.",
        )
        lost = [
            AttemptLost(at=at, attempt=attempt, error=reason)
            for attempt in live_attempts(run)
            if run.state.executions[attempt.path].kind is not Kind.IMPORTER
        ]
        await asyncio.gather(*(self.post(run.run_id, event) for event in lost))
        if self._runs.get(run.run_id) is run:
            await self.resume(run)

    async def resume_all(self) -> None:
        """Ask for everything again."""
        await self._resync(list(self._runs))

    def deliver(self, message: leases.InboxMessage) -> bool:
        """Take in an event from another server; False while we do not drive its run."""
        if message.run_id not in self._runs:
            return False
        self._put(QueuedEvent(run_id=message.run_id, event=message.event, message_id=message.inbox_id))
        return True

    async def leave(self, run_id: str) -> None:
        """A run is not ours any more: another server drives it, or it was deleted."""
        await self._left_to_others(run_id, self.drop(run_id))

    async def _left_to_others(self, run_id: str, run: ActiveRun | None) -> None:
        if await self._context.read(rows.get_run, run_id) is None:
            await self.forget(run_id, run)
        else:
            await self._context.executor.let_go(run_id)

    # what happens ----------------------------------------------------------------------------

    def leader_of(self, run_id: str, path: str) -> tuple[str, str] | None:
        """`(run id, path)` of the execution that does the same, while this one waits for it."""
        return self._cache.leader_of(run_id, path)

    def _put(self, posted: QueuedEvent) -> None:
        self._inbox.append(posted)
        if posted.recorded is not None or not isinstance(posted.event, _IDLE_NEWS) or len(self._inbox) >= BATCH:
            self._arrived.set()
        elif self._lying is None and not self._arrived.is_set():
            self._lying = asyncio.get_running_loop().call_later(_IDLE_NEWS_S, self._arrived.set)

    def _put_all(self, answers: Iterable[tuple[str, AnyEvent]]) -> None:
        for run_id, event in answers:
            self._put(QueuedEvent(run_id=run_id, event=event))

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
                return
            except Exception:
                # A new reader begins with the truth about every live attempt, so nothing is missed.
                log.exception("the executor's reports broke off, listening again")
                await asyncio.sleep(_LISTEN_AGAIN_S)

    async def _hear(self) -> None:
        async for report in self._context.executor.reports():
            while len(self._inbox) > _BACKLOG:
                self._drained.clear()
                await self._drained.wait()
            run_id = report.attempt.run_id
            self._put(QueuedEvent(run_id=run_id, event=to_event(report), directories=directories(report)))

    async def _drive(self) -> None:
        while True:
            await self._arrived.wait()
            if self._lying is not None:
                self._lying.cancel()
                self._lying = None
            batch, self._inbox = self._inbox[:BATCH], self._inbox[BATCH:]
            if not self._inbox:
                self._arrived.clear()
            self._drained.set()
            try:
                await self._handle(batch)
            except Exception:
                # No run may stop the loop for the others; what was left undone is asked for again.
                log.exception("the run loop could not handle a batch of %d events", len(batch))
                self._refuse(batch)
                self._aside(self._resync({posted.run_id for posted in batch}))

    def _refuse(self, batch: list[QueuedEvent]) -> None:
        """Nobody is kept waiting for what may not have been recorded."""
        for posted in batch:
            if posted.recorded is not None and not posted.recorded.done():
                message = "Headrace failed in recording the request; it may not have been done. Look, and try again."
                posted.recorded.set_exception(Unavailable(message, code="INTERNAL_ERROR"))

    async def _resync(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            if (run := self._runs.get(run_id)) is not None:
                await self.resume(run)
                # Each may have thousands of attempts to launch: requests are answered in between.
                await asyncio.sleep(_BREATH_S)

    async def _handle(self, batch: list[QueuedEvent]) -> None:
        folds, strays = self._fold(batch)
        committed = await self._commit(folds, batch)
        self._pass_on(batch, {done.run.run_id for done in committed})
        self._answer(batch)
        # A run that was deleted meanwhile has nothing more to do.
        committed = [done for done in committed if self._runs.get(done.run.run_id) is done.run]
        paused = [done.run.state.paused != done.change.state.paused for done in committed]
        for done in committed:
            self._adopted(done)
        for done, changed in zip(committed, paused, strict=True):
            answers, again = self._cache.recorded(done.change, pause_changed=changed)
            self._put_all(answers)
            if again:
                self._aside(self._look_up(again))
        ended_runs = [done.run.run_id for done in committed if done.run.state.state.final]
        self._context.changes.notify((done.run.run_id for done in committed), ended=ended_runs)
        ended = [*strays, *(attempt for done in committed for attempt in done.ended)]
        if ended:
            # Not waited for: a restart settles what was not.
            self._aside(self._settle(ended))
        await self._perform([(done.run, *command) for done in committed for command in done.commands])

    def _fold(self, batch: list[QueuedEvent]) -> tuple[list[BatchResult], list[AttemptId]]:
        by_run: dict[str, list[PendingEvent]] = {}
        strays = []
        for posted in batch:
            if posted.run_id in self._runs:
                by_run.setdefault(posted.run_id, []).append(posted)
            elif self._is_stray(posted) and (attempt := ended_by(posted.event)) is not None:
                strays.append(attempt)
        now = self._context.now()
        return [fold(self._runs[run_id], pending_events, now) for run_id, pending_events in by_run.items()], strays

    def _is_stray(self, posted: QueuedEvent) -> bool:
        """Nobody's: to be settled. With several servers it may be somebody else's, who finds it where it is."""
        if self.forward is not None:
            return posted.run_id in self._leaving
        return posted.run_id not in self._given_up

    def _pass_on(self, batch: list[QueuedEvent], committed: set[str]) -> None:
        """Requests for runs that have gone to another server meanwhile go there too."""
        for posted in batch:
            waits = posted.recorded is not None and not posted.recorded.done()
            if waits and self.forward is not None and posted.run_id not in (committed | self._runs.keys()):
                self._aside(self._pass_one_on(posted.run_id, posted.event, posted.recorded))
                posted.recorded = None

    async def _pass_one_on(self, run_id: str, event: AnyEvent, recorded: asyncio.Future[None] | None) -> None:
        assert recorded is not None
        assert self.forward is not None
        try:
            await self.forward(run_id, event)
        except ServiceError as error:
            recorded.set_exception(error)
        else:
            recorded.set_result(None)

    def _answer(self, batch: list[QueuedEvent], error: store.StoreError | None = None) -> None:
        for posted in batch:
            if posted.recorded is None or posted.recorded.done():
                continue
            if error is None:
                posted.recorded.set_result(None)
            else:
                posted.recorded.set_exception(self._context.translated(error))

    # recording -------------------------------------------------------------------------------

    async def _commit(self, folds: list[BatchResult], batch: list[QueuedEvent]) -> list[BatchResult]:
        """Record all of it in one transaction; if that cannot be, each run by itself."""
        if not folds:
            return []
        if await self._committed(folds, batch):
            return folds
        alone = [await self._commit_alone(one, batch) for one in folds if one.run.run_id in self._runs]
        return [one for one in alone if one is not None]

    async def _commit_alone(self, one: BatchResult, batch: list[QueuedEvent]) -> BatchResult | None:
        if await self._committed([one], batch):
            return one
        if self._runs.get(one.run.run_id) is not one.run:
            return None
        failed = failed_by(one.run, RuntimeError("what happened to the run could not be recorded"), self._context.now())
        if await self._committed([failed], batch):
            return failed
        # Even its failure cannot be recorded: forget it until the next start, so that the others go on.
        self._given_up.add(one.run.run_id)
        self.drop(one.run.run_id)
        return None

    async def _committed(self, folds: list[BatchResult], batch: list[QueuedEvent]) -> bool:
        """True when recorded; False when it never can be. Waits while the disk is full."""
        delay = _RETRY_FIRST_S
        changes = [one.change for one in folds]
        unsure = False
        while True:
            try:
                failpoint("commit.before")
                await self._context.database.write(rows.commit_changes, changes, self._context.owner)
                failpoint("commit.after")
                self._outage.over()
                return True
            except store.Stale as stale:
                if unsure and await self._context.read(rows.are_recorded, changes):
                    return True
                self._leave_stale(stale)
                return False
            except store.DiskFailed as error:
                log.critical("%s", disk_failed(error, self._context.settings))
                self._answer([*batch, *self._inbox], error)
                # The process ends. Nothing more is recorded, so nothing more is done either.
                await asyncio.Event().wait()
            except _PASSING as error:
                unsure = unsure or isinstance(error, store.CommitUnknown)
                meaning = self._context.translated(error)
                self._outage.failing(meaning.code, meaning.message)
                # Nobody is kept waiting; what they asked for is done as soon as it can be.
                self._answer([*batch, *self._inbox], error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, _RETRY_LONGEST_S)
            except Exception:
                log.exception("a change of %s cannot be recorded", ", ".join(one.run.run_id for one in folds[:10]))
                return False

    def _leave_stale(self, stale: store.Stale) -> None:
        """Somebody else drives these runs. With one server that cannot be, and is told as the fault it is."""
        log.warning("%s", stale)
        if self.forward is not None:
            for run_id in stale.run_ids:
                self._aside(self._left_to_others(run_id, self.drop(run_id)))

    def _adopted(self, done: BatchResult) -> None:
        adopt(done)
        if done.change.expires_at is not None:
            self.expiring.set()
        self._set_alarm(done.run)
        self._retire(done.run)

    def _retire(self, run: ActiveRun) -> None:
        if run.state.state.final:
            self._runs.pop(run.run_id, None)
            self._clear_alarm(run.run_id)

    # time ------------------------------------------------------------------------------------

    def _set_alarm(self, run: ActiveRun) -> None:
        self._clear_alarm(run.run_id)
        due = wake_at(run.state)
        if due is None:
            return
        wait = max(0.0, due - self._context.now())
        self._wakes[run.run_id] = asyncio.get_running_loop().call_later(wait, self._tick, run.run_id, due)

    def _tick(self, run_id: str, due: float) -> None:
        self._wakes.pop(run_id, None)
        # A timer may fire a little before the wall clock says so.
        self._put(QueuedEvent(run_id=run_id, event=Tick(at=max(due, self._context.now()))))

    def _clear_alarm(self, run_id: str) -> None:
        handle = self._wakes.pop(run_id, None)
        if handle is not None:
            handle.cancel()

    # acting ----------------------------------------------------------------------------------

    async def _settle(self, attempts: Iterable[AttemptId]) -> None:
        # Together: what an executor has to wait for, it waits for once.
        await asyncio.gather(*(self._settle_one(attempt) for attempt in attempts))

    async def _settle_one(self, attempt: AttemptId) -> None:
        try:
            failpoint("settle.before")
            await self._context.executor.settle(attempt)
            failpoint("settle.after")
        except Exception:
            log.exception("the executor could not settle %s", attempt)
        await self._left(attempt)

    async def _left(self, attempt: AttemptId) -> None:
        left = self._leaving.get(attempt.run_id)
        if left is None:
            return
        left.discard(attempt)
        if not left:
            del self._leaving[attempt.run_id]
            await self._context.executor.forget(attempt.run_id)

    async def _perform(self, commands: Sequence[tuple[ActiveRun, RunState, Command]]) -> None:
        lookups = []
        for run, state, command in commands:
            match command:
                case LookUpCache():
                    lookups.append((run, state, command.path))
                case Launch():
                    await self._launch(run, state, command.attempt)
                case Stop():
                    await self._stop(run, command.attempt)
        if lookups:
            self._aside(self._look_up(lookups))

    async def _launch(self, run: ActiveRun, state: RunState, attempt: AttemptId) -> None:
        if not still_wanted(run, attempt) or self._runs.get(run.run_id) is not run:
            # The wish is from a list that was made before it was stopped, or ended, or went to another server.
            return
        if self._context.lease is not None and not self._context.lease.live():
            # Another server may drive it by now. If not, it is asked for again as soon as that is sure.
            return
        try:
            order = launch_order(run.plan, state, attempt)
            if order.importer is not None:
                self._aside(self._import(order, run.record.pipeline_name))
            else:
                failpoint("launch.before")
                await self._context.executor.launch(order)
                failpoint("launch.after")
        except Exception as error:
            log.exception("attempt %s could not be launched", attempt)
            self._put(QueuedEvent(run_id=run.run_id, event=self._failed(attempt, error)))

    def _failed(self, attempt: AttemptId, error: Exception) -> AttemptFailed:
        reason = Reason(
            code="LAUNCH_FAILED", message=f"The attempt could not be started: {type(error).__name__}: {error}"
        )
        return AttemptFailed(at=self._context.now(), attempt=attempt, error=reason, retryable=False)

    async def _stop(self, run: ActiveRun, attempt: AttemptId) -> None:
        if run.state.executions[attempt.path].kind is Kind.IMPORTER:
            self._put(QueuedEvent(run_id=run.run_id, event=AttemptStopped(at=self._context.now(), attempt=attempt)))
            return
        try:
            failpoint("stop.before")
            await self._context.executor.stop(attempt)
            failpoint("stop.after")
        except Exception:
            log.exception("the executor could not stop %s", attempt)

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._side.add(task)
        task.add_done_callback(self._side.discard)

    async def _look_up(self, wanted: list[tuple[ActiveRun, RunState, str]]) -> None:
        asked_for = {(run.run_id, path): state.executions[path].inputs for run, state, path in wanted}
        for run_id, event in await self._cache.look_up(wanted):
            # A hit is for one that asked just now; by the time it is folded in, that may have other inputs.
            inputs = asked_for.get((run_id, event.path)) if isinstance(event, CacheHit) else None
            self._put(QueuedEvent(run_id=run_id, event=event, asked_for=inputs))

    async def _import(self, order: LaunchOrder, pipeline_name: str) -> None:
        attempt = order.attempt
        try:
            events = await import_artifact(self._context, order, pipeline_name)
        except Exception as error:
            events = (self._failed(attempt, error),)
        for event in events:
            self._put(QueuedEvent(run_id=attempt.run_id, event=event))
