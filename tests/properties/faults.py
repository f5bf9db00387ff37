"""How bad a simulated world is."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(kw_only=True)
class Faults:
    """Each a probability, if it says nothing else. After `calm_at` there are none but slowness."""

    #: Servers that want to drive the run. Only one at a time has its lease, but more may believe so.
    servers: int = 1
    #: Simulated seconds after which nothing goes wrong any more.
    calm_at: float = 100.0
    #: Of a report, to take long on its way (and so to come in another order).
    delay: float = 0.5
    #: Of a report, to come twice; to get lost, after which the stream of reports breaks off and is begun again.
    repeat: float = 0.0
    lose: float = 0.0
    #: Of an attempt, to be lost; to be reported lost though it goes on; to fail.
    vanish: float = 0.0
    false_loss: float = 0.0
    fail: float = 0.15
    #: Of a commit: the server dies before it, or after it; nobody knows whether it was done; the server stops for a
    #: while after it and then goes on as if nothing had been.
    die_before: float = 0.0
    die_after: float = 0.0
    unknown: float = 0.0
    stall: float = 0.0
    #: Of a step, to begin with the executor's forgetting what has not begun and losing what has.
    restart_fleet: float = 0.0
    #: Of a step: somebody cancels, pauses, resumes.
    cancel: float = 0.0
    pause: float = 0.0
    #: Of an ended run, to be tried again by somebody.
    retry: float = 0.0
    #: Of a task, to be found in the cache.
    hit: float = 0.4
    #: Of a task, to wait for another that does the same.
    same: float = 0.2
    #: Longest answer of the cache, in seconds.
    cache_s: float = 0.0
    #: Clocks differ by up to so many seconds, and jump by as much with this probability a step.
    skew_s: float = 0.0
    jump: float = 0.0
    #: Of a step, that somebody decides what a task came to; of a failed run, too.
    mark: float = 0.0
    #: Seconds that the run may take; None: no limit.
    limit_s: float | None = None
    #: Of an event, to be handled with those that come in the same moment.
    batch: float = 0.3

    @property
    def none(self) -> bool:
        """Whether nothing goes wrong but tasks."""
        troubles = (self.repeat, self.lose, self.vanish, self.false_loss, self.die_before, self.die_after, self.unknown)
        people = (self.stall, self.restart_fleet, self.cancel, self.pause, self.retry, self.jump, self.skew_s)
        return not any((*troubles, *people, self.mark, self.limit_s))

    @classmethod
    def drawn(cls, rng: Random) -> Faults:
        """One world in five is without trouble; in the others each kind of trouble is there or not."""
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
