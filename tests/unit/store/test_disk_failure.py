"""A disk that fails at its k-th write, sync or truncation, for each k: all that was acknowledged is there afterwards."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from faulty_disk import Disk, faulty
from headrace.store.database import Database
from headrace.store.errors import DiskFailed

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def put(conn: Connection, digest: str) -> None:
    conn.execute(text("INSERT INTO documents VALUES (:d, :b)"), {"d": digest, "b": "x" * 3000})


def checkpoint_often(conn: Connection) -> None:
    conn.exec_driver_sql("PRAGMA wal_autocheckpoint = 8")


async def a_life(path: Path, acknowledged: list[str]) -> Database | None:
    """Some writes; the database as it is in the end, if it could be opened at all."""
    try:
        database = await Database.open(path)
    except DiskFailed:
        return None
    try:
        await database.write(checkpoint_often)
        for n in range(12):
            await database.write(put, f"d{n:02}")
            acknowledged.append(f"d{n:02}")
    except DiskFailed:
        pass
    return database


def found_in(path: Path) -> list[str]:
    """What a process that starts afterwards finds: the locks of this one are not its own."""
    place = path.with_name("later")
    place.mkdir()
    for file in path.parent.glob("headrace.db*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, place / file.name)
    conn = sqlite3.connect(place / "headrace.db")
    try:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'documents'").fetchone():
            return []
        return [row[0] for row in conn.execute("SELECT digest FROM documents ORDER BY digest")]
    finally:
        conn.close()


async def length_of_a_life(tmp_path: Path) -> int:
    place = tmp_path / "whole"
    place.mkdir()
    with faulty(Disk()) as disk:
        database = await a_life(place / "headrace.db", [])
        assert database is not None
        done = disk.done
        await database.close()
    return done


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for-good"])
async def test_after_each_possible_failure_nothing_acknowledged_is_lost_and_nothing_is_touched(
    tmp_path: Path, for_good: bool
):
    length = await length_of_a_life(tmp_path)
    assert length > 100
    failed = 0
    for at in range(1, length + 1):
        place = tmp_path / str(at)
        place.mkdir()
        path, acknowledged = place / "headrace.db", []
        with faulty(Disk(at, for_good=for_good)) as disk:
            database = await a_life(path, acknowledged)
            if database is not None and database.failed.is_set():
                failed += 1
                done = disk.done
                for _ in range(2):
                    with pytest.raises(DiskFailed):
                        await database.write(put, "never")
                    with pytest.raises(DiskFailed):
                        await database.read(lambda conn: conn.execute(text("SELECT 1")).scalar())
                await database.close()
                assert disk.done == done, f"the disk was written to after it had failed at {at}"
            elif database is not None:
                await database.close()
        found = found_in(path)
        assert set(acknowledged) <= set(found), f"lost after a failure at {at}"
        # What was not acknowledged may be there, but only the one that was under way.
        assert len(found) - len(acknowledged) in (0, 1), f"after a failure at {at}"
    assert failed > 50
