"""Browsers that are signed in."""

from __future__ import annotations

from sqlalchemy import Connection, Row, delete, insert, select, update

from headrace.store.records import BrowserSession
from headrace.store.tables import sessions

_s = sessions.c


def insert_session(conn: Connection, session: BrowserSession) -> None:
    """Keep a new session; those whose time is over go."""
    conn.execute(delete(sessions).where(_s.expires_at <= session.created_at))
    conn.execute(
        insert(sessions).values(
            session_id=session.session_id,
            user_id=session.user,
            token_hash=session.token_hash,
            secret_hash=session.secret_hash,
            browser=session.browser,
            created_at=session.created_at,
            used_at=session.used_at,
            expires_at=session.expires_at,
        )
    )


def find_session(conn: Connection, session_id: str) -> BrowserSession | None:
    """The session of this id."""
    row = conn.execute(select(sessions).where(_s.session_id == session_id)).one_or_none()
    return None if row is None else _record(row)


def list_sessions(conn: Connection, user: str, *, now: float) -> tuple[BrowserSession, ...]:
    """The user's sessions, newest first."""
    rows = select(sessions).where(_s.user_id == user, _s.expires_at > now).order_by(_s.created_at.desc(), _s.session_id)
    return tuple(map(_record, conn.execute(rows)))


def note_use(conn: Connection, session_id: str, at: float) -> None:
    """The session was used at this time."""
    conn.execute(update(sessions).where(_s.session_id == session_id, _s.used_at < at).values(used_at=at))


def delete_session(conn: Connection, session_id: str, *, user: str) -> bool:
    """End a session of this user. False when there is no such session."""
    return conn.execute(delete(sessions).where(_s.session_id == session_id, _s.user_id == user)).rowcount > 0


def delete_sessions(conn: Connection, *, user: str) -> int:
    """End all sessions of this user; answers how many there were."""
    return conn.execute(delete(sessions).where(_s.user_id == user)).rowcount


def _record(row: Row[tuple[object, ...]]) -> BrowserSession:
    values = dict(row._mapping)
    return BrowserSession(user=values.pop("user_id"), **values)
