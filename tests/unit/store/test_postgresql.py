"""A real PostgreSQL server, and what can go wrong with it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import Connection, text

from headrace.store import migrations
from headrace.store.database import Database
from headrace.store.errors import (
    BadQuery,
    BadUrl,
    Broken,
    Busy,
    CommitUnknown,
    DatabaseUnreachable,
    Duplicate,
    NotDurable,
    ReadOnly,
    SchemaTooNew,
)
from headrace.store.postgresql import Postgresql
from headrace.store.urls import DatabaseUrl
from postgres import PASSWORD, Postgres, binaries
from proxy import Fate, Proxy

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(DatabaseUrl.parse(database_url))
    yield database
    await database.close()


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    proxy = Proxy(postgres.port)
    yield proxy
    proxy.close()


@pytest.fixture
async def through(database_url: str, postgres: Postgres, proxy: Proxy) -> AsyncIterator[Postgresql]:
    """The database, reached through the proxy."""
    there = database_url.replace(f":{postgres.port}/", f":{proxy.port}/")
    database = await Postgresql.open(DatabaseUrl.parse(there), patience_s=20)
    yield database
    await database.close()


def put(conn: Connection, digest: str) -> str:
    conn.execute(text("INSERT INTO documents VALUES (:d, 'x')"), {"d": digest})
    return digest


def add(conn: Connection, amount: int) -> None:
    """Not idempotent: done twice, it shows."""
    conn.execute(text("UPDATE documents SET body = (body::int + :n)::text WHERE digest = 'sum'"), {"n": amount})


def count(conn: Connection) -> int:
    return conn.execute(text("SELECT count(*) FROM documents")).scalar_one()


def total(conn: Connection) -> int:
    return int(conn.execute(text("SELECT body FROM documents WHERE digest = 'sum'")).scalar_one())


# --- ordinary life -----------------------------------------------------------------------------


async def test_what_was_written_is_there_and_a_failed_operation_leaves_nothing(database: Database):
    def half(conn: Connection) -> None:
        put(conn, "a")
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(half)
    assert await database.write(put, "b") == "b"
    assert await database.read(count) == 1
    with pytest.raises(Duplicate):
        await database.write(put, "b")
    with pytest.raises(ReadOnly):
        await database.read(put, "c")


async def test_many_writers_at_once(database: Database):
    await asyncio.gather(*(database.write(put, f"d{n}") for n in range(100)))
    assert set(await asyncio.gather(*(database.read(count) for _ in range(20)))) == {100}


async def test_a_read_sees_one_state(database: Database):
    started, go_on = asyncio.Event(), asyncio.Event()

    def twice(conn: Connection) -> tuple[int, int]:
        from sqlalchemy.util import await_only

        first = count(conn)
        started.set()
        await_only(go_on.wait())
        return first, count(conn)

    reading = asyncio.create_task(database.read(twice))
    await started.wait()
    await database.write(put, "a")
    go_on.set()
    assert await reading == (0, 0)


async def test_find_or_insert_by_many_at_once_makes_one(database: Database):
    from headrace.store.experiments import find_or_insert_experiment
    from headrace.store.records import ExperimentRecord

    made = [ExperimentRecord(experiment_id=f"e{n}", display_name="same", created_at=1.0) for n in range(20)]
    found = await asyncio.gather(*(database.write(find_or_insert_experiment, record) for record in made))
    assert len({record.experiment_id for record in found}) == 1


async def test_a_deadlock_is_tried_again(database: Database):
    for name in ("one", "two"):
        await database.write(put, name)
    gate = itertools.count()
    both = asyncio.Event()

    def cross(conn: Connection, first: str, second: str) -> None:
        from sqlalchemy.util import await_only

        change = text("UPDATE documents SET body = body || 'y' WHERE digest = :d")
        conn.execute(change, {"d": first})
        if next(gate) == 1:
            both.set()
        await_only(both.wait())
        conn.execute(change, {"d": second})

    await asyncio.gather(database.write(cross, "one", "two"), database.write(cross, "two", "one"))
    bodies = await database.read(lambda conn: conn.execute(text("SELECT body FROM documents")).scalars().all())
    assert bodies == ["xyy", "xyy"]


async def test_what_cannot_be_said_is_broken_and_not_tried_again(database: Database):
    tries = itertools.count()

    def nul(conn: Connection) -> None:
        next(tries)
        put(conn, "a\0b")

    with pytest.raises(BadQuery) as caught:
        await database.write(nul)
    assert caught.value.code == "TEXT_INVALID"
    with pytest.raises(Broken):
        await database.write(lambda conn: conn.execute(text("SELECT * FROM nothing")))
    assert next(tries) == 1


# --- opening -----------------------------------------------------------------------------------


async def test_servers_that_start_at_once_make_the_schema_once(postgres: Postgres):
    url = DatabaseUrl.parse(postgres.url(postgres.create(schema=False)))
    opened = await asyncio.gather(*(Database.open(url) for _ in range(6)))
    versions = await opened[0].read(
        lambda conn: conn.execute(text("SELECT version FROM schema_version ORDER BY version")).scalars().all()
    )
    for database in opened:
        await database.close()
    assert versions == list(range(1, migrations.LATEST + 1))


async def test_a_newer_schema_is_refused(postgres: Postgres):
    name = postgres.create()
    postgres.sql("INSERT INTO schema_version VALUES (999, 0)", database=name)
    with pytest.raises(SchemaTooNew) as caught:
        await Database.open(DatabaseUrl.parse(postgres.url(name)))
    assert caught.value.found == 999


async def test_synchronous_commit_is_on_for_us_whatever_the_default_is(postgres: Postgres, database: Database):
    name = await database.read(lambda conn: conn.execute(text("SELECT current_database()")).scalar_one())
    postgres.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    again = await Database.open(DatabaseUrl.parse(postgres.url(name)))
    told = await again.write(lambda conn: conn.execute(text("SHOW synchronous_commit")).scalar_one())
    await again.close()
    assert told == "on"


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_loses_what_it_acknowledges_is_refused(setting: str):
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    server = Postgres(found)
    try:
        server.stop()
        server.start(**{setting: "off"})
        with pytest.raises(NotDurable) as caught:
            await Database.open(DatabaseUrl.parse(server.url("postgres")))
    finally:
        server.remove()
    assert caught.value.setting == setting


async def test_other_encodings_are_refused(postgres: Postgres):
    postgres.sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(Broken, match="UTF8"):
        await Database.open(DatabaseUrl.parse(postgres.url("latin")))


async def test_a_wrong_password_is_refused_and_not_told(postgres: Postgres):
    url = postgres.url("postgres").replace("pw%3A", "hush")
    with pytest.raises(Broken) as caught:
        await Database.open(DatabaseUrl.parse(url))
    assert "28P01" in str(caught.value)
    assert "hush" not in str(caught.value) + repr(DatabaseUrl.parse(url))


async def test_nobody_there_is_away():
    with pytest.raises(DatabaseUnreachable):
        await Postgresql.open(DatabaseUrl.parse("postgresql://me@127.0.0.1:1/x"), patience_s=0.1)


# --- addresses ---------------------------------------------------------------------------------


async def test_a_password_may_come_in_the_address_in_its_query_from_a_file_or_from_the_environment(
    postgres: Postgres, tmp_path, monkeypatch
):
    from urllib.parse import quote

    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    bare = postgres.url("postgres", password=False)
    ways = [
        DatabaseUrl.parse(postgres.url("postgres")),
        DatabaseUrl.parse(f"{bare}?password={quote(PASSWORD, safe='')}&sslmode=disable"),
        DatabaseUrl.parse(bare, password_file=file),
    ]
    for url in ways:
        assert PASSWORD not in str(url) + repr(url)
        assert "pw%3A" not in str(url) + repr(url)
        await (await Database.open(url)).close()
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    await (await Database.open(DatabaseUrl.parse(bare))).close()


async def test_an_address_may_name_several_hosts_or_the_directory_of_a_socket(postgres: Postgres, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    for told in (
        f"postgresql://headrace@127.0.0.1:1,127.0.0.1:{postgres.port}/postgres",
        f"postgresql://headrace@/postgres?host={postgres.root}&port={postgres.port}",
        f"postgresql:///postgres?user=headrace&host={postgres.root}&port={postgres.port}",
    ):
        await (await Database.open(DatabaseUrl.parse(told))).close()


@pytest.mark.parametrize(
    "told",
    ["mysql://u:sesame@h/d", "u:sesame@h", "postgresql://u:sesame@h:port/d", "sqlite:///x", "postgresql://[sesame", ""],
)
async def test_what_is_no_address_is_refused_without_showing_a_secret(told: str):
    with pytest.raises(BadUrl) as caught:
        DatabaseUrl.parse(told)
    assert "sesame" not in str(caught.value)
    assert "postgresql://" in str(caught.value)


async def test_an_unreadable_password_file_is_told(tmp_path):
    with pytest.raises(BadUrl, match="nowhere"):
        DatabaseUrl.parse("postgresql://h/d", password_file=tmp_path / "nowhere")


# --- connections that break --------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["done", "lost", "late"])
async def test_a_commit_without_an_answer_is_done_once(through: Postgresql, proxy: Proxy, fate: Fate):
    await through.write(lambda conn: conn.execute(text("INSERT INTO documents VALUES ('sum', '0')")))
    fates = iter([fate])
    proxy.fate = lambda: next(fates, "pass")
    await through.write(lambda conn: add(conn, 1))
    assert proxy.met[fate] == 1
    assert await through.read(total) == 1


async def test_many_writers_over_a_connection_that_breaks_at_every_other_commit(through: Postgresql, proxy: Proxy):
    await through.write(lambda conn: conn.execute(text("INSERT INTO documents VALUES ('sum', '0')")))
    dice = random.Random(5)
    proxy.fate = lambda: dice.choice(("pass", "pass", "done", "lost", "late"))
    await asyncio.gather(*(through.write(lambda conn, n=n: add(conn, n)) for n in range(1, 41)))
    proxy.fate = lambda: "pass"
    assert await through.read(total) == sum(range(1, 41))
    assert min(proxy.met.values()) > 0


async def test_a_connection_cut_before_the_commit_is_tried_again(through: Postgresql, proxy: Proxy):
    tries = itertools.count()

    def cut_once(conn: Connection) -> None:
        put(conn, "a")
        if next(tries) == 0:
            proxy.cut()
        conn.execute(text("SELECT pg_sleep(0.2)"))

    await through.write(cut_once)
    assert await through.read(count) == 1
    assert next(tries) == 2


async def test_who_cannot_find_out_says_so(database_url: str, postgres: Postgres, proxy: Proxy):
    there = database_url.replace(f":{postgres.port}/", f":{proxy.port}/")
    database = await Postgresql.open(DatabaseUrl.parse(there), patience_s=0.3)

    def go_dark() -> Fate:
        proxy.dark = True
        proxy.cut()
        return "done"

    proxy.fate = go_dark
    with pytest.raises(CommitUnknown):
        await database.write(lambda conn: put(conn, "a"))
    with pytest.raises(DatabaseUnreachable):
        await database.read(count)
    proxy.dark, proxy.fate = False, lambda: "pass"
    assert await database.read(count) in (0, 1)
    await database.close()


async def test_a_crash_of_the_server_is_waited_out(database_url: str):
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    server = Postgres(found)
    try:
        database = await Postgresql.open(DatabaseUrl.parse(server.url(server.create())), patience_s=30)
        await database.write(lambda conn: conn.execute(text("INSERT INTO documents VALUES ('sum', '0')")))

        async def crash() -> None:
            for _ in range(2):
                await asyncio.to_thread(server.restart)

        crashing = asyncio.create_task(crash())

        async def work() -> int:
            done = 0
            while not crashing.done() or not done:
                await database.write(lambda conn: add(conn, 1))
                done += 1
            return done

        done = await asyncio.gather(*(work() for _ in range(4)))
        await crashing
        assert await database.read(total) == sum(done)
        await database.close()
    finally:
        server.remove()


async def test_who_waits_for_a_lock_too_long_is_told_busy(database: Database):
    await database.write(put, "a")

    def hurried(conn: Connection) -> None:
        conn.execute(text("SET LOCAL lock_timeout = '20ms'"))
        conn.execute(text("UPDATE documents SET body = 'z'"))

    taken, let_go = asyncio.Event(), asyncio.Event()

    def hold(conn: Connection) -> None:
        from sqlalchemy.util import await_only

        conn.execute(text("UPDATE documents SET body = 'y'"))
        taken.set()
        await_only(let_go.wait())

    assert database.server is not None
    database.server._patience_s = 0.1
    holding = asyncio.create_task(database.write(hold))
    await taken.wait()
    with pytest.raises(Busy):
        await database.write(hurried)
    let_go.set()
    await holding
