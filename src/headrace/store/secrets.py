"""Rows that only the servers of a deployment read, all of them: signing keys, hashes of tokens, used codes."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from headrace.store.dialect import upsert
from headrace.store.tables import server_secrets, used_codes

_s = server_secrets.c


def ensure_secrets(conn: Connection, wanted: Mapping[str, str], at: float) -> dict[str, str]:
    """The secrets of these names; of one that is not there yet, the value given becomes it.

    Of several servers that do this at once, the first one's value counts for all.
    """
    rows = [{"name": name, "value": value, "created_at": at} for name, value in wanted.items()]
    upsert(conn, server_secrets, rows)
    found = conn.execute(select(_s.name, _s.value).where(_s.name.in_(list(wanted)))).all()
    return {row.name: row.value for row in found}


def put_secret(conn: Connection, name: str, value: str, at: float) -> None:
    """The secret of this name is this value from now on."""
    upsert(conn, server_secrets, [{"name": name, "value": value, "created_at": at}], update=("value", "created_at"))


def values_below(conn: Connection, prefix: str) -> frozenset[str]:
    """Values of all secrets whose names begin so."""
    rows = select(_s.value).where(_s.name.startswith(prefix, autoescape=True))
    return frozenset(conn.execute(rows).scalars())


def use_code(conn: Connection, code_id: str, *, expires_at: float, now: float) -> None:
    """Note that a code was used. Raises Duplicate when it was used before."""
    conn.execute(delete(used_codes).where(used_codes.c.expires_at <= now))
    conn.execute(insert(used_codes).values(code_id=code_id, expires_at=expires_at))
