"""What was deleted gives its space back to the disk, while the database is open."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection

from headrace.store.database import Database
from headrace.store.dialect import MAX_LOG_BYTES

pytestmark = pytest.mark.anyio
BYTES = 20 << 20


def fill(conn: Connection) -> None:
    conn.exec_driver_sql("CREATE TABLE IF NOT EXISTS scratch (content BLOB)")
    for _ in range(BYTES >> 20):
        conn.exec_driver_sql("INSERT INTO scratch VALUES (randomblob(1048576))")


def empty(conn: Connection) -> None:
    conn.exec_driver_sql("DELETE FROM scratch")


def size(path: Path) -> int:
    return path.stat().st_size


async def test_the_file_is_smaller_after_a_deletion(tmp_path: Path) -> None:
    path = tmp_path / "headrace.db"
    database = await Database.open(path)
    await database.write(fill)
    await database.write(empty)
    await database.give_back_space()
    # Nothing else is written: the next write finds a short log, and the file is cut when the log goes into it.
    await database.write(empty)
    assert size(tmp_path / "headrace.db-wal") < BYTES + MAX_LOG_BYTES
    await database.close()
    assert size(path) < 2 << 20


async def test_a_file_of_an_earlier_version_is_written_again_when_much_of_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "headrace.db"
    await (await Database.open(path)).close()
    with sqlite3.connect(path, isolation_level=None) as conn:
        for statement in ("PRAGMA auto_vacuum = NONE", "VACUUM"):
            conn.execute(statement)
    conn.close()
    database = await Database.open(path)
    await database.write(fill)
    await database.write(empty)
    await database.give_back_space()  # it cannot, and says nothing
    await database.close()
    assert size(path) > BYTES
    database = await Database.open(path)
    assert size(path) < 2 << 20
    await database.write(fill)
    await database.write(empty)
    await database.give_back_space()
    await database.close()
    assert size(path) < 2 << 20


async def test_a_database_in_memory_has_no_space_to_give_back() -> None:
    database = await Database.open(None)
    await database.give_back_space()
    await database.close()
