"""Pipeline documents, each stored once, by the sha256 of its text."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, delete, exists, or_, select

from headrace.engine.model import Json
from headrace.slices import decode_json, encode_json
from headrace.store.dialect import upsert
from headrace.store.errors import Missing
from headrace.store.records import Record
from headrace.store.tables import documents, pipeline_versions, recurring_runs, runs

#: Tables whose rows refer to documents.
_USERS = (pipeline_versions, runs, recurring_runs)


class EncodedDocument(Record, frozen=True, kw_only=True):
    """A document as the table has it."""

    #: Lower-hex sha256 of the body.
    digest: str
    #: JSON: `[pipeline_spec, platform_spec]`.
    body: str


def encode_document(pipeline_spec: dict[str, Json], platform_spec: dict[str, Json] | None) -> EncodedDocument:
    """The document's text and its digest."""
    body = encode_json([pipeline_spec, platform_spec])
    return EncodedDocument(digest=hashlib.sha256(body).hexdigest(), body=body.decode())


def decode_document(body: str) -> tuple[dict[str, Json], dict[str, Json] | None]:
    """`(pipeline_spec, platform_spec)`."""
    pipeline_spec, platform_spec = decode_json(body)
    return pipeline_spec, platform_spec


def put_document(conn: Connection, document: EncodedDocument | str) -> str:
    """Store a document, or see that the one with this digest is stored; answers its digest. Raises Missing."""
    if isinstance(document, EncodedDocument):
        upsert(conn, documents, [{"digest": document.digest, "body": document.body}])
        return document.digest
    if conn.execute(select(documents.c.digest).where(documents.c.digest == document)).first() is None:
        raise Missing(f"there is no document {document} any more")
    return document


def get_body(conn: Connection, digest: str) -> str | None:
    """The text of a document."""
    return conn.execute(select(documents.c.body).where(documents.c.digest == digest)).scalar()


def drop_unused(conn: Connection, digest: str) -> None:
    """Delete a document that no version, run or recurring run refers to any more."""
    used = or_(*(exists(select(1).where(table.c.document == digest)) for table in _USERS))
    conn.execute(delete(documents).where(documents.c.digest == digest, ~used))
