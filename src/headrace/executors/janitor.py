"""Frees what settled attempts hold on disk, many of them in one go.

Removing a folder may wait for the disk (where freed blocks are discarded at once, milliseconds for an empty one), so it
is for a thread; and handing work to a thread costs as much as the removing, so what has come meanwhile goes together.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from headrace.executors.places import Place

_log = logging.getLogger(__name__)


class Janitor:
    """Of one executor."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._turn = asyncio.Lock()

    async def free(self, place: Place) -> None:
        """Returns when the place holds nothing but what is kept of a settled attempt."""
        self._places.append(place)
        async with self._turn:
            # Whoever had the turn before may have taken ours along.
            places, self._places = self._places, []
            if places:
                await asyncio.to_thread(_free, places)


def _free(places: Sequence[Place]) -> None:
    for place in places:
        try:
            place.free()
        except OSError:
            _log.exception("%s could not be freed", place.path)
