"""Every usual list of runs is a walk along an index, however many runs there are: it neither sorts nor reads them all."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from headrace.store import runs
from headrace.store.queries import MOST_COUNTED
from headrace.store.records import ListQuery, Predicate

SECRET = b"k" * 32


def where(key: str, value: Any, operation: str = "EQUALS") -> tuple[Predicate, ...]:
    return (Predicate(key=key, operation=operation, value=value),)


AVAILABLE = where("storage_state", "AVAILABLE")
NARROWED: dict[str, dict[str, Any]] = {
    "all": {},
    "available": {"predicates": AVAILABLE},
    "archived": {"predicates": where("storage_state", "ARCHIVED")},
    "a state": {"predicates": where("state", "FAILED")},
    "some states": {"predicates": where("state", ["FAILED", "CANCELED"], "IN")},
    "an available state": {"predicates": (*AVAILABLE, *where("state", "FAILED"))},
    "an experiment": {"experiment_id": "e"},
    "available of an experiment": {"experiment_id": "e", "predicates": AVAILABLE},
    "a recurring run": {"predicates": where("recurring_run_id", "r")},
    "a time": {"predicates": (*where("created_at", 5, "GREATER_THAN"), *where("created_at", 9, "LESS_THAN"))},
}
SORTED = ("created_at", "finished_at", "scheduled_at", "name")
#: Their runs are few beside all, and by other keys they are sorted when they are asked for.
BY_CREATION_ONLY = ("an experiment", "available of an experiment", "a recurring run", "a time")


def statements(conn: Connection, query: ListQuery) -> list[tuple[str, Any]]:
    """What is asked of the database for a page: SQL and its values."""
    seen: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        seen.append((statement, values))

    event.listen(conn, "before_cursor_execute", note)
    try:
        runs.list_runs(conn, query, SECRET)
    finally:
        event.remove(conn, "before_cursor_execute", note)
    return seen


def steps(conn: Connection, statement: str, values: Any) -> str:
    """How the database would do it."""
    if conn.dialect.name == "sqlite":
        rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
        return "\n".join(str(row[3]) for row in rows)
    return "\n".join(row[0] for row in conn.exec_driver_sql(f"EXPLAIN {statement}", values).all())


@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize(
    ("name", "sort_by"),
    [
        (name, sort_by)
        for name in NARROWED
        for sort_by in SORTED
        if sort_by == "created_at" or name not in BY_CREATION_ONLY
    ],
)
def test_a_list_walks_along_an_index(conn: Connection, name: str, sort_by: str, descending: bool) -> None:
    if conn.dialect.name == "postgresql":
        # Of an empty table it would read all, and sort nothing.
        for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
            conn.execute(text(f"SET LOCAL {setting} = off"))
    query = ListQuery(page_size=50, sort_by=sort_by, descending=descending, **NARROWED[name])
    for statement, values in statements(conn, query):
        done = steps(conn, statement, values)
        for line in done.splitlines():
            assert "TEMP B-TREE FOR ORDER BY" not in line, f"it sorts:\n{done}"
            assert not line.strip().startswith("Sort"), f"it sorts:\n{done}"
            assert not line.startswith("SCAN runs") or "USING" in line, f"it reads the whole table:\n{done}"
            assert "Seq Scan on runs" not in line, f"it reads the whole table:\n{done}"


def test_runs_are_counted_up_to_a_number(conn: Connection) -> None:
    (count, _) = statements(conn, ListQuery())
    assert "LIMIT" in count[0]
    assert MOST_COUNTED in list(count[1].values() if isinstance(count[1], dict) else count[1])
