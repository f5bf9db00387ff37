"""What servers that share a database have to do with each other.

Each renews its lease, takes over runs of servers whose lease has expired, reads messages for its runs, and passes on
which runs have changed. Everything else a server does with its own runs alone. Notifications (LISTEN, NOTIFY of
PostgreSQL) only make it quicker: all of it is also found by looking at the tables.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from headrace.engine.model import AnyEvent, AttemptId, ExecutionMarked, RetryRequested
from headrace.service.active import ActiveRun
from headrace.service.context import Context
from headrace.service.errors import ServiceError, Unavailable
from headrace.service.lease import ServerLease
from headrace.service.loop import RunLoop
from headrace.service.opening import load_or_end
from headrace.service.reach import out_of_reach
from headrace.store import leases
from headrace.store import runs as rows
from headrace.store.errors import StoreError
from headrace.store.postgresql import Postgresql

log = logging.getLogger(__name__)

_CHANNEL = "headrace"
#: Seconds after which a server looks for messages and changes even without a notification.
LOOK_S = 1.0
#: Seconds between two notifications.
_NOTIFY_S = 0.03
#: Ids in one notification: PostgreSQL takes 8000 bytes.
_IDS_IN_ONE = 200
_CONNECT_AGAIN_S = 1.0
#: Seconds for which the sender of a message waits until it is acted on. It is acted on later, too.
_ANSWER_S = 3.0
_SWEEP_S = 30.0


class Sharing:
    """The part of one server that deals with the others."""

    def __init__(self, context: Context, loop: RunLoop, lease: ServerLease, server: Postgresql) -> None:
        self._context = context
        self._loop = loop
        self._lease = lease
        self._server = server
        self._tasks: list[asyncio.Task[None]] = []
        self._look = asyncio.Event()
        self._news: dict[str, set[str]] = {"changed": set(), "message": set()}
        self._something = asyncio.Event()
        #: Ids of messages that the loop has taken in and whose rows are still there.
        self._handed: set[str] = set()
        #: Runs on which the loop and the database did not agree at the last look.
        self._doubtful: frozenset[str] = frozenset()
        self._versions: dict[str, int] = {}
        self._swept_at = float("-inf")

    async def start(self) -> None:
        """Register the server, and claim its first runs. Raises service errors."""
        self._context.changes.tell = self._notify_changed
        self._loop.forward = self.send
        await self._register()
        await self._beat()
        self._tasks = [
            asyncio.create_task(self._forever(self._beat, self._lease.lease_s / 3)),
            asyncio.create_task(self._forever(self._look_around, LOOK_S, self._look)),
            asyncio.create_task(self._listen()),
        ]

    async def close(self) -> None:
        """Deregister the server: the others claim its runs at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(StoreError):
            await self._context.database.write(leases.deregister, self._lease.server_id)

    @staticmethod
    async def _forever(step: Callable[[], Coroutine[Any, Any, None]], every_s: float, sooner: Any = None) -> None:
        sooner = sooner or asyncio.Event()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(sooner.wait(), every_s)
            sooner.clear()
            try:
                await step()
            except (StoreError, ServiceError) as error:
                log.warning("the other servers cannot be reached through the database: %s", error)
            except Exception:
                log.exception("in sharing the work with other servers")

    # the lease --------------------------------------------------------------------------------

    async def _register(self) -> None:
        """Register under a new name, and leave all runs that were driven under the one before."""
        asked, name = self._lease.clock(), str(uuid.uuid4())
        owner = leases.Owner(server_id=name, executor_domains=self._context.executor.domains)
        await self._context.write(leases.register, owner, lease_s=self._lease.lease_s)
        # Only now, and no earlier: a run that is made under a name that is not registered belongs to no server.
        self._lease.rename(name)
        for run_id in self._loop.known_ids():
            await self._loop.leave(run_id)
        self._lease.extend(asked)

    async def _beat(self) -> None:
        had_it, asked = self._lease.live(), self._lease.clock()
        if await self._context.write(leases.renew, self._lease.server_id, lease_s=self._lease.lease_s):
            self._lease.extend(asked)
        else:
            log.warning("the lease of this server has expired; other servers drive its runs now")
            self._doubtful = frozenset()
            self._handed.clear()
            await self._register()
            self._swept_at = float("-inf")
            had_it = False
        if not had_it:
            # Nothing was started while the lease was not valid, also of runs that were made meanwhile.
            await self._loop.resume_all()
        for server_id in await self._context.write(leases.expire):
            log.warning("the lease of server %s has expired; its runs go to other servers", server_id)
        await self._reconcile()
        await self._claim()
        if self._lease.clock() - self._swept_at > _SWEEP_S:
            await self._sweep()

    async def _claim(self) -> None:
        claims = await self._context.write(leases.claim, self._lease.server_id)
        await self._take_over({claim.run_id: claim.executor_domains for claim in claims})

    async def _take_over(self, domains: Mapping[str, frozenset[str] | None]) -> None:
        """Drive these runs, by id, whose attempts are in those domains (None: there are no attempts)."""
        found: list[tuple[ActiveRun, list[AttemptId]]] = []
        for run_id, its_domains in domains.items():
            run = await load_or_end(self._context, run_id)
            if run is not None and not run.state.state.final:
                found.append((run, out_of_reach(self._context, run, its_domains)))
        if found:
            await self._loop.take_over(found)

    async def _reconcile(self) -> None:
        """Correct a difference between the runs of the loop and those the database says are ours.

        Only at the second look: while a run is made, claimed or ended, the two differ for a moment.
        """
        before = self._loop.run_ids()
        owned = await self._context.read(leases.owned, self._lease.server_id)
        doubtful = (before ^ owned) & (self._loop.run_ids() ^ owned)
        wrong, self._doubtful = doubtful & self._doubtful, doubtful
        for run_id in sorted(wrong - owned):
            await self._loop.leave(run_id)
        ours = wrong & owned
        if not ours:
            return
        records = await self._context.read(rows.get_runs, sorted(ours))
        over = [record.run_id for record in records if record.state.final]
        if over:
            await self._context.write(leases.release, self._lease.server_id, over)
        domains = await self._context.read(leases.domains_of, sorted(ours - set(over)))
        await self._take_over({run_id: its for run_id, its in domains.items() if self._loop.active(run_id) is None})

    async def _sweep(self) -> None:
        """Stop attempts that no server waits for: those of runs that have ended, or that go on in other domains."""
        there = {attempt.run_id for attempt in await self._context.executor.live()}
        others = await self._context.read(leases.driven_by_others, there, self._context.registered)
        orphaned = there - others - set(self._loop.known_ids())
        if orphaned and self._lease.live():
            await self._context.executor.keep_only(frozenset(), within=orphaned)
        self._swept_at = self._lease.clock()

    # messages ----------------------------------------------------------------------------------

    async def send(self, run_id: str, event: AnyEvent) -> None:
        """Store an event for the server that drives the run. On return it is durable, and as a rule acted on.

        A run that has ended needs no event, except one that makes it go on: no server would take that one. Raises
        Unavailable RUN_HANDED_OVER.
        """
        message = await self._context.write(leases.send, run_id, event)
        if message is None:
            if isinstance(event, RetryRequested | ExecutionMarked):
                raise Unavailable(
                    "The lease of this server expired before it could record the request; nothing was done. Try again.",
                    code="RUN_HANDED_OVER",
                    run_id=run_id,
                )
            return
        self._look.set()
        self._add_news("message", (run_id,))
        until, pause = self._lease.clock() + _ANSWER_S, 0.01
        while self._lease.clock() < until and await self._context.read(leases.is_waiting, message):
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.2)

    async def _look_around(self) -> None:
        messages = await self._context.read(leases.received, self._lease.server_id)
        for message in messages:
            if message.inbox_id not in self._handed and self._loop.deliver(message):
                self._handed.add(message.inbox_id)
        self._handed &= {message.inbox_id for message in messages}
        ids, everything = self._context.changes.wanted()
        if ids or everything:
            found = await self._context.read(leases.versions, ids, recent=everything)
            changed = [run_id for run_id, version in found.items() if self._versions.get(run_id) != version]
            self._versions = found
            self._context.changes.heard(changed)

    # news -------------------------------------------------------------------------------------

    def _notify_changed(self, run_ids: Iterable[str]) -> None:
        self._add_news("changed", run_ids)

    def _add_news(self, what: str, run_ids: Iterable[str]) -> None:
        self._news[what].update(run_ids)
        self._something.set()

    def _heard(self, text: str) -> None:
        server_id, what, ids = text.split(" ", 2)
        if server_id == self._lease.server_id:
            return
        if what == "changed":
            self._context.changes.heard(ids.split(","))
        else:
            self._look.set()

    async def _listen(self) -> None:
        """Send and receive notifications, over a connection that may break at any time."""
        while True:
            with contextlib.suppress(StoreError):
                async with self._server.listening(_CHANNEL, self._heard) as notify:
                    await self._send_news(notify)
            await asyncio.sleep(_CONNECT_AGAIN_S)

    async def _send_news(self, notify: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            for what, ids in self._news.items():
                while ids:
                    some = [ids.pop() for _ in range(min(_IDS_IN_ONE, len(ids)))]
                    await notify(f"{self._lease.server_id} {what} {','.join(some)}")
            await asyncio.sleep(_NOTIFY_S)
