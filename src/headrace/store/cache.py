"""Outputs that may be used again, by fingerprint, within one namespace and pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy import Connection, func, select

from headrace.engine.model import Bundle
from headrace.store import codec
from headrace.store.dialect import upsert
from headrace.store.records import Record
from headrace.store.tables import artifacts, cache_entries

_c = cache_entries.c


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
    outputs: Bundle
    created_at: float


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
                "outputs": codec.encode(entry.outputs),
                "created_at": entry.created_at,
            }
            for entry in entries
        ],
        update=("execution_id", "run_id", "outputs", "created_at"),
    )


def look_up(conn: Connection, keys: Sequence[CacheKey]) -> list[Found]:
    """An entry for each key, or None; one whose artifacts are not all there any more is no entry."""
    return [_look_up(conn, key) for key in keys]


def _look_up(conn: Connection, key: CacheKey) -> Found:
    same = (
        _c.namespace == key.namespace, _c.pipeline_name == key.pipeline_name, _c.fingerprint == key.fingerprint,
    )  # fmt: skip
    row = conn.execute(select(cache_entries).where(*same)).first()
    if row is None:
        return None
    outputs = codec.decode_as(row.outputs, Bundle)
    if not _all_exist(conn, outputs):
        return None
    return CacheEntry(
        key=key, execution_id=row.execution_id, run_id=row.run_id, outputs=outputs, created_at=row.created_at
    )


def _all_exist(conn: Connection, outputs: Bundle) -> bool:
    wanted = {artifact.artifact_id for many in outputs.artifacts.values() for artifact in many}
    if not wanted:
        return True
    alive = select(func.count()).select_from(artifacts).where(artifacts.c.artifact_id.in_(wanted))
    return conn.execute(alive).scalar_one() == len(wanted)
