"""When the working files and logs of ended runs are to go."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, update

from headrace.store.tables import runs

_r = runs.c


def expired_runs(conn: Connection, at: float) -> list[str]:
    """Ids of the runs whose working files and logs are to go by now."""
    return list(conn.execute(select(_r.run_id).where(_r.expires_at <= at)).scalars().all())


def next_expiry(conn: Connection) -> float | None:
    """When the next run's working files and logs are to go."""
    return conn.execute(select(func.min(_r.expires_at))).scalar()


def clear_expiry(conn: Connection, run_ids: Sequence[str]) -> None:
    """They are gone."""
    conn.execute(update(runs).where(_r.run_id.in_(run_ids)).values(expires_at=None))
