"""Pipeline documents, kept once each."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, delete, exists, select

from headrace.engine.model import Json
from headrace.store import codec
from headrace.store.dialect import upsert
from headrace.store.tables import documents, pipeline_versions, runs


def put_document(conn: Connection, pipeline_spec: dict[str, Json], platform_spec: dict[str, Json] | None) -> str:
    """Keep a document; answers its digest."""
    body = codec.encode([pipeline_spec, platform_spec])
    digest = hashlib.sha256(body.encode()).hexdigest()
    upsert(conn, documents, [{"digest": digest, "body": body}])
    return digest


def decode_document(body: str) -> tuple[dict[str, Json], dict[str, Json] | None]:
    """`(pipeline_spec, platform_spec)`."""
    pipeline_spec, platform_spec = codec.decode(body)
    return pipeline_spec, platform_spec


def drop_unused(conn: Connection, digest: str) -> None:
    """Forget a document that no version and no run refers to any more."""
    used = exists(select(1).where(pipeline_versions.c.document == digest)) | exists(
        select(1).where(runs.c.document == digest)
    )
    conn.execute(delete(documents).where(documents.c.digest == digest, ~used))
