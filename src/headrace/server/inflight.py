"""A budget of bytes for the bodies of all requests together: they are held in memory, with all that comes of them."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
from collections import deque
from collections.abc import AsyncIterator

from headrace.server.connections import busy

log = logging.getLogger("headrace.server")

#: Bytes of large bodies that are read and handled at the same time. One of the largest always fits.
BUDGET = 64 << 20
#: A body of up to this size is not counted: it is read at once, also while large ones wait.
SMALL = 65_536
#: A large body waits so long for its turn, in seconds, before the answer is 503.
_PATIENCE_S = 10.0
#: From this size on, the memory of a body is given back to the system when it is done with.
_WORTH_TRIMMING = 1 << 20


class BytesInFlight:
    """Lets bodies in as long as all of them together fit; the others wait in the order in which they came."""

    def __init__(self, budget: int = BUDGET, *, patience_s: float = _PATIENCE_S) -> None:
        self._budget = budget
        self._patience_s = patience_s
        self._used = 0
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used(self) -> int:
        """Bytes that are let in now."""
        return self._used

    @contextlib.asynccontextmanager
    async def room_for(self, size: int) -> AsyncIterator[None]:
        """Room for a body of this many bytes, for as long as the block lasts. Raises HttpError 503 SERVER_BUSY."""
        if size <= SMALL:
            yield
            return
        counted = min(size, self._budget)
        await self._enter(counted)
        try:
            yield
        finally:
            self._used -= counted
            self._let_in()
            if self._used == 0 and counted >= _WORTH_TRIMMING:
                asyncio.get_running_loop().run_in_executor(None, _trim)

    async def _enter(self, size: int) -> None:
        if not self._queue and self._used + size <= self._budget:
            self._used += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            async with asyncio.timeout(self._patience_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._used -= size
            else:
                self._queue = deque(one for one in self._queue if one[1] is not turn)
            self._let_in()
            if isinstance(error, TimeoutError):
                raise busy(
                    f"Other requests with large bodies are under way, as many as this server handles at a time "
                    f"({self._budget >> 20} MiB). Try again in a moment."
                ) from None
            raise

    def _let_in(self) -> None:
        while self._queue and self._used + self._queue[0][0] <= self._budget:
            size, turn = self._queue.popleft()
            if not turn.done():
                self._used += size
                turn.set_result(None)


def _trim() -> None:
    """Give free memory back to the system, where the C library keeps it otherwise (glibc)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
