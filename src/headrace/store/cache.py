"""Outputs that may be used again, by fingerprint, within one namespace and pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, or_, select

from headrace.engine.model import Bundle
from headrace.store import codec
from headrace.store.dialect import upsert
from headrace.store.queries import Key, Noun, fetch_page
from headrace.store.records import ListQuery, Page, Record
from headrace.store.tables import artifacts, cache_entries

T = TypeVar("T")
_c = cache_entries.c
#: Bound values of one statement; SQLite takes 32,766, older ones 999.
_AT_ONCE = 500
#: Newest entries of a task among which the nearest is looked for.
_NEAR = 8

_NOUN = Noun(
    name="cache entry",
    id=_c.execution_id,
    namespace=_c.namespace,
    keys={
        "created_at": Key(column=_c.created_at, time=True),
        "pipeline_name": Key(column=_c.pipeline_name),
        "task": Key(column=_c.task),
        "run_id": Key(column=_c.run_id),
        "fingerprint": Key(column=_c.fingerprint),
    },
)


class CacheKey(Record, frozen=True, kw_only=True):
    """What an entry is found by."""

    namespace: str
    pipeline_name: str
    fingerprint: str


class CacheEntry(Record, frozen=True, kw_only=True):
    """Outputs of an execution that succeeded."""

    key: CacheKey
    execution_id: str
    run_id: str
    #: The execution's path without iterations.
    task: str = ""
    #: What the fingerprint was made from, as `engine.shown_parts` tells it.
    parts: dict[str, str] = {}
    outputs: Bundle
    created_at: float


class CacheFilter(Record, frozen=True, kw_only=True):
    """Which entries; those that fit all that is given."""

    namespace: str | None = None
    #: Entries of these namespaces only; None: of all.
    namespaces: frozenset[str] | None = None
    pipeline_name: str | None = None
    task: str | None = None
    run_id: str | None = None
    fingerprint: str | None = None
    #: Entries that one of these executions wrote.
    execution_ids: tuple[str, ...] | None = None
    #: Entries older than this, in seconds since the epoch.
    before: float | None = None


Found: TypeAlias = CacheEntry | None


def put_entries(conn: Connection, entries: Sequence[CacheEntry]) -> None:
    """The newest entry of a key counts."""
    upsert(
        conn,
        cache_entries,
        [
            {
                "namespace": entry.key.namespace,
                "pipeline_name": entry.key.pipeline_name,
                "fingerprint": entry.key.fingerprint,
                "execution_id": entry.execution_id,
                "run_id": entry.run_id,
                "task": entry.task,
                "parts": codec.encode(entry.parts),
                "outputs": codec.encode(entry.outputs),
                "created_at": entry.created_at,
            }
            for entry in entries
        ],
        update=("execution_id", "run_id", "task", "parts", "outputs", "created_at"),
    )


def look_up(conn: Connection, keys: Sequence[CacheKey]) -> list[Found]:
    """An entry for each key, or None. Whether its artifacts are still there: see `lost_artifacts`."""
    found: dict[CacheKey, CacheEntry] = {}
    for (namespace, pipeline), marks in _by_pipeline(keys).items():
        for some in _chunks(marks):
            where = (_c.namespace == namespace, _c.pipeline_name == pipeline, _c.fingerprint.in_(some))
            found.update((entry.key, entry) for entry in map(_entry, conn.execute(select(cache_entries).where(*where))))
    return [found.get(key) for key in keys]


def lost_artifacts(conn: Connection, wanted: Iterable[str]) -> set[str]:
    """Ids among these that no artifact has."""
    ids = set(wanted)
    there: set[str] = set()
    for some in _chunks(ids):
        there.update(conn.execute(select(artifacts.c.artifact_id).where(artifacts.c.artifact_id.in_(some))).scalars())
    return ids - there


def newest_of_task(conn: Connection, namespace: str, pipeline_name: str, task: str) -> list[CacheEntry]:
    """The last few entries of one task of a pipeline, newest first: what a miss is compared with."""
    where = (_c.namespace == namespace, _c.pipeline_name == pipeline_name, _c.task == task)
    rows = select(cache_entries).where(*where).order_by(_c.created_at.desc(), _c.execution_id).limit(_NEAR)
    return [_entry(row) for row in conn.execute(rows)]


def drop_entries(conn: Connection, which: CacheFilter) -> int:
    """Forget entries; how many there were. What they led to stays."""
    return conn.execute(delete(cache_entries).where(*_where(which))).rowcount


def list_entries(conn: Connection, query: ListQuery, secret: bytes) -> Page[CacheEntry]:
    """One page."""
    rows: Select[Any] = select(cache_entries)
    return fetch_page(conn, _NOUN, rows, query, secret=secret, make=_entry)


def _where(which: CacheFilter) -> Iterator[ColumnElement[bool]]:
    for column, value in (
        (_c.namespace, which.namespace), (_c.pipeline_name, which.pipeline_name), (_c.task, which.task),
        (_c.run_id, which.run_id), (_c.fingerprint, which.fingerprint),
    ):  # fmt: skip
        if value is not None:
            yield column == value
    if which.namespaces is not None:
        yield _c.namespace.in_(sorted(which.namespaces))
    if which.execution_ids is not None:
        yield or_(False, *(_c.execution_id.in_(some) for some in _chunks(which.execution_ids)))
    if which.before is not None:
        yield _c.created_at < which.before


def _entry(row: Row[Any]) -> CacheEntry:
    return CacheEntry(
        key=CacheKey(namespace=row.namespace, pipeline_name=row.pipeline_name, fingerprint=row.fingerprint),
        execution_id=row.execution_id,
        run_id=row.run_id,
        task=row.task,
        parts=codec.decode_as(row.parts, dict[str, str]),
        outputs=codec.decode_as(row.outputs, Bundle),
        created_at=row.created_at,
    )


def _by_pipeline(keys: Iterable[CacheKey]) -> Mapping[tuple[str, str], set[str]]:
    marks: dict[tuple[str, str], set[str]] = {}
    for key in keys:
        marks.setdefault((key.namespace, key.pipeline_name), set()).add(key.fingerprint)
    return marks


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    left = iter(items)
    while some := list(islice(left, _AT_ONCE)):
        yield some
