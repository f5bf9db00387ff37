"""An executor that obeys the port, and the simulated machines on which its attempts run.

A `Machines` is one domain: what every executor of that domain can reach, and what outlives all of them. It holds what
the local executor has on disk (which attempts were launched, which of them somebody has claimed, how they ended) and
what the operating system has (which processes run). A `SimulatedExecutor` belongs to one life of one server; what it
knows beyond that is gone with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Set
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from headrace.attempt.order import LaunchOrder
from headrace.attempt.result import ProducedArtifact
from headrace.engine.model import AttemptId, Reason
from headrace.executors.port import (
    AnyReport,
    Failed,
    Lost,
    Started,
    Stopped,
    Succeeded,
    Waiting,
)
from simulation.virtual import Process, current, within

if TYPE_CHECKING:
    from simulation.world import World

#: Longest time a report takes.
LONGEST_LATE_S = 8.0
_GRACE_S = 4.0
_LOOK_S = 0.1


class StreamBroke(RuntimeError):
    """The stream of reports broke off, as simulated."""


@dataclass(kw_only=True)
class Job:
    """One attempt that was claimed: its process, or the word that it must never start."""

    order: LaunchOrder
    #: When its process began; None when it was revoked before that.
    began: float | None
    end: AnyReport | None = None
    ended: list[asyncio.Future[None]] = field(default_factory=list)
    being_killed: bool = False


class Machines:
    """One domain of executors."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.process = Process(f"machines {name}", skew_s=world.rng.uniform(-1, 1) * world.faults.skew_s)
        self._context = within(self.process)
        #: Attempts that are to be looked at after a restart: launched and not settled.
        self.marks: dict[AttemptId, LaunchOrder] = {}
        #: Claimed attempts. None is ever forgotten, so that nothing can begin twice unseen.
        self.jobs: dict[AttemptId, Job] = {}

    def running(self) -> list[AttemptId]:
        """Attempts of which a process is alive."""
        return [attempt for attempt, job in self.jobs.items() if job.began is not None and job.end is None]

    # --- the claim -----------------------------------------------------------------------------

    def begin(self, order: LaunchOrder) -> Job:
        """Start its process, unless somebody has its claim already."""
        if (known := self.jobs.get(order.attempt)) is not None:
            return known
        self.world.watch.begins(self, order.attempt)
        job = self.jobs[order.attempt] = Job(order=order, began=self._wall())
        # What an attempt does depends on what it is, not on what went on around it.
        attempt = order.attempt
        rng = Random(f"{self.world.seed}/{self.world.name_of(attempt.run_id)}/{attempt.path}/{attempt.number}")
        lasts = rng.choice((0.0, 0.2, 1.0, rng.random() * 12.0))
        self._later(lasts, self._end_by_itself, job, rng)
        return job

    def revoke(self, order: LaunchOrder) -> Job:
        """It must never start; answers what there is, if somebody was quicker."""
        if (known := self.jobs.get(order.attempt)) is not None:
            return known
        job = self.jobs[order.attempt] = Job(order=order, began=None)
        self._end(job, Stopped(attempt=order.attempt, at=self._wall()))
        return job

    # --- processes -----------------------------------------------------------------------------

    def kill(self, job: Job) -> None:
        """End its process; that may take a while."""
        if job.end is None and not job.being_killed:
            job.being_killed = True
            grace = self.world.rng.choice((0.0, 0.05, self.world.rng.random() * _GRACE_S))
            self._later(grace, lambda: self._end(job, Stopped(attempt=job.order.attempt, at=self._wall())))

    def go_down(self) -> None:
        """The machine restarts: no process of it is left, and none says how it ended."""
        for attempt in self.running():
            self._end(self.jobs[attempt], self._lost(attempt, "the machine was restarted"))

    def _end_by_itself(self, job: Job, rng: Random) -> None:
        attempt = job.order.attempt
        if self.world.some("vanish"):
            self._end(job, self._lost(attempt, "gone without a trace"))
        elif rng.random() < self.world.faults.fail:
            error = Reason(code=rng.choice(("TASK_FAILED", "TIMEOUT")), message="it broke")
            self._end(job, Failed(attempt=attempt, at=self._wall(), error=error, retryable=rng.random() < 0.8))
        else:
            self._end(job, succeeded(job.order, self._wall(), rng))

    def _end(self, job: Job, report: AnyReport) -> None:
        if job.end is not None:
            return
        job.end = report
        self.world.trace(f"{self.name}: {report.attempt.path}#{report.attempt.number} {type(report).__name__}")
        for waiting in job.ended:
            if not waiting.done():
                waiting.set_result(None)

    def _lost(self, attempt: AttemptId, why: str) -> Lost:
        return Lost(attempt=attempt, at=self._wall(), error=Reason(code="GONE", message=why))

    def _wall(self) -> float:
        return self._context.run(time.time)

    def _later(self, delay: float, do: Callable[..., None], *args: Any) -> None:
        self.world.loop.call_later(delay, do, *args, context=self._context.copy())


@dataclass(kw_only=True)
class _Known:
    """One attempt as long as this executor cares for it."""

    order: LaunchOrder
    life: asyncio.Task[None] | None = None
    last: AnyReport | None = None
    over: bool = False
    stopping: bool = False


class SimulatedExecutor:
    """See `Executor`. `shared`: other executors are at work in the domain, and only what is asked of us is ours."""

    def __init__(self, world: World, machines: Machines, *, shared: bool, may_start: Callable[[], bool]) -> None:
        self._world = world
        self._machines = machines
        self._shared = shared
        self._may_start = may_start
        self._known: dict[AttemptId, _Known] = {}
        self._reports: list[AnyReport | None] = []
        self._something = asyncio.Event()
        #: Streams of reports that have begun; what is on its way in an earlier one never arrives.
        self._stream = 0
        self._broken = False

    @property
    def domain(self) -> str:
        """Which executors can reach the same attempts."""
        return self._machines.name

    @property
    def domains(self) -> frozenset[str]:
        """All of them."""
        return frozenset((self.domain,))

    # --- the port ------------------------------------------------------------------------------

    async def launch(self, order: LaunchOrder) -> None:
        """See `Executor`."""
        self._world.watch.launched(order.attempt)
        known = self._known.get(order.attempt)
        if known is None:
            self._begin(order)
        elif known.last is not None:
            self._say(known.last)

    def without_effect(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """See `Executor`."""
        return ()

    async def surroundings(self, order: LaunchOrder) -> Mapping[str, str]:
        """See `Executor`."""
        return {}

    async def stop(self, attempt: AttemptId) -> None:
        """See `Executor`."""
        self._world.watch.stopped(attempt)
        known = self._known.get(attempt) or self._recall(attempt)
        if known is None:
            self._say(Stopped(attempt=attempt, at=time.time()))
        elif known.over:
            assert known.last is not None
            self._say(known.last)
        else:
            self._stop(known)

    async def settle(self, attempt: AttemptId) -> None:
        """See `Executor`."""
        known = self._known.pop(attempt, None)
        if known is not None and known.life is not None:
            known.life.cancel()
        await asyncio.sleep(self._world.rng.random() * 0.01)
        self._machines.marks.pop(attempt, None)

    async def keep_only(self, attempts: Set[AttemptId], *, within: Set[str] | None = None) -> None:
        """See `Executor`."""
        orphans = {*self._machines.marks, *self._known} - set(attempts)
        orphans = {attempt for attempt in orphans if within is None or attempt.run_id in within}
        for attempt in sorted(orphans, key=lambda one: (one.run_id, one.path, one.number)):
            await self._discard(attempt)

    async def live(self) -> Set[AttemptId]:
        """See `Executor`."""
        return frozenset(self._machines.marks)

    async def hand_over(self, run_id: str) -> None:
        """See `Executor`."""
        for attempt in [attempt for attempt in self._known if attempt.run_id == run_id]:
            known = self._known.pop(attempt)
            if known.life is not None:
                known.life.cancel()

    async def reports(self) -> AsyncIterator[AnyReport]:
        """See `Executor`."""
        self._stream += 1
        self._broken = False
        self._reports.clear()
        if not self._shared:
            for attempt, order in list(self._machines.marks.items()):
                if attempt not in self._known and attempt in self._machines.jobs:
                    self._begin(order)
        for known in list(self._known.values()):
            if known.last is not None:
                self._say(known.last)
        while True:
            await self._something.wait()
            if self._broken:
                raise StreamBroke("(simulated) the stream of reports broke off")
            self._something.clear()
            while self._reports:
                report = self._reports.pop(0)
                if report is None:
                    return
                yield report
                if self._broken:
                    raise StreamBroke("(simulated) the stream of reports broke off")

    async def logs(self, attempt: AttemptId, *, offset: int = 0, follow: bool = False) -> AsyncIterator[bytes]:
        """See `Executor`: these attempts say nothing."""
        return
        yield

    async def log_size(self, attempt: AttemptId) -> int:
        """See `Executor`."""
        return 0

    async def delete_run(self, run_id: str) -> None:
        """See `Executor`."""
        self._world.watch.forgotten(self._machines, run_id)

    async def close(self) -> None:
        """See `Executor`."""
        for known in self._known.values():
            if known.life is not None:
                known.life.cancel()
        self._known.clear()
        self._reports.append(None)
        self._something.set()

    def break_off(self) -> None:
        """The stream of reports breaks, with all that is on its way in it."""
        self._broken = True
        self._something.set()

    # --- an attempt's life ---------------------------------------------------------------------

    def _begin(self, order: LaunchOrder) -> _Known:
        known = self._known[order.attempt] = _Known(order=order)
        known.life = asyncio.create_task(self._live(known))
        return known

    def _recall(self, attempt: AttemptId) -> _Known | None:
        """One that an earlier executor has begun; one that it had not is never to begin any more."""
        order = self._machines.marks.get(attempt)
        if order is None:
            return None
        return None if self._machines.revoke(order).began is None else self._begin(order)

    async def _live(self, known: _Known) -> None:
        attempt, machines, rng = known.order.attempt, self._machines, self._world.rng
        machines.marks.setdefault(attempt, known.order)
        if attempt not in machines.jobs:
            if rng.random() < 0.3:
                self._tell(known, Waiting(attempt=attempt, at=time.time(), reason=Reason(code="SLOT", message="waits")))
                await asyncio.sleep(rng.random() * 2.0)
            else:
                await asyncio.sleep(rng.random() * 0.02)
            while not self._may_start():  # noqa: ASYNC110 - as the local executor does
                await asyncio.sleep(_LOOK_S)
        job = machines.begin(known.order)
        if job.began is not None:
            if rng.random() < 0.9:
                self._tell(known, Started(attempt=attempt, at=job.began))
            if known.stopping:
                machines.kill(job)
        if job.end is None:
            over = asyncio.get_running_loop().create_future()
            job.ended.append(over)
            await over
        assert job.end is not None
        known.over = True
        self._tell(known, job.end)

    def _stop(self, known: _Known) -> None:
        known.stopping = True
        job = self._machines.jobs.get(known.order.attempt)
        if job is not None:
            self._machines.kill(job)
            return
        if known.life is not None:
            known.life.cancel()
        job = self._machines.revoke(known.order)
        assert job.end is not None
        known.over = True
        self._tell(known, job.end)

    async def _discard(self, attempt: AttemptId) -> None:
        """End one that nobody wants to hear of any more."""
        known = self._known.pop(attempt, None)
        if known is not None and known.life is not None:
            known.life.cancel()
        order = known.order if known is not None else self._machines.marks.get(attempt)
        if order is None:
            return
        self._world.watch.discarded(attempt)
        job = self._machines.revoke(order)
        self._machines.kill(job)
        if job.end is None:
            over = asyncio.get_running_loop().create_future()
            job.ended.append(over)
            await over
        await self.settle(attempt)

    # --- reports -------------------------------------------------------------------------------

    def _tell(self, known: _Known, report: AnyReport) -> None:
        known.last = report
        if self._known.get(report.attempt) is known:
            self._say(report)

    def _say(self, report: AnyReport) -> None:
        world = self._world
        for _ in range(2 if world.some("twice") else 1):
            delay = world.rng.random() * LONGEST_LATE_S if world.chance("late") else 0.0
            asyncio.get_running_loop().call_later(delay, self._arrive, self._stream, report)

    def _arrive(self, stream: int, report: AnyReport) -> None:
        if stream == self._stream and not self._broken:
            self._reports.append(report)
            self._something.set()


def succeeded(order: LaunchOrder, at: float, rng: Random) -> Succeeded:
    """It ends well, with a value for each declared output."""
    values = {"STRING": rng.choice(("heads", "tails", "none")), "NUMBER_INTEGER": rng.randint(0, 4)}
    values |= {"NUMBER_DOUBLE": 0.5, "BOOLEAN": True, "STRUCT": {"a": rng.choice(("heads", 2.0, None))}}
    values["LIST"] = rng.choice(([], [1], ["heads", "tails"], [{"a": 1}, 2, None]))
    made = f"{order.attempt.execution_id}/{order.attempt.number}"
    return Succeeded(
        attempt=order.attempt,
        at=at,
        parameters={name: values.get(kind, {}) for name, kind in order.outputs.parameters.items()},
        artifacts={
            name: (
                ProducedArtifact(
                    name=name, type=kind, uri=f"fake://{made}/{name}", digest=rng.choice(("", "abc", "def")),
                    metadata=rng.choice(({}, {"score": 0.4}, {"score": 0.9})),
                ),
            )
            for name, kind in order.outputs.artifacts.items()
        },
    )  # fmt: skip
