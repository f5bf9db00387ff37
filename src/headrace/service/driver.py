"""Which runs this loop drives: one state machine for each run, and the one place that decides.

`decide` answers each request in each state, by the table below. `Registry` holds the runs with their states. `Driver`
makes the requests, and does what belongs to a transition: it keeps attempts, asks for what should be going on, and
stops what is left of a deleted run.

state      the loop ...
ABSENT     does not drive the run: another server does, or it has ended, or there is no such run
RECOVERING drives it, and is yet to ask for everything that should be going on (start, take-over, failed deletion)
LOSING     has taken it over and records the loss of attempts that no executor here can reach; it drives it afterwards
DRIVING    drives it
REVIVED    has taken up a run that had ended, for an event that lets it go on
LEAVING    has stopped to drive it, and is yet to release its attempts to the server that drives it now
DELETING   has stopped to drive it, because its rows are about to be deleted
STOPPING   stops the attempts that a deleted run has left; what is kept of them goes with the last one
ABANDONED  does not drive it until the next start or take-over, because not even its failure can be recorded
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from headrace.engine import outstanding
from headrace.engine.model import AttemptId, AttemptLost, Launch, Reason, Stop
from headrace.service.active import ActiveRun, BatchResult, PendingEvent, adopt, fold_batch, live_attempts, off_loop
from headrace.service.alarms import Alarms
from headrace.service.caching import Cache
from headrace.service.context import Context
from headrace.service.errors import ServiceError
from headrace.service.inbox import Inbox
from headrace.service.perform import Performer
from headrace.service.recorder import Recorded, Recorder
from headrace.service.side_tasks import SideTasks
from headrace.store import runs as rows

log = logging.getLogger(__name__)

#: Between two runs that are resumed, in seconds.
_BREATH_S = 0.01
_SERVER_LOST = Reason(
    code="SERVER_LOST",
    message="The server that ran the attempt, on another machine or data directory, did not renew its lease.",
)


class DriveState(enum.Enum):
    """What the loop does about one run; see the table at the head of this file."""

    ABSENT = enum.auto()
    RECOVERING = enum.auto()
    LOSING = enum.auto()
    DRIVING = enum.auto()
    REVIVED = enum.auto()
    LEAVING = enum.auto()
    DELETING = enum.auto()
    STOPPING = enum.auto()
    ABANDONED = enum.auto()


class DriveRequest(enum.Enum):
    """What may be asked for one run."""

    START = "drive a run that was under way when the server started"
    TAKE = "drive a new run whose first events are recorded"
    REVIVE = "take up a run that has ended"
    TAKE_OVER = "drive a run of another server; all its attempts can be reached"
    LOSE = "drive a run of another server; some of its attempts cannot be reached"
    LOSSES_RECORDED = "the loss of these attempts is recorded"
    RESUME = "ask again for everything that should be going on"
    CONTINUE = "a commit has left the run under way"
    END = "a commit has ended the run"
    LEAVE = "another server drives the run, or has deleted it"
    RELEASE = "the executor has released the attempts of a run that was left"
    DELETE = "the rows of the run are about to be deleted"
    RESTORE = "they could not be deleted"
    FORGET = "the run is deleted and has no attempt"
    STOP = "the run is deleted and has attempts, which must be stopped"
    STOPPED = "the last of these attempts is settled"
    ABANDON = "nothing about the run can be recorded"


class DriveRefusal(enum.Enum):
    """Why a request is refused. A refused request changes nothing."""

    NOT_DRIVEN = "the loop does not drive the run"
    ALREADY_DRIVEN = "the loop drives the run already"
    NOT_ENDED = "the run has not ended"
    ENDED = "the run has ended, and nothing of it should be going on"
    NOT_DELETED = "the run is not deleted"
    NOT_LEFT = "the run was not left to another server"
    NOTHING_LOST = "no attempt of the run is being recorded as lost"
    LOSSES_NOT_RECORDED = "lost attempts of the run are not recorded yet"
    BEING_LEFT = "the run is being left to another server"
    BEING_DELETED = "the run is being deleted"
    ABANDONED = "nothing about the run can be recorded"


_S, _R, _N = DriveState, DriveRequest, DriveRefusal
_Row: TypeAlias = dict[DriveRequest, DriveState | DriveRefusal]


def _all(refusal: DriveRefusal) -> _Row:
    return dict.fromkeys(DriveRequest, refusal)


_NOT_GOING: _Row = {
    _R.LOSSES_RECORDED: _N.NOTHING_LOST,
    _R.RELEASE: _N.NOT_LEFT,
    _R.RESTORE: _N.NOT_DELETED,
    _R.FORGET: _N.NOT_DELETED,
    _R.STOP: _N.NOT_DELETED,
    _R.STOPPED: _N.NOT_DELETED,
}
#: What holds in each state in which the loop drives the run.
_DRIVEN: _Row = _NOT_GOING | {
    _R.START: _N.ALREADY_DRIVEN,
    _R.TAKE: _N.ALREADY_DRIVEN,
    _R.REVIVE: _N.NOT_ENDED,
    # The database says that it had no owner, so another server may have changed it: it is loaded again.
    _R.TAKE_OVER: _S.RECOVERING,
    _R.LOSE: _S.LOSING,
    _R.END: _S.ABSENT,
    _R.LEAVE: _S.LEAVING,
    _R.DELETE: _S.DELETING,
    _R.ABANDON: _S.ABANDONED,
}

TABLE: Mapping[DriveState, Mapping[DriveRequest, DriveState | DriveRefusal]] = {
    _S.ABSENT: _all(_N.NOT_DRIVEN)
    | {
        _R.START: _S.RECOVERING,
        _R.TAKE: _S.DRIVING,
        _R.REVIVE: _S.REVIVED,
        _R.TAKE_OVER: _S.RECOVERING,
        _R.LOSE: _S.LOSING,
        # A run that had ended, or that another server drove, is deleted.
        _R.FORGET: _S.ABSENT,
    },
    _S.RECOVERING: _DRIVEN | {_R.RESUME: _S.DRIVING, _R.CONTINUE: _S.RECOVERING},
    _S.LOSING: _DRIVEN
    | {
        _R.TAKE_OVER: _N.LOSSES_NOT_RECORDED,
        _R.LOSE: _N.LOSSES_NOT_RECORDED,
        _R.LOSSES_RECORDED: _S.RECOVERING,
        # Started now, a lost attempt would run twice without a record of it.
        _R.RESUME: _N.LOSSES_NOT_RECORDED,
        _R.CONTINUE: _N.LOSSES_NOT_RECORDED,
    },
    _S.DRIVING: _DRIVEN | {_R.RESUME: _S.DRIVING, _R.CONTINUE: _S.DRIVING},
    _S.REVIVED: _DRIVEN | {_R.REVIVE: _N.ALREADY_DRIVEN, _R.RESUME: _N.ENDED, _R.CONTINUE: _S.DRIVING},
    # Until its attempts are released nothing may be begun here: the release would be for the new attempts as well.
    _S.LEAVING: _all(_N.BEING_LEFT) | {_R.RELEASE: _S.ABSENT, _R.FORGET: _S.ABSENT, _R.STOP: _S.STOPPING},
    _S.DELETING: _all(_N.BEING_DELETED)
    | {
        _R.DELETE: _S.DELETING,
        # Of a commit that was under way.
        _R.CONTINUE: _S.DELETING,
        _R.END: _S.DELETING,
        _R.RESTORE: _S.RECOVERING,
        _R.FORGET: _S.ABSENT,
        _R.STOP: _S.STOPPING,
    },
    _S.STOPPING: _all(_N.BEING_DELETED) | {_R.STOPPED: _S.ABSENT},
    _S.ABANDONED: _all(_N.ABANDONED)
    | {
        _R.TAKE_OVER: _S.RECOVERING,
        _R.LOSE: _S.LOSING,
        _R.LEAVE: _S.LEAVING,
        _R.DELETE: _S.DELETING,
    },
}
#: States in which events of a run are folded and recorded.
DRIVEN = frozenset({DriveState.RECOVERING, DriveState.DRIVING, DriveState.REVIVED})


def decide(state: DriveState, request: DriveRequest) -> DriveState | DriveRefusal:
    """The next state, or why the request is refused."""
    return TABLE[state][request]


@dataclass(kw_only=True)
class _RunEntry:
    state: DriveState
    run: ActiveRun
    #: In state STOPPING: attempts that are not settled yet.
    stopping: set[AttemptId] = field(default_factory=set)


class Registry:
    """The runs that the loop has to do with, each with its state. A run that is not in it is ABSENT."""

    def __init__(self) -> None:
        self._entries: dict[str, _RunEntry] = {}
        #: The runs whose events are folded and recorded, by id: those in one of the states `DRIVEN`.
        self.driven: dict[str, ActiveRun] = {}

    def state(self, run_id: str) -> DriveState:
        """The state of the run."""
        entry = self._entries.get(run_id)
        return DriveState.ABSENT if entry is None else entry.state

    def request(self, request: DriveRequest, run_id: str, run: ActiveRun | None = None) -> DriveRefusal | None:
        """Make the transition, with `run` as what is known of the run from now on; None, or why it is refused.

        A request that begins to drive a run needs `run`.
        """
        decided = decide(self.state(run_id), request)
        if isinstance(decided, DriveRefusal):
            log.debug("run %s: %s refused: %s", run_id, request.name, decided.value)
            return decided
        before = self._entries.pop(run_id, None)
        self.driven.pop(run_id, None)
        known = run or (before.run if before is not None else None)
        if decided is not DriveState.ABSENT:
            assert known is not None, f"{request.name} needs the run"
            self._entries[run_id] = _RunEntry(state=decided, run=known)
            if decided in DRIVEN:
                self.driven[run_id] = known
        return None

    def run(self, run_id: str) -> ActiveRun | None:
        """What is known of the run, in whatever state it is; None while it is ABSENT."""
        entry = self._entries.get(run_id)
        return None if entry is None else entry.run

    def wants(self, run: ActiveRun) -> bool:
        """Whether what happens to this very run is to be recorded."""
        entry = self._entries.get(run.run_id)
        return entry is not None and entry.run is run and (entry.state in DRIVEN or entry.state is DriveState.LOSING)

    def ours(self) -> frozenset[str]:
        """Ids of the runs that this server should own, as far as the loop is concerned."""
        return frozenset(i for i, one in self._entries.items() if one.state in DRIVEN or one.state is DriveState.LOSING)

    def all(self) -> tuple[str, ...]:
        """Ids of all runs that the loop has to do with."""
        return tuple(self._entries)

    def stopping(self, run_id: str) -> set[AttemptId]:
        """Of a run in state STOPPING, the attempts that are not settled; the caller changes the set."""
        return self._entries[run_id].stopping


class Driver:
    """Begins and ends to drive runs."""

    def __init__(
        self,
        context: Context,
        registry: Registry,
        *,
        inbox: Inbox,
        recorder: Recorder,
        performer: Performer,
        cache: Cache,
        alarms: Alarms,
        side: SideTasks,
    ) -> None:
        self._context = context
        self._registry = registry
        self._inbox = inbox
        self._recorder = recorder
        self._performer = performer
        self._cache = cache
        self._alarms = alarms
        self._side = side
        #: Set when a run has ended whose files are removed after a while.
        self.expiring = asyncio.Event()

    # begin to drive ---------------------------------------------------------------------------

    async def start(self, runs: Iterable[ActiveRun], *, alone: bool) -> None:
        """Adopt the attempts of these runs; `alone`: all other attempts are stopped. `resync` asks for the rest."""
        found = [run for run in runs if self._registry.request(DriveRequest.START, run.run_id, run) is None]
        for run in found:
            self._cache.adopt(run)
        await self._cache.sweep()
        within = None if alone else frozenset(run.run_id for run in found)
        await self._context.executor.keep_only(await asyncio.to_thread(_kept, found), within=within)

    async def take(self, recorded: BatchResult) -> None:
        """Drive a new run whose first events are recorded, and do what they ask for."""
        run = recorded.run
        if self._registry.request(DriveRequest.TAKE, run.run_id, run) is None:
            self._adopt(recorded)
            await self._performer.perform([(run, *command) for command in recorded.commands])

    def revive(self, run: ActiveRun) -> bool:
        """Take up a run that has ended; False when that is refused."""
        return self._registry.request(DriveRequest.REVIVE, run.run_id, run) is None

    async def take_over(self, found: Sequence[tuple[ActiveRun, Sequence[AttemptId]]]) -> None:
        """Drive runs that another server has driven, each with its attempts that no executor here can reach.

        The other attempts are adopted. Those out of reach are recorded as lost before anything of the run is begun.
        """
        # Before the runs are driven: until then, nothing changes them.
        kept = await asyncio.to_thread(_kept, [run for run, _ in found])
        taken = [
            (run, lost)
            for run, lost in found
            if self._registry.request(DriveRequest.LOSE if lost else DriveRequest.TAKE_OVER, run.run_id, run) is None
        ]
        for run, _ in taken:
            self._cache.adopt(run)
        kept -= {attempt for _, lost in found for attempt in lost}
        await self._context.executor.keep_only(kept, within=frozenset(run.run_id for run, _ in taken))
        for run, lost in taken:
            if lost:
                self._side.start(self._lose(run, lost))
        self._side.start(self.resync([run.run_id for run, lost in taken if not lost]))

    async def _lose(self, run: ActiveRun, lost: Sequence[AttemptId]) -> None:
        """Record the loss in one commit of its own: the row names this server's domains from then on."""
        at = self._context.now()
        events = [
            PendingEvent(run_id=run.run_id, event=AttemptLost(at=at, attempt=attempt, error=_SERVER_LOST))
            for attempt in lost
        ]
        with self._context.handling.of([run.run_id]):
            folded = await fold_batch([(run, events)], at)
        recorded = await self.record(folded)
        await self.act(recorded.done)
        await self.resume(run.run_id)

    # while a run is driven --------------------------------------------------------------------

    async def resync(self, run_ids: Iterable[str]) -> None:
        """Ask for everything again that should be going on in these runs, one after the other."""
        for run_id in run_ids:
            if await self.resume(run_id):
                # Each may have thousands of attempts to launch: requests are answered in between.
                await asyncio.sleep(_BREATH_S)

    async def resume(self, run_id: str) -> bool:
        """Ask for everything again that should be going on in this run; False when that is refused."""
        if self._registry.request(DriveRequest.RESUME, run_id) is not None:
            return False
        run = self._registry.driven[run_id]
        self._alarms.set(run)
        state = run.state
        with self._context.handling.of([run_id]):
            wanted = await off_loop(run, partial(outstanding, run.plan, state))
        await self._performer.perform([(run, state, command) for command in wanted])
        return True

    async def record(self, results: Sequence[BatchResult]) -> Recorded:
        """Commit these results. Runs of which nothing can be recorded are not driven any more. `act` must follow."""
        recorded = await self._recorder.record(results, self._registry.wants)
        for run_id in recorded.impossible:
            self._stop_driving(DriveRequest.ABANDON, run_id)
        for run_id in recorded.stale:
            if self._stop_driving(DriveRequest.LEAVE, run_id):
                self._side.start(self._release(run_id))
        return recorded

    async def act(self, done: Sequence[BatchResult]) -> None:
        """These results are recorded: make the runs what they say, and do what the engine wishes because of it."""
        acting = [one for one in done if self._registry.wants(one.run)]
        pauses = [one.run.state.paused != one.change.state.paused for one in acting]
        # Also of a run that is being deleted: if that fails, it goes on from here.
        adopted = [one for one in done if self._registry.run(one.run.run_id) is one.run]
        for one in adopted:
            self._adopt(one)
        for one, pause_changed in zip(acting, pauses, strict=True):
            answers, again = self._cache.recorded(one.change, pause_changed=pause_changed)
            self._inbox.put_events(answers)
            self._performer.look_up(again)
        ended_runs = [one.run.run_id for one in acting if one.run.state.state.final]
        self._context.changes.notify((one.run.run_id for one in acting), ended=ended_runs)
        self.settle([attempt for one in adopted for attempt in one.ended])
        await self._performer.perform([(one.run, *command) for one in acting for command in one.commands])

    def _adopt(self, done: BatchResult) -> None:
        run = done.run
        adopt(done)
        if done.change.expires_at is not None:
            self.expiring.set()
        if self._registry.state(run.run_id) is DriveState.LOSING:
            self._registry.request(DriveRequest.LOSSES_RECORDED, run.run_id)
        self._registry.request(DriveRequest.END if run.state.state.final else DriveRequest.CONTINUE, run.run_id)
        if self._registry.driven.get(run.run_id) is run:
            self._alarms.set(run)
        else:
            self._alarms.clear(run.run_id)

    def settle(self, attempts: Sequence[AttemptId]) -> None:
        """Tell the executor, in the background, that the ends of these attempts are recorded; a restart does it too."""
        if attempts:
            self._side.start(self._settle(attempts))

    async def _settle(self, attempts: Sequence[AttemptId]) -> None:
        # Together: what an executor has to wait for, it waits for once.
        await asyncio.gather(*(self._performer.settle(attempt) for attempt in attempts))
        for attempt in attempts:
            await self._settled(attempt)

    async def _settled(self, attempt: AttemptId) -> None:
        if self._registry.state(attempt.run_id) is not DriveState.STOPPING:
            return
        stopping = self._registry.stopping(attempt.run_id)
        stopping.discard(attempt)
        if not stopping:
            self._registry.request(DriveRequest.STOPPED, attempt.run_id)
            await self._context.executor.delete_run(attempt.run_id)

    # end to drive -----------------------------------------------------------------------------

    def _stop_driving(self, request: DriveRequest, run_id: str) -> bool:
        """False when the request is refused."""
        if self._registry.request(request, run_id) is not None:
            return False
        self._alarms.clear(run_id)
        self._inbox.put_events(self._cache.gone(run_id))
        return True

    async def leave(self, run_id: str) -> None:
        """Another server drives the run, or it is deleted: release its attempts or, of a deleted run, stop them."""
        if self._stop_driving(DriveRequest.LEAVE, run_id):
            await self._release(run_id)

    async def _release(self, run_id: str) -> None:
        try:
            is_deleted = await self._context.read(rows.get_run, run_id) is None
        except ServiceError as error:
            # If it is deleted, its attempts are found and ended by the next sweep.
            log.warning("whether run %s is deleted could not be found out: %s", run_id, error)
            is_deleted = False
        if is_deleted:
            await self.forget(run_id)
        else:
            await self._context.executor.hand_over(run_id)
            self._registry.request(DriveRequest.RELEASE, run_id)

    def drop(self, run_id: str) -> ActiveRun | None:
        """The rows of the run are about to be deleted: stop to drive it; returns the run if it was driven.

        `forget` or `restore` must follow.
        """
        run = self._registry.driven.get(run_id)
        self._stop_driving(DriveRequest.DELETE, run_id)
        return run

    async def restore(self, run_id: str) -> None:
        """The rows could not be deleted: drive the run again."""
        if self._registry.request(DriveRequest.RESTORE, run_id) is not None:
            return
        run = self._registry.driven[run_id]
        if run.state.state.final:
            self._registry.request(DriveRequest.END, run_id)
        else:
            self._cache.adopt(run)
            await self.resume(run_id)

    async def forget(self, run_id: str) -> None:
        """The run is deleted: stop the attempts it has left, then remove what the executor keeps of it."""
        run = self._registry.run(run_id)
        live = live_attempts(run) if run is not None else []
        if run is None or not live:
            if self._registry.request(DriveRequest.FORGET, run_id) is None:
                await self._context.executor.delete_run(run_id)
        elif self._registry.request(DriveRequest.STOP, run_id) is None:
            self._registry.stopping(run_id).update(live)
            for attempt in live:
                await self._performer.stop(attempt)


def _kept(runs: Iterable[ActiveRun]) -> set[AttemptId]:
    """The attempts that these runs want to go on, or to be stopped."""
    wished = (command for run in runs for command in outstanding(run.plan, run.state))
    return {command.attempt for command in wished if isinstance(command, Launch | Stop)}
