"""Frees what settled attempts hold on disk, many of them in one go.

Removing a folder may wait for the disk (where freed blocks are discarded at once, milliseconds for an empty one), so it
is for a thread; and handing work to a thread costs as much as the removing, so what has come meanwhile goes together.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from headrace.executors.local.attempt_dir import AttemptDir

#: So long it waits for others, since a thread costs as much as the removing.
_GATHER_S = 0.01
_log = logging.getLogger(__name__)


class Cleaner:
    """Of one executor."""

    def __init__(self) -> None:
        self._dirs: list[AttemptDir] = []
        self._turn = asyncio.Lock()

    async def settle(self, attempt_dir: AttemptDir) -> None:
        """Returns when the directory holds nothing but what stays of a settled attempt."""
        self._dirs.append(attempt_dir)
        async with self._turn:
            # The caller before may have settled ours too.
            if not self._dirs:
                return
            await asyncio.sleep(_GATHER_S)
            dirs, self._dirs = self._dirs, []
            if dirs:
                await asyncio.to_thread(_settle, dirs)


def _settle(dirs: Sequence[AttemptDir]) -> None:
    for attempt_dir in dirs:
        try:
            attempt_dir.settle()
        except OSError:
            _log.exception("%s could not be freed", attempt_dir.root)
