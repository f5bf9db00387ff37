"""Work that may wait for minutes, as for a store that does not answer: on threads of its own.

asyncio's own threads are few, and the end of the process waits for them. These take nothing from other work, and the
process ends without them: whatever they do is done again by the next one.

Work that may be canceled asks in between (`check_canceled`), and waits with `pause`.

This room knows nothing of the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar
from weakref import WeakKeyDictionary

#: Work of `in_background` at once, for one event loop; others wait.
_AT_ONCE = 32
#: So long the end of canceled work is waited for: work that hangs in the system or in a library is left behind.
_LEFT_BEHIND_S = 2.0
_canceled: ContextVar[threading.Event | None] = ContextVar("headrace_canceled", default=None)
T = TypeVar("T")
A = TypeVar("A")


class Canceled(BaseException):
    """The result of this work is not wanted any more. It is not an error: what handles errors does not see it."""


class ThreadPool:
    """So many pieces of work at once, each on a thread of its own; others wait in line."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._limits: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises.

        If the caller is canceled, the work learns of it, and its end is waited for, at most two seconds. Raises
        RuntimeError when the system gives no thread.
        """
        loop = asyncio.get_running_loop()
        limit = self._limits.setdefault(loop, asyncio.Semaphore(self._at_once))
        async with limit:
            outcome: asyncio.Future[T] = loop.create_future()
            canceled = threading.Event()

            def run() -> None:
                _canceled.set(canceled)
                try:
                    result = work()
                except BaseException as error:
                    _settle(loop, outcome, None, error)
                else:
                    _settle(loop, outcome, result, None)

            threading.Thread(target=run, name="headrace-background", daemon=True).start()
            try:
                return await asyncio.shield(outcome)
            except asyncio.CancelledError:
                canceled.set()
                await asyncio.wait([outcome], timeout=_LEFT_BEHIND_S)
                outcome.add_done_callback(lambda done: done.cancelled() or done.exception())
                raise


_background = ThreadPool(_AT_ONCE)


async def in_background(work: Callable[[], T]) -> T:
    """Do it on a thread of the pool that all share who only read; see `ThreadPool.run`."""
    return await _background.run(work)


def check_canceled() -> None:
    """Raise Canceled if the result of the work of this thread is not wanted any more."""
    flag = _canceled.get()
    if flag is not None and flag.is_set():
        raise Canceled


def pause(seconds: float) -> None:
    """Wait, but raise Canceled as soon as the result of the work of this thread is not wanted any more."""
    flag = _canceled.get()
    if flag is None:
        time.sleep(seconds)
    elif flag.wait(seconds):
        raise Canceled


def passed_on(work: Callable[[A], T]) -> Callable[[A], T]:
    """The same work for threads that this thread begins: they are canceled with it."""
    flag = _canceled.get()

    def run(one: A) -> T:
        _canceled.set(flag)
        check_canceled()
        return work(one)

    return run


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
