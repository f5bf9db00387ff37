"""Maps in a run's state: persistent, so that a state never changes; and drafts of the next one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from rpds import HashTrieMap

if TYPE_CHECKING:
    Map = HashTrieMap
else:

    class Map:
        """`HashTrieMap`, which has no `[]` for its types when the program runs."""

        def __new__(cls, value: Mapping[Any, Any] | None = None) -> HashTrieMap:
            return HashTrieMap(value or {})

        def __class_getitem__(cls, types: Any) -> type:
            return HashTrieMap


K = TypeVar("K")
V = TypeVar("V")


class _Gone:
    """In place of a value: the key was removed."""


_GONE: Final = _Gone()


class MapDraft(Generic[K, V]):
    """A map and changes to it. Reading sees the changes; `finish` makes the map that has them."""

    __slots__ = ("_base", "_changes")

    def __init__(self, base: Map[K, V]) -> None:
        self._base = base
        self._changes: dict[K, V | _Gone] = {}

    def __getitem__(self, key: K) -> V:
        if key not in self._changes:
            return self._base[key]
        found = self._changes[key]
        if isinstance(found, _Gone):
            raise KeyError(key)
        return found

    def __contains__(self, key: K) -> bool:
        if key in self._changes:
            return self._changes[key] is not _GONE
        return key in self._base

    def __len__(self) -> int:
        # Asked for seldom; changes are made all the time.
        return len(self._base) + sum((new is not _GONE) - (key in self._base) for key, new in self._changes.items())

    def __setitem__(self, key: K, value: V) -> None:
        self._changes[key] = value

    def __delitem__(self, key: K) -> None:
        if key not in self:
            raise KeyError(key)
        self.pop(key, None)

    @overload
    def get(self, key: K) -> V | None: ...

    @overload
    def get(self, key: K, default: V) -> V: ...

    def get(self, key: K, default: V | None = None) -> V | None:
        """The value; the default when there is none."""
        if key in self._changes:
            found = self._changes[key]
            return default if isinstance(found, _Gone) else found
        return self._base.get(key, default)

    def pop(self, key: K, default: None) -> None:
        """Remove the key, if it is there."""
        if key in self:
            self._changes[key] = _GONE

    def finish(self) -> Map[K, V]:
        """The map with the changes."""
        if not self._changes:
            return self._base
        made = self._base.update({key: new for key, new in self._changes.items() if not isinstance(new, _Gone)})
        for key, new in self._changes.items():
            if isinstance(new, _Gone):
                made = made.discard(key)
        return made
