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

from headrace.store import errors as store
from headrace.store import secrets as rows
from headrace.store.database import Database

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
    """The tokens that the servers accept, by their hashes, and the one-time codes that were used."""

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
