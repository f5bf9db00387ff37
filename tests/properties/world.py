"""A simulated world around the engine, with one true clock, made from one seed.

It has a record (the database) that refuses stale changes; servers that hold a lease on the run or wrongly believe so,
crash before and after their commits, stop for a while, and have clocks of their own; an executor that delays, repeats,
reorders and loses reports, reports running attempts as lost, and forgets attempts; a slow cache; and users who cancel,
pause, resume, retry and mark.

The servers handle events with the service's own `fold`, and act as `service.loop` does: record, then act. What is
recorded is checked after each commit (see `invariants`) and compared with the reference engine after each event.

Two phases, as in other simulators: until `Faults.calm_at` anything may go wrong; after it nothing does, and the run
must end within a bounded time.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from headrace import engine
from headrace.attempt.derive import declared_outputs, launch_order
from headrace.attempt.order import LaunchOrder
from headrace.engine.model import *
from headrace.engine.plan import Plan
from headrace.service.active import ActiveRun, BatchResult, PendingEvent, adopt, fold, still_wanted
from headrace.store.records import RunRecord
from properties.faults import Faults
from properties.fleet import Fleet, produced
from properties.invariants import Watch
from properties.record import Record, Refused, StoredRecord

MAX_EVENTS = 20_000
MAX_TROUBLES = 30
LEASE_S = 15.0
BEAT_S = 5.0


class Died(Exception):
    """The server that runs this code dies now."""


class Server:
    """One replica."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.skew = 0.0
        self.up = True
        self.life = 0
        self.stalled_until = 0.0
        #: The run, while it believes that it drives it.
        self.run: ActiveRun | None = None
        self.inbox: list[PendingEvent] = []
        self.called = False
        self.alarm: float | None = None
        #: Which stream of reports it listens to, from 1.
        self.stream = self.broken_stream = 0

    def clock(self) -> float:
        return self.world.now + self.skew

    def after(self, delay: float, do: Callable[..., None], *args: Any) -> None:
        """Call it after `delay` seconds, unless the server has died by then; later while the server stands still."""
        life = self.life

        def done() -> None:
            if not self.up or self.life != life:
                return
            if self.world.now < self.stalled_until:
                self.world.at(self.stalled_until - self.world.now, done)
                return
            try:
                do(*args)
            except Died:
                self.die()

        self.world.at(delay, done)

    # --- the lease -----------------------------------------------------------------------------

    def beat(self) -> None:
        record = self.world.record
        if record.owner == self.name or record.lease_until < self.world.now:
            mine = record.owner == self.name
            record.owner, record.lease_until = self.name, self.world.now + LEASE_S
            if (not mine or self.run is None) and not record.state.state.final:
                self.take_over()
            if self.run is not None:
                asked, record.requests = record.requests, []
                for event in asked:
                    self.receive(event)
        elif record.owner != self.name:
            self.step_down()
        self.after(BEAT_S, self.beat)

    def take_over(self) -> None:
        """Drive the run from its recorded state."""
        world, record = self.world, self.world.record
        self.inbox = []
        state = record.load(world.plan)
        assert state == record.state, "the stored state is not the state"
        self.run = ActiveRun(
            record=world.row, plan=world.plan, state=state, version=record.version, event_count=len(record.events),
            state_history=record.history, task_counts=record.counts,
        )  # fmt: skip
        self.set_alarm()
        self.listen()
        if not state.executions[""].begun and not state.state.final:
            # A user's request may come before the run's start.
            for chance, kind in ((world.faults.pause, PauseRequested), (world.faults.cancel, CancelRequested)):
                if world.some(chance):
                    self.receive(kind(at=self.clock()))
            self.receive(msgspec.structs.replace(world.start, at=self.clock()))
        self.perform(engine.outstanding(world.plan, state), state)

    def listen(self) -> None:
        """Begin a stream of reports: it begins with the true state of every attempt that is not settled."""
        self.stream += 1
        self.world.fleet.tell_all(self)

    def step_down(self) -> None:
        self.run, self.inbox, self.alarm = None, [], None

    def die(self) -> None:
        self.step_down()
        self.up, self.life, self.called = False, self.life + 1, False
        self.world.at(self.world.rng.expovariate(0.2), self.boot)

    def boot(self) -> None:
        self.up = True
        self.beat()

    # --- record, then act ----------------------------------------------------------------------

    def receive(self, event: AnyEvent) -> None:
        if not self.up or self.run is None:
            return
        self.inbox.append(PendingEvent(run_id="r", event=event))
        if not self.called:
            self.called = True
            # Events of the same moment may be handled together.
            self.after(0.001 if self.world.rng.random() < self.world.faults.batch else 0.0, self.drain)

    def drain(self) -> None:
        self.called = False
        batch, self.inbox = self.inbox, []
        if self.run is None or not batch:
            return
        world, run = self.world, self.run
        folded = fold(run, batch, self.clock())
        trouble = world.trouble()
        if trouble == "die_before":
            raise Died
        if trouble == "unknown" and world.rng.random() < 0.5:
            self.take_over()  # Not recorded, and the server cannot know that: it loads what is recorded.
            return
        try:
            world.record.commit(self.name, folded)
        except Refused:
            world.refused += 1
            assert len(world.servers) > 1, "the only server is refused"
            self.step_down()
            return
        world.recorded(run, batch, folded)
        if trouble == "unknown":
            self.take_over()
            return
        adopt(folded)
        commands = [(state, command) for state, command in folded.commands]
        if trouble == "die_after":
            # Some commands are performed before it dies.
            for state, command in commands[: world.rng.randint(0, len(commands))]:
                self.perform([command], state)
            raise Died
        self.set_alarm()
        if trouble == "stall":
            self.stalled_until = world.now + world.rng.choice((2.0, 40.0))
        # Through `after`: while the server stands still, the commands wait.
        self.after(0.0, self.act, run, commands, folded.ended)

    def act(self, run: ActiveRun, commands: list[tuple[RunState, Command]], ended: list[AttemptId]) -> None:
        for attempt in ended:
            self.world.fleet.settle(attempt)
        for state, command in commands:
            self.perform([command], state, run)
        if run.state.state.final:
            self.step_down()

    def perform(self, commands: Any, state: RunState, run: ActiveRun | None = None) -> None:
        run = run or self.run
        assert run is not None
        for command in commands:
            match command:
                case LookUpCache():
                    self.look_up(run, state, command.path)
                case Launch() if still_wanted(run, command.attempt):
                    self.world.watch.launching(run.state, command.attempt)
                    self.world.fleet.launch(self.world.order(state, command.attempt))
                case Launch():
                    pass
                case Stop():
                    self.world.fleet.stop(command.attempt)

    def look_up(self, run: ActiveRun, state: RunState, path: str) -> None:
        world = self.world
        key = engine.fingerprint(world.plan, state, path)
        world.watch.fingerprint(state, path, key)
        if world.rng.random() < world.faults.same:
            reason = Reason(code="WAITING_FOR_SAME_TASK", message="another task does the same")
            self.receive(CacheWaiting(at=self.clock(), path=path, reason=reason, fingerprint=key))
        self.after(world.rng.random() * world.faults.cache_s, self.answer, state, path, key)

    def answer(self, state: RunState, path: str, key: str) -> None:
        world = self.world
        found = world.record.cache.get(key)
        if found is None and Random(f"{world.seed}/{key}").random() < world.faults.hit:
            found = world.foreign(state, path, key)
        if found is None:
            reason = Reason(code="CACHE_NO_ENTRY", message="nothing")
            self.receive(CacheMissed(at=self.clock(), path=path, fingerprint=key, reason=reason))
        else:
            event = CacheHit(
                at=self.clock(), path=path, outputs=found[0], cached_from=found[1], fingerprint=key
            )  # fmt: skip
            self.receive(event)

    def set_alarm(self) -> None:
        due = engine.wake_at(self.run.state) if self.run else None
        self.alarm = due
        if due is not None:
            self.after(max(0.0, due - self.clock()), self.ring, due)

    def ring(self, due: float) -> None:
        if self.alarm == due and self.run is not None:
            self.alarm = None
            # A timer counts seconds; the server's clock may have jumped since.
            self.receive(Tick(at=max(due, self.clock())))


@dataclass
class World:
    plan: Plan
    seed: int
    faults: Faults
    arguments: dict[str, Json] = field(default_factory=dict)
    #: What a task produces: (order, rng) -> outputs.
    produce: Callable[[LaunchOrder, Random], Bundle] = produced
    reference: bool = True
    caching: bool | None = None
    #: The event that starts the run; a rerun's brings what it may reuse.
    start: RunStarted = RunStarted(at=0.0)
    #: Keep the run in SQLite, through the store's own functions, rather than in a dictionary.
    stored: bool = False

    def __post_init__(self) -> None:
        if self.faults.limit_s is not None:
            self.plan = limited(self.plan, self.faults.limit_s)
        self.rng = Random(self.seed)
        self.now = 0.0
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.planned = 0
        self.refused = 0
        self.retried = 0
        #: Marks that users made, and how many of them when the run had failed.
        self.marks = 0
        self.late_marks = 0
        self.troubles = 0
        self.story: list[Any] = []
        self.trace = hashlib.sha256()
        first = engine.new_run(
            self.plan, run_id="r", display_name="a run", arguments=self.arguments, at=0.0, caching=self.caching
        )
        self.row = RunRecord(
            run_id="r", display_name="a run", experiment_id="e", experiment_name="", pipeline_name="p",
            state=State.PENDING, created_at=0.0, scheduled_at=0.0,
        )  # fmt: skip
        self.record = StoredRecord(first, self.row) if self.stored else Record(first)
        self.fleet = Fleet(self)
        self.watch = Watch(self, first)
        self.servers = [Server(self, f"server-{n}") for n in range(self.faults.servers)]
        for server in self.servers:
            server.skew = self.rng.uniform(-1, 1) * self.faults.skew_s
        self.fleet.skew = self.rng.uniform(-1, 1) * self.faults.skew_s

    @property
    def state(self) -> RunState:
        """The recorded state."""
        return self.record.state

    @property
    def calm(self) -> bool:
        """Whether the time without faults has begun."""
        return self.now >= self.faults.calm_at

    # --- the run -------------------------------------------------------------------------------

    def run(self) -> RunState:
        """Run one history to its end, with all checks; returns the last state."""
        for server in self.servers:
            self.at(0.0, server.beat)
        try:
            return self._live()
        finally:
            self.record.close()

    def _live(self) -> RunState:
        for _ in range(MAX_EVENTS):
            if self.state.state.final and not self._user_retries() and not self._user_marks():
                self.watch.end()
                return self.state
            self.now, _, do = heapq.heappop(self.agenda)
            do()
            self.watch.waiting()
            self._people()
        raise AssertionError(f"not final after {MAX_EVENTS} events")

    def at(self, delay: float, do: Callable[[], None]) -> None:
        """Call it so many seconds from now."""
        self.planned += 1
        heapq.heappush(self.agenda, (self.now + delay, self.planned, do))

    def some(self, chance: float) -> bool:
        """Whether it happens, with this probability; never in calm times. Draws no number for probability 0."""
        return bool(chance) and not self.calm and self.rng.random() < chance

    def strikes(self, chance: float) -> bool:
        """Whether this fault happens, at most MAX_TROUBLES times: faults make work, and a busy run would never end."""
        if self.troubles >= MAX_TROUBLES or not self.some(chance):
            return False
        self.troubles += 1
        return True

    def trouble(self) -> str:
        """The fault of this commit; "" for none."""
        names = ("die_before", "die_after", "unknown", "stall")
        return next((name for name in names if self.strikes(getattr(self.faults, name))), "")

    def _people(self) -> None:
        if self.state.state.final:
            return
        if self.some(self.faults.cancel):
            self.ask(CancelRequested(at=self.now))
        if self.some(self.faults.pause):
            self.ask(PauseRequested(at=self.now))
        if self.state.paused and not self.record.requests and (self.calm or self.rng.random() < 0.05):
            self.ask(ResumeRequested(at=self.now))
        if self.strikes(self.faults.mark):
            self.ask(self._mark())
        if self.strikes(self.faults.restart_fleet):
            self.fleet.restart()
        if self.some(self.faults.jump):
            machine = self.rng.choice((*self.servers, self.fleet))
            machine.skew += self.rng.uniform(-1, 1) * self.faults.skew_s

    def ask(self, event: AnyEvent) -> None:
        """A user asks any server that is up; one that does not drive the run passes the request on."""
        up = [server for server in self.servers if server.up]
        if not up:
            return
        server = self.rng.choice(up)
        if server.run is not None:
            server.receive(msgspec.structs.replace(event, at=server.clock()))
        else:
            self.record.requests.append(event)

    def _user_retries(self) -> bool:
        if self.state.state is State.SUCCEEDED or self.retried > 2 or not self.rng.random() < self.faults.retry:
            return False
        self.retried += 1
        if (server := self._driver()) is not None:
            server.receive(RetryRequested(at=server.clock()))
            if self.rng.random() < 0.4:
                # Tried again, but not just yet.
                server.receive(PauseRequested(at=server.clock()))
        return True

    def _driver(self) -> Server | None:
        """A server that takes up the run, which has ended; None when no server is up."""
        record = self.record
        may = (s for s in self.servers if s.up and (record.owner == s.name or record.lease_until < self.now))
        server = next(may, None)
        if server is None or server.run is not None:
            self.at(LEASE_S, lambda: None)
            return None
        record.owner, record.lease_until = server.name, self.now + LEASE_S
        server.take_over()
        return server

    def _mark(self) -> ExecutionMarked:
        """A mark of any execution; the engine refuses many of them."""
        self.marks += 1
        path = self.rng.choice(sorted(self.state.executions))
        word = self.rng.choice((State.SUCCEEDED, State.SUCCEEDED, State.SKIPPED))
        outputs = Bundle()
        if path and word is State.SUCCEEDED:
            attempt = AttemptId(run_id="r", path=path, number=1000 + self.marks)
            spec = declared_outputs(self.plan.task_at(path).component)
            outputs = produced(LaunchOrder(attempt=attempt, task="", component="", outputs=spec), self.rng)
        return ExecutionMarked(at=self.now, path=path, state=word, outputs=outputs, by="a user")

    def _user_marks(self) -> bool:
        """Like `_user_retries`, of a run that has failed."""
        if self.state.state is not State.FAILED or self.late_marks >= 5 or self.rng.random() >= 5 * self.faults.mark:
            return False
        self.late_marks += 1
        if (server := self._driver()) is not None:
            server.receive(self._mark())
        return True

    # --- what the others need ------------------------------------------------------------------

    def order(self, state: RunState, attempt: AttemptId) -> LaunchOrder:
        order = launch_order(self.plan, state, attempt)
        self.watch.ordered(state, order)
        return order

    def foreign(self, state: RunState, path: str, key: str) -> tuple[Bundle, str]:
        """What another run left in the cache for this key."""
        order = launch_order(self.plan, state, AttemptId(run_id="other", path=path, number=1))
        return self.produce(order, Random(f"{self.seed}/{key}/foreign")), "other"

    def recorded(self, run: ActiveRun, batch: list[PendingEvent], folded: BatchResult) -> None:
        """Called after each commit, before anything is done about it."""
        self.watch.committed(run, [pending.event for pending in batch], folded)


def limited(plan: Plan, seconds: float) -> Plan:
    """The same pipeline with a time limit for the run."""
    kubernetes = msgspec.structs.replace(plan.document.kubernetes, pipeline_config={"activeDeadlineSeconds": seconds})
    return engine.plan(msgspec.structs.replace(plan.document, kubernetes=kubernetes))
