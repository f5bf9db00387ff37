"""Who is asking: the token of a data directory, one-time codes for browsers, and the sessions these turn into."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Protocol

import msgspec

from headrace.server.browsers import BrowserSessions, SessionStore, SignedIn, shows_secret
from headrace.server.signing import Signer
from headrace.service.access import ANONYMOUS, LOCAL_USER, Caller, Source, owner
from headrace.service.secrets import SigningKeys

#: A one-time link must be opened this soon.
CODE_S = 300.0
#: The tokens of other servers are looked up again after so long, in seconds.
_TRUSTED_S = 5.0
_UNKNOWN_S = 0.2


class Proof(Enum):
    """How a request showed who it is."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105
    SESSION = "session"  #: a session's cookie together with its secret
    COOKIE = "cookie"  #: a session's cookie alone, as a browser sends it for a page: good for the files of the UI
    TRUSTED = "trusted"  #: nothing is asked for: `--insecure-no-auth`


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, and how we know."""

    caller: Caller
    proof: Proof
    #: The browser's session, if one was shown.
    session_id: str = ""


UNKNOWN = Identity(caller=ANONYMOUS, proof=Proof.NONE)

_SOURCES = {Proof.TOKEN: Source.TOKEN, Proof.SESSION: Source.SESSION, Proof.TRUSTED: Source.UNASKED}


class _SignInCode(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code: signed, so that every server of the deployment knows it, and used once on all of them."""

    code_id: str
    token: str
    expires_at: float


class Ledger(SessionStore, Protocol):
    """What the servers of a deployment know together: `service.secrets.SignInLedger`."""

    async def token_hashes(self) -> frozenset[str]:
        """Hashes of all tokens that are accepted."""
        ...

    async def use_code(self, code_id: str, *, expires_at: float) -> bool:
        """Whether the code is used for the first time now."""
        ...


def load_token(home: Path) -> str:
    """The data directory's token, made on first use. Readable by its owner alone."""
    path = home / "token"
    try:
        return _read_token(path)
    except FileNotFoundError:
        return _make_token(path)


def _read_token(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "r", encoding="ascii") as file:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        token = file.read(200).strip()
    if len(token) < 43:
        raise ValueError(f"{path} does not hold a token. Delete it and start Headrace again to get a new one.")
    return token


def _make_token(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    draft = path.with_name(f".token-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
        # link, unlike rename, does not replace: who comes second takes the first one's token.
        os.link(draft, path)
    except FileExistsError:
        return _read_token(path)
    finally:
        draft.unlink(missing_ok=True)
    return token


class Gate:
    """Recognises tokens, one-time codes and sessions, of whichever server of the deployment they are."""

    def __init__(
        self,
        *,
        token: str,
        keys: SigningKeys,
        ledger: Ledger,
        insecure: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._own = token_hash(token)
        self._known = frozenset({self._own})
        self._looked_at = float("-inf")
        self._ledger = ledger
        self._clock = clock
        self._signer = Signer(keys.sign_ins, clock=clock)
        self.sessions = BrowserSessions(ledger, self._signer, clock=clock)
        self.insecure = insecure

    async def identify(
        self, *, authorization: str | None, cookie: str | None = None, secret: str | None = None
    ) -> Identity:
        """Who brings these credentials; UNKNOWN for none or wrong ones. No session makes up for a wrong token.

        A session is a cookie and the secret that belongs to it. A cookie alone says nothing of who sends it: it goes
        to all ports of the host.
        """
        if authorization is not None:
            return await self._bearer(authorization)
        session = None if cookie is None else await self.sessions.find(cookie)
        if session is not None and await self._accepts(session.token_hash):
            if shows_secret(session, secret):
                await self.sessions.note_use(session)
                return _identity(Proof.SESSION, session.session_id)
            if not self.insecure:
                return Identity(caller=ANONYMOUS, proof=Proof.COOKIE)
        return _identity(Proof.TRUSTED) if self.insecure else UNKNOWN

    def mint_code(self, *, ttl_s: float = CODE_S) -> tuple[str, float]:
        """`(a new one-time code, when it ends)`. Nothing of it is kept until it is used."""
        code = _SignInCode(code_id=secrets.token_hex(16), token=self._own, expires_at=self._clock() + ttl_s)
        return self._signer.sign("code", code, ttl_s=ttl_s)

    async def redeem(self, code: str, *, browser: str = "") -> SignedIn | None:
        """A new session for a code, which is used up by this; None for a code that is none of ours."""
        opened = self._signer.open("code", code, _SignInCode)
        if opened is None or not await self._accepts(opened.token):
            return None
        if not await self._ledger.use_code(opened.code_id, expires_at=opened.expires_at):
            return None
        return await self.sessions.begin(user=LOCAL_USER, token_hash=opened.token, browser=browser)

    async def _bearer(self, authorization: str) -> Identity:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and await self._accepts(token_hash(given.strip())):
            return _identity(Proof.TOKEN)
        return _identity(Proof.TRUSTED) if self.insecure else UNKNOWN

    async def _accepts(self, hashed: str) -> bool:
        """Whether it is the hash of a token of this data directory, or of that of another server."""
        if hmac.compare_digest(hashed, self._own):
            return True
        now = time.monotonic()
        old = now - self._looked_at
        # What is known is looked up again now and then, because a token may be replaced; what is not, more often,
        # because its server may have just started, but not for each of many guesses.
        if old > (_TRUSTED_S if hashed in self._known else _UNKNOWN_S):
            self._looked_at = now
            self._known = await self._ledger.token_hashes()
        return hashed in self._known


def _identity(proof: Proof, session_id: str = "") -> Identity:
    """The one user there is."""
    return Identity(caller=owner(_SOURCES[proof]), proof=proof, session_id=session_id)


def cookie_name(host: str) -> str:
    """The name of the session's cookie for this Host header.

    Cookies do not know ports; the name does, so that two servers on one machine do not disturb each other.
    """
    return f"headrace_session_{host.rpartition(':')[2]}" if ":" in host else "headrace_session"


def token_hash(token: str) -> str:
    """What other servers may know of a token, which is 256 random bits: lower-hex sha256."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
