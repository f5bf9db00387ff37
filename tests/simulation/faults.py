"""How bad a simulated world is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

#: Kinds of worlds: in each, one sort of trouble is there for certain, and often. They find what random worlds find late.
KINDS: dict[str, dict[str, Any]] = {
    # Servers of one domain die and stand still: their runs and attempts are taken over.
    "takeover": {"servers": 3, "shared": True, "domains": 1, "kill_every": 5.0, "still_every": 8.0, "runs": 3},
    # The same, but the attempts of each server are out of the reach of the others.
    "domains": {"servers": 2, "shared": True, "domains": 2, "kill_every": 7.0, "still_every": 6.0, "runs": 3},
    # Commits of which nobody knows whether they were done.
    "unknown": {"servers": 2, "shared": True, "unknown": 0.35, "database_fails": 0.05, "runs": 4, "ask_every": 3.0},
    # Servers stand still until their lease has expired, while people go on to ask.
    "expiry": {
        "servers": 2, "shared": True, "domains": 1, "still_every": 5.0, "kill_every": 0.0, "runs": 4, "ask_every": 1.0,
    },
    # One server with a lease, of which the database is away again and again: it comes back to its own runs.
    "alone": {
        "servers": 1, "shared": True, "domains": 1, "still_every": 6.0, "away_every": 10.0, "away_s": 20.0, "runs": 4,
        "ask_every": 2.0,
    },
    # Reports are late, twice or lost with their stream; attempts fail and are tried again.
    "reports": {"stream_every": 3.0, "late": 0.5, "twice": 0.3, "fail": 0.3, "runs": 3, "kill_every": 9.0},
}  # fmt: skip


@dataclass(kw_only=True)
class Faults:
    """Each a probability, if it says nothing else. From `calm_at` on nothing goes wrong but user code."""

    #: Servers, and whether they share one database with leases (one alone may do without).
    servers: int = 1
    shared: bool = False
    #: Executor domains among which the servers are spread: attempts of one cannot be reached from another.
    domains: int = 1
    #: Virtual seconds after which nothing goes wrong any more.
    calm_at: float = 60.0
    #: Seconds between two servers that are killed, on average; that stand still; clocks that are set; 0: never.
    kill_every: float = 0.0
    still_every: float = 0.0
    clock_every: float = 0.0
    #: Seconds between two times when the database is away, on average, and how long that is.
    away_every: float = 0.0
    away_s: float = 0.0
    #: Of a transaction: it fails before it is done; it is done, or not, and nobody knows; it takes seconds.
    database_fails: float = 0.0
    unknown: float = 0.0
    slow: float = 0.0
    #: Of a notification, to get lost; to find its connection broken.
    news_lost: float = 0.0
    news_breaks: float = 0.0
    #: Seconds between two times when an executor's stream of reports breaks off, on average.
    stream_every: float = 0.0
    #: Of a report, to come late; to come twice.
    late: float = 0.0
    twice: float = 0.0
    #: Of an attempt, to vanish without a trace; to fail; to stop only after a while when asked.
    vanish: float = 0.0
    fail: float = 0.1
    #: Seconds between two times when a machine goes down with all that runs there, on average.
    machine_every: float = 0.0
    #: Clocks differ by up to so many seconds.
    skew_s: float = 0.0
    #: Runs that people make, and seconds between two other things they ask, on average; 0: nothing.
    runs: int = 1
    ask_every: float = 0.0
    #: Of a run that has ended badly, to be tried again or marked in calm times.
    again: float = 0.0
    #: Seconds between two looks of people who follow a run; 0: nobody does.
    follow: float = 0.0
    caching: bool = True

    @classmethod
    def of_kind(cls, kind: str, rng: Random) -> Faults:
        """A world of one of `KINDS`; what the kind says nothing about is drawn."""
        drawn = cls.drawn(rng)
        return replace(drawn, calm_at=max(drawn.calm_at, 25.0), **KINDS[kind])

    @classmethod
    def drawn(cls, rng: Random) -> Faults:
        """One world in eight is without trouble; in the others each kind of trouble is there or not."""
        servers = rng.choice((1, 1, 2, 2, 3))
        shape = {
            "servers": servers,
            "shared": servers > 1 or rng.random() < 0.3,
            "domains": rng.choice((1, servers)),
            "runs": rng.choice((1, 2, 3, 4)),
            "fail": rng.choice((0.0, 0.1, 0.3)),
            "late": rng.choice((0.0, 0.3)),
            "caching": rng.random() < 0.9,
            "follow": rng.choice((0.0, 0.5)),
        }
        if rng.random() < 0.12:
            return cls(**shape, calm_at=0.0)

        def every(shortest: float, chance: float = 0.4) -> float:
            return shortest * (1 + 2 * rng.random()) if rng.random() < chance else 0.0

        def some(most: float, chance: float = 0.3) -> float:
            return most * rng.random() if rng.random() < chance else 0.0

        return cls(
            **shape,
            calm_at=rng.choice((10.0, 25.0, 25.0, 45.0)),
            kill_every=every(3.0),
            still_every=every(5.0),
            clock_every=every(10.0, 0.2),
            away_every=every(10.0, 0.25),
            away_s=rng.choice((1.0, 4.0, 20.0)),
            database_fails=some(0.1),
            unknown=some(0.15),
            slow=some(0.15, 0.5),
            news_lost=rng.choice((0.0, 0.0, 0.3, 1.0)),
            news_breaks=some(0.1),
            stream_every=every(4.0, 0.25),
            twice=some(0.3),
            vanish=some(0.2),
            machine_every=every(12.0, 0.15),
            skew_s=rng.choice((0.0, 0.0, 2.0, 600.0)),
            ask_every=every(1.0, 0.6),
            again=rng.choice((0.0, 0.5)),
        )
