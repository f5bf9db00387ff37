"""Work that may wait for minutes, as for a store that does not answer: on threads of its own.

asyncio's own threads are few, and the end of the process waits for them. These take nothing from other work, and the
process ends without them: whatever they do is done again by the next one.

This room knows nothing of the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

#: At once, for one event loop; others wait.
_AT_ONCE = 32
_limits: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
T = TypeVar("T")


async def in_background(work: Callable[[], T]) -> T:
    """What `work` answers or raises. If nobody waits any more it goes on all the same, and nobody is told."""
    loop = asyncio.get_running_loop()
    limit = _limits.setdefault(loop, asyncio.Semaphore(_AT_ONCE))
    async with limit:
        told: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                result = work()
            except BaseException as error:
                _tell(loop, told, None, error)
            else:
                _tell(loop, told, result, None)

        threading.Thread(target=run, name="headrace-background", daemon=True).start()
        return await told


def _tell(
    loop: asyncio.AbstractEventLoop, told: asyncio.Future[T], result: T | None, error: BaseException | None
) -> None:
    def tell() -> None:
        if told.done():
            return
        if error is not None:
            told.set_exception(error)
        else:
            told.set_result(result)  # type: ignore[arg-type]

    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(tell)
