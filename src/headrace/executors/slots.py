"""How many attempts may run at once on this machine, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """A fair counting lock that can be overdrawn by what runs already."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._queue)

    def take_now(self) -> bool:
        """Take a slot if one is free and nobody waits."""
        if self.taken >= self.limit or self._queue:
            return False
        self.taken += 1
        return True

    def overdraw(self) -> None:
        """Count something that runs already, whether or not there is room for it."""
        self.taken += 1

    async def take(self) -> None:
        """Wait for a slot."""
        if self.take_now():
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            elif turn in self._queue:
                self._queue.remove(turn)
            raise

    def give(self) -> None:
        """Give a slot back; the next in the queue gets it."""
        self.taken -= 1
        while self._queue and self.taken < self.limit:
            turn = self._queue.popleft()
            if not turn.done():
                self.taken += 1
                turn.set_result(None)
