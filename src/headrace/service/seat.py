"""One server's seat among those that share a database: its name, and whether its lease still holds."""

from __future__ import annotations

import time
import uuid

from headrace.store.leases import Owner


def clock() -> float:
    """Seconds that go on while the process, or the machine, sleeps; never set by anybody."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Seat:
    """Held by a server on PostgreSQL; with SQLite there is one server and no seat."""

    def __init__(self, place: str, lease_s: float) -> None:
        self.place = place
        self.lease_s = lease_s
        self.server_id = ""
        self._until = float("-inf")

    @property
    def owner(self) -> Owner:
        """How it signs what it commits."""
        return Owner(server_id=self.server_id, place=self.place)

    def rename(self) -> None:
        """A new name, as after the lease was lost: what the old one still has under way is refused."""
        self.server_id = str(uuid.uuid4())

    def extend(self, asked_at: float) -> None:
        """The database has granted the lease after we asked at that time, so by its clock it lasts longer than this."""
        self._until = asked_at + self.lease_s

    def live(self) -> bool:
        """Whether nobody can have taken our runs yet: the condition for starting anything."""
        return clock() < self._until
