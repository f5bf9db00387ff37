"""Send requests with `http.client`, over one connection for each thread, which is used again."""

from __future__ import annotations

import http.client
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, urlsplit

from headrace.client.core import Answer, HttpRequest, check
from headrace.client.errors import ServerUnreachable
from headrace.client.server_address import ServerAddress
from headrace.client.sse import SentEvent, parse_events

#: The server sends a heartbeat every 15 s; silence for longer means the connection is dead.
_STREAM_TIMEOUT_S = 45.0
#: Pauses between the tries of a request that makes nothing twice.
_REPEATS_S = (0.1, 0.4, 1.0)
_BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError)


class Transport:
    """Sends requests to one server."""

    def __init__(
        self,
        address: ServerAddress,
        *,
        timeout_s: float = 60.0,
        verify_ssl: bool = True,
        ca_file: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.address = address
        #: Headers of every request, for proxies in front of the server.
        self._headers = dict(headers or {})
        self._parts = urlsplit(address.url)
        self._timeout_s = timeout_s
        self._verify_ssl = verify_ssl
        self._ca_file = ca_file
        #: Thread -> its connection.
        self._kept: dict[int, http.client.HTTPConnection] = {}
        weakref.finalize(self, _close_all, self._kept)

    def send(self, request: HttpRequest) -> Answer:
        """The answer, read to its end. Raises ServerUnreachable."""
        kept = self._kept.get(threading.get_ident())
        if kept is not None and request.method == "GET":
            try:
                return self._exchange(kept, request)
            except _BROKEN:
                # The server may have closed an idle connection; sending a GET again does no harm.
                self._drop()
        for pause_s in _REPEATS_S if request.is_repeatable and request.method != "GET" else ():
            try:
                return self._on_new_connection(request)
            except (OSError, http.client.HTTPException):
                # The request has an idempotency key: it makes nothing twice, whether it had arrived or not.
                time.sleep(pause_s)
        try:
            return self._on_new_connection(request)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _on_new_connection(self, request: HttpRequest) -> Answer:
        self._drop()
        connection = self._connect(self._timeout_s)
        self._kept[threading.get_ident()] = connection
        try:
            return self._exchange(connection, request)
        except (OSError, http.client.HTTPException):
            self._drop()
            raise

    def events(self, request: HttpRequest, *, end: str = "end", patience_s: float = 30.0) -> Iterator[SentEvent]:
        """Server-sent events up to the one named `end`; after a lost connection it continues at the next event.

        Raises ApiError, or ServerUnreachable when the server has been gone for `patience_s`.
        """
        last_id, lost_at, pause_s = "", 0.0, 0.1
        while True:
            try:
                for event in self._events_once(request, last_id):
                    lost_at, pause_s = 0.0, 0.1
                    if event.event == end:
                        return
                    last_id = event.id or last_id
                    yield event
                error: Exception = ConnectionError("the stream ended early")
            except (OSError, http.client.HTTPException) as caught:
                error = caught
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > patience_s:
                raise self._unreachable(error) from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)

    def chunks(self, request: HttpRequest) -> Iterator[bytes]:
        """The answer's body in pieces, on a connection of its own. Raises ApiError, ServerUnreachable."""
        connection = self._connect(self._timeout_s)
        try:
            response = self._begin(connection, request)
            while chunk := response.read1(1 << 16):
                yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Close all connections; the next request opens a new one."""
        _close_all(self._kept)

    def _events_once(self, request: HttpRequest, last_id: str) -> Iterator[SentEvent]:
        connection = self._connect(_STREAM_TIMEOUT_S)
        try:
            resumed = {"Last-Event-ID": last_id} if last_id else {}
            yield from parse_events(self._begin(connection, request, resumed))
        finally:
            connection.close()

    def _begin(
        self, connection: http.client.HTTPConnection, request: HttpRequest, extra: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        self._put(connection, request, extra or {})
        response = connection.getresponse()
        if not 200 <= response.status < 300:
            check(_answer(response))
        return response

    def _exchange(self, connection: http.client.HTTPConnection, request: HttpRequest) -> Answer:
        self._put(connection, request, {})
        response = connection.getresponse()
        answer = _answer(response)
        if response.will_close:
            self._drop()
        return answer

    def _put(self, connection: http.client.HTTPConnection, request: HttpRequest, extra: Mapping[str, str]) -> None:
        headers = {"Accept": "application/json", **self._headers, **request.headers, **extra}
        if self.address.token:
            headers["Authorization"] = f"Bearer {self.address.token}"
        connection.request(request.method, self._parts.path + request.path, body=request.body, headers=headers)

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme != "https":
            return http.client.HTTPConnection(host, port, timeout=timeout_s)
        import ssl

        context = ssl.create_default_context(cafile=self._ca_file or None)
        if not self._verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)

    def _drop(self) -> None:
        kept = self._kept.pop(threading.get_ident(), None)
        if kept is not None:
            kept.close()

    def _unreachable(self, error: Exception) -> ServerUnreachable:
        return ServerUnreachable(
            f"No Headrace server answers at {_shown(self._parts)} ({error}). Start one with `headrace up`."
        )


def _close_all(kept: dict[int, http.client.HTTPConnection]) -> None:
    while kept:
        kept.popitem()[1].close()


def _answer(response: http.client.HTTPResponse) -> Answer:
    return Answer(
        status=response.status,
        reason=response.reason or "",
        headers={name.lower(): value for name, value in response.getheaders()},
        body=response.read(),
    )


def _shown(parts: SplitResult) -> str:
    """The address without a user's name and password."""
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
