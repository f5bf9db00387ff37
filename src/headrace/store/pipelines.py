"""Pipelines, their versions, and the tags of both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from headrace.store.documents import EncodedDocument, decode_document, drop_unused, put_document
from headrace.store.queries import Key, Noun, fetch_page
from headrace.store.records import ListQuery, Page, PipelineRecord, Record, VersionRecord
from headrace.store.tables import documents, pipeline_versions, pipelines, tags

_p = pipelines.c
_v = pipeline_versions.c

_PIPELINES = Noun(
    name="pipeline",
    id=_p.pipeline_id,
    namespace=_p.namespace,
    tagged=True,
    keys={
        "id": Key(column=_p.pipeline_id),
        "pipeline_id": Key(column=_p.pipeline_id),
        "name": Key(column=_p.name),
        "display_name": Key(column=_p.display_name),
        "created_at": Key(column=_p.created_at, time=True),
        "description": Key(column=_p.description, long=True),
        "namespace": Key(column=_p.namespace),
    },
)
_VERSIONS = Noun(
    name="version",
    id=_v.pipeline_version_id,
    tagged=True,
    keys={
        "id": Key(column=_v.pipeline_version_id),
        "pipeline_version_id": Key(column=_v.pipeline_version_id),
        "name": Key(column=_v.name),
        "display_name": Key(column=_v.display_name),
        "created_at": Key(column=_v.created_at, time=True),
        "description": Key(column=_v.description, long=True),
        # A stored version is always ready; KFP's `status` knows no other word for it.
        "status": Key(column=func.substr("READY", 1)),
        "pipeline_spec": Key(column=documents.c.body, long=True),
    },
)


# --- pipelines ---------------------------------------------------------------------------------


def insert_pipeline(conn: Connection, record: PipelineRecord) -> None:
    """Raises Duplicate when the name is taken."""
    conn.execute(
        insert(pipelines).values(
            pipeline_id=record.pipeline_id,
            name=record.name,
            display_name=record.display_name,
            description=record.description,
            namespace=record.namespace,
            created_at=record.created_at,
            created_by=record.created_by,
        )
    )
    _set_tags(conn, record.pipeline_id, record.tags)


def _pipeline(row: Row[Any], tags_of: dict[str, dict[str, str]]) -> PipelineRecord:
    return PipelineRecord(
        pipeline_id=row.pipeline_id,
        name=row.name,
        display_name=row.display_name,
        description=row.description,
        namespace=row.namespace,
        created_at=row.created_at,
        created_by=row.created_by,
        tags=tags_of.get(row.pipeline_id, {}),
    )


def _one_pipeline(conn: Connection, rows: Select[Any]) -> PipelineRecord | None:
    row = conn.execute(rows).first()
    return _pipeline(row, _tags_of(conn, [row.pipeline_id])) if row else None


def get_pipeline(conn: Connection, pipeline_id: str) -> PipelineRecord | None:
    """By id."""
    return _one_pipeline(conn, select(pipelines).where(_p.pipeline_id == pipeline_id))


def find_pipeline(conn: Connection, name: str, namespace: str) -> PipelineRecord | None:
    """By name."""
    return _one_pipeline(conn, select(pipelines).where(_p.name == name, _p.namespace == namespace))


def list_pipelines(conn: Connection, query: ListQuery, secret: bytes) -> Page[PipelineRecord]:
    """One page."""
    page = fetch_page(conn, _PIPELINES, select(pipelines), query, secret=secret, make=lambda row: row)
    tags_of = _tags_of(conn, [row.pipeline_id for row in page.items])
    return Page(
        items=tuple(_pipeline(row, tags_of) for row in page.items),
        total_size=page.total_size,
        next_page_token=page.next_page_token,
    )


def update_pipeline(
    conn: Connection, pipeline_id: str, *, display_name: str | None, new_tags: dict[str, str] | None
) -> PipelineRecord | None:
    """None leaves as it is."""
    if display_name is not None:
        conn.execute(update(pipelines).where(_p.pipeline_id == pipeline_id).values(display_name=display_name))
    if new_tags is not None and get_pipeline(conn, pipeline_id):
        _set_tags(conn, pipeline_id, new_tags)
    return get_pipeline(conn, pipeline_id)


def count_versions(conn: Connection, pipeline_id: str) -> int:
    """How many versions a pipeline has."""
    return conn.execute(
        select(func.count()).select_from(pipeline_versions).where(_v.pipeline_id == pipeline_id)
    ).scalar_one()


def delete_pipeline(conn: Connection, pipeline_id: str) -> None:
    """With all its versions."""
    for version_id in conn.execute(select(_v.pipeline_version_id).where(_v.pipeline_id == pipeline_id)).scalars().all():
        delete_version(conn, version_id)
    _set_tags(conn, pipeline_id, {})
    conn.execute(delete(pipelines).where(_p.pipeline_id == pipeline_id))


# --- versions ----------------------------------------------------------------------------------

_VERSION_ROWS = (
    select(pipeline_versions, documents.c.body, _p.namespace)
    .join_from(pipeline_versions, documents)
    .join(pipelines, _p.pipeline_id == _v.pipeline_id)
)


def insert_version(conn: Connection, record: VersionRecord, document: EncodedDocument) -> None:
    """Raises Duplicate when the pipeline has a version of that name."""
    conn.execute(
        insert(pipeline_versions).values(
            pipeline_version_id=record.pipeline_version_id,
            pipeline_id=record.pipeline_id,
            name=record.name,
            display_name=record.display_name,
            description=record.description,
            code_source_url=record.code_source_url,
            created_at=record.created_at,
            created_by=record.created_by,
            document=put_document(conn, document),
        )
    )
    _set_tags(conn, record.pipeline_version_id, record.tags)


def _version(row: Row[Any], tags_of: dict[str, dict[str, str]]) -> VersionRecord:
    pipeline_spec, platform_spec = decode_document(row.body)
    return VersionRecord(
        pipeline_version_id=row.pipeline_version_id,
        pipeline_id=row.pipeline_id,
        namespace=row.namespace,
        name=row.name,
        display_name=row.display_name,
        description=row.description,
        code_source_url=row.code_source_url,
        created_at=row.created_at,
        created_by=row.created_by,
        tags=tags_of.get(row.pipeline_version_id, {}),
        pipeline_spec=pipeline_spec,
        platform_spec=platform_spec,
    )


def _one_version(conn: Connection, rows: Select[Any]) -> VersionRecord | None:
    row = conn.execute(rows).first()
    return _version(row, _tags_of(conn, [row.pipeline_version_id])) if row else None


def get_version(conn: Connection, pipeline_version_id: str) -> VersionRecord | None:
    """By id."""
    return _one_version(conn, _VERSION_ROWS.where(_v.pipeline_version_id == pipeline_version_id))


class VersionDocument(Record, frozen=True, kw_only=True):
    """Which document a version is, without the document."""

    pipeline_id: str
    pipeline_version_id: str
    digest: str


_VERSION_DOCUMENTS = select(_v.pipeline_id, _v.pipeline_version_id, _v.document)


def find_version_document(conn: Connection, pipeline_version_id: str) -> VersionDocument | None:
    """By the version's id."""
    return _version_document(conn, _VERSION_DOCUMENTS.where(_v.pipeline_version_id == pipeline_version_id))


def find_latest_document(conn: Connection, pipeline_id: str) -> VersionDocument | None:
    """Of a pipeline's newest version by time, then by id."""
    newest = _VERSION_DOCUMENTS.where(_v.pipeline_id == pipeline_id)
    return _version_document(conn, newest.order_by(_v.created_at.desc(), _v.pipeline_version_id.desc()).limit(1))


def _version_document(conn: Connection, rows: Select[Any]) -> VersionDocument | None:
    row = conn.execute(rows).first()
    if row is None:
        return None
    return VersionDocument(
        pipeline_id=row.pipeline_id, pipeline_version_id=row.pipeline_version_id, digest=row.document
    )


def list_versions(conn: Connection, pipeline_id: str, query: ListQuery, secret: bytes) -> Page[VersionRecord]:
    """One page of one pipeline's versions."""
    rows = _VERSION_ROWS.where(_v.pipeline_id == pipeline_id)
    page = fetch_page(conn, _VERSIONS, rows, query, secret=secret, make=lambda row: row, scope=pipeline_id)
    tags_of = _tags_of(conn, [row.pipeline_version_id for row in page.items])
    return Page(
        items=tuple(_version(row, tags_of) for row in page.items),
        total_size=page.total_size,
        next_page_token=page.next_page_token,
    )


def update_version(
    conn: Connection, pipeline_version_id: str, *, display_name: str | None, new_tags: dict[str, str] | None
) -> VersionRecord | None:
    """None leaves as it is."""
    if display_name is not None:
        row = update(pipeline_versions).where(_v.pipeline_version_id == pipeline_version_id)
        conn.execute(row.values(display_name=display_name))
    if new_tags is not None and get_version(conn, pipeline_version_id):
        _set_tags(conn, pipeline_version_id, new_tags)
    return get_version(conn, pipeline_version_id)


def delete_version(conn: Connection, pipeline_version_id: str) -> None:
    """Its document goes too, unless something else uses it."""
    mine = _v.pipeline_version_id == pipeline_version_id
    digest = conn.execute(select(_v.document).where(mine)).scalar()
    conn.execute(delete(pipeline_versions).where(mine))
    _set_tags(conn, pipeline_version_id, {})
    if digest is not None:
        drop_unused(conn, digest)


# --- tags --------------------------------------------------------------------------------------


def _set_tags(conn: Connection, owner_id: str, new: dict[str, str]) -> None:
    conn.execute(delete(tags).where(tags.c.owner_id == owner_id))
    if new:
        rows = [{"owner_id": owner_id, "key": key, "value": value} for key, value in new.items()]
        conn.execute(insert(tags), rows)


def _tags_of(conn: Connection, owners: Iterable[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    rows = select(tags).where(tags.c.owner_id.in_(list(owners))).order_by(tags.c.owner_id, tags.c.key)
    for row in conn.execute(rows).all():
        found.setdefault(row.owner_id, {})[row.key] = row.value
    return found
