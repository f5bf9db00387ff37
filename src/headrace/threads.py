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
    """Return what `work` returns, or raise what it raises. If the caller is canceled, `work` still runs to its end."""
    loop = asyncio.get_running_loop()
    limit = _limits.setdefault(loop, asyncio.Semaphore(_AT_ONCE))
    async with limit:
        outcome: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                result = work()
            except BaseException as error:
                _settle(loop, outcome, None, error)
            else:
                _settle(loop, outcome, result, None)

        threading.Thread(target=run, name="headrace-background", daemon=True).start()
        return await outcome


def _settle(
    loop: asyncio.AbstractEventLoop, outcome: asyncio.Future[T], result: T | None, error: BaseException | None
) -> None:
    def settle() -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(settle)
