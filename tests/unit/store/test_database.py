from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from headrace.store.database import Database
from headrace.store.errors import Broken, Busy, Duplicate, Full, ReadOnly, SchemaTooNew

pytestmark = pytest.mark.anyio


def put(conn: Connection, digest: str, size: int = 10) -> None:
    conn.execute(text("INSERT INTO documents VALUES (:d, :b)"), {"d": digest, "b": "x" * size})


def count(conn: Connection) -> int:
    return conn.execute(text("SELECT count(*) FROM documents")).scalar_one()


def pragma(conn: Connection, name: str) -> object:
    return conn.exec_driver_sql(f"PRAGMA {name}").scalar()


async def test_what_was_written_is_there_after_opening_again(tmp_path: Path):
    database = await Database.open(tmp_path / "headrace.db")
    await database.write(put, "a")
    await database.close()
    database = await Database.open(tmp_path / "headrace.db")
    assert await database.read(count) == 1
    await database.close()


async def test_the_file_is_kept_durable_and_checked(tmp_path: Path):
    database = await Database.open(tmp_path / "headrace.db")
    got = {name: await database.write(pragma, name) for name in ("journal_mode", "synchronous", "foreign_keys")}
    await database.close()
    assert got == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_an_operation_that_raises_leaves_nothing(tmp_path: Path):
    def half(conn: Connection) -> None:
        put(conn, "a")
        raise LookupError

    database = await Database.open(tmp_path / "headrace.db")
    with pytest.raises(LookupError):
        await database.write(half)
    assert await database.read(count) == 0
    with pytest.raises(ReadOnly):
        await database.read(put, "a")
    await database.close()


async def test_a_taken_key_is_duplicate(tmp_path: Path):
    database = await Database.open(tmp_path / "headrace.db")
    await database.write(put, "a")
    with pytest.raises(Duplicate):
        await database.write(put, "a")
    await database.close()


async def test_in_memory_readers_see_what_was_written():
    database = await Database.open(None)
    await database.write(put, "a")
    assert await database.read(count) == 1
    await database.close()


async def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path):
    path = tmp_path / "headrace.db"
    database = await Database.open(path)
    await database.close()
    with sqlite3.connect(path) as conn:
        conn.execute("INSERT INTO schema_version VALUES (999, 0)")
    conn.close()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(SchemaTooNew) as caught:
        await Database.open(path)
    assert caught.value.found == 999
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


async def test_a_newer_schema_is_seen_in_an_uncheckpointed_log(tmp_path: Path):
    path = tmp_path / "headrace.db"
    database = await Database.open(path)
    await database.write(lambda conn: conn.execute(text("INSERT INTO schema_version VALUES (999, 0)")))
    with pytest.raises(SchemaTooNew):
        await Database.open(path)
    await database.close()


async def test_a_full_disk_stops_writing_but_not_reading(tmp_path: Path):
    database = await Database.open(tmp_path / "headrace.db")
    await database.write(put, "kept")
    pages = await database.write(pragma, "page_count")
    await database.write(pragma, f"max_page_count = {pages}")
    with pytest.raises(Full):
        await database.write(put, "big", 1 << 20)
    assert await database.read(count) == 1
    await database.write(pragma, "max_page_count = 1000000")
    await database.write(put, "big", 1 << 20)
    assert await database.read(count) == 2
    await database.close()


async def test_what_is_no_database_is_broken(tmp_path: Path):
    (tmp_path / "headrace.db").write_bytes(b"certainly not a database" * 100)
    with pytest.raises(Broken):
        await Database.open(tmp_path / "headrace.db")


async def test_somebody_else_holding_the_file_is_busy(tmp_path: Path):
    database = await Database.open(tmp_path / "headrace.db")
    await database.write(pragma, "busy_timeout = 20")
    other = sqlite3.connect(tmp_path / "headrace.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy):
        await database.write(put, "a")
    other.execute("ROLLBACK")
    other.close()
    await database.write(put, "a")
    assert await database.read(count) == 1
    await database.close()


async def test_many_callers_at_once_each_get_their_own_answer(tmp_path: Path):
    database = await Database.open(tmp_path / "headrace.db")
    await asyncio.gather(*(database.write(put, f"d{n}") for n in range(50)))
    assert set(await asyncio.gather(*(database.read(count) for _ in range(20)))) == {50}
    await database.close()
