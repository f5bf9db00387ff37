"""Connections of clients: how many there may be, which one goes first when there are too many, and what each must send.

A connection costs a descriptor, even if its client has no token. There are fewer of them than the process may open
files, so that the service and its tasks can always open what they need. When there are too many, the one goes that has
been without a whole request for the longest: a crowd of idle connections locks no client out that asks for something.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headrace.server.errors import HttpError, page_of
from headrace.wire.api import ErrorBody

log = logging.getLogger("headrace.server")

#: A connection that has not sent a whole request head by then is closed.
HEAD_S = 15.0
_MAX_HEAD_BYTES = 65_536
_MAX_HEADERS = 100
#: Connections at most, however many files may be open.
_MOST = 1000
_FEWEST = 8
#: Descriptors that connections leave to the service at least.
_RESERVE = 48
#: A client that finds no room should wait so long, in seconds.
RETRY_AFTER_S = 2


def room_for_connections() -> int:
    """How many connections there may be: at most half of the files that this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST
    return max(_FEWEST, min(_MOST, soft - max(_RESERVE, soft // 2)))


def backlog_of(room: int) -> int:
    """How many new connections wait in the system: all of these are taken at once, before any of them is closed."""
    return max(_FEWEST // 2, min(128, room // 8))


def busy(message: str) -> HttpError:
    """503: too much at once; it passes."""
    error = HttpError(503, "SERVER_BUSY", message, retry_after_s=RETRY_AFTER_S)
    error.headers["retry-after"] = str(RETRY_AFTER_S)
    return error


class Connections:
    """All connections of a server, and which of them wait for a whole request."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._open: set[HttpConnection] = set()
        #: In the order in which they began to wait.
        self._waiting: dict[HttpConnection, None] = {}
        self._reported_at = float("-inf")

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: HttpConnection) -> None:
        """A new connection. If there are too many, one of them is closed: this one, if all others are at work."""
        self._open.add(connection)
        if len(self._open) > self.room:
            self._tell(connection.loop.time())
            oldest = next(iter(self._waiting), None)
            if oldest is None:
                connection.refuse()
                return
            self.closed(oldest)
            oldest.drop()
        self._waiting[connection] = None

    def waits(self, connection: HttpConnection) -> None:
        """It waits for a whole request, from now on."""
        self._waiting.pop(connection, None)
        if connection in self._open:
            self._waiting[connection] = None

    def has_request(self, connection: HttpConnection) -> None:
        """A whole request has arrived on it."""
        self._waiting.pop(connection, None)

    def closed(self, connection: HttpConnection) -> None:
        """It is gone, or as good as gone."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def _tell(self, now: float) -> None:
        if now - self._reported_at > 60:
            self._reported_at = now
            log.warning(
                "There are %d connections, as many as there may be. The oldest idle ones are closed.", self.room
            )


class HttpConnection(HttpToolsProtocol):
    """uvicorn's protocol with a place among the others, and with what it lacks: a deadline and a limit for heads."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def __init__(self, *args: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*args, **options)
        self._all = connections

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()
        self._all.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.closed(self)
        self._head_done()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        if self._deadline is None:
            self._expect_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        self._head_done()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head_done()
        if self.cycle is not None and not self.cycle.response_complete:
            self._all.has_request(self)

    def on_response_complete(self) -> None:
        unread = self.cycle.more_body and not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self.cycle.response_complete:
            self._all.waits(self)
        if unread and self._deadline is None:
            # The answer came before the whole body: what is left of it may not take without limit.
            self._expect_head()

    def drop(self) -> None:
        """Close it for another one's sake."""
        if not self.transport.is_closing():
            self.transport.close()

    def refuse(self) -> None:
        """Close it before it has asked anything, with the answer that it would get."""
        error = busy(f"All {self._all.room} connections to this server are at work. Try again in a moment.")
        answer = ErrorBody(code=error.code, message=error.message, details=error.details, help=page_of(error.code))
        body = msgspec.json.encode(answer)
        head = (
            f"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"retry-after: {RETRY_AFTER_S}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
        )
        self._head_done()
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _MAX_HEAD_BYTES or len(self.headers) > _MAX_HEADERS:
            raise ValueError("request head too large")

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_S, self._too_slow)

    def _head_done(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
