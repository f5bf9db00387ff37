"""The run loop: record, then act.

Whatever happens to any run comes in here as an event. All that is waiting is folded into the runs' states, committed
in one transaction, and only then acted upon. A crash between the two is repaired at the next start, when everything
the runs' states ask for (`engine.outstanding`) is asked for again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.engine import launch_order, outstanding, wake_at
from headrace.engine.model import (
    AnyEvent,
    AttemptFailed,
    AttemptId,
    AttemptStarted,
    AttemptStopped,
    AttemptWaiting,
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
    Fold,
    Happening,
    adopt,
    ended_by,
    failed_by,
    fold,
    live_attempts,
    still_wanted,
)
from headrace.service.caching import Cache
from headrace.service.context import Context
from headrace.service.errors import Unavailable
from headrace.service.importing import import_artifact
from headrace.service.outcomes import directories, to_event
from headrace.store import errors as store
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
#: What may pass by itself: waiting and trying again is right.
_PASSING = (store.Full, store.ReadOnly, store.Busy, store.Broken, store.Away, store.Unknown)


@dataclass(kw_only=True)
class _Posted(Happening):
    """A happening, and who waits for it to be recorded."""

    recorded: asyncio.Future[None] | None = None


class RunLoop:
    """Drives every run that is not final."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._runs: dict[str, ActiveRun] = {}
        self._cache = Cache(context, self._runs)
        self._inbox: list[_Posted] = []
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()
        self._wakes: dict[str, asyncio.TimerHandle] = {}
        #: Runs while there is only idle news.
        self._lying: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._side: set[asyncio.Task[None]] = set()
        #: Runs that cannot be recorded any more; what their attempts came to is for the next start to read.
        self._given_up: set[str] = set()
        #: Attempts of deleted runs that are still being stopped; the run is forgotten with the last of them.
        self._leaving: dict[str, set[AttemptId]] = {}

    # life ------------------------------------------------------------------------------------

    async def start(self, runs: Iterable[ActiveRun]) -> None:
        """Take up these runs where their records say they are."""
        found = list(runs)
        self._runs.update({run.run_id: run for run in found})
        for run in found:
            self._cache.adopt(run)
        await self._cache.sweep()
        wished = [(run, outstanding(run.plan, run.state)) for run in found]
        keep = {c.attempt for _, commands in wished for c in commands if isinstance(c, Launch | Stop)}
        await self._context.executor.keep_only(keep)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._drive())]
        for run in found:
            await self.resume(run)

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

    async def take(self, recorded: Fold) -> None:
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
        """Hand in an event; returns when it is recorded. Raises Unavailable when it cannot be recorded now."""
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(_Posted(run_id=run_id, event=event, recorded=recorded))
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

    # what happens ----------------------------------------------------------------------------

    def leader_of(self, run_id: str, path: str) -> tuple[str, str] | None:
        """`(run id, path)` of the execution that does the same, while this one waits for it."""
        return self._cache.leader_of(run_id, path)

    def _put(self, posted: _Posted) -> None:
        self._inbox.append(posted)
        if posted.recorded is not None or not isinstance(posted.event, _IDLE_NEWS) or len(self._inbox) >= BATCH:
            self._arrived.set()
        elif self._lying is None and not self._arrived.is_set():
            self._lying = asyncio.get_running_loop().call_later(_IDLE_NEWS_S, self._arrived.set)

    def _put_all(self, answers: Iterable[tuple[str, AnyEvent]]) -> None:
        for run_id, event in answers:
            self._put(_Posted(run_id=run_id, event=event))

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
            self._put(_Posted(run_id=run_id, event=to_event(report), directories=directories(report)))

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

    def _refuse(self, batch: list[_Posted]) -> None:
        """Nobody is kept waiting for what may not have been recorded."""
        for posted in batch:
            if posted.recorded is not None and not posted.recorded.done():
                message = "Headrace failed in recording the request; it may not have been done. Look, and try again."
                posted.recorded.set_exception(Unavailable(message, code="INTERNAL_ERROR"))

    async def _resync(self, run_ids: Iterable[str]) -> None:
        for run_id in run_ids:
            if (run := self._runs.get(run_id)) is not None:
                await self.resume(run)

    async def _handle(self, batch: list[_Posted]) -> None:
        folds, strays = self._fold(batch)
        committed = await self._commit(folds, batch)
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

    def _fold(self, batch: list[_Posted]) -> tuple[list[Fold], list[AttemptId]]:
        by_run: dict[str, list[Happening]] = {}
        strays = []
        for posted in batch:
            if posted.run_id in self._runs:
                by_run.setdefault(posted.run_id, []).append(posted)
            elif posted.run_id not in self._given_up and (attempt := ended_by(posted.event)) is not None:
                strays.append(attempt)
        now = self._context.now()
        return [fold(self._runs[run_id], happenings, now) for run_id, happenings in by_run.items()], strays

    def _answer(self, batch: list[_Posted], error: store.StoreError | None = None) -> None:
        for posted in batch:
            if posted.recorded is None or posted.recorded.done():
                continue
            if error is None:
                posted.recorded.set_result(None)
            else:
                posted.recorded.set_exception(self._context.translated(error))

    # recording -------------------------------------------------------------------------------

    async def _commit(self, folds: list[Fold], batch: list[_Posted]) -> list[Fold]:
        """Record all of it in one transaction; if that cannot be, each run by itself."""
        if not folds:
            return []
        if await self._committed(folds, batch):
            return folds
        alone = [await self._commit_alone(one, batch) for one in folds if one.run.run_id in self._runs]
        return [one for one in alone if one is not None]

    async def _commit_alone(self, one: Fold, batch: list[_Posted]) -> Fold | None:
        if await self._committed([one], batch):
            return one
        failed = failed_by(one.run, RuntimeError("what happened to the run could not be recorded"), self._context.now())
        if await self._committed([failed], batch):
            return failed
        # Even its failure cannot be recorded: forget it until the next start, so that the others go on.
        self._given_up.add(one.run.run_id)
        self.drop(one.run.run_id)
        return None

    async def _committed(self, folds: list[Fold], batch: list[_Posted]) -> bool:
        """True when recorded; False when it never can be. Waits while the disk is full."""
        delay = _RETRY_FIRST_S
        while True:
            try:
                failpoint("commit.before")
                await self._context.database.write(rows.commit_changes, [one.change for one in folds])
                failpoint("commit.after")
                return True
            except _PASSING as error:
                log.warning("the record cannot be written, trying again in %.2f s: %s", delay, error)
                # Nobody is kept waiting; what they asked for is done as soon as it can be.
                self._answer([*batch, *self._inbox], error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, _RETRY_LONGEST_S)
            except Exception:
                log.exception("a change of %s cannot be recorded", ", ".join(one.run.run_id for one in folds[:10]))
                return False

    def _adopted(self, done: Fold) -> None:
        adopt(done)
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
        self._put(_Posted(run_id=run_id, event=Tick(at=max(due, self._context.now()))))

    def _clear_alarm(self, run_id: str) -> None:
        handle = self._wakes.pop(run_id, None)
        if handle is not None:
            handle.cancel()

    # acting ----------------------------------------------------------------------------------

    async def _settle(self, attempts: Iterable[AttemptId]) -> None:
        for attempt in attempts:
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
        if not still_wanted(run, attempt):
            # The wish is from a list that was made before it was stopped, or ended.
            return
        try:
            order = launch_order(run.plan, state, attempt)
            if order.importer is not None:
                self._aside(self._import(order))
            else:
                failpoint("launch.before")
                await self._context.executor.launch(order)
                failpoint("launch.after")
        except Exception as error:
            log.exception("attempt %s could not be launched", attempt)
            self._put(_Posted(run_id=run.run_id, event=self._failed(attempt, error)))

    def _failed(self, attempt: AttemptId, error: Exception) -> AttemptFailed:
        reason = Reason(
            code="LAUNCH_FAILED", message=f"The attempt could not be started: {type(error).__name__}: {error}"
        )
        return AttemptFailed(at=self._context.now(), attempt=attempt, error=reason, retryable=False)

    async def _stop(self, run: ActiveRun, attempt: AttemptId) -> None:
        if run.state.executions[attempt.path].kind is Kind.IMPORTER:
            self._put(_Posted(run_id=run.run_id, event=AttemptStopped(at=self._context.now(), attempt=attempt)))
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
        self._put_all(await self._cache.look_up(wanted))

    async def _import(self, order: LaunchOrder) -> None:
        attempt = order.attempt
        try:
            events = await import_artifact(self._context, order)
        except Exception as error:
            events = (self._failed(attempt, error),)
        for event in events:
            self._put(_Posted(run_id=attempt.run_id, event=event))
