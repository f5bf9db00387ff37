from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from headrace.store import dialect, migrations, tables
from headrace.store.errors import Newer


def shape(conn: Connection) -> dict[str, Any]:
    """Everything that makes two schemas differ."""
    seen = inspect(conn)
    return {
        name: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"], c["default"], c["primary_key"])
                for c in seen.get_columns(name)
            ],
            "indexes": sorted((i["name"], tuple(i["column_names"]), i["unique"]) for i in seen.get_indexes(name)),
            "foreign": sorted(
                (tuple(f["constrained_columns"]), f["referred_table"], f["options"].get("ondelete"))
                for f in seen.get_foreign_keys(name)
            ),
            "unique": sorted((u["name"], tuple(u["column_names"])) for u in seen.get_unique_constraints(name)),
            "key": seen.get_pk_constraint(name)["constrained_columns"],
        }
        for name in seen.get_table_names()
    }


def test_all_migrations_end_where_the_tables_say():
    with dialect.open_sqlite(None, writer=True).connect() as walked, walked.begin():
        migrations.upgrade(walked)
        by_migrations = shape(walked)
    with dialect.open_sqlite(None, writer=True).connect() as made, made.begin():
        tables.metadata.create_all(made)
        from_scratch = shape(made)
    assert by_migrations == from_scratch


def test_upgrading_twice_changes_nothing():
    with dialect.open_sqlite(None, writer=True).connect() as conn, conn.begin():
        assert migrations.upgrade(conn) == 0
        before = shape(conn)
        assert migrations.upgrade(conn) == migrations.LATEST
        assert shape(conn) == before
        assert migrations.current_version(conn) == migrations.LATEST


def test_only_the_missing_steps_are_walked():
    def second(conn: Connection) -> None:
        conn.execute(text("CREATE TABLE later (id TEXT)"))

    with dialect.open_sqlite(None, writer=True).connect() as conn, conn.begin():
        migrations.upgrade(conn)
        assert migrations.upgrade(conn, [*migrations.MIGRATIONS, second]) == migrations.LATEST
        assert inspect(conn).has_table("later")
        with pytest.raises(Newer) as caught:
            migrations.upgrade(conn)
    assert (caught.value.found, caught.value.known) == (migrations.LATEST + 1, migrations.LATEST)


def test_a_failed_migration_leaves_nothing_behind():
    def bad(conn: Connection) -> None:
        conn.execute(text("CREATE TABLE half (id TEXT)"))
        raise RuntimeError("power cut")

    with dialect.open_sqlite(None, writer=True).connect() as conn:
        with conn.begin():
            migrations.upgrade(conn)
        with pytest.raises(RuntimeError), conn.begin():
            migrations.upgrade(conn, [*migrations.MIGRATIONS, bad])
        with conn.begin():
            assert not inspect(conn).has_table("half")
            assert migrations.current_version(conn) == migrations.LATEST
