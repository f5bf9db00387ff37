"""Single flight: of executions that would do the same at the same time, one leads and the others wait for it.

The bookkeeping is in the memory of one server. It follows from the recorded runs: `Cache.adopt` makes it again after a
restart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from headrace.store.cache import CacheKey

#: `(run id, path)` of an execution.
Member: TypeAlias = tuple[str, str]


@dataclass(kw_only=True)
class _SameWork:
    """Executions that would do the same."""

    leader: Member
    #: Those that wait, in the order in which they joined; a dict that is used as an ordered set.
    followers: dict[Member, None] = field(default_factory=dict)


class SingleFlight:
    """Which execution leads and which wait, by cache key."""

    def __init__(self) -> None:
        self._groups: dict[CacheKey, _SameWork] = {}
        self._keys: dict[Member, CacheKey] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def join(self, key: CacheKey, member: Member) -> Member | None:
        """Let the member wait for the leader of the key, which is returned; None when the member itself leads now.

        Joining again changes nothing. A member that has joined under another key must `leave` that first.
        """
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = _SameWork(leader=member)
        elif group.leader != member:
            group.followers[member] = None
        self._keys[member] = key
        leader = self._groups[key].leader
        return None if leader == member else leader

    def has_other_of_run(self, key: CacheKey, member: Member) -> bool:
        """Whether another execution of the member's run leads or waits under the key."""
        group = self._groups.get(key)
        if group is None:
            return False
        return any(other[0] == member[0] and other != member for other in (group.leader, *group.followers))

    def key_of(self, member: Member) -> CacheKey | None:
        """The key under which the member leads or waits."""
        return self._keys.get(member)

    def leader_of(self, member: Member) -> Member | None:
        """The leader for which the member waits; None when it does not wait."""
        key = self._keys.get(member)
        leader = self._groups[key].leader if key is not None else None
        return None if leader == member else leader

    def followers(self, key: CacheKey) -> list[Member]:
        """The members that wait, in the order in which they joined."""
        group = self._groups.get(key)
        return list(group.followers) if group else []

    def members_of(self, run_id: str) -> list[Member]:
        """The members of a run, whether they lead or wait."""
        return [member for member in self._keys if member[0] == run_id]

    def complete(self, key: CacheKey) -> list[Member]:
        """The leader has succeeded: remove the group and return the members that waited."""
        group = self._groups.pop(key, None)
        if group is None:
            return []
        for member in (group.leader, *group.followers):
            self._keys.pop(member, None)
        return list(group.followers)

    def leave(self, member: Member, may_lead: Callable[[Member], bool] = lambda member: True) -> Member | None:
        """Remove the member. If it led, another leads from now on, which is returned.

        That is the first follower for which `may_lead` is true, or the first follower when it is true for none.
        """
        key = self._keys.pop(member, None)
        group = self._groups.get(key) if key is not None else None
        if key is None or group is None:
            return None
        if group.leader != member:
            group.followers.pop(member, None)
            return None
        if not group.followers:
            del self._groups[key]
            return None
        group.leader = next(filter(may_lead, group.followers), next(iter(group.followers)))
        del group.followers[group.leader]
        return group.leader
