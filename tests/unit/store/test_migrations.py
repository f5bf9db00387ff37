from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from headrace.store import artifacts, dialect, leases, migrations, runs, tables
from headrace.store.database import Database
from headrace.store.errors import SchemaTooNew
from headrace.store.urls import DatabaseUrl

#: Of SQLite.
pytestmark = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")


def indexes(conn: Connection, table: str, schema: str | None) -> list[tuple[Any, ...]]:
    """The indexes of a table. SQLAlchemy leaves out those of expressions in SQLite: their statements are compared."""
    found = [
        (i["name"], tuple(i["column_names"]), str(i.get("expressions", "")), i["unique"])
        for i in inspect(conn).get_indexes(table, schema)
    ]
    if conn.dialect.name == "sqlite":
        named = {one[0] for one in found}
        query = text(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :name AND sql IS NOT NULL"
        )
        rows = conn.execute(query, {"name": table}).all()
        found += [(row.name, (), " ".join(row.sql.split()), 0) for row in rows if row.name not in named]
    return sorted(found)


def shape(conn: Connection, schema: str | None = None) -> dict[str, Any]:
    """Everything that makes two schemas differ."""
    seen = inspect(conn)
    return {
        name: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"], c["default"], c.get("primary_key"))
                for c in seen.get_columns(name, schema)
            ],
            "indexes": indexes(conn, name, schema),
            "foreign": sorted(
                (tuple(f["constrained_columns"]), f["referred_table"], f["options"].get("ondelete"))
                for f in seen.get_foreign_keys(name, schema)
            ),
            "unique": sorted((u["name"], tuple(u["column_names"])) for u in seen.get_unique_constraints(name, schema)),
            "key": seen.get_pk_constraint(name, schema)["constrained_columns"],
        }
        for name in seen.get_table_names(schema)
    }


def test_all_migrations_end_where_the_tables_say():
    with dialect.open_sqlite(None, writer=True).connect() as walked, walked.begin():
        migrations.upgrade(walked)
        by_migrations = shape(walked)
    with dialect.open_sqlite(None, writer=True).connect() as made, made.begin():
        tables.metadata.create_all(made)
        from_scratch = shape(made)
    assert by_migrations == from_scratch


def test_they_end_where_the_tables_say_on_postgresql_too(database_url: str):
    def compare(conn: Connection) -> None:
        by_migrations = shape(conn, "public")
        conn.execute(text("CREATE SCHEMA scratch"))
        conn.execute(text("SET search_path = scratch"))
        tables.metadata.create_all(conn)
        assert shape(conn, "scratch") == by_migrations

    async def run() -> None:
        database = await Database.open(DatabaseUrl.parse(database_url))
        try:
            await database.write(compare)
        finally:
            await database.close()

    asyncio.run(run())


def test_what_an_older_database_holds_is_kept():
    first = migrations.MIGRATIONS[:1]
    with dialect.open_sqlite(None, writer=True).connect() as conn, conn.begin():
        migrations.upgrade(conn, first)
        conn.execute(text("INSERT INTO documents VALUES ('d', '[{}, null]')"))
        conn.execute(
            text(
                "INSERT INTO runs (run_id, display_name, experiment_id, pipeline_name, state, archived, parameters, "
                "created_at, scheduled_at, state_history, task_counts, version, event_count, document, head) VALUES "
                "('r', 'old', 'e', 'p', 'SUCCEEDED', 0, '{}', 1, 1, '[]', '{}', 3, 2, 'd', '{}')"
            )
        )
        assert migrations.upgrade(conn) == 1
        record = runs.get_run(conn, "r")
        assert record is not None
        assert (record.display_name, record.version) == ("old", 3)
        assert record.created_by == "local"
        assert conn.execute(text("SELECT lease_owner, executor_domains FROM runs")).all() == [(None, None)]


def test_a_place_becomes_a_domain_beside_that_of_importers():
    before = migrations.MIGRATIONS[:4]
    with dialect.open_sqlite(None, writer=True).connect() as conn, conn.begin():
        migrations.upgrade(conn, before)
        conn.execute(text("INSERT INTO documents VALUES ('d', '[{}, null]')"))
        conn.execute(text("INSERT INTO servers VALUES ('s', 'ab-12', '', 1, 2)"))
        for name, place in (("with", "'ab-12'"), ("without", "NULL")):
            conn.execute(
                text(
                    "INSERT INTO runs (run_id, display_name, experiment_id, pipeline_name, state, archived, "
                    "parameters, created_at, scheduled_at, state_history, task_counts, version, event_count, document, "
                    f"head, place) VALUES ('{name}', 'n', 'e', 'p', 'RUNNING', 0, '{{}}', 1, 1, '[]', '{{}}', 3, 2, "
                    f"'d', '{{}}', {place})"
                )
            )
        migrations.upgrade(conn)
        assert leases.domains_of(conn, ["with", "without"]) == {
            "with": frozenset({"ab-12", "anywhere"}),
            "without": None,
        }
        domains = conn.execute(text("SELECT executor_domains FROM servers")).scalar_one()
        assert leases.encode_domains(frozenset({"ab-12", "anywhere"})) == domains


def test_artifacts_of_an_older_database_get_the_namespace_of_their_run():
    with dialect.open_sqlite(None, writer=True).connect() as conn, conn.begin():
        migrations.upgrade(conn, migrations.MIGRATIONS[:4])
        conn.execute(text("INSERT INTO documents VALUES ('d', '[{}, null]')"))
        conn.execute(
            text(
                "INSERT INTO runs (run_id, display_name, experiment_id, namespace, pipeline_name, state, archived, "
                "parameters, created_at, scheduled_at, state_history, task_counts, version, event_count, document, "
                "head) VALUES ('r', 'old', 'e', 'team', 'p', 'SUCCEEDED', false, '{}', 1, 1, '[]', '{}', 3, 2, 'd', "
                "'{}')"
            )
        )
        for name, run_id in (("made", "'r'"), ("shared", "NULL")):
            conn.execute(
                text(
                    "INSERT INTO artifacts (artifact_id, name, schema_title, schema_version, uri, metadata, "
                    f"size_bytes, run_id, created_at, is_directory) VALUES ('{name}', 'a', 't', '1', 'u', '{{}}', 1, "
                    f"{run_id}, 1, false)"
                )
            )
        migrations.upgrade(conn)
        found = artifacts.get_artifacts(conn, ["made", "shared"])
        assert {name: (one.namespace, one.created_by) for name, one in found.items()} == {
            "made": ("team", "local"),
            "shared": ("", "local"),
        }


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
        with pytest.raises(SchemaTooNew) as caught:
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


@pytest.mark.parametrize(
    ("uri", "owned"),
    [
        ("file:///data/artifacts/r/EXECUTION/1/model", True),
        ("file:///data/artifacts/r/another/1/model", False),
        ("file:///data/EXECUTION", False),
        ("s3://bucket/root/p/r/task/EXECUTION-1/model", True),
        ("s3://bucket/root/p/r/task/another-1/model", False),
        ("s3://bucket/EXECUTION/1/model", False),
        ("https://example.org/model", False),
        ("/data/model", False),
    ],
)
def test_content_of_an_older_database_is_owned_where_its_uri_names_its_execution(uri: str, owned: bool):
    execution = "0ec536bd-00a5-56e8-a903-32c5eff4d952"
    with dialect.open_sqlite(None, writer=True).connect() as conn, conn.begin():
        migrations.upgrade(conn, migrations.MIGRATIONS[:6])
        for name, made_by in (("made", f"'{execution}'"), ("unknown", "NULL")):
            conn.execute(
                text(
                    "INSERT INTO artifacts (artifact_id, name, schema_title, schema_version, uri, metadata, "
                    f"size_bytes, execution_id, created_at, is_directory) VALUES ('{name}', 'a', 't', '1', :uri, "
                    f"'{{}}', 1, {made_by}, 1, false)"
                ),
                {"uri": uri.replace("EXECUTION", execution)},
            )
        migrations.upgrade(conn)
        found = artifacts.get_artifacts(conn, ["made", "unknown"])
        assert {name: record.owned for name, record in found.items()} == {"made": owned, "unknown": False}
