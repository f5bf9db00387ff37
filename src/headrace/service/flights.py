"""Single flight: of executions that would do the same at the same time, one leads and the others wait for it.

Bookkeeping in memory, of one server. It follows from the recorded runs: `Cache.adopt` makes it anew after a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from headrace.store.cache import CacheKey

#: `(run id, path)`.
Member: TypeAlias = tuple[str, str]


@dataclass(kw_only=True)
class _Flight:
    leader: Member
    #: In the order they came; the values are nothing.
    followers: dict[Member, None] = field(default_factory=dict)


class Flights:
    """Who leads and who waits, by what they would do."""

    def __init__(self) -> None:
        self._flights: dict[CacheKey, _Flight] = {}
        self._keys: dict[Member, CacheKey] = {}

    def __bool__(self) -> bool:
        return bool(self._flights)

    def join(self, key: CacheKey, member: Member) -> Member | None:
        """Wait for whoever leads, who is answered; None when the member itself leads now. Asking again changes nothing.

        A member that has joined another flight must `leave` that first.
        """
        flight = self._flights.get(key)
        if flight is None:
            self._flights[key] = _Flight(leader=member)
        elif flight.leader != member:
            flight.followers[member] = None
        self._keys[member] = key
        leader = self._flights[key].leader
        return None if leader == member else leader

    def key_of(self, member: Member) -> CacheKey | None:
        """What the member would do, while it leads or waits."""
        return self._keys.get(member)

    def leader_of(self, member: Member) -> Member | None:
        """For whom the member waits."""
        key = self._keys.get(member)
        leader = self._flights[key].leader if key is not None else None
        return None if leader == member else leader

    def followers(self, key: CacheKey) -> list[Member]:
        """Who waits, first come first."""
        flight = self._flights.get(key)
        return list(flight.followers) if flight else []

    def members_of(self, run_id: str) -> list[Member]:
        """What of a run leads or waits."""
        return [member for member in self._keys if member[0] == run_id]

    def land(self, key: CacheKey) -> list[Member]:
        """The leader has made it: the flight is over; those who waited."""
        flight = self._flights.pop(key, None)
        if flight is None:
            return []
        for member in (flight.leader, *flight.followers):
            self._keys.pop(member, None)
        return list(flight.followers)

    def leave(self, member: Member, may_lead: Callable[[Member], bool] = lambda member: True) -> Member | None:
        """The member does not do it (any more). If it led: who leads now, the first that may, else the first of all."""
        key = self._keys.pop(member, None)
        flight = self._flights.get(key) if key is not None else None
        if key is None or flight is None:
            return None
        if flight.leader != member:
            flight.followers.pop(member, None)
            return None
        if not flight.followers:
            del self._flights[key]
            return None
        flight.leader = next(filter(may_lead, flight.followers), next(iter(flight.followers)))
        del flight.followers[flight.leader]
        return flight.leader
