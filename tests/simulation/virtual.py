"""An event loop on virtual time, and processes that live on it.

When nothing is ready the clock jumps to the next timer, so an hour takes as long as what happens in it. Everything is
decided by one seed: what runs at the same moment, how late a timer fires, how long work on a thread takes. There is no
real input and output here: a socket, a pipe, a child process or a real thread is refused with a clear error.

Several processes share one loop. A context variable says whose code runs; asyncio hands it on to each task, callback
and timer. That makes a process something that can be killed (none of its callbacks ever runs again, and no clean-up
does either), stand still (its callbacks wait), and have a wall clock of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import heapq
import random
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import thread as thread_pools
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

#: What the wall clocks show, without skew, when a history begins: seconds since the epoch.
EPOCH = 1_800_000_000.0
#: Virtual seconds that each callback takes: no two of them see the same moment.
STEP_S = 1e-6
#: Callbacks that may run at a stretch without the clock jumping: more than that is a loop that never waits.
MOST_AT_A_STRETCH = 100_000


class NotSimulated(RuntimeError):
    """Something wants the real world: a thread, a socket, a child process."""


class Stuck(AssertionError):
    """Nothing can ever happen any more, or too much happens without any time passing."""


class Process:
    """One simulated process: a server, the database, the people in front of their screens."""

    def __init__(self, name: str, *, skew_s: float = 0.0) -> None:
        self.name = name
        #: How far its wall clock is ahead of true time, in seconds.
        self.skew_s = skew_s
        self.alive = True
        #: Callbacks that have run, which counts its await points.
        self.steps = 0
        #: At this step something happens to it: see `at_step`.
        self._due: tuple[int, Callable[[], None]] | None = None
        self.still = False
        #: What became ready while it stood still.
        self._held: list[_Handle] = []
        #: Kept, so that nothing of a killed process is cleaned up by the garbage collector.
        self.tasks: set[asyncio.Task[Any]] = set()
        self.generators: list[AsyncGenerator[Any, Any]] = []

    def at_step(self, after: int, do: Callable[[], None]) -> None:
        """Do this once so many more of its callbacks have run."""
        self._due = (self.steps + max(after, 1), do)

    def stepped(self) -> None:
        """One of its callbacks has run."""
        self.steps += 1
        if self._due is not None and self.steps >= self._due[0]:
            do, self._due = self._due[1], None
            do()

    def kill(self) -> None:
        """It ends here and now."""
        self.alive = False
        self._due = None
        self._held = []

    def __repr__(self) -> str:
        return self.name


_process: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


def current() -> Process | None:
    """Whose code runs."""
    return _process.get()


def within(process: Process) -> contextvars.Context:
    """A context in which this process's code runs."""
    context = contextvars.copy_context()
    context.run(_process.set, process)
    return context


class _Handle(asyncio.TimerHandle):
    """A callback with its process."""

    __slots__ = ("process",)

    def __init__(
        self,
        when: float,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: contextvars.Context | None,
    ) -> None:
        context = contextvars.copy_context() if context is None else context
        super().__init__(when, callback, args, loop, context)
        self.process = context.get(_process)


class VirtualLoop(asyncio.AbstractEventLoop):
    """See above. What `AbstractEventLoop` has and this has not raises NotImplementedError: sockets, pipes, signals."""

    def __init__(self, rng: Random, *, until: float = float("inf")) -> None:
        """`until`: the virtual second by which everything is over."""
        self._rng = rng
        self._until = until
        self._now = 0.0
        self._ready: deque[_Handle] = deque()
        #: By time; at the same time, by chance.
        self._timers: list[tuple[float, float, int, _Handle]] = []
        self._count = 0
        self._at_a_stretch = 0
        self._thread = threading.get_ident()
        self._is_running = False
        self._is_closed = False
        #: What a callback or a task that nobody waits for has raised.
        self.failures: list[BaseException] = []
        self._others: set[asyncio.Task[Any]] = set()
        #: When the one thread of an executor is free again.
        self._busy: dict[int, float] = {}
        self._executors: list[Any] = []
        #: Callbacks that have run.
        self.steps = 0

    # --- what asyncio asks for -----------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = _Handle(self._now, callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        if threading.get_ident() != self._thread:
            raise NotSimulated(f"a real thread, {threading.current_thread().name}, speaks to the simulation")
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = _Handle(when, callback, args, self, context)
        # A real timer is never early, and now and then late.
        late = 0.0 if self._rng.random() < 0.8 else self._rng.random() * 0.01
        self._count += 1
        heapq.heappush(self._timers, (max(when, self._now) + late, self._rng.random(), self._count, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        # Whether it is missed is decided here: a killed process never finishes its tasks.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        process = current() if context is None else context.get(_process)
        tasks = process.tasks if process is not None else self._others
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Run it on this thread, a virtual while later; what goes to a pool of one thread, one after the other."""
        done: asyncio.Future[T] = self.create_future()
        at = self._now + self._delay()
        if getattr(executor, "_max_workers", 0) == 1:
            if not any(known is executor for known in self._executors):
                self._executors.append(executor)
            at = max(at, self._busy.get(id(executor), 0.0)) + STEP_S
            self._busy[id(executor)] = at
        context = contextvars.copy_context()

        def run() -> None:
            if done.cancelled():
                return
            try:
                result = func(*args)
            except StopIteration as error:
                done.set_exception(RuntimeError(f"raised StopIteration: {error}"))
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(result)

        self._count += 1
        heapq.heappush(self._timers, (at, self._rng.random(), self._count, _Handle(at, run, (), self, context)))
        return done

    def _delay(self) -> float:
        return self._rng.choice((0.0, 0.001, 0.001, self._rng.random() * 0.05))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception") or AssertionError(context.get("message"))
        self.failures.append(error)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._is_running

    def is_closed(self) -> bool:
        return self._is_closed

    # --- running -------------------------------------------------------------------------------

    def run_until_complete(self, future: Any) -> Any:
        """Run until it is done; raises Stuck if that never comes."""
        if not asyncio.isfuture(future):
            future = self.create_task(future)
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._keep, finalizer=lambda generator: None)
        self._is_running = True
        asyncio.events._set_running_loop(self)
        try:
            while not future.done():
                self._run_one()
                if self.failures:
                    raise self.failures[0]
        finally:
            asyncio.events._set_running_loop(None)
            self._is_running = False
            sys.set_asyncgen_hooks(*hooks)
        return future.result()

    def _keep(self, generator: AsyncGenerator[Any, Any]) -> None:
        process = current()
        if process is not None:
            process.generators.append(generator)

    def _run_one(self) -> None:
        if not self._ready:
            self._jump()
        handle = self._ready.popleft()
        process = handle.process
        if handle.cancelled() or (process is not None and not process.alive):
            return
        if process is not None and process.still:
            process._held.append(handle)
            return
        self._now += STEP_S
        self.steps += 1
        self._at_a_stretch += 1
        if self._at_a_stretch > MOST_AT_A_STRETCH:
            raise Stuck(f"{process} never waits: {handle}")
        handle._run()
        if process is not None:
            process.stepped()

    def _jump(self) -> None:
        while self._timers and (handle := self._timers[0][3]) is not None:
            if not handle.cancelled() and (handle.process is None or handle.process.alive):
                break
            heapq.heappop(self._timers)
        if not self._timers:
            raise Stuck("nothing is ready and no timer is set: everybody waits for somebody else")
        self._now = max(self._now, self._timers[0][0])
        if self._now > self._until:
            raise Stuck(f"not over after {self._until:.0f} s")
        self._at_a_stretch = 0
        while self._timers and self._timers[0][0] <= self._now:
            self._ready.append(heapq.heappop(self._timers)[3])

    # --- processes -----------------------------------------------------------------------------

    def spawn(self, process: Process, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin this as code of that process."""
        return self.create_task(coro, context=within(process))

    def stand_still(self, process: Process, seconds: float) -> None:
        """As after SIGSTOP, or in a pause of the machine: it goes on later, as if nothing had been."""
        if process.still or not process.alive:
            return
        process.still = True
        self.call_later(seconds, self._go_on, process, context=contextvars.Context())

    def _go_on(self, process: Process) -> None:
        process.still = False
        held, process._held = process._held, []
        self._ready.extendleft(reversed(held))

    def close(self) -> None:
        """The end of the world: what is left of it is dropped, and none of it may do anything any more."""
        self._is_closed = True
        self._ready.clear()
        self._timers.clear()


def bury(process: Process) -> None:
    """Drop what is left of a process once its world is over; whatever its clean-up says is of no interest any more."""
    process.kill()
    for task in list(process.tasks):
        _close(task.get_coro())
    process.tasks.clear()
    process.generators.clear()


def _close(coro: Any) -> None:
    try:
        coro.close()
    except BaseException:  # noqa: S110 - it was cut off in the middle; there is nobody to tell
        pass


@contextmanager
def virtual_clocks(loop: VirtualLoop, rng: Random) -> Iterator[None]:
    """Clocks, random ids and random numbers of this world, for code that gets them in the usual way."""
    real = time.time, time.monotonic, time.clock_gettime, uuid.uuid4
    state = random.getstate()
    random.seed(rng.random())

    def wall() -> float:
        process = current()
        return EPOCH + loop.time() + (process.skew_s if process is not None else 0.0)

    def monotonic(*_: int) -> float:
        return loop.time()

    def some_uuid() -> uuid.UUID:
        return uuid.UUID(int=rng.getrandbits(128), version=4)

    time.time, time.monotonic, time.clock_gettime, uuid.uuid4 = wall, monotonic, monotonic, some_uuid  # type: ignore[assignment]
    try:
        yield
    finally:
        time.time, time.monotonic, time.clock_gettime, uuid.uuid4 = real
        random.setstate(state)


@contextmanager
def virtual_threads(loop: VirtualLoop) -> Iterator[None]:
    """A thread that is started runs on the loop's own thread, a virtual while later; one that waits for work cannot."""
    real = threading.Thread.start

    @functools.wraps(real)
    def start(thread: threading.Thread) -> None:
        if thread._target is thread_pools._worker:  # type: ignore[attr-defined]
            raise NotSimulated(f"the thread pool of {thread.name} is used directly: use the loop's run_in_executor")
        loop.run_in_executor(None, thread.run)

    threading.Thread.start = start  # type: ignore[method-assign]
    try:
        yield
    finally:
        threading.Thread.start = real  # type: ignore[method-assign]
