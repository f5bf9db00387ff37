"""The power goes at any moment of a life of the service: what was acknowledged is there, and what is there is whole.

The life is real (the service, its store, its artifacts, SQLite as it is installed); what it did to the disk is recorded
and played back up to a cut, and from what was not synced by then a state is drawn that the disk may be in (see `disk`).
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from headrace import engine
from headrace.engine.model import Kind
from headrace.spec.document import parse_document
from headrace.store import runs as rows
from headrace.store.dialect import open_sqlite
from powerloss.disk import Disk, Found
from powerloss.recorder import DirectorySynced, FileSynced, Synced

pytestmark = pytest.mark.slow

STATES = int(os.environ.get("HEADRACE_POWER_LOSSES", "20000"))
GROUPS = 4
#: One state in so many is opened by the store itself, and its runs are taken up.
OPENED = 100
_TESTS = Path(__file__).parents[1]
_DATABASE = ("data", "home", "headrace.db")


class Trace:
    """What a life did to the disk."""

    def __init__(self, place: Path, seed: int) -> None:
        out = place / "trace"
        subprocess.run(
            [sys.executable, str(_TESTS / "powerloss" / "recorder.py"), str(place), str(seed), str(out)], check=True,
            env={**os.environ, "PYTHONPATH": str(_TESTS)},
        )  # fmt: skip
        self.root, self.top, self.log = pickle.loads(out.read_bytes())


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A directory to write states to, in memory where there is such a thing."""
    shm = Path("/dev/shm")
    with TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as place:
        yield Path(place)


@pytest.mark.parametrize("group", range(GROUPS))
def test_nothing_acknowledged_is_lost(group: int, tmp_path: Path, memory: Path) -> None:
    trace = Trace(tmp_path, group)
    play(trace, trace.log, STATES // GROUPS, group, memory)


@pytest.mark.parametrize("lie", [Synced, FileSynced, DirectorySynced])
def test_a_disk_that_does_not_sync_is_found_out(lie: type, tmp_path: Path, memory: Path) -> None:
    """The check itself: without one kind of sync, something acknowledged is lost sooner or later."""
    trace = Trace(tmp_path, 1)
    # Of directories, those of the artifacts: SQLite's own are part of making the database.
    start = len(trace.log) // 10
    log = [op for n, op in enumerate(trace.log) if n < start or not isinstance(op, lie)]
    with pytest.raises(AssertionError):
        play(trace, log, 1000, 1, memory)


def play(trace: Trace, log: list[Any], states: int, seed: int, memory: Path) -> None:
    """Cut the log at `states` places, evenly, and look at a disk of each."""
    rng, disk, done = Random(seed), Disk(), 0
    digests: dict[int, str] = {}
    for n, operation in enumerate(log, start=1):
        disk.apply(operation)
        while done < n * states // len(log):
            done += 1
            found = disk.crashed(rng)
            try:
                check(trace, disk, found, memory, digests, opened=done % OPENED == 0)
            except (AssertionError, sqlite3.Error) as error:
                raise AssertionError(
                    f"state {done} of seed {seed}, after operation {n} of {len(log)}: {error}"
                ) from error
    assert done == states


def check(trace: Trace, disk: Disk, found: Found, memory: Path, digests: dict[int, str], *, opened: bool) -> None:
    path = put(trace, found, memory)
    if path is None:
        # Nothing was acknowledged before there was a database.
        assert not disk.acknowledged, "the database is gone"
        return
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master")}
        if "runs" not in tables:
            assert not disk.acknowledged, "the tables are gone"
            return
        check_runs(disk, conn)
        check_artifacts(trace, found, conn, digests)
    if opened:
        take_up(path)


def put(trace: Trace, found: Found, memory: Path) -> Path | None:
    """SQLite's files, as they are found, to be opened."""
    target = memory / "headrace.db"
    for suffix in ("", "-wal", "-journal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    here = resolve(found, trace.top, _DATABASE[:-1])
    names = found.entries.get(here, {}) if here is not None else {}
    if _DATABASE[-1] not in names:
        return None
    for suffix in ("", "-wal", "-journal"):
        number = names.get(_DATABASE[-1] + suffix)
        if number is not None:
            target.with_name(target.name + suffix).write_bytes(found.written.get(number, b""))
    return target


def resolve(found: Found, top: int, names: tuple[str, ...]) -> int | None:
    """The file or directory at this path."""
    at: int | None = top
    for name in names:
        at = found.entries.get(at, {}).get(name) if at is not None else None
    return at


def check_runs(disk: Disk, conn: sqlite3.Connection) -> None:
    versions = {
        run: (version, count) for run, version, count in conn.execute("SELECT run_id, version, event_count FROM runs")
    }
    for run_id, version in disk.acknowledged.items():
        if version is None:
            assert run_id not in versions, f"run {run_id} was deleted and is back"
        elif run_id in versions:
            assert versions[run_id][0] >= version, f"run {run_id} is at {versions[run_id]}, acknowledged was {version}"
        else:
            assert run_id in disk.going, f"run {run_id} is gone"
    logs = dict(conn.execute("SELECT run_id, count(*) FROM run_events GROUP BY run_id"))
    assert logs == {run: count for run, (_, count) in versions.items() if count}, (
        "logs are not as long as they should be"
    )
    newest = dict(conn.execute("SELECT run_id, max(version) FROM executions GROUP BY run_id"))
    assert newest.keys() == versions.keys()
    assert all(newest[run] <= version for run, (version, _) in versions.items()), "an execution is newer than its run"


def check_artifacts(trace: Trace, found: Found, conn: sqlite3.Connection, digests: dict[int, str]) -> None:
    orphans = """SELECT count(*) FROM execution_artifacts x LEFT JOIN artifacts a USING (artifact_id)
        WHERE a.artifact_id IS NULL"""
    assert conn.execute(orphans).fetchone() == (0,), "an execution names an artifact that is not there"
    for uri, digest in conn.execute("SELECT uri, digest FROM artifacts"):
        path = Path(unquote(urlsplit(uri).path)).relative_to(trace.root)
        number = resolve(found, trace.top, path.parts)
        assert number is not None, f"artifact {path} is gone"
        assert digest_of(found, number, digests) == digest, f"artifact {path} is not what it was"


def digest_of(found: Found, number: int, digests: dict[int, str]) -> str:
    """Of a file its sha256; of a directory, of the lines `<sha256> <size> <name>` of its files, by name."""
    if number in found.contents:
        if number not in digests:
            digests[number] = hashlib.sha256(found.contents[number]).hexdigest()
        return digests[number]
    assert number in found.entries, "something in the artifact was never synced"
    lines = sorted(
        (name, f"{digest_of(found, n, digests)} {len(found.contents[n])} {name}\n")
        for name, n in files(found, number, "")
    )
    return hashlib.sha256("".join(line for _, line in lines).encode()).hexdigest()


def files(found: Found, directory: int, prefix: str) -> Iterator[tuple[str, int]]:
    for name, number in found.entries[directory].items():
        if number in found.contents:
            yield prefix + name, number
        else:
            assert number in found.entries, f"{name} in the artifact was never synced"
            yield from files(found, number, f"{prefix}{name}/")


def take_up(path: Path) -> None:
    """The store opens the file, and every run in it can be gone on with."""
    opened = open_sqlite(path, writer=True)
    with opened.connect() as conn, conn.begin():
        for run_id in [run for (run,) in conn.exec_driver_sql("SELECT run_id FROM runs").all()]:
            stored = rows.load_run(conn, run_id)
            document = rows.get_document(conn, run_id)
            assert stored is not None and document is not None
            plan = engine.plan(parse_document(*document))
            state = engine.restore(plan, stored.header, stored.executions)
            assert state.state is stored.record.state
            root = state.executions[""]
            assert root.kind is Kind.ROOT and root.state.final == state.state.final
            assert not state.state.final or engine.outstanding(plan, state) == ()
    opened.dispose()
