"""Which faults a simulated world has, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(kw_only=True)
class Faults:
    """Probabilities, unless a comment says otherwise. After `calm_at` reports are only slow."""

    #: Number of servers. Only one at a time has the run's lease, but more may believe so.
    servers: int = 1
    #: Simulated seconds after which nothing goes wrong any more.
    calm_at: float = 100.0
    #: A report takes long, so that reports arrive in another order.
    delay: float = 0.5
    #: A report arrives twice; a report is lost, then the stream of reports breaks off and is begun again.
    repeat: float = 0.0
    lose: float = 0.0
    #: An attempt is lost; is reported lost though it runs; fails.
    vanish: float = 0.0
    false_loss: float = 0.0
    fail: float = 0.15
    #: At a commit: the server dies before it; dies after it; cannot know whether it was done; stands still after it
    #: for a while and then goes on.
    die_before: float = 0.0
    die_after: float = 0.0
    unknown: float = 0.0
    stall: float = 0.0
    #: At a step: the executor restarts, forgets attempts that have not started and loses those that have.
    restart_fleet: float = 0.0
    #: At a step: a user cancels; a user pauses (and resumes later).
    cancel: float = 0.0
    pause: float = 0.0
    #: A user retries a run that has ended.
    retry: float = 0.0
    #: A task is found in the cache.
    hit: float = 0.4
    #: A task waits for another that does the same.
    same: float = 0.2
    #: Longest answer of the cache, in seconds.
    cache_s: float = 0.0
    #: Clocks differ by up to so many seconds, and jump by as much with this probability a step.
    skew_s: float = 0.0
    jump: float = 0.0
    #: At a step, or in a failed run: a user decides the outcome of a task.
    mark: float = 0.0
    #: Seconds that the run may take; None: no limit.
    limit_s: float | None = None
    #: An event is handled together with those of the same moment.
    batch: float = 0.3

    @property
    def none(self) -> bool:
        """Whether nothing but tasks fails."""
        troubles = (self.repeat, self.lose, self.vanish, self.false_loss, self.die_before, self.die_after, self.unknown)
        people = (self.stall, self.restart_fleet, self.cancel, self.pause, self.retry, self.jump, self.skew_s)
        return not any((*troubles, *people, self.mark, self.limit_s))

    @classmethod
    def drawn(cls, rng: Random) -> Faults:
        """One world in five has no faults; in the others each kind of fault is there or not."""
        if rng.random() < 0.2:
            return cls(delay=rng.random(), fail=rng.choice((0, 0.1, 0.4)), cache_s=rng.choice((0, 60)))

        def some(most: float) -> float:
            return rng.choice((0.0, 0.0, most * rng.random()))

        return cls(
            servers=rng.choice((1, 1, 2, 2, 3)), calm_at=rng.choice((50.0, 200.0, 1000.0)), delay=rng.random(),
            repeat=some(0.5), lose=some(0.3), vanish=some(0.4), false_loss=some(0.3), fail=rng.choice((0, 0.1, 0.4)),
            die_before=some(0.1), die_after=some(0.15), unknown=some(0.1), stall=some(0.1), restart_fleet=some(0.03),
            cancel=some(0.05), pause=some(0.1), retry=rng.choice((0.0, 0.7)), cache_s=rng.choice((0, 0, 60)),
            skew_s=rng.choice((0, 0, 30, 600)), jump=some(0.05), batch=rng.random(),
            mark=some(0.1), limit_s=rng.choice((None, None, None, rng.random() * 100)),
        )  # fmt: skip
