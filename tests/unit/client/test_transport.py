"""What the client sends again when its connection breaks, and what it does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headrace.client import core
from headrace.client.errors import ServerUnreachable
from headrace.client.server_address import ServerAddress
from headrace.client.transport import Transport


class Listener:
    """Reads requests, and answers only once it has let down so many."""

    def __init__(self, breaks: int) -> None:
        self.breaks = breaks
        self.requests: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self.requests.append(connection.recv(65536))
                if len(self.requests) > self.breaks:
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")


@contextmanager
def listening(breaks: int) -> Iterator[tuple[Listener, Transport]]:
    listener = Listener(breaks)
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    try:
        yield listener, Transport(ServerAddress(url=url, token="t"), timeout_s=10)
    finally:
        listener.socket.close()


def keys(listener: Listener) -> set[str]:
    lines = [line for one in listener.requests for line in one.decode().split("\r\n")]
    return {line.partition(": ")[2] for line in lines if line.lower().startswith("idempotency-key")}


def test_a_request_that_makes_one_thing_is_sent_again_with_its_key() -> None:
    with listening(breaks=2) as (listener, transport):
        assert transport.send(core.post_once("/api/runs", {})).status == 200
        assert len(listener.requests) == 3
        assert len(keys(listener)) == 1
        transport.send(core.post_once("/api/runs", {}))
        assert len(keys(listener)) == 2


def test_in_the_end_the_server_is_unreachable() -> None:
    with listening(breaks=99) as (listener, transport):
        with pytest.raises(ServerUnreachable):
            transport.send(core.post_once("/api/runs", {}))
        assert len(listener.requests) == 4


def test_any_other_change_is_sent_once() -> None:
    with listening(breaks=1) as (listener, transport):
        with pytest.raises(ServerUnreachable):
            transport.send(core.post("/api/runs/r/retry"))
        assert len(listener.requests) == 1 and keys(listener) == set()
