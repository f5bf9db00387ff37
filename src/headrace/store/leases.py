"""Several servers on one PostgreSQL: which are alive, which one drives a run, and messages for the one that does.

A server's lease is one row, which the server renews; a run names the server that drives it, its owner. Time is that of
the database. The first server that finds a lease expired removes its row and the ownership of its runs, in one
transaction. From then on no commit of the expired server is accepted (`run_changes.commit_changes` asks for the owner),
also when it goes on after a long pause.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from headrace.engine.model import AnyEvent
from headrace.store import codec
from headrace.store.dialect import database_now
from headrace.store.records import FINAL_STATES, Record
from headrace.store.tables import inbox, runs, servers, writers

_r, _s, _i, _w = runs.c, servers.c, inbox.c, writers.c

_NOW: ColumnElement[float] = database_now()
#: Seconds after which a connection that has not written does not come back to ask for its last word.
_WORDS_KEPT_S = 3600.0


class Owner(Record, frozen=True, kw_only=True):
    """A server, as it signs what it commits."""

    server_id: str
    #: The domains of its executors: where the attempts are that it can reach.
    executor_domains: frozenset[str]


class ClaimedRun(Record, frozen=True, kw_only=True):
    """A run that the server has begun to own."""

    run_id: str
    #: Where the attempts of the run are: the domains of the server that drove it before; None while it has had none.
    executor_domains: frozenset[str] | None


class InboxMessage(Record, frozen=True, kw_only=True):
    """An event for a run, sent by a server that does not drive the run."""

    inbox_id: str
    run_id: str
    event: AnyEvent


def encode_domains(domains: frozenset[str]) -> str:
    """Domains as the tables hold them: a sorted JSON list."""
    return codec.encode(sorted(domains))


def _decode_domains(text: str | None) -> frozenset[str] | None:
    return None if text is None else codec.decode_as(text, frozenset[str])


# --- servers -----------------------------------------------------------------------------------


def register(conn: Connection, owner: Owner, *, lease_s: float, url: str = "") -> None:
    """Add the server, with a lease from now on."""
    row = {"server_id": owner.server_id, "executor_domains": encode_domains(owner.executor_domains), "url": url}
    conn.execute(insert(servers).values(**row, started_at=_NOW, lease_until=_NOW + lease_s))


def renew(conn: Connection, server_id: str, *, lease_s: float) -> bool:
    """Renew the lease, in one statement however many runs the server owns. False when the lease has expired."""
    mine = update(servers).where(_s.server_id == server_id).values(lease_until=_NOW + lease_s)
    return conn.execute(mine).rowcount == 1


def expire(conn: Connection) -> list[str]:
    """Remove the servers whose lease has expired, and their ownership of runs; returns their ids.

    Also removes messages for runs that have ended.
    """
    expired = list(conn.execute(delete(servers).where(_s.lease_until < _NOW).returning(_s.server_id)).scalars())
    if expired:
        _remove_ownership(conn, expired)
        conn.execute(delete(writers).where(_w.at < _NOW - _WORDS_KEPT_S))
    ended = select(_r.run_id).where(_r.state.in_(FINAL_STATES))
    conn.execute(delete(inbox).where(_i.run_id.in_(ended)))
    return expired


def deregister(conn: Connection, server_id: str) -> None:
    """Remove the server, so that the others need not wait until its lease expires."""
    _remove_ownership(conn, [server_id])
    conn.execute(delete(servers).where(_s.server_id == server_id))


def _remove_ownership(conn: Connection, server_ids: list[str]) -> None:
    mine = select(_r.run_id).where(_r.lease_owner.in_(server_ids)).order_by(_r.run_id).with_for_update()
    found = list(conn.execute(mine).scalars())
    conn.execute(update(runs).where(_r.run_id.in_(found), _r.lease_owner.in_(server_ids)).values(lease_owner=None))


# --- runs --------------------------------------------------------------------------------------


# The second part: runs of a server that stopped while it made or took a run, and whose lease expired meanwhile.
_FREE = _r.lease_owner.is_(None) | _r.lease_owner.not_in(select(_s.server_id))


def claim(conn: Connection, server_id: str) -> list[ClaimedRun]:
    """Take a fair share of the runs that have no owner, oldest first."""
    free = (_FREE, _r.state.not_in(FINAL_STATES))
    waiting = conn.execute(select(func.count()).select_from(runs).where(*free)).scalar_one()
    if not waiting:
        return []
    alive = conn.execute(select(func.count()).select_from(servers).where(_s.lease_until > _NOW)).scalar_one()
    share = -(-waiting // max(1, alive))
    rows = select(_r.run_id, _r.executor_domains).where(*free).order_by(_r.created_at, _r.run_id).limit(share)
    found = conn.execute(rows.with_for_update(skip_locked=True)).all()
    conn.execute(update(runs).where(_r.run_id.in_([row.run_id for row in found])).values(lease_owner=server_id))
    return [ClaimedRun(run_id=row.run_id, executor_domains=_decode_domains(row.executor_domains)) for row in found]


def claim_one(conn: Connection, server_id: str, run_id: str) -> bool:
    """Take this run, also one that has ended, unless another server owns it."""
    mine = update(runs).where(_r.run_id == run_id, _FREE).values(lease_owner=server_id)
    return conn.execute(mine).rowcount == 1


def release(conn: Connection, server_id: str, run_ids: Sequence[str]) -> None:
    """End the server's ownership of these runs."""
    mine = update(runs).where(_r.run_id.in_(run_ids), _r.lease_owner == server_id)
    conn.execute(mine.values(lease_owner=None))


def owned(conn: Connection, server_id: str) -> set[str]:
    """Ids of the runs that the server owns."""
    return set(conn.execute(select(_r.run_id).where(_r.lease_owner == server_id)).scalars())


def domains_of(conn: Connection, run_ids: Sequence[str]) -> dict[str, frozenset[str] | None]:
    """By run id, where the attempts of these runs are; see `ClaimedRun.executor_domains`."""
    rows = conn.execute(select(_r.run_id, _r.executor_domains).where(_r.run_id.in_(run_ids)))
    return {row.run_id: _decode_domains(row.executor_domains) for row in rows}


def driven_by_others(conn: Connection, run_ids: Iterable[str], owner: Owner) -> set[str]:
    """Those of these runs that are under way, have attempts in one of the owner's domains, and are not the owner's."""
    rows = select(_r.run_id, _r.executor_domains).where(
        _r.run_id.in_(list(run_ids)),
        _r.state.not_in(FINAL_STATES),
        func.coalesce(_r.lease_owner, "") != owner.server_id,
    )
    found = {row.run_id: _decode_domains(row.executor_domains) for row in conn.execute(rows)}
    return {run_id for run_id, domains in found.items() if domains and domains & owner.executor_domains}


def versions(conn: Connection, run_ids: Iterable[str], *, recent: bool, recent_s: float = 60.0) -> dict[str, int]:
    """The versions of these runs; with `recent`, also of all runs that are under way or ended in the last seconds."""
    wanted: ColumnElement[bool] = _r.run_id.in_(list(run_ids))
    if recent:
        wanted = wanted | _r.state.not_in(FINAL_STATES) | (_r.finished_at > _NOW - recent_s)
    return {row.run_id: row.version for row in conn.execute(select(_r.run_id, _r.version).where(wanted)).all()}


# --- messages ----------------------------------------------------------------------------------


def send(conn: Connection, run_id: str, event: AnyEvent) -> str | None:
    """Store an event for the server that drives the run; returns the message's id, None when the run has ended."""
    alive = conn.execute(select(_r.run_id).where(_r.run_id == run_id, _r.state.not_in(FINAL_STATES))).first()
    if alive is None:
        return None
    ident = str(uuid.uuid4())
    conn.execute(insert(inbox).values(inbox_id=ident, run_id=run_id, at=_NOW, body=codec.encode(event)))
    return ident


def is_waiting(conn: Connection, inbox_id: str) -> bool:
    """Whether no server has acted on the message yet."""
    return conn.execute(select(_i.inbox_id).where(_i.inbox_id == inbox_id)).first() is not None


def received(conn: Connection, server_id: str) -> list[InboxMessage]:
    """Messages for the runs that the server drives, in order. The commit that acts on a message deletes it."""
    rows = select(_i.inbox_id, _i.run_id, _i.body).join_from(inbox, runs).where(_r.lease_owner == server_id)
    return [
        InboxMessage(inbox_id=row.inbox_id, run_id=row.run_id, event=codec.decode_event(row.body))
        for row in conn.execute(rows.order_by(_i.at, _i.inbox_id)).all()
    ]
