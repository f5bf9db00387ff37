"""The database as the service sees it: hand in `op(conn, …)`, get its result when it is on disk.

SQLite has one writer at a time, so one thread writes and another reads; each unit of work is one hop. PostgreSQL
(`store.postgresql`) takes the same operations. An operation takes all rows of a query before it looks at them (a
half-read one would hold the reader at an old state), and does nothing but use its connection: it may be run again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection as Connection
from sqlalchemy import Engine

from headrace.store import migrations
from headrace.store.dialect import DRIVER_ERRORS, give_back, make_shrinkable, open_sqlite, peek_version, translate
from headrace.store.errors import Broken, DiskFailed

if TYPE_CHECKING:
    from headrace.store.postgresql import Postgresql
    from headrace.store.urls import DatabaseUrl

#: Free pages (of 4 KiB) that are given back in one transaction.
_PAGES_AT_ONCE = 1000
P = ParamSpec("P")
T = TypeVar("T")


class _DiskState:
    """Whether the disk below the connections to one file has failed: then no connection touches it again."""

    def __init__(self) -> None:
        self.failure: DiskFailed | None = None


class _ConnectionThread:
    """One thread with one connection."""

    def __init__(self, engine: Engine, name: str, disk: _DiskState) -> None:
        self._engine = engine
        self._disk = disk
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._conn: Connection | None = None

    async def run(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        if self._disk.failure is not None:
            raise self._disk.failure
        try:
            if self._conn is None:
                self._conn = self._engine.connect()
            # By hand: after a failure of the disk not even a rollback may follow.
            transaction = self._conn.begin()
            try:
                result = work(self._conn)
                transaction.commit()
            except BaseException as error:
                if not self._has_failed(error):
                    transaction.rollback()
                raise
            return result
        except DRIVER_ERRORS as error:
            meaning = translate(error)
            if isinstance(meaning, DiskFailed):
                self._disk.failure = meaning
                raise meaning from error
            if isinstance(meaning, Broken):
                self._reconnect()
            raise meaning from error

    def _has_failed(self, error: BaseException) -> bool:
        return isinstance(error, DRIVER_ERRORS) and isinstance(translate(error), DiskFailed)

    def _reconnect(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.invalidate()
            conn.close()

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._disk.failure is not None:
            self._abandon()
            return
        if self._conn is not None:
            self._conn.close()
        self._engine.dispose()

    def _abandon(self) -> None:
        """Never closed, not even at the interpreter's end: closing would write what is cached into the file."""
        if self._conn is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._conn.connection.dbapi_connection))
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._conn))


class _Backend(Protocol):
    async def write(self, work: Callable[[Connection], T]) -> T: ...

    async def read(self, work: Callable[[Connection], T]) -> T: ...

    async def close(self) -> None: ...


class _Sqlite:
    """A file, or a database in memory that belongs to its one connection."""

    def __init__(self, path: Path | None) -> None:
        disk = _DiskState()
        self._writer = _ConnectionThread(open_sqlite(path, writer=True), "headrace-write", disk)
        self._reader = (
            _ConnectionThread(open_sqlite(path, writer=False), "headrace-read", disk) if path else self._writer
        )

    @classmethod
    async def open(cls, path: Path | None) -> _Sqlite:
        if path is not None:
            found = await asyncio.to_thread(peek_version, path)
            migrations.check_version(found)
            if found:
                await asyncio.to_thread(make_shrinkable, path)
        database = cls(path)
        try:
            await database.write(migrations.upgrade)
        except BaseException:
            await database.close()
            raise
        return database

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self._writer.run(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._reader.run(work)

    async def close(self) -> None:
        if self._reader is not self._writer:
            await self._reader.close()
        await self._writer.close()


class Database:
    """An open database."""

    def __init__(self, backend: _Backend, *, server: Postgresql | None = None) -> None:
        self._backend = backend
        #: The server it is on, which others use too; None for SQLite, which is ours alone.
        self.server = server
        #: Set once the disk has failed, and how: from then on every operation raises that.
        self.failed = asyncio.Event()
        self.failure: DiskFailed | None = None

    @classmethod
    async def open(cls, where: Path | DatabaseUrl | None) -> Database:
        """Open or make the file, or connect, and bring the schema up to date; None: in memory, gone when closed.

        Raises SchemaTooNew (before anything is changed), Full, ReadOnly, Busy, Broken; and for PostgreSQL
        DatabaseUnreachable, NotDurable.
        """
        if where is None or isinstance(where, Path):
            return cls(await _Sqlite.open(where))
        # A fifth of a second to import, and only for those who use it.
        from headrace.store.postgresql import Postgresql

        server = await Postgresql.open(where)
        return cls(server, server=server)

    async def write(self, op: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `op` in a transaction of its own; it is durable when this returns."""
        with self._watched():
            return await self._backend.write(lambda conn: op(conn, *args, **kwargs))

    async def read(self, op: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `op` on one consistent state of the database."""
        with self._watched():
            return await self._backend.read(lambda conn: op(conn, *args, **kwargs))

    async def give_back_space(self) -> None:
        """Give the space of what was deleted back to the disk, in short slices, so that others write in between."""
        before, left = None, await self.write(give_back, _PAGES_AT_ONCE)
        while left and left != before:
            before, left = left, await self.write(give_back, _PAGES_AT_ONCE)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except DiskFailed as error:
            self.failure = error
            self.failed.set()
            raise

    async def close(self) -> None:
        """Finish what is under way, then let go of the file."""
        await self._backend.close()
