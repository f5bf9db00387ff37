"""What the handlers need to know of the server around them."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

import msgspec

from headrace.server.auth import Gate
from headrace.server.inflight import BytesInFlight
from headrace.server.signing import Signer


def installed_version() -> str:
    """Headrace's own version."""
    try:
        return version("headrace")
    except PackageNotFoundError:
        return "0"


class AppState(msgspec.Struct, frozen=True, kw_only=True):
    """One server process, as its handlers see it."""

    #: The address that browsers use: `http://127.0.0.1:PORT`, or that of a proxy before this server.
    origin: str
    #: Where they get the content of artifacts, and nothing else: `http://localhost:PORT`, or that of a proxy.
    content_origin: str
    port: int
    content_port: int
    version: str
    gate: Gate
    signer: Signer
    #: Set when the server is about to end; open streams end then.
    stopping: asyncio.Event
    #: Room for the bodies of requests.
    in_flight: BytesInFlight = msgspec.field(default_factory=BytesInFlight)

    @property
    def hosts(self) -> frozenset[str]:
        """The only `Host` headers the application answers to."""
        own = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        return frozenset({*own, _host(self.origin)})

    @property
    def content_hosts(self) -> frozenset[str]:
        """The only `Host` headers that content is served to."""
        return frozenset({f"localhost:{self.content_port}", _host(self.content_origin)})

    @property
    def local_origin(self) -> str:
        """Where programs on this machine reach this very server."""
        return f"http://127.0.0.1:{self.port}"

    def origin_at(self, host: str) -> str:
        """The origin of our own page when it is asked for at this host."""
        return self.origin if host == _host(self.origin) else f"http://{host}"

    def is_home(self, host: str) -> bool:
        """Whether sessions count at this host."""
        return host in (_host(self.origin), _host(self.local_origin))


def _host(origin: str) -> str:
    return urlsplit(origin).netloc.lower()
