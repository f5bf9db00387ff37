"""Browsers that are signed in: each shows a cookie and, beside it, a secret that only our own pages can read.

A cookie goes to every port of its host, so on a machine of several users a page of another user can come by it. The
secret is in the page's local storage, which belongs to host and port, and is sent as a header: the cookie alone is good
for the files of the web UI, which are no secret, and for nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from headrace.server.signing import Signer
from headrace.store.records import BrowserSession

#: A browser stays signed in this long.
SESSION_S = 7 * 24 * 3600.0
#: The header in which a page sends the secret of its session.
SECRET_HEADER = "Headrace-Session-Secret"  # noqa: S105
#: The name by which the page that is opened after a sign-in finds the secret in its address, behind the `#`.
SECRET_FRAGMENT = "session-secret"  # noqa: S105
#: A session is looked up again after so long, in seconds: another server may have ended it.
_TRUSTED_S = 2.0
#: The last use of a session is kept as exactly as this, in seconds.
_USE_S = 300.0
_REMEMBERED = 1000
_LONGEST_NAME = 300


class SessionStore(Protocol):
    """Where the sessions of a deployment are kept: `service.secrets.SignInLedger`."""

    async def begin_session(self, session: BrowserSession) -> None:
        """Keep a session that has just begun."""
        ...

    async def find_session(self, session_id: str) -> BrowserSession | None:
        """The session of this id, if it has not been ended."""
        ...

    async def list_sessions(self, user: str) -> tuple[BrowserSession, ...]:
        """The user's sessions, newest first."""
        ...

    async def note_use(self, session_id: str, at: float) -> None:
        """The session was used at this time."""
        ...

    async def end_session(self, session_id: str, *, user: str) -> bool:
        """End a session of this user. False when there is no such session."""
        ...

    async def end_sessions(self, *, user: str) -> int:
        """End all sessions of this user; answers how many there were."""
        ...


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser gets when it signs in."""

    cookie: str
    #: For the page alone: it keeps it and sends it beside the cookie.
    secret: str

    def __repr__(self) -> str:
        return "SignedIn(...)"


class _Cookie(msgspec.Struct, frozen=True, kw_only=True):
    session_id: str


class BrowserSessions:
    """Begins, recognises, lists and ends the sessions of browsers, of whichever server of the deployment they are."""

    def __init__(self, store: SessionStore, signer: Signer, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._signer = signer
        self._clock = clock
        #: Session -> the row, and when it was read on the monotonic clock.
        self._known: dict[str, tuple[BrowserSession, float]] = {}

    async def begin(self, *, user: str, token_hash: str, browser: str) -> SignedIn:
        """A new session of this user."""
        session_id, secret, now = secrets.token_hex(16), secrets.token_urlsafe(32), self._clock()
        cookie, expires_at = self._signer.sign("session", _Cookie(session_id=session_id), ttl_s=SESSION_S)
        session = BrowserSession(
            session_id=session_id,
            user=user,
            token_hash=token_hash,
            secret_hash=_hashed(secret),
            browser=browser[:_LONGEST_NAME],
            created_at=now,
            used_at=now,
            expires_at=expires_at,
        )
        await self._store.begin_session(session)
        return SignedIn(cookie=cookie, secret=secret)

    async def find(self, cookie: str) -> BrowserSession | None:
        """The session of a cookie; None for one that is not ours, has ended, or was ended."""
        opened = self._signer.open("session", cookie, _Cookie)
        session = None if opened is None else await self._look_up(opened.session_id)
        return session if session is not None and self._clock() < session.expires_at else None

    async def note_use(self, session: BrowserSession) -> None:
        """The session is used now."""
        now = self._clock()
        if now - session.used_at > _USE_S:
            used = msgspec.structs.replace(session, used_at=now)
            self._known[session.session_id] = (used, time.monotonic())
            await self._store.note_use(session.session_id, now)

    async def listed(self, user: str) -> tuple[BrowserSession, ...]:
        """The user's sessions, newest first."""
        return await self._store.list_sessions(user)

    async def end(self, session_id: str, *, user: str) -> bool:
        """Sign a browser out. False when the user has no such session."""
        ended = await self._store.end_session(session_id, user=user)
        self._known.pop(session_id, None)
        return ended

    async def end_all(self, *, user: str) -> int:
        """Sign all browsers of this user out; answers how many there were."""
        count = await self._store.end_sessions(user=user)
        self._known.clear()
        return count

    async def _look_up(self, session_id: str) -> BrowserSession | None:
        known = self._known.get(session_id)
        now = time.monotonic()
        if known is not None and now - known[1] < _TRUSTED_S:
            return known[0]
        found = await self._store.find_session(session_id)
        self._known.pop(session_id, None)
        if found is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[session_id] = (found, now)
        return found


def shows_secret(session: BrowserSession, secret: str | None) -> bool:
    """Whether this is the session's secret."""
    return secret is not None and hmac.compare_digest(_hashed(secret), session.secret_hash)


def _hashed(secret: str) -> str:
    """Lower-hex sha256: of 256 random bits, nothing can be found out from it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
