"""The lease of a server among those that share a database: the server's name, and whether its lease is still valid."""

from __future__ import annotations

import time
from collections.abc import Callable


def clock() -> float:
    """Seconds of a clock that is never set and that goes on while the process or the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ServerLease:
    """What a server on PostgreSQL holds. With SQLite there is only one server, and no lease."""

    def __init__(self, lease_s: float, *, clock: Callable[[], float] = clock) -> None:
        self.lease_s = lease_s
        self.server_id = ""
        self.clock = clock
        self._until = float("-inf")

    def rename(self, server_id: str) -> None:
        """Give the server a new name, after it lost its lease: what is under way in the old name is refused."""
        self.server_id = server_id

    def extend(self, asked_at: float) -> None:
        """The database has granted the lease after `asked_at`, so by the database's clock it lasts longer than this."""
        self._until = asked_at + self.lease_s

    def live(self) -> bool:
        """Whether no other server can have taken our runs yet. Only then may an attempt be started."""
        return self.clock() < self._until
