"""Artifacts and lineage: which execution made or read which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, Row, and_, delete, or_, select

from headrace.engine.model import Artifact, ArtifactType
from headrace.store import codec
from headrace.store.dialect import upsert
from headrace.store.records import ArtifactRecord, Record
from headrace.store.tables import artifacts, execution_artifacts, runs

_a = artifacts.c
_x = execution_artifacts.c
_AT_ONCE = 500


class ArtifactEdge(Record, frozen=True, kw_only=True):
    """One execution read or made one artifact, or (REUSE) may yet take it over from an earlier run."""

    run_id: str
    execution_id: str
    direction: Literal["INPUT", "OUTPUT", "REUSE"]
    name: str
    position: int
    artifact_id: str


def insert_artifacts(conn: Connection, records: Sequence[ArtifactRecord]) -> None:
    """The same artifact twice is once."""
    upsert(conn, artifacts, [_row(record) for record in records])


def insert_edges(conn: Connection, edges: Sequence[ArtifactEdge]) -> None:
    """A later attempt's edge takes the place of an earlier one's."""
    rows = [{name: getattr(edge, name) for name in ArtifactEdge.__struct_fields__} for edge in edges]
    upsert(conn, execution_artifacts, rows, update=("artifact_id",))


def _row(record: ArtifactRecord) -> dict[str, Any]:
    artifact = record.artifact
    return {
        "artifact_id": artifact.artifact_id,
        "name": artifact.name,
        "schema_title": artifact.type.schema_title,
        "schema_version": artifact.type.schema_version,
        "uri": artifact.uri,
        "metadata": codec.encode(artifact.metadata),
        "digest": artifact.digest,
        "size_bytes": artifact.size_bytes,
        "run_id": record.run_id,
        "execution_id": record.execution_id,
        "created_at": record.created_at,
        "namespace": record.namespace,
        "created_by": record.created_by,
        "is_directory": record.is_directory,
        "owned": record.owned,
    }


def _record(row: Row[Any]) -> ArtifactRecord:
    # By name in the mapping: `Row` has methods of its own that would hide a column.
    cells = row._mapping
    artifact = Artifact(
        artifact_id=cells["artifact_id"],
        name=cells["name"],
        type=ArtifactType(schema_title=cells["schema_title"], schema_version=cells["schema_version"]),
        uri=cells["uri"],
        metadata=codec.decode_object(cells["metadata"]),
        digest=cells["digest"],
        size_bytes=cells["size_bytes"],
    )
    return ArtifactRecord(
        artifact=artifact,
        run_id=cells["run_id"],
        execution_id=cells["execution_id"],
        created_at=cells["created_at"],
        namespace=cells["namespace"],
        created_by=cells["created_by"],
        is_directory=cells["is_directory"],
        owned=cells["owned"],
    )


def get_artifact(conn: Connection, artifact_id: str) -> ArtifactRecord | None:
    """By id."""
    row = conn.execute(select(artifacts).where(_a.artifact_id == artifact_id)).first()
    return _record(row) if row else None


def get_artifacts(conn: Connection, artifact_ids: Sequence[str]) -> dict[str, ArtifactRecord]:
    """By ids; the ones that exist."""
    rows = conn.execute(select(artifacts).where(_a.artifact_id.in_(artifact_ids))).all()
    found = (_record(row) for row in rows)
    return {record.artifact.artifact_id: record for record in found}


def find_equal_artifact(conn: Connection, wanted: Artifact, *, pipeline_name: str, namespace: str) -> Artifact | None:
    """The newest artifact of the same type, place and metadata in runs of the pipeline: what an importer without
    re-import takes. As in KFP, other pipelines' artifacts are not looked at; nor are those of other namespaces, whose
    metadata the caller may not see.
    """
    rows = (
        select(artifacts)
        .join(runs, runs.c.run_id == _a.run_id)
        .where(
            runs.c.pipeline_name == pipeline_name,
            _a.namespace == namespace,
            _a.uri == wanted.uri,
            _a.schema_title == wanted.type.schema_title,
            _a.schema_version == wanted.type.schema_version,
        )
    )
    for row in conn.execute(rows.order_by(_a.created_at.desc())).all():
        if (artifact := _record(row).artifact).metadata == wanted.metadata:
            return artifact
    return None


class DeletedArtifacts(Record, frozen=True, kw_only=True):
    """What went with a run."""

    #: Those whose content no other row stands for.
    gone: tuple[ArtifactRecord, ...]
    #: Whether nothing that the run has made is in use any more.
    whole: bool


def delete_artifacts_of(conn: Connection, run_id: str) -> DeletedArtifacts:
    """Delete a run's artifacts that no other run reads or shows; returns those whose content no other row stands for.

    Those still in use stay, without a run, until the last run that uses them goes. (Several artifacts may stand for
    the same content: one that an importer found again, or that a task has handed on.)
    """
    seen = select(_x.artifact_id).where(_x.run_id == run_id)
    left = or_(_a.run_id == run_id, and_(_a.run_id.is_(None), _a.artifact_id.in_(seen)))
    mine = [_record(row) for row in conn.execute(select(artifacts).where(left)).all()]
    ids = [record.artifact.artifact_id for record in mine]
    kept: set[str] = set()
    for some in batched(ids):
        used = select(_x.artifact_id).where(_x.run_id != run_id, _x.artifact_id.in_(some))
        kept.update(conn.execute(used).scalars().all())
    conn.execute(delete(execution_artifacts).where(_x.run_id == run_id))
    for some in batched([one for one in ids if one not in kept]):
        conn.execute(delete(artifacts).where(_a.artifact_id.in_(some)))
    conn.execute(artifacts.update().where(_a.run_id == run_id).values(run_id=None))
    gone = [record for record in mine if record.artifact.artifact_id not in kept]
    shared = _still_known(conn, [record.artifact.uri for record in gone])
    # Content that is still in use goes with the last of the rows that stand for it.
    for some in batched([record.artifact.uri for record in gone if record.owned and record.artifact.uri in shared]):
        conn.execute(artifacts.update().where(_a.uri.in_(some)).values(owned=True))
    return DeletedArtifacts(
        gone=tuple(record for record in gone if record.artifact.uri not in shared), whole=not kept and not shared
    )


def _still_known(conn: Connection, uris: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for some in batched(uris):
        found.update(conn.execute(select(_a.uri).where(_a.uri.in_(some))).scalars().all())
    return found


def batched(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Few enough at once for any database's limit of variables in a statement."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def get_edges(conn: Connection, execution_id: str) -> tuple[ArtifactEdge, ...]:
    """What an execution read and made. Pages of lineage will ask for it; until then tests alone do."""
    rows = select(execution_artifacts).where(_x.execution_id == execution_id)
    return tuple(
        ArtifactEdge(**{name: getattr(row, name) for name in ArtifactEdge.__struct_fields__})
        for row in conn.execute(rows.order_by(_x.direction, _x.name, _x.position)).all()
    )
