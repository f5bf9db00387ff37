"""What the handlers need to know of the server around them."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version

import msgspec

from headrace.server.auth import Gate
from headrace.server.signing import Signer


def installed_version() -> str:
    """Headrace's own version."""
    try:
        return version("headrace")
    except PackageNotFoundError:
        return "0"


class AppState(msgspec.Struct, frozen=True, kw_only=True):
    """One server process, as its handlers see it."""

    #: `http://127.0.0.1:PORT`
    origin: str
    #: `http://localhost:PORT`, for artifact content only.
    content_origin: str
    port: int
    content_port: int
    version: str
    gate: Gate
    signer: Signer
    #: Set when the server is about to end; open streams end then.
    stopping: asyncio.Event

    @property
    def hosts(self) -> frozenset[str]:
        """The only `Host` headers the application answers to."""
        return frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    @property
    def origins(self) -> frozenset[str]:
        """The only `Origin` headers a change may come from."""
        return frozenset(f"http://{host}" for host in self.hosts)
