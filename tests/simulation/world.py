"""A simulated world in which the real service runs: its loop, the sharing between servers, its cache, its requests.

One to three servers over one database, each of them the service's own code as `Service.over` starts it; executors with
machines of their own; people who ask things. All of it runs on virtual time (see `virtual`), and everything that
happens follows from one seed.

Two phases, as in other simulators: until `Faults.calm_at` anything may go wrong; after it nothing does but user code,
every run must end within a bounded time, and nothing may be left of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeAlias

from headrace.engine.model import AttemptId
from headrace.service.errors import ServiceError
from headrace.store.errors import StoreError
from simulation.faults import Faults
from simulation.people import People
from simulation.server import Server, data_dir
from simulation.shared_database import SharedDatabase
from simulation.simulated_executor import Job, Machines, StreamBroke
from simulation.virtual import Process, VirtualLoop, bury, current, virtual_clocks, virtual_threads
from simulation.watch import Watch, digest

#: Everything must be over by then, in virtual seconds after the calm began.
LONGEST_CALM_S = 3000.0
#: So long the world goes on after the last run has ended: whatever is left must be swept up by then.
AFTERWARDS_S = 40.0
#: Troubles make work of their own: without a limit a busy world would never get beyond them.
MAX_TROUBLES = 40


#: A number, or KIND:NUMBER.
Seed: TypeAlias = int | str


class World:
    """One history."""

    def __init__(self, seed: Seed, faults: Faults, specs: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
        self.seed, self.faults = seed, faults
        self.rng = Random(seed)
        self.loop = VirtualLoop(Random(f"{seed}/loop"), until=faults.calm_at + 2 * LONGEST_CALM_S)
        self.lines: list[str] = []
        self.processes: list[Process] = []
        self.troubles = 0
        self.names: dict[str, str] = {}
        self.first_ids: dict[str, str] = {}
        self.watch = Watch(self)
        self.database = SharedDatabase(self)
        self.domains = {f"domain-{n}": Machines(self, f"domain-{n}") for n in range(faults.domains)}
        homes = list(self.domains.values())
        self.servers = [Server(self, n, homes[n % len(homes)]) for n in range(faults.servers)]
        self.people = People(self, specs)
        self._people = Process("people")
        self._stopped: BaseException | None = None
        self._over: asyncio.Future[None] = self.loop.create_future()

    # --- the whole of it -----------------------------------------------------------------------

    def run(self) -> None:
        """Live it to its end; raises whatever does not hold."""
        ids = Random(f"{self.seed}/ids")
        with virtual_clocks(self.loop, ids), virtual_threads(self.loop), self._logs():
            try:
                story = self.loop.spawn(self._people, self._live())
                story.add_done_callback(self._ended)
                self.loop.run_until_complete(self._over)
            finally:
                self._bury()
        if self.watch.violation is not None:
            raise self.watch.violation

    def _ended(self, story: asyncio.Task[None]) -> None:
        if not self._over.done():
            if (error := story.exception()) is not None:
                self._over.set_exception(error)
            else:
                self._over.set_result(None)

    def stop(self, error: BaseException) -> None:
        """Something does not hold: nothing more is to be seen in this world."""
        self.trace(f"!!! {error}")
        if not self._over.done():
            self._over.set_exception(error)

    def check(self, holds: object, otherwise: str) -> None:
        """Something that somebody else than `Watch` looks at."""
        if not holds:
            self.stop(AssertionError(otherwise))

    async def _live(self) -> None:
        for server in self.servers:
            self.later(self.rng.random() * 0.5, server.boot)
        plagues = [self._plague(name, do) for name, do in self._plagues().items()]
        tasks = [
            asyncio.create_task(one)
            for one in (*plagues, self.people.make_runs(), self.people.ask_now_and_then(), self.people.follow())
        ]
        making = tasks[len(plagues)]
        await asyncio.sleep(self.faults.calm_at)
        self.tell("it is calm from now on")
        self.database.away_until = 0.0
        await making
        await self._until_over()
        while await self.people.ask_again():
            await self._until_over()
            if self.rng.random() < 0.5:
                break
        await asyncio.sleep(AFTERWARDS_S)
        await self._until_over()
        self.watch.guarded(self.watch.end)
        for task in (*tasks, *self.people.busy):
            task.cancel()
        for server in self.servers:
            await server.close()
        self.watch.guarded(self.watch.closed)

    async def _until_over(self) -> None:
        limit = self.loop.time() + LONGEST_CALM_S
        while any(not run.state.state.final for run in self.watch.runs.values()):
            await asyncio.sleep(1.0)
            await self.people.resume_all()
            self.watch.guarded(self.watch.waiting)
            assert self.loop.time() < limit, "a run does not end"

    def _bury(self) -> None:
        for process in (*self.processes, self._people, self.database.process):
            bury(process)
        self.loop.close()
        self.database.close()

    # --- what goes wrong -----------------------------------------------------------------------

    def _plagues(self) -> dict[str, Callable[[], None]]:
        return {
            "kill_every": self._kill,
            "still_every": self._still,
            "clock_every": self._set_clock,
            "away_every": self._away,
            "stream_every": self._break_stream,
            "machine_every": self._machine_down,
        }

    async def _plague(self, name: str, do: Callable[[], None]) -> None:
        every = getattr(self.faults, name)
        if not every:
            return
        rng = Random(f"{self.seed}/{name}")
        while True:
            await asyncio.sleep(rng.expovariate(1 / every))
            if self.calm:
                return
            do()

    def _kill(self) -> None:
        """A server dies, between two of its steps: most often soon after something has begun."""
        server = self.rng.choice(self.servers)
        if server.process is not None and server.process.alive:
            again = self.rng.choice((0.1, 2.0, 20.0)) * (0.5 + self.rng.random())
            server.process.at_step(self.rng.choice((1, 5, 20, 60, 200)), lambda: server.die(again_s=again))

    def _still(self) -> None:
        server = self.rng.choice(self.servers)
        process, seconds = (
            server.process,
            self.rng.choice((0.5, 4.0, 14.0, 17.0, 40.0)) * (0.8 + 0.4 * self.rng.random()),
        )
        if process is not None and process.alive:

            def stand() -> None:
                self.trace(f"{process} stands still for {seconds:.1f} s")
                self.loop.stand_still(process, seconds)

            process.at_step(self.rng.choice((1, 5, 20, 60, 200)), stand)

    def _set_clock(self) -> None:
        machine = self.rng.choice((*self.servers, *self.domains.values(), self.database))
        skew_s = self.rng.uniform(-1, 1) * max(self.faults.skew_s, 1.0)
        if isinstance(machine, Server):
            machine.skew_s = skew_s
        if machine.process is not None and machine is not self.database:
            machine.process.skew_s = skew_s
            self.trace(f"the clock of {machine.process} is set")

    def _away(self) -> None:
        self.database.away_until = self.loop.time() + self.faults.away_s * (0.5 + self.rng.random())
        self.trace(f"the database is away for {self.database.away_until - self.loop.time():.1f} s")

    def _break_stream(self) -> None:
        server = self.rng.choice(self.servers)
        if server.executor is not None and server.process is not None and server.process.alive:
            self.trace(f"the reports to {server.process} break off")
            server.executor.break_off()

    def _machine_down(self) -> None:
        """A machine restarts: with it the servers on it, and whatever runs there."""
        domain = self.rng.choice(list(self.domains.values()))
        self.trace(f"{domain.name} goes down")
        domain.go_down()
        for server in self.servers:
            if server.domain is domain:
                server.die(again_s=2.0 + self.rng.random())

    @property
    def calm(self) -> bool:
        """Whether nothing goes wrong any more."""
        return self.loop.time() >= self.faults.calm_at

    def chance(self, name: str) -> bool:
        """Whether something happens that is no trouble."""
        chance: float = getattr(self.faults, name)
        return bool(chance) and self.rng.random() < chance

    def some(self, name: str) -> bool:
        """Whether it happens. Nothing does in calm times, nor is the die rolled for what never happens."""
        return not self.calm and self.chance(name)

    def strikes(self, name: str) -> bool:
        """Whether trouble comes, of which there is only so much."""
        if self.troubles >= MAX_TROUBLES or not self.some(name):
            return False
        self.troubles += 1
        return True

    def later(self, delay: float, do: Callable[..., None], *args: Any) -> None:
        """Do it later, as nobody's code."""
        self.loop.call_later(delay, do, *args, context=contextvars.Context())

    # --- names ---------------------------------------------------------------------------------

    def name_of(self, run_id: str) -> str:
        """A short name for a run, by the order in which runs are heard of."""
        return self.names.setdefault(run_id, f"run-{len(self.names)}")

    def _server_of(self, process: Process) -> Server:
        return next(server for server in self.servers if server.process is process)

    def server_id(self, process: Process) -> str:
        """By which it signs at this moment."""
        lease = self._server_of(process).lease
        return lease.server_id if lease is not None else ""

    def first_id(self, process: Process) -> str:
        """By which it signs in this life until it loses its lease; "" once its row has gone."""
        mine = self.server_id(process)
        there = self.database.query("SELECT 1 FROM servers WHERE server_id = ?", mine)
        return self.first_ids.get(process.name, "") if there else ""

    def name_of_server(self, server_id: str) -> str:
        """Whose id it is."""
        found = (s.name for s in self.servers if s.lease is not None and s.lease.server_id == server_id)
        return next(found, "an earlier server")

    def domain_of(self, process: Process) -> str:
        """Where its executor's attempts are."""
        return self._server_of(process).domain.name

    def job(self, attempt: AttemptId) -> Job | None:
        """The attempt, wherever it was claimed."""
        return next((found for domain in self.domains.values() if (found := domain.jobs.get(attempt))), None)

    # --- the story -----------------------------------------------------------------------------

    def trace(self, line: str) -> None:
        """Something has happened."""
        self.lines.append(f"{self.loop.time():10.4f} {line}")

    def tell(self, line: str) -> None:
        """Something has happened to whoever runs now."""
        self.trace(f"{current()}: {line}")

    @property
    def digest(self) -> str:
        """By which two histories are the same."""
        return digest(self.lines)

    @contextlib.contextmanager
    def _logs(self) -> Iterator[None]:
        """What the code logs belongs to the story; an error that nobody has simulated is a violation."""
        handler = _Log(self)
        logger = logging.getLogger("headrace")
        before = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before[0])
            logger.propagate = before[1]


class _Log(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage().splitlines()[0].replace(str(data_dir().path), "/data")
        self._world.trace(f"{current()} logs: {text}" + (f" ({type(error).__name__})" if error else ""))
        if error is not None and not isinstance(error, StoreError | ServiceError | StreamBroke):
            self._world.stop(error)
