"""Who is asking: the token of this data directory, one-time codes for browsers, and the sessions these turn into."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import msgspec

from headrace.server.signing import Signer
from headrace.service.access import ANONYMOUS, LOCAL_USER, Caller, Source, owner

#: A browser stays signed in this long.
SESSION_S = 7 * 24 * 3600.0
#: A one-time link must be opened this soon.
CODE_S = 300.0
_MAX_CODES = 100


class Proof(Enum):
    """How a request showed who it is."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105
    SESSION = "session"
    TRUSTED = "trusted"  #: nothing is asked for: `--insecure-no-auth`


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, and how we know."""

    caller: Caller
    proof: Proof


UNKNOWN = Identity(caller=ANONYMOUS, proof=Proof.NONE)

_SOURCES = {Proof.TOKEN: Source.TOKEN, Proof.SESSION: Source.SESSION, Proof.TRUSTED: Source.UNASKED}


class _SignIn(msgspec.Struct, frozen=True, kw_only=True):
    user: str
    nonce: str


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
    """Knows the token, the open one-time codes and how to recognise a session."""

    def __init__(
        self, *, token: str, port: int, insecure: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self._token = token.encode()
        self._clock = clock
        self._codes: dict[bytes, float] = {}
        self._signer = Signer(derive_key(token, "session"), clock=clock)
        self.insecure = insecure
        #: Cookies do not know ports; the name does, so that two servers on one machine do not disturb each other.
        self.cookie = f"headrace_session_{port}"

    def identify(self, *, authorization: str | None, cookie: str | None) -> Identity:
        """Who brings these credentials; UNKNOWN for none or wrong ones. No session makes up for a wrong token."""
        if authorization is not None:
            return self._bearer(authorization)
        if cookie is not None and self._signer.open("session", cookie, _SignIn) is not None:
            return self._known(Proof.SESSION)
        return self._known(Proof.TRUSTED) if self.insecure else UNKNOWN

    def mint_code(self, *, ttl_s: float = CODE_S) -> tuple[str, float]:
        """`(a new one-time code, when it ends)`. Only its hash is kept."""
        now = self._clock()
        self._codes = {known: until for known, until in self._codes.items() if until > now}
        while len(self._codes) >= _MAX_CODES:
            self._codes.pop(next(iter(self._codes)))
        code = secrets.token_urlsafe(32)
        self._codes[_hashed(code)] = now + ttl_s
        return code, now + ttl_s

    def redeem(self, code: str) -> str | None:
        """A session's cookie value for a code, which is used up by this; None for a code that is none of ours."""
        until = self._codes.pop(_hashed(code), None)
        if until is None or until <= self._clock():
            return None
        session = _SignIn(user=LOCAL_USER, nonce=secrets.token_hex(16))
        return self._signer.sign("session", session, ttl_s=SESSION_S)[0]

    def _known(self, proof: Proof) -> Identity:
        """The one user there is."""
        return Identity(caller=owner(_SOURCES[proof]), proof=proof)

    def _bearer(self, authorization: str) -> Identity:
        scheme, _, given = authorization.partition(" ")
        right = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        if right and scheme.lower() == "bearer":
            return self._known(Proof.TOKEN)
        return self._known(Proof.TRUSTED) if self.insecure else UNKNOWN


def derive_key(token: str, purpose: str) -> bytes:
    """A key of its own for each use, so that a new token ends all sessions and links of the old one."""
    return hmac.digest(token.encode(), b"headrace " + purpose.encode(), hashlib.sha256)


def _hashed(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogateescape")).digest()
