"""What the servers of one deployment share to trust each other's page tokens, sign-ins and links.

They are rows of the database: two servers behind one address recognise what either has signed. Before, they were files
of a data directory, or followed from its token.
"""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headrace.service.errors import ServiceError
from headrace.store import errors as store
from headrace.store import secrets as rows
from headrace.store import sessions as session_rows
from headrace.store.database import Database
from headrace.store.records import BrowserSession

if TYPE_CHECKING:
    from headrace.service.context import Context

_TOKENS = "token/"
_PAGE_KEY = "page.key"


class SigningKeys(msgspec.Struct, frozen=True, kw_only=True):
    """One key for each use, so that what was signed for one does not pass for another."""

    page_tokens: bytes
    sign_ins: bytes
    content_links: bytes

    @classmethod
    def new(cls) -> SigningKeys:
        """Random keys."""
        return cls(**{name: secrets.token_bytes(32) for name in cls.__struct_fields__})

    def __repr__(self) -> str:
        return "SigningKeys(...)"


async def open_keys(database: Database, home: Path, now: float) -> SigningKeys:
    """The deployment's keys, made now if there are none. Raises store.errors.

    The page key of an older data directory becomes the deployment's, so that its page tokens stay good; the file
    goes.
    """
    file = home / _PAGE_KEY
    fresh = SigningKeys.new()
    wanted = {name: getattr(fresh, name).hex() for name in SigningKeys.__struct_fields__}
    with contextlib.suppress(OSError):
        if len(older := file.read_bytes()) >= 32:
            wanted["page_tokens"] = older.hex()
    found = await database.write(rows.ensure_secrets, wanted, now)
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
    return SigningKeys(**{name: bytes.fromhex(found[name]) for name in wanted})


class SignInLedger:
    """What the servers know together of sign-ins: accepted tokens, by their hashes, used codes, browsers' sessions."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def register_token(self, token_hash: str) -> None:
        """The token of this data directory, instead of the one it had before: every server accepts it."""
        context = self._context
        await context.write(rows.put_secret, f"{_TOKENS}{context.data_dir.domain()}", token_hash, context.now())

    async def token_hashes(self) -> frozenset[str]:
        """Hashes of the tokens of all data directories."""
        return await self._context.read(rows.values_below, _TOKENS)

    async def use_code(self, code_id: str, *, expires_at: float) -> bool:
        """Whether the code is used for the first time now, on whichever server."""
        try:
            await self._context.write(rows.use_code, code_id, expires_at=expires_at, now=self._context.now())
        except store.Duplicate:
            return False
        return True

    async def begin_session(self, session: BrowserSession) -> None:
        """Keep a session that has just begun."""
        await self._context.write(session_rows.insert_session, session)

    async def find_session(self, session_id: str) -> BrowserSession | None:
        """The session of this id, if it has not been ended."""
        return await self._context.read(session_rows.find_session, session_id)

    async def list_sessions(self, user: str) -> tuple[BrowserSession, ...]:
        """The user's sessions, newest first."""
        return await self._context.read(session_rows.list_sessions, user, now=self._context.now())

    async def note_use(self, session_id: str, at: float) -> None:
        """The session was used at this time. A time that cannot be kept now is left out: reading needs no writing."""
        with contextlib.suppress(store.StoreError, ServiceError):
            await self._context.write(session_rows.note_use, session_id, at)

    async def end_session(self, session_id: str, *, user: str) -> bool:
        """End a session of this user, on every server. False when there is no such session."""
        return await self._context.write(session_rows.delete_session, session_id, user=user)

    async def end_sessions(self, *, user: str) -> int:
        """End all sessions of this user; answers how many there were."""
        return await self._context.write(session_rows.delete_sessions, user=user)
