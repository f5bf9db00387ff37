"""The database that all servers of a simulated world share, and the notifications between them.

The store's own operations run on a real SQLite in memory, one transaction at a time at one virtual moment. What a
server meets on its way there is simulated: time, a database that is away, a transaction that fails, and (with servers
that share it over a network) one of which nobody can tell whether it was done. The database has a clock of its own, by which leases are measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from headrace.store import migrations
from headrace.store.database import Database
from headrace.store.dialect import DRIVER_ERRORS, open_sqlite, translate
from headrace.store.errors import Busy, CommitUnknown, DatabaseUnreachable, Full, Stale
from headrace.store.tables import metadata
from simulation.virtual import Process, current, within

if TYPE_CHECKING:
    from simulation.world import World

T = TypeVar("T")

#: How long the store itself tries again before it says that the database is away (as `store.postgresql` does).
PATIENCE_S = 5.0


@functools.cache
def _connection() -> Any:
    """One connection for all worlds of this process, one after the other: making the tables takes longest of all."""
    conn = open_sqlite(None, writer=True).connect()
    with conn.begin():
        migrations.upgrade(conn)
    return conn


class SharedDatabase:
    """One database for all servers of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.process = Process("database", skew_s=world.rng.uniform(-1, 1) * world.faults.skew_s)
        self._context = within(self.process)
        self.conn = _connection()
        self.conn.rollback()
        with self.conn.begin():
            self.conn.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            for table in reversed(metadata.sorted_tables):
                if table.name != "schema_version":
                    self.conn.execute(table.delete())
        self.raw = self.conn.connection.dbapi_connection
        #: Until when nobody can reach it.
        self.away_until = 0.0
        self.line = Line(world)

    def open(self) -> Database:
        """As one server sees it."""
        backend: Any = Backend(self)
        server: Any = self.line.end() if self.world.faults.shared else None
        return Database(backend, server=server)

    def transact(self, work: Callable[[Any], T]) -> T:
        """Do it now, whole or not at all."""
        return self._context.run(self._transact, work)

    def _transact(self, work: Callable[[Any], T]) -> T:
        try:
            with self.conn.begin():
                return work(self.conn)
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    def query(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """For those who look on: what is committed."""
        return self.raw.execute(text, values).fetchall()

    def close(self) -> None:
        """The world is over."""
        self.conn.rollback()


class Backend:
    """One server's way to the database."""

    def __init__(self, database: SharedDatabase) -> None:
        self._database = database
        self._world = database.world

    async def write(self, work: Callable[[Any], T]) -> T:
        """See `store.database`."""
        world, database = self._world, self._database
        await self._arrive()
        if world.strikes("database_fails"):
            world.tell("a transaction fails before it is done")
            kinds = (DatabaseUnreachable, Busy) if world.faults.shared else (Busy, Full)
            raise world.rng.choice(kinds)("(simulated) the transaction was not done")
        if world.faults.shared and world.strikes("unknown") and world.rng.random() < 0.5:
            world.tell("a transaction is not done, and nobody knows")
            raise CommitUnknown("(simulated) the connection broke while the transaction was being committed")
        server = current()
        assert server is not None
        world.watch.before_write(server)
        try:
            result = database.transact(work)
        except Stale as stale:
            world.watch.refused(server, stale.run_ids)
            raise
        world.watch.written(server)
        if world.faults.shared and world.strikes("unknown"):
            world.tell("a transaction is done, and nobody knows")
            raise CommitUnknown("(simulated) the connection broke while the transaction was being committed")
        await self._travel()
        if world.strikes("slow"):
            await asyncio.sleep(world.rng.random() * 6.0)
        return result

    async def read(self, work: Callable[[Any], T]) -> T:
        """See `store.database`."""
        await self._arrive()
        result = self._database.transact(work)
        await self._travel()
        return result

    async def close(self) -> None:
        """See `store.database`."""

    async def _arrive(self) -> None:
        until = asyncio.get_running_loop().time() + PATIENCE_S
        await self._travel()
        if self._world.strikes("slow"):
            await asyncio.sleep(self._world.rng.random() * 6.0)
        while (now := asyncio.get_running_loop().time()) < self._database.away_until:
            if now >= until:
                raise (DatabaseUnreachable if self._world.faults.shared else Busy)("(simulated) it does not answer")
            await asyncio.sleep(min(self._database.away_until, until) - now + 0.001)

    async def _travel(self) -> None:
        rng = self._world.rng
        await asyncio.sleep(0.0 if rng.random() < 0.5 else rng.random() * 0.01)


class Line:
    """Notifications between servers: quick as a rule, and never to be relied on."""

    def __init__(self, world: World) -> None:
        self.world = world
        #: Who listens: `(process, what to call)`.
        self.listeners: dict[object, tuple[Process, Callable[[str], None]]] = {}

    def end(self) -> LineEnd:
        """One server's end of it."""
        return LineEnd(self)


class LineEnd:
    """What `Sharing` knows of `store.postgresql`."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @contextlib.asynccontextmanager
    async def listening(
        self, channel: str, heard: Callable[[str], None]
    ) -> AsyncIterator[Callable[[str], Coroutine[Any, Any, None]]]:
        """See `store.postgresql`."""
        line, world = self._line, self._line.world
        if world.database.away_until > asyncio.get_running_loop().time():
            raise DatabaseUnreachable("(simulated) the database does not answer")
        me, process = object(), current()
        assert process is not None
        line.listeners[me] = (process, heard)

        async def say(text: str) -> None:
            if world.strikes("news_breaks"):
                raise DatabaseUnreachable("(simulated) the connection that listens broke")
            for other, call in list(line.listeners.values()):
                if not world.some("news_lost"):
                    world.loop.call_later(world.rng.random() * 0.02, call, text, context=within(other))

        try:
            yield say
        finally:
            line.listeners.pop(me, None)
