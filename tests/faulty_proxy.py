"""A proxy in front of an HTTP server that fails as networks and overloaded stores do, by a script that chance writes."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FAULTS = ("500", "503", "429", "reset", "cut", "lost answer")


class FaultyProxy(ThreadingHTTPServer):
    """Every request has its fault with probability `rate`."""

    daemon_threads = True

    def __init__(self, upstream: str, rate: float, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream)
        self.rate = rate
        self.dice = random.Random(seed)
        self.lock = threading.Lock()
        self.seen: Counter[str] = Counter()
        #: Statuses and codes that the next writes are answered with, whatever chance says.
        self.answers: list[tuple[int, str]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self) -> str:
        with self.lock:
            fault = self.dice.choice(FAULTS) if self.dice.random() < self.rate else ""
            self.seen[fault] += 1
        return fault


@contextmanager
def faulty_proxy(upstream: str, *, rate: float, seed: int = 0) -> Iterator[FaultyProxy]:
    with FaultyProxy(upstream, rate, seed) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "PUT" and self.server.answers:
            self._refuse(*self.server.answers.pop(0))
            return
        fault = self.server.fault()
        if fault == "reset":
            self._reset()
            return
        if fault.isdigit():
            self.send_response(int(fault))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status, headers, answer = self._ask(body)
        if fault == "lost answer" or (fault == "cut" and not answer):  # it was done, and nobody hears of it
            self._reset()
            return
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer[: len(answer) // 2] if fault == "cut" else answer)

    def _refuse(self, status: int, code: str) -> None:
        answer = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>not now</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(self.server.upstream.hostname, self.server.upstream.port, timeout=30)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() != "connection":
                upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        found = answer.status, answer.getheaders(), answer.read()
        upstream.close()
        return found

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        # What is still flushed at the end must not meet the closed socket.
        self.wfile = self.rfile = open("/dev/null", "r+b", buffering=0)  # noqa: SIM115

    def log_message(self, *_: object) -> None:
        pass
