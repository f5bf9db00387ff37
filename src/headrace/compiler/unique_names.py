"""Names made unique by a number at the end, without a search through all names each time."""

from __future__ import annotations

from collections.abc import Container


class UniqueNames:
    """Makes names that are not in a collection."""

    def __init__(self, taken: Container[str]) -> None:
        self._taken = taken
        self._next: dict[str, int] = {}

    def unique(self, base: str) -> str:
        """The base itself, or with the first free number from 2."""
        if base not in self._taken:
            return base
        number = self._next.get(base, 2)
        while f"{base}-{number}" in self._taken:
            number += 1
        self._next[base] = number
        return f"{base}-{number}"
