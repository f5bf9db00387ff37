"""All that is peculiar to one database: opening it, beginning a transaction, reading its errors, upserts.

Everything else in this room is SQL that both databases understand.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import DOUBLE_PRECISION, Connection, Engine, Table, Text, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.functions import FunctionElement

from headrace.store.errors import Broken, Busy, DiskFailed, Duplicate, Full, ReadOnly, StoreError

_log = logging.getLogger(__name__)

#: What the drivers raise; `translate` says what it means.
DRIVER_ERRORS = (DBAPIError, sqlite3.Error)

#: How long a statement waits for another process that holds the file (a backup, a person with `sqlite3`).
BUSY_TIMEOUT_MS = 10_000

#: The file of the write-ahead log is cut to this once its content is in the database.
MAX_LOG_BYTES = 16 << 20
#: An auto_vacuum that gives free pages back when it is asked to.
_INCREMENTAL = 2
#: A file of an earlier version is written again when so many of its pages are free, and at least a quarter.
_MANY_FREE_PAGES = 2000

_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    # FULL, not NORMAL: what was acknowledged survives a power loss.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
)


def open_sqlite(path: Path | None, *, writer: bool) -> Engine:
    """An engine whose connections see this file, or (None) a database of their own in memory."""
    # NullPool: the thread that uses the one connection keeps it.
    engine = create_engine("sqlite://", creator=lambda: _connect(path, writer=writer), poolclass=NullPool)
    # BEGIN IMMEDIATE takes the write lock at once, so no transaction fails half-way by wanting it later.
    begin = "BEGIN IMMEDIATE" if writer else "BEGIN"

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        conn.exec_driver_sql(begin)

    return engine


def _connect(path: Path | None, *, writer: bool) -> sqlite3.Connection:
    # isolation_level None: sqlite3 begins no transactions of its own; the "begin" listener does.
    conn = sqlite3.connect(":memory:" if path is None else path, isolation_level=None, check_same_thread=True)
    for pragma in _PRAGMAS:
        conn.execute(pragma)
    # SQLite's own knows the 26 letters only.
    conn.create_function("lower", 1, _lower, deterministic=True)
    conn.create_function("clock_now", 0, _clock_now)
    if path is None:
        return conn
    if writer:
        # Before there is a table: free pages can then be given back. Files of earlier versions: see `make_shrinkable`.
        conn.execute("PRAGMA auto_vacuum = INCREMENTAL")
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute(f"PRAGMA journal_size_limit = {MAX_LOG_BYTES}")
    else:
        conn.execute("PRAGMA query_only = ON")
    return conn


def _lower(value: object) -> str | None:
    return None if value is None else str(value).lower()


def _clock_now() -> float:
    return time.time()


def make_shrinkable(path: Path) -> None:
    """Let a file of an earlier version give its free pages back: when it has many, it is written again as a whole.

    Without room for that, or while another process reads the file, it stays as it is.
    """
    conn = sqlite3.connect(path, isolation_level=None)
    try:
        pages, free, mode = (
            conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "auto_vacuum")
        )
        if mode != _INCREMENTAL and free >= _MANY_FREE_PAGES and free * 4 >= pages:
            conn.execute("PRAGMA auto_vacuum = INCREMENTAL")
            conn.execute("VACUUM")
    except sqlite3.Error:
        _log.warning("%s could not be made smaller", path, exc_info=True)
    finally:
        conn.close()


def give_back(conn: Connection, pages: int) -> int:
    """Cut so many free pages off the file, in the caller's transaction; how many are left. 0 for other databases."""
    if conn.dialect.name != "sqlite":
        return 0
    # Each step of it frees one page: it must be read to its end.
    raw = conn.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    if raw.execute("PRAGMA auto_vacuum").fetchone()[0] != _INCREMENTAL:
        return 0
    raw.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
    return int(raw.execute("PRAGMA freelist_count").fetchone()[0])


def peek_version(path: Path) -> int:
    """The schema version of a database file, without changing a byte of it; 0 when there is none."""
    if not path.exists() or path.stat().st_size == 0:
        return 0
    # Without a log beside it the file is the whole truth; `immutable` then leaves no -shm file behind.
    mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "immutable=1"
    conn = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
    try:
        found = conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
        return int(conn.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0]) if found else 0
    except sqlite3.DatabaseError as error:
        raise Broken(f"{path.name} cannot be read as a database: {error}") from error
    finally:
        conn.close()


class bytewise(FunctionElement[str]):  # noqa: N801 - it is written like a function of SQL
    """A text that compares by its bytes, as all do in SQLite, and not by the language of the database."""

    inherit_cache = True
    type = Text()


@compiles(bytewise)
def _as_it_is(element: bytewise, compiler: Any, **words: Any) -> str:
    return str(compiler.process(element.clauses, **words))


@compiles(bytewise, "postgresql")
def _in_bytes(element: bytewise, compiler: Any, **words: Any) -> str:
    return f'({compiler.process(element.clauses, **words)}) COLLATE "C"'


class database_now(FunctionElement[float]):  # noqa: N801 - it is written like a function of SQL
    """Seconds since the epoch by the database's own clock, at this very moment."""

    inherit_cache = True
    type = DOUBLE_PRECISION()


@compiles(database_now)
def _now_in_sqlite(element: database_now, compiler: Any, **words: Any) -> str:
    return "clock_now()"


@compiles(database_now, "postgresql")
def _now_in_postgresql(element: database_now, compiler: Any, **words: Any) -> str:
    return "extract(epoch FROM clock_timestamp())::double precision"


def _postgresql() -> Any:
    # A tenth of a second to import, and only for those who use it.
    from sqlalchemy.dialects import postgresql

    return postgresql


def upsert(conn: Connection, table: Table, rows: Sequence[dict[str, Any]], *, update: tuple[str, ...] = ()) -> None:
    """Insert rows; where the primary key is taken, set the `update` columns (none: leave the row as it is)."""
    if rows:
        conn.execute(_upsert(conn.dialect.name, table, update), list(rows))


@functools.cache
def _upsert(dialect: str, table: Table, update: tuple[str, ...]) -> Any:
    # Kept: making the statement costs as much as executing it.
    insert: Any = (sqlite if dialect == "sqlite" else _postgresql()).insert(table)
    keys = [column.name for column in table.primary_key]
    if not update:
        return insert.on_conflict_do_nothing(index_elements=keys)
    return insert.on_conflict_do_update(index_elements=keys, set_={name: insert.excluded[name] for name in update})


def translate(error: DBAPIError | sqlite3.Error) -> StoreError:
    """What a driver's error means to us."""
    if isinstance(error, IntegrityError | sqlite3.IntegrityError):
        return Duplicate(str(error.orig if isinstance(error, DBAPIError) else error))
    cause = error.orig if isinstance(error, DBAPIError) else error
    name = str(getattr(cause, "sqlite_errorname", ""))
    for prefix, kind in _KINDS:
        if name.startswith(prefix):
            return kind(f"{name}: {cause}")
    return Broken(f"{name or type(cause).__name__}: {cause}")


_KINDS: tuple[tuple[str, type[StoreError]], ...] = (
    ("SQLITE_FULL", Full),
    # The shared-memory file could not grow: the disk is full.
    ("SQLITE_IOERR_SHMSIZE", Full),
    ("SQLITE_READONLY", ReadOnly),
    ("SQLITE_BUSY", Busy),
    ("SQLITE_LOCKED", Busy),
    # EIO, a failed fsync, a page that is not what was written.
    ("SQLITE_IOERR", DiskFailed),
    ("SQLITE_CORRUPT", DiskFailed),
)
