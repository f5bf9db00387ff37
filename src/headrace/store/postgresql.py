"""PostgreSQL: connections, transactions that are done exactly once, and what its errors mean.

An operation is plain synchronous code over a connection (`op(conn, …)`), the same as for SQLite; SQLAlchemy runs it
here in a greenlet above asyncpg. Whatever fails on the way and may pass is tried again in this one place: a deadlock, a
serialization failure, a lost connection. Where the connection broke after COMMIT was sent, that cannot be seen from
outside whether it was done; so each transaction leaves a word of its own beside its changes, and we look for that word,
once the server's process that worked on it is surely gone, before we try again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import asyncpg
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from headrace.retries import delays
from headrace.store import migrations
from headrace.store.errors import (
    BadQuery,
    Broken,
    Busy,
    CommitUnknown,
    DatabaseUnreachable,
    Duplicate,
    Full,
    NotDurable,
    ReadOnly,
    StoreError,
)
from headrace.store.urls import DatabaseUrl

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncTransaction

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Older servers lack `pg_current_snapshot`-era functions and are out of support.
OLDEST_VERSION = 13
#: Connections of one server, for reading and writing together; one more listens.
_POOL_SIZE = 8
_CONNECT_S = 10.0
#: No statement of ours takes as long; one that does is on a connection that is dead without saying so.
_STATEMENT_S = 30.0
#: How long an operation is tried again before its caller gets the error.
PATIENCE_S = 5.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5

_SESSION = {
    # Of a server that was stopped in the middle of a transaction others must not wait forever.
    "idle_in_transaction_session_timeout": "20s",
    "statement_timeout": f"{_STATEMENT_S:.0f}s",
    # What is acknowledged is on disk, whatever the database's default is.
    "synchronous_commit": "on",
    "timezone": "UTC",
}

_DRIVER = (asyncpg.PostgresError, asyncpg.InterfaceError)
#: What comes up from below, wrapped by SQLAlchemy or not.
_ERRORS = (DBAPIError, *_DRIVER, OSError, TimeoutError)

_LEAVE_WORD = text(
    "INSERT INTO writers (writer_id, word, at) VALUES (:writer, :word, extract(epoch FROM clock_timestamp())) "
    "ON CONFLICT (writer_id) DO UPDATE SET word = excluded.word, at = excluded.at"
)
_FIND_WORD = text("SELECT 1 FROM writers WHERE writer_id = :writer AND word = :word")
_END_OF = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")
_LEFT_OF = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
#: Any number, the same for every version of Headrace: who upgrades the schema, or makes it, holds this lock.
_UPGRADE_LOCK = text("SELECT pg_advisory_xact_lock(4846285713)")


class Postgresql:
    """An open database on a PostgreSQL server. All of it belongs to one event loop."""

    def __init__(self, url: DatabaseUrl, *, patience_s: float) -> None:
        self.url = url
        self._patience_s = patience_s
        self._engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://", async_creator=self._connect, pool_size=_POOL_SIZE, max_overflow=0, pool_timeout=60
        )
        self._alone = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        # One snapshot for all queries of a read.
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @classmethod
    async def open(cls, url: DatabaseUrl, *, patience_s: float = PATIENCE_S) -> Postgresql:
        """Connect, look whether the server can be relied on, and bring the schema up to date.

        Raises SchemaTooNew, NotDurable, DatabaseUnreachable, Broken.
        """
        database = cls(url, patience_s=patience_s)
        try:
            await database.read(_check)
            # Without a word: the table of words is only made here.
            await database._patiently(lambda _: database._plainly(_upgrade))
        except BaseException:
            await database.close()
            raise
        return database

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do it exactly once, or raise; durable on return. Raises CommitUnknown when that cannot be found out."""
        return await self._patiently(lambda patience: self._write_once(work, patience))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """On one consistent state."""

        async def once(_: _Patience) -> T:
            try:
                async with self._reading.connect() as conn, conn.begin():
                    return await conn.run_sync(work)
            except DBAPIError as error:
                if _state_of(error) == _READ_ONLY:
                    raise ReadOnly(str(error.orig)) from error
                raise

        return await self._patiently(once)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._engine.dispose()

    @contextlib.asynccontextmanager
    async def listening(
        self, channel: str, heard: Callable[[str], None]
    ) -> AsyncIterator[Callable[[str], Coroutine[Any, Any, None]]]:
        """Others' notifications come in, and by what is yielded ours go out. Raises DatabaseUnreachable, inside too."""
        conn: Any = None

        async def say(text: str) -> None:
            await conn.execute("SELECT pg_notify($1, $2)", channel, text)

        try:
            conn = await self._connect()
            await conn.add_listener(channel, lambda *said: heard(str(said[3])))
            yield say
        except _ERRORS as error:
            raise meaning_of(error) from error
        finally:
            if conn is not None:
                conn.terminate()

    # connections ------------------------------------------------------------------------------

    async def _connect(self) -> asyncpg.Connection:
        # Its name in `pg_stat_activity`, by which its server process can be ended.
        name = f"headrace {secrets.token_hex(8)}"
        return await asyncpg.connect(
            dsn=self.url.dsn,
            password=self.url.password,
            timeout=_CONNECT_S,
            command_timeout=_STATEMENT_S,
            server_settings={**_SESSION, "application_name": name},
        )

    # once, and again --------------------------------------------------------------------------

    async def _patiently(self, once: Callable[[_Patience], Awaitable[T]]) -> T:
        """Try again what may pass, with growing pauses of random length, while there is patience."""
        patience = _Patience(self._patience_s)
        while True:
            try:
                return await once(patience)
            except _Again as again:
                await patience.pause(again.meaning)
            except _ERRORS as error:
                await patience.pause(meaning_of(error))

    async def _plainly(self, work: Callable[[Connection], T]) -> T:
        async with self._engine.connect() as conn, conn.begin():
            return await conn.run_sync(work)

    async def _write_once(self, work: Callable[[Connection], T], patience: _Patience) -> T:
        word = secrets.token_hex(12)
        trial: _Trial[T] = _Trial()
        async with self._engine.connect() as conn:
            trial.writer = await _name_of(conn)
            trans = await conn.begin()
            try:
                await conn.execute(_LEAVE_WORD, {"writer": trial.writer, "word": word})
                trial.result = [await conn.run_sync(work)]
                trial.committing = True
                await trans.commit()
            except _ERRORS as error:
                trial.error = error
                await _abandon(conn, trans)
        # Without a connection in hand: finding out how it ended needs one, and there are only so many.
        return trial.result[0] if trial.error is None else await self._resolve(trial, trial.error, word, patience)

    async def _resolve(self, trial: _Trial[T], error: BaseException, word: str, patience: _Patience) -> T:
        meaning = meaning_of(error)
        if isinstance(meaning, DatabaseUnreachable):
            if trial.committing:
                if await self._is_committed(trial.writer, word, patience):
                    return trial.result[0]
            else:
                # Its process may hold locks for as long as it has not noticed.
                with contextlib.suppress(*_ERRORS):
                    await self._ask(_END_OF, name=trial.writer)
        raise _Again(meaning) from error

    async def _is_committed(self, writer: str, word: str, patience: _Patience) -> bool:
        """Whether that transaction is part of the database. Raises CommitUnknown when the server cannot be asked."""
        while True:
            try:
                await self._ask(_END_OF, name=writer)
                # Once its process is gone, what it did is decided; a COMMIT still on its way reaches no process.
                while await self._ask(_LEFT_OF, name=writer):  # noqa: ASYNC110
                    await asyncio.sleep(_FIRST_PAUSE_S)
                return bool(await self._ask(_FIND_WORD, writer=writer, word=word))
            except _ERRORS as error:
                meaning = CommitUnknown("The connection to the database broke while a change was being committed.")
                await patience.pause(meaning, cause=error)

    async def _ask(self, statement: TextClause, **values: str) -> Any:
        """One statement that needs no transaction."""
        async with self._alone.connect() as conn:
            return (await conn.execute(statement, values)).scalar()


class _Trial(Generic[T]):
    """One transaction, as far as it came."""

    def __init__(self) -> None:
        self.writer = ""
        #: Empty, or what the work answered.
        self.result: list[T] = []
        self.committing = False
        self.error: BaseException | None = None


class _Again(Exception):
    """Not done; what it means if there is no patience left."""

    def __init__(self, meaning: StoreError) -> None:
        super().__init__(str(meaning))
        self.meaning = meaning


class _Patience:
    """How often, and how long, one operation is tried."""

    def __init__(self, limit_s: float) -> None:
        self._until = time.monotonic() + limit_s
        self._pauses = delays(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, jitter=0.5)
        self._duplicates = 0

    async def pause(self, meaning: StoreError, *, cause: Exception | None = None) -> None:
        """Wait a little; raises what it means once it cannot pass, or has not passed for too long."""
        if isinstance(meaning, Duplicate):
            # Somebody may have been quicker between our look and our insert: the second look sees that.
            self._duplicates += 1
            if self._duplicates > 1:
                raise meaning from cause
            return
        if not isinstance(meaning, DatabaseUnreachable | Busy | CommitUnknown) or time.monotonic() > self._until:
            raise meaning from cause
        await asyncio.sleep(next(self._pauses))


async def _name_of(conn: AsyncConnection) -> str:
    raw = await conn.get_raw_connection()
    named: Any = raw.driver_connection
    return str(named.get_settings().application_name)


async def _abandon(conn: AsyncConnection, trans: AsyncTransaction) -> None:
    """Roll back, or throw away a connection that cannot even do that."""
    try:
        await trans.rollback()
    except _ERRORS:
        await conn.invalidate()


# --- at the start ------------------------------------------------------------------------------


def _check(conn: Connection) -> None:
    """Whether what this server says is committed will be there after a power failure, and is text as we mean it."""
    server = {
        name: str(conn.execute(text(f"SHOW {name}")).scalar_one())
        for name in ("server_version_num", "server_encoding", "fsync", "full_page_writes")
    }
    if int(server["server_version_num"]) < OLDEST_VERSION * 10_000:
        raise Broken(f"PostgreSQL {server['server_version_num']} is too old; Headrace needs {OLDEST_VERSION} or newer.")
    if server["server_encoding"] != "UTF8":
        raise Broken(f"The database's encoding is {server['server_encoding']}; create it with ENCODING 'UTF8'.")
    for name in ("fsync", "full_page_writes"):
        if server[name] != "on":
            raise NotDurable(name)


def _upgrade(conn: Connection) -> None:
    # Servers that start at once take turns; the second finds nothing left to do.
    conn.execute(_UPGRADE_LOCK)
    migrations.upgrade(conn)


# --- errors ------------------------------------------------------------------------------------

#: Classes and codes of SQLSTATE: what may pass by itself.
_BUSY = (
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
    "57014",  # query_canceled: the statement's timeout
    "53300",  # too_many_connections
    "25P03",  # idle_in_transaction_session_timeout
)
_READ_ONLY = "25006"
_BAD_TEXT = ("22021", "22P05")
_AWAY = ("08", "57P01", "57P02", "57P03", "57P05")


def _cause_of(error: BaseException) -> BaseException:
    """What asyncpg raised, below SQLAlchemy's two coats."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return cause.__cause__ if isinstance(cause.__cause__, _DRIVER) else cause


def _state_of(error: BaseException) -> str:
    return str(getattr(_cause_of(error), "sqlstate", None) or "")


def meaning_of(error: BaseException) -> StoreError:
    """What an error of the driver, or of the network below it, means to us. Never shows a password."""
    state = _state_of(error)
    sentence = f"{state} {_cause_of(error)}".strip() or type(error).__name__
    if state in _BUSY:
        return Busy(sentence)
    # A standby, or a server being failed over to: another address, or a moment later, will take writes.
    if state.startswith(_AWAY) or state == _READ_ONLY:
        return DatabaseUnreachable(sentence)
    if state.startswith("53"):
        return Full(sentence) if state == "53100" else Busy(sentence)
    if isinstance(error, IntegrityError):
        return Duplicate(sentence)
    if state in _BAD_TEXT:
        return BadQuery("TEXT_INVALID", "A text holds a zero character, which PostgreSQL cannot keep; leave it out.")
    if state or isinstance(_cause_of(error), ValueError):
        return Broken(sentence)
    # It is not the server that speaks, nor the driver that cannot say what we want: there is no server.
    return DatabaseUnreachable(sentence)
