"""Several servers on one PostgreSQL: who is alive, who drives which run, and letters for whoever does.

A server's lease is one row that it renews; a run names the server that drives it. Time is the database's. A server
whose lease has run out is buried by whoever sees it first: its row goes and its runs are nobody's, in one transaction.
From then on no commit of it is accepted (`runs.commit_changes` asks for the owner), also if it wakes up again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from headrace.engine.model import AnyEvent, State
from headrace.store import codec
from headrace.store.dialect import database_now
from headrace.store.records import Record
from headrace.store.tables import inbox, runs, servers, writers

_r, _s, _i, _w = runs.c, servers.c, inbox.c, writers.c

_NOW: ColumnElement[float] = database_now()
_FINAL = [state.value for state in State if state.final]
#: A connection that has been silent for so long is not coming back to ask for its last word.
_WORDS_KEPT_S = 3600.0


class Owner(Record, frozen=True, kw_only=True):
    """A server, as it signs what it commits."""

    server_id: str
    #: On whose disk its attempts are.
    place: str


class Claim(Record, frozen=True, kw_only=True):
    """A run that has become ours to drive."""

    run_id: str
    #: Where its attempts are; None while it has had none.
    place: str | None


class Letter(Record, frozen=True, kw_only=True):
    """An event for a run, left by a server that does not drive it."""

    inbox_id: str
    run_id: str
    event: AnyEvent


# --- servers -----------------------------------------------------------------------------------


def enrol(conn: Connection, owner: Owner, *, lease_s: float, url: str = "") -> None:
    """Join the others."""
    row = {"server_id": owner.server_id, "place": owner.place, "url": url}
    conn.execute(insert(servers).values(**row, started_at=_NOW, lease_until=_NOW + lease_s))


def renew(conn: Connection, server_id: str, *, lease_s: float) -> bool:
    """One statement, however many runs it holds. False when the server was buried: nothing is its own any more."""
    mine = update(servers).where(_s.server_id == server_id).values(lease_until=_NOW + lease_s)
    return conn.execute(mine).rowcount == 1


def bury(conn: Connection) -> list[str]:
    """The servers whose lease has run out, whose runs are nobody's from now on; sweeps up what is nobody's letter."""
    dead = list(conn.execute(delete(servers).where(_s.lease_until < _NOW).returning(_s.server_id)).scalars())
    if dead:
        _let_go(conn, dead)
        conn.execute(delete(writers).where(_w.at < _NOW - _WORDS_KEPT_S))
    ended = select(_r.run_id).where(_r.state.in_(_FINAL))
    conn.execute(delete(inbox).where(_i.run_id.in_(ended)))
    return dead


def resign(conn: Connection, server_id: str) -> None:
    """Leave the others, who need not wait for the lease to run out."""
    _let_go(conn, [server_id])
    conn.execute(delete(servers).where(_s.server_id == server_id))


def _let_go(conn: Connection, server_ids: list[str]) -> None:
    mine = select(_r.run_id).where(_r.lease_owner.in_(server_ids)).order_by(_r.run_id).with_for_update()
    found = list(conn.execute(mine).scalars())
    conn.execute(update(runs).where(_r.run_id.in_(found), _r.lease_owner.in_(server_ids)).values(lease_owner=None))


# --- runs --------------------------------------------------------------------------------------


# Also of a server that is not enrolled: one that was stopped while it made or took a run, and was buried meanwhile.
_FREE = _r.lease_owner.is_(None) | _r.lease_owner.not_in(select(_s.server_id))


def claim(conn: Connection, server_id: str) -> list[Claim]:
    """Take a fair share of the runs that are nobody's, oldest first."""
    free = (_FREE, _r.state.not_in(_FINAL))
    waiting = conn.execute(select(func.count()).select_from(runs).where(*free)).scalar_one()
    if not waiting:
        return []
    alive = conn.execute(select(func.count()).select_from(servers).where(_s.lease_until > _NOW)).scalar_one()
    share = -(-waiting // max(1, alive))
    rows = select(_r.run_id, _r.place).where(*free).order_by(_r.created_at, _r.run_id).limit(share)
    found = conn.execute(rows.with_for_update(skip_locked=True)).all()
    conn.execute(update(runs).where(_r.run_id.in_([row.run_id for row in found])).values(lease_owner=server_id))
    return [Claim(run_id=row.run_id, place=row.place) for row in found]


def claim_one(conn: Connection, server_id: str, run_id: str) -> bool:
    """Take this run, also one that has ended, unless another server has it."""
    mine = update(runs).where(_r.run_id == run_id, _FREE).values(lease_owner=server_id)
    return conn.execute(mine).rowcount == 1


def give_back(conn: Connection, server_id: str, run_ids: Sequence[str]) -> None:
    """Let others have these."""
    mine = update(runs).where(_r.run_id.in_(run_ids), _r.lease_owner == server_id)
    conn.execute(mine.values(lease_owner=None))


def held(conn: Connection, server_id: str) -> set[str]:
    """The runs that this server drives, as far as the database is concerned."""
    return set(conn.execute(select(_r.run_id).where(_r.lease_owner == server_id)).scalars())


def places(conn: Connection, run_ids: Sequence[str]) -> dict[str, str | None]:
    """Where the attempts of these runs are."""
    return {row.run_id: row.place for row in conn.execute(select(_r.run_id, _r.place).where(_r.run_id.in_(run_ids)))}


def others_in(conn: Connection, run_ids: Iterable[str], owner: Owner) -> set[str]:
    """Those of these runs whose attempts in this place are not ours to judge: under way, and not ours to drive."""
    rows = select(_r.run_id).where(
        _r.run_id.in_(list(run_ids)),
        _r.state.not_in(_FINAL),
        _r.place == owner.place,
        func.coalesce(_r.lease_owner, "") != owner.server_id,
    )
    return set(conn.execute(rows).scalars())


def versions(conn: Connection, run_ids: Iterable[str], *, recent: bool, recent_s: float = 60.0) -> dict[str, int]:
    """The versions of these runs, and (`recent`) of all that are under way or ended a moment ago."""
    wanted: ColumnElement[bool] = _r.run_id.in_(list(run_ids))
    if recent:
        wanted = wanted | _r.state.not_in(_FINAL) | (_r.finished_at > _NOW - recent_s)
    return {row.run_id: row.version for row in conn.execute(select(_r.run_id, _r.version).where(wanted)).all()}


# --- letters -----------------------------------------------------------------------------------


def send(conn: Connection, run_id: str, event: AnyEvent) -> str | None:
    """Leave an event for whoever drives the run; None for a run that has ended, to which nothing can happen."""
    alive = conn.execute(select(_r.run_id).where(_r.run_id == run_id, _r.state.not_in(_FINAL))).first()
    if alive is None:
        return None
    ident = str(uuid.uuid4())
    conn.execute(insert(inbox).values(inbox_id=ident, run_id=run_id, at=_NOW, body=codec.encode(event)))
    return ident


def is_waiting(conn: Connection, inbox_id: str) -> bool:
    """Whether nobody has acted on it yet."""
    return conn.execute(select(_i.inbox_id).where(_i.inbox_id == inbox_id)).first() is not None


def received(conn: Connection, server_id: str) -> list[Letter]:
    """Letters for the runs that this server drives, in order; they are dropped with the commit that acts on them."""
    rows = select(_i.inbox_id, _i.run_id, _i.body).join_from(inbox, runs).where(_r.lease_owner == server_id)
    return [
        Letter(inbox_id=row.inbox_id, run_id=row.run_id, event=codec.decode_event(row.body))
        for row in conn.execute(rows.order_by(_i.at, _i.inbox_id)).all()
    ]
