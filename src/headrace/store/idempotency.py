"""Idempotency keys: which run a request has made, so that the same request, sent again, makes no other."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from headrace.store.records import Record
from headrace.store.tables import idempotency_keys

_k = idempotency_keys.c


class KeyScope(Record, frozen=True, kw_only=True):
    """Within these a key means one request."""

    user_id: str
    namespace: str
    #: The route's operation id.
    route: str
    key: str


class MadeRun(Record, frozen=True, kw_only=True):
    """What a request with a key has made."""

    run_id: str
    #: Lower-hex sha256 of the request.
    digest: str


def find_made(conn: Connection, scope: KeyScope, after: float) -> MadeRun | None:
    """The run that was made with this key after that time; None when there is none."""
    row = conn.execute(select(_k.run_id, _k.digest).where(*_of(scope), _k.created_at > after)).first()
    return None if row is None else MadeRun(run_id=row.run_id, digest=row.digest)


def insert_key(conn: Connection, run_id: str, *, scope: KeyScope, digest: str, at: float, after: float) -> None:
    """Record what the run was made for, and forget the keys that are not from after that time.

    Raises Duplicate when a run was made with this key already.
    """
    conn.execute(delete(idempotency_keys).where(_k.created_at <= after))
    values = {name: getattr(scope, name) for name in KeyScope.__struct_fields__}
    conn.execute(insert(idempotency_keys).values(**values, run_id=run_id, digest=digest, created_at=at))


def _of(scope: KeyScope) -> tuple[ColumnElement[bool], ...]:
    return tuple(getattr(_k, name) == getattr(scope, name) for name in KeyScope.__struct_fields__)
