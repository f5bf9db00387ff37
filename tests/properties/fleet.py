"""The simulated executor: it makes attempts happen, and tells of it more or less well."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from headrace.attempt.order import LaunchOrder
from headrace.engine import outstanding
from headrace.engine.model import *

if TYPE_CHECKING:
    from properties.world import Server, World

#: Longest time between an attempt's launch and its end, and of a report on its way.
LONGEST_TASK_S = 60.0
LONGEST_MAIL_S = 30.0
_GRACE_S = 10.0


@dataclass
class Job:
    """One attempt the executor knows of. It is never forgotten once its code has been started."""

    attempt: AttemptId
    order: LaunchOrder | None
    waiting: Reason | None = None
    started: bool = False
    ended: Any = None
    settled: bool = False
    stopping: bool = False


class Fleet:
    """All executors as one: whichever server asks, an attempt is known by its name."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.skew = 0.0
        self.jobs: dict[tuple[str, int], Job] = {}
        #: How often the user's code of an attempt was started.
        self.starts: dict[tuple[str, int], int] = {}
        self.launched = 0

    def clock(self) -> float:
        return self.world.now + self.skew

    # --- what is asked of it -------------------------------------------------------------------

    def launch(self, order: LaunchOrder) -> None:
        """Make it run; when it exists, that is success."""
        attempt = order.attempt
        key = (attempt.path, attempt.number)
        if key in self.jobs:
            return
        self.launched += 1
        job = self.jobs[key] = Job(attempt, order)
        rng = Random(f"{self.world.seed}/{attempt.path}/{attempt.number}")
        begins = rng.choice((0.0, 1.0))
        if begins and rng.random() < 0.5:
            job.waiting = Reason(code="SLOT", message="waits")
            self._tell(AttemptWaiting(at=self.clock(), attempt=attempt, reason=job.waiting))
        self.world.at(begins, lambda: self._start(job, rng))

    def stop(self, attempt: AttemptId) -> None:
        """Make it not run; when it is gone or never was, that is success."""
        job = self.jobs.setdefault((attempt.path, attempt.number), Job(attempt, None))
        if job.ended is not None:
            self._tell(job.ended)
        elif not job.started:
            self._end(job, AttemptStopped(at=self.clock(), attempt=attempt))
        elif not job.stopping:
            job.stopping = True
            grace = self.world.rng.random() * _GRACE_S
            self.world.at(grace, lambda: self._end(job, AttemptStopped(at=self.clock(), attempt=attempt)))

    def settle(self, attempt: AttemptId) -> None:
        """The end of the attempt is recorded: it is not reported again."""
        job = self.jobs.get((attempt.path, attempt.number))
        if job is not None and job.ended is not None:
            job.settled = True

    def tell_all(self, server: Server) -> None:
        """The truth about every attempt that is not settled."""
        for job in list(self.jobs.values()):
            if job.settled:
                continue
            if job.ended is not None:
                self._mail(server, job.ended, sure=True)
            elif job.started:
                self._mail(server, AttemptStarted(at=self.clock(), attempt=job.attempt), sure=True)
            elif job.waiting is not None:
                event = AttemptWaiting(at=self.clock(), attempt=job.attempt, reason=job.waiting)
                self._mail(server, event, sure=True)

    # --- what happens --------------------------------------------------------------------------

    def _start(self, job: Job, rng: Random) -> None:
        key = (job.attempt.path, job.attempt.number)
        if job.ended is not None or self.jobs.get(key) is not job:
            return
        job.started, job.waiting = True, None
        self.starts[key] = self.starts.get(key, 0) + 1
        if rng.random() < 0.9:
            self._tell(AttemptStarted(at=self.clock(), attempt=job.attempt))
        lasts = rng.choice((0.0, 1.0, rng.random() * LONGEST_TASK_S))
        faults = self.world.faults
        trouble = not self.world.calm
        if trouble and rng.random() < faults.false_loss:
            # Said to be lost, though it goes on and will have its end.
            gone = Reason(code="GONE", message="not seen for a while")
            self.world.at(lasts / 2, lambda: self._lose(job, gone))
        self.world.at(lasts, lambda: self._end(job, self._drawn(job, rng, trouble)))

    def _drawn(self, job: Job, rng: Random, trouble: bool) -> AnyEvent:
        faults, at, attempt = self.world.faults, self.clock(), job.attempt
        assert job.order is not None
        if trouble and rng.random() < faults.vanish:
            return AttemptLost(at=at, attempt=attempt, error=Reason(code="GONE", message="gone"))
        if rng.random() < faults.fail:
            reason = Reason(code=rng.choice(("TASK_FAILED", "TIMEOUT")), message="it broke")
            return AttemptFailed(at=at, attempt=attempt, error=reason, retryable=rng.random() < 0.8)
        return AttemptSucceeded(at=at, attempt=attempt, outputs=self.world.produce(job.order, rng))

    def _lose(self, job: Job, reason: Reason) -> None:
        if job.ended is None:
            job.ended = AttemptLost(at=self.clock(), attempt=job.attempt, error=reason)
            self._tell(job.ended)

    def _end(self, job: Job, event: AnyEvent) -> None:
        if job.ended is None:
            job.ended = event
            self._tell(event)
        elif isinstance(job.ended, AttemptLost):
            # It was given up, and here it is. Its new attempt may be running.
            self._tell(event)

    def restart(self) -> None:
        """What had not begun is forgotten, what ran is lost. Who listens begins again, and asks for what it wants."""
        for key, job in list(self.jobs.items()):
            if job.ended is None and not job.started:
                del self.jobs[key]
            elif job.ended is None:
                self._lose(job, Reason(code="GONE", message="the executor was restarted"))
        for server in self.world.servers:
            server.after(1.0, self._again, server)

    def _again(self, server: Server) -> None:
        if server.run is not None:
            server.listen()
            server.perform(outstanding(self.world.plan, server.run.state), server.run.state)

    # --- reports -------------------------------------------------------------------------------

    def _tell(self, event: AnyEvent) -> None:
        for server in self.world.servers:
            self._mail(server, event)

    def _mail(self, server: Server, event: AnyEvent, *, sure: bool = False) -> None:
        world = self.world
        if not sure and world.some(world.faults.lose):
            # The stream breaks off with it, and is begun again.
            if server.broken_stream != server.stream:
                server.broken_stream = server.stream
                server.after(world.rng.random() * LONGEST_MAIL_S, server.listen)
            return
        stream = server.stream
        # Most of what is on its way in a stream that is broken off is gone with it: the next begins with the truth.
        strays = world.rng.random() < 0.2

        def arrive() -> None:
            if stream == server.stream or strays:
                server.receive(event)

        for _ in range(2 if world.some(world.faults.repeat) else 1):
            late = world.rng.random() < world.faults.delay
            world.at(min(world.rng.expovariate(0.1), LONGEST_MAIL_S) if late else 0.0, arrive)


def produced(order: LaunchOrder, rng: Random) -> Bundle:
    """Outputs of the declared types; now and then one is missing, as older or foreign cache entries have it."""
    values = {"STRING": rng.choice(("heads", "tails", "none")), "NUMBER_INTEGER": rng.randint(0, 4)}
    values |= {"NUMBER_DOUBLE": 0.5, "BOOLEAN": True, "STRUCT": {"a": rng.choice(("heads", 2.0, None))}}
    values["LIST"] = rng.choice(([], [1], ["heads", "tails"], [{"a": 1}, 2, None]))
    parameters = {name: values.get(kind, {}) for name, kind in order.outputs.parameters.items()}
    if parameters and rng.random() < 0.03:
        parameters.pop(rng.choice(sorted(parameters)))
    made = f"{order.attempt.run_id}/{order.attempt.path}/{order.attempt.number}"
    artifacts = {
        name: (
            Artifact(
                artifact_id=f"{made}/{name}", name=name, type=kind, uri=f"file:///{made}/{name}",
                digest=rng.choice(("", "abc", "def")), metadata=rng.choice(({}, {"score": 0.4}, {"score": 0.9})),
            ),
        )
        for name, kind in order.outputs.artifacts.items()
    }  # fmt: skip
    return Bundle(parameters=parameters, artifacts=artifacts)
