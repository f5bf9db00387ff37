"""Who wants to know that a run changed. Only names of runs are kept, so a slow watcher costs nothing but a set."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

#: Changes are handed on at most this often, in seconds; the end of a run at once.
INTERVAL_S = 0.1


class Changes:
    """Tells watchers which runs have changed; what they are now, the watcher reads from the store."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._closed = False
        #: Who passes on to other servers what has changed here, if there are any.
        self.tell: Callable[[Iterable[str]], None] | None = None

    def notify(self, run_ids: Iterable[str], *, ended: Iterable[str] = ()) -> None:
        """These runs have changed, and it is on disk; those that have `ended` are handed on at once."""
        ids = frozenset(run_ids)
        self.heard(ids, ended=ended)
        if self.tell is not None and ids:
            self.tell(ids)

    def heard(self, run_ids: Iterable[str], *, ended: Iterable[str] = ()) -> None:
        """As `notify`, for what another server has changed."""
        ids, over = frozenset(run_ids), frozenset(ended)
        for watch in self._watches:
            watch.add(ids, over)

    def wanted(self) -> tuple[frozenset[str], bool]:
        """The runs that are watched by their id, and whether anybody watches all."""
        only = [watch.only for watch in self._watches]
        return frozenset(run_id for run_id in only if run_id is not None), None in only

    def watch(self, run_id: str | None = None) -> Watch:
        """Changes from now on, of one run or of all. Use it in a `with`."""
        return Watch(self, run_id)

    def close(self) -> None:
        """All watches end."""
        self._closed = True
        for watch in self._watches:
            watch.wake()

    @property
    def closed(self) -> bool:
        """True once the service is closing."""
        return self._closed

    def enter(self, watch: Watch) -> None:
        """Begin to tell it."""
        self._watches.add(watch)

    def leave(self, watch: Watch) -> None:
        """Stop telling it."""
        self._watches.discard(watch)


class Watch:
    """Ids of runs that changed since the last look."""

    def __init__(self, changes: Changes, run_id: str | None) -> None:
        self._changes = changes
        self.only = run_id
        self._changed: set[str] = set()
        self._something = asyncio.Event()
        #: Set when there is no more to gather: its only run has ended, or the service is closing.
        self._hurry = asyncio.Event()
        self._last = float("-inf")

    def __enter__(self) -> Watch:
        self._changes.enter(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._changes.leave(self)

    def add(self, run_ids: frozenset[str], ended: frozenset[str] = frozenset()) -> None:
        """These changed."""
        wanted = run_ids if self.only is None else run_ids & {self.only}
        if wanted:
            self._changed |= wanted
            self._something.set()
        if self.only in ended:
            self._hurry.set()

    def wake(self) -> None:
        """Look up: the service is closing."""
        self._something.set()
        self._hurry.set()

    async def next(self) -> frozenset[str]:
        """Wait for changes, gather those that come close together; empty when the service closes."""
        await self._something.wait()
        clock = asyncio.get_running_loop().time
        pause = self._last + INTERVAL_S - clock()
        if pause > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._hurry.wait()
        self._last = clock()
        self._something.clear()
        if not self._changes.closed:
            self._hurry.clear()
        found, self._changed = frozenset(self._changed), set()
        return found

    async def __aiter__(self) -> AsyncIterator[frozenset[str]]:
        while not self._changes.closed:
            if found := await self.next():
                yield found
