"""Fetching a pipeline document from a URL that a caller names, without letting the caller reach inside.

The server stands where the caller may not: on its machine, in its network, beside a cloud's metadata service. So a host
is resolved once, each of its addresses is looked at, and the connection goes to the address that was looked at; every
redirect is a new URL, with the same checks. Proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

from headrace.service.errors import Invalid

Address: TypeAlias = IPv4Address | IPv6Address

#: As an upload may have.
MAX_BYTES: Final = 32 << 20
#: For all of it, redirects included.
_TIME_S: Final = 30.0
_TOO_LONG: Final = f"it takes longer than {_TIME_S:g} s"
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PIECE: Final = 64 * 1024
#: IPv6 addresses that stand for IPv4 ones behind a gateway.
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_PORTS: Final = {"http": 80, "https": 443}


async def fetch(url: str, *, private: bool) -> bytes:
    """What is at the URL; `private`: also on this machine and in private networks. Raises Invalid."""
    return await asyncio.to_thread(_fetch, url, private, time.monotonic() + _TIME_S)


def _fetch(url: str, private: bool, deadline: float) -> bytes:
    for _ in range(_MOST_REDIRECTS + 1):
        found = _get(_checked(url), private, deadline)
        if isinstance(found, bytes):
            return found
        url = urljoin(url, found)
    raise _unreachable(url, f"more than {_MOST_REDIRECTS} redirects")


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in _PORTS and parts.hostname is not None and "@" not in parts.netloc
        is_good = is_good and url.isascii() and url.isprintable() and " " not in url and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise Invalid(
            f"{url[:200]!r} is not a URL of a package: write it as https://host/path, without user and password.",
            code="PACKAGE_URL_INVALID",
        )
    return parts


def _get(parts: SplitResult, private: bool, deadline: float) -> bytes | str:
    """The content, or where it redirects to."""
    host, shown = parts.hostname or "", parts.geturl()
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        with contextlib.closing(kind(host, parts.port)) as connection, contextlib.ExitStack() as stack:
            # The connection forgets it once the answer is the last one.
            sock = connection.sock = _connected(parts, private, deadline)
            stack.callback(_ended_at(deadline, sock).cancel)
            connection.request("GET", target, headers={"Accept-Encoding": "identity", "User-Agent": "headrace"})
            with connection.getresponse() as answer:
                if answer.status in _REDIRECTS and (where := answer.getheader("location")):
                    return where
                if answer.status != 200:
                    raise Invalid(f"{shown} answers {answer.status} {answer.reason}.", code="PACKAGE_URL_REFUSED")
                return b"".join(_pieces(answer, shown, deadline))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable(shown, _TOO_LONG if time.monotonic() >= deadline else str(error) or repr(error)) from error


def _ended_at(deadline: float, sock: socket.socket) -> threading.Timer:
    """A timer that ends the connection: with a limit for each read, a server could send a byte a second for hours."""

    def end() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(_left(deadline), end)
    timer.daemon = True
    timer.start()
    return timer


def _pieces(answer: http.client.HTTPResponse, shown: str, deadline: float) -> Iterator[bytes]:
    size = 0
    while piece := answer.read1(_PIECE):
        size += len(piece)
        if size > MAX_BYTES:
            raise Invalid(f"{shown} has more than {MAX_BYTES >> 20} MiB.", code="PACKAGE_URL_TOO_LARGE")
        yield piece
    _left(deadline)
    # A connection that ends early ends this as well as a whole answer does.
    if answer.length:
        raise OSError(f"the connection ended {answer.length} bytes too early")


def _connected(parts: SplitResult, private: bool, deadline: float) -> socket.socket:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    addresses = list(dict.fromkeys(_resolved(host, port)))
    if not private and any(not _is_public(one) for one in addresses):
        raise Invalid(
            f"{host} is this machine or in a private network: the server fetches nothing from there. Upload the file, "
            "or start the server with HEADRACE_FETCH_PRIVATE=1.",
            code="PACKAGE_URL_PRIVATE",
        )
    failed: OSError = OSError("it has no address")
    for address in addresses:
        try:
            sock = socket.create_connection((str(address), port), timeout=_left(deadline))
        except OSError as error:
            failed = error
            continue
        if parts.scheme == "http":
            return sock
        try:
            return ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
    raise failed


def _resolved(host: str, port: int) -> Iterator[Address]:
    for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        yield ip_address(str(place[0]).partition("%")[0])


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        if address in _TRANSLATED:
            return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(_TOO_LONG)
    return left


def _unreachable(shown: str, why: str) -> Invalid:
    return Invalid(f"{shown} cannot be fetched: {why}.", code="PACKAGE_URL_UNREACHABLE")
