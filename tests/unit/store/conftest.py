"""One connection to each kind of database: what is shown of SQL is shown of both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection

from headrace.store import dialect, migrations
from headrace.store.database import Database
from headrace.store.urls import DatabaseUrl


@pytest.fixture(params=["sqlite", "postgresql"])
def conn(request: pytest.FixtureRequest) -> Iterator[Connection | str]:
    """A connection to a database with our schema, in a transaction."""
    if request.param == "postgresql":
        # The driver lives in an event loop: `pytest_pyfunc_call` puts the connection in this text's place.
        yield request.getfixturevalue("database_url")
        return
    with dialect.open_sqlite(None, writer=True).connect() as conn, conn.begin():
        migrations.upgrade(conn)
        yield conn


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that wants a connection to PostgreSQL where such a connection works."""
    url = pyfuncitem.funcargs.get("conn")
    if not isinstance(url, str):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    def test(conn: Connection) -> None:
        # What Hypothesis runs many times, too, is one call.
        pyfuncitem.obj(**wanted | {"conn": conn})

    async def run() -> None:
        database = await Database.open(DatabaseUrl.parse(url))
        assert database.server is not None
        engine: Any = database.server._engine
        try:
            async with engine.connect() as conn:
                await conn.run_sync(test)
        finally:
            await database.close()

    asyncio.run(run())
    return True
