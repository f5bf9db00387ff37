"""A server with real sockets: how it starts, is found, holds against rude clients, and ends."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import resource
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import until
from headrace.client import ApiError, Headrace, ServerUnreachable, find_server
from headrace.server import connections, serve
from headrace.server.auth import load_token
from headrace.server.serve import Running, check_binding, in_background
from headrace.service.access import Resource, Verb
from headrace.service.errors import Invalid, Unavailable
from headrace.service.session import needs
from headrace.service.settings import Settings
from headrace.wire.server_file import read_info
from serving import ARTIFACT, EXECUTION, FILES, EmptyService, EmptySession


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def running(home: Path) -> Iterator[Running]:
    with in_background(Settings(home=home), port=0, open_service=EmptyService.open) as server:
        yield server


def send(port: int, request: bytes, host: str = "127.0.0.1", *, half_close: bool = True) -> bytes:
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        try:
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                answer += chunk
        except OSError:
            # The server may have hung up already.
            pass
    return answer


def test_it_is_found_by_its_data_directory_while_it_runs(home: Path) -> None:
    assert find_server(home) is None
    with in_background(Settings(home=home), port=0, open_service=EmptyService.open) as server:
        assert find_server(home) == server.info
        assert stat.S_IMODE((home / "server.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((home / "token").stat().st_mode) == 0o600
        client = Headrace(home=home)
        assert client.healthy() and client.session().content_origin == server.info.content_url
    assert find_server(home) is None and not (home / "server.json").exists()
    assert not client.healthy()
    with pytest.raises(ServerUnreachable, match="headrace up"):
        client.session()


def test_the_token_stays_the_same_and_is_closed_to_others(home: Path) -> None:
    home.mkdir()
    token = load_token(home)
    assert len(token) == 43
    (home / "token").chmod(0o644)
    assert load_token(home) == token
    assert stat.S_IMODE((home / "token").stat().st_mode) == 0o600
    assert sorted(path.name for path in home.iterdir()) == ["token"]


def test_a_token_made_by_many_at_once_is_one(home: Path) -> None:
    home.mkdir()
    tokens: list[str] = []
    barrier = threading.Barrier(8)

    def load() -> None:
        barrier.wait()
        tokens.append(load_token(home))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(tokens)) == 1 and len(tokens) == 8


def test_a_token_behind_a_link_is_not_followed(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (tmp_path / "elsewhere").write_text("x" * 43)
    (home / "token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        load_token(home)


def test_without_a_chosen_port_the_next_free_one_is_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(serve, "DEFAULT_PORT", port)
        with in_background(Settings(home=home), port=None, command="headrace run") as server:
            assert int(server.info.url.rpartition(":")[2]) > port
            info = read_info(home)
            assert info is not None and info.command == "headrace run"


def test_a_port_in_use_names_who_has_it(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable) as caught, in_background(Settings(home=home), port=port):
            pass
    assert caught.value.code == "PORT_IN_USE"
    assert str(os.getpid()) in caught.value.message and "--port" in caught.value.message
    assert not (home / "server.json").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.1", "example.org", "127.0.0.1.example.org"])
def test_it_listens_on_this_machine_only(host: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_binding(host)
    assert caught.value.code == "BINDING_REFUSED" and "ssh -L" in caught.value.message


def test_a_service_that_does_not_open_leaves_nothing_listening(home: Path) -> None:
    async def fail(settings: Settings) -> EmptyService:
        raise Unavailable("Read-only.", code="HOME_READ_ONLY")

    with pytest.raises(Unavailable, match="Read-only"), in_background(Settings(home=home), port=0, open_service=fail):
        pass
    assert not (home / "server.json").exists()


def test_a_one_time_link_signs_a_browser_in(running: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.state.port)
    connection.request("GET", running.sign_in_link().removeprefix(running.info.url))
    entered = connection.getresponse()
    entered.read()
    cookie = entered.headers["set-cookie"].partition(";")[0]
    secret = entered.headers["location"].partition("#session-secret=")[2]
    connection.request("GET", "/api/session", headers={"Cookie": cookie, "Headrace-Session-Secret": secret})
    session = connection.getresponse()
    assert (entered.status, session.status, json.loads(session.read())["user"]) == (303, 200, "local")
    connection.close()


def test_links_of_the_token_holder_and_content_over_real_sockets(running: Running, home: Path) -> None:
    client = Headrace(home=home)
    assert client.sign_in_link().url.startswith(f"{running.info.url}/auth?code=")
    url = client.artifact_link(ARTIFACT).url
    path = url.removeprefix(running.info.content_url)
    host = running.info.content_url.removeprefix("http://")
    for address in ("127.0.0.1", "::1"):
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        try:
            answer = send(running.state.content_port, request, address, half_close=False)
        except OSError:
            assert address == "::1", "no IPv6 here"
            continue
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(FILES[ARTIFACT][""])
    assert b"".join(client.read_artifact(ARTIFACT)) == FILES[ARTIFACT][""]


def test_logs_over_real_sockets(running: Running, home: Path) -> None:
    client = Headrace(home=home)
    part = client.read_log(EXECUTION, attempt=1, offset=-3)
    assert (part.content, part.offset, part.size) == (b"\x9fe\n", 23, 23)
    assert [chunk.offset for chunk in client.stream_log(EXECUTION, attempt=1)] == [23]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"POST /api/runs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_rude_requests_are_refused_and_do_no_harm(running: Running, home: Path, request_bytes: bytes) -> None:
    answer = send(running.state.port, request_bytes)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer[:200]
    assert Headrace(home=home).session().user == "local"


def test_slow_clients_are_cut_off_and_do_not_stop_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 1.0)
    with in_background(Settings(home=home), port=0, open_service=EmptyService.open) as running:
        slow = [socket.create_connection(("127.0.0.1", running.state.port), timeout=10) for _ in range(200)]
        for number, connection in enumerate(slow):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n" if number % 2 else b"")
        assert Headrace(home=home).session().user == "local"
        # Each is closed by the server: reading ends.
        assert {connection.recv(65536) for connection in slow} == {b""}
        for connection in slow:
            connection.close()


class SilentSession(EmptySession):
    """Nothing ever changes."""

    @needs(Resource.RUN, Verb.READ, "query")
    async def watch_runs(self):  # type: ignore[no-untyped-def,override]
        await asyncio.Event().wait()
        yield


class Silent(EmptyService):
    """A service of which streams never end."""

    session = SilentSession


@pytest.fixture
def narrow(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server with room for ten connections."""
    monkeypatch.setattr(serve, "room_for_connections", lambda: 10)
    with in_background(Settings(home=home), port=0, open_service=Silent.open) as running:
        yield running


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST /api/runs HTTP/1.1\r\n"])
def test_a_crowd_that_asks_nothing_locks_no_client_out(narrow: Running, home: Path, beginning: bytes) -> None:
    crowd = []
    for _ in range(60):
        crowd.append(socket.create_connection(("127.0.0.1", narrow.state.port), timeout=10))
        crowd[-1].sendall(beginning)
    for _ in range(20):
        # A new connection each time: it is the newest, so that one of the crowd goes.
        assert Headrace(home=home).session().user == "local"
    # The oldest were closed, in their order, long before a head is due.
    closed = [connection.recv(65536) for connection in crowd[:50]]
    assert set(closed) == {b""}
    for connection in crowd:
        connection.close()


def test_connections_at_work_stay_and_who_comes_then_is_told_to_wait(narrow: Running, home: Path) -> None:
    head = (
        f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{narrow.state.port}\r\n"
        f"Authorization: Bearer {_token(narrow)}\r\n\r\n"
    )
    at_work = [socket.create_connection(("127.0.0.1", narrow.state.port), timeout=10) for _ in range(10)]
    for connection in at_work:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
    late = send(narrow.state.port, b"", half_close=False)
    assert late.startswith(b"HTTP/1.1 503 ") and b"retry-after: 2" in late and b"SERVER_BUSY" in late
    at_work[0].close()

    def asks_again() -> bool:
        try:
            return Headrace(home=home).session().user == "local"
        except (ServerUnreachable, ApiError):
            return False

    until(asks_again, "the closed connection has made room")
    for connection in at_work:
        connection.close()


@pytest.mark.parametrize("soft", [8, 64, 100, 128, 256, 1024, 4096, 65_536, resource.RLIM_INFINITY])
def test_connections_leave_descriptors_to_the_service(soft: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, soft))
    room = connections.room_for_connections()
    assert 8 <= room <= 1000
    # Three listeners take as many at once as wait for them.
    taken = room + 3 * connections.backlog_of(room)
    assert soft < 64 or soft == resource.RLIM_INFINITY or taken <= soft - 32


def test_an_upload_without_an_end_is_cut_off(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.state.port), timeout=20) as connection:
        head = (
            f"POST /apis/v2beta1/experiments HTTP/1.1\r\nHost: 127.0.0.1:{running.state.port}\r\n"
            f"Authorization: Bearer {_token(running)}\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode())
        sent = 0
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            while sent < 64 << 20:
                connection.sendall(chunk)
                sent += 0x10000
        except OSError:
            pass
        assert sent < 32 << 20, "the server went on reading"


def _token(running: Running) -> str:
    return load_token(running.service.home)  # type: ignore[attr-defined]


def test_an_open_stream_does_not_hold_up_the_end(home: Path) -> None:
    import time

    with in_background(Settings(home=home), port=0, open_service=Silent.open) as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.state.port, timeout=10)
        connection.request("GET", "/api/events", headers={"Authorization": f"Bearer {_token(running)}"})
        stream = connection.getresponse()
        assert stream.readline() == b"retry: 1000\n"
        began = time.monotonic()
    assert time.monotonic() - began < 2
    connection.close()


def test_the_access_log_holds_no_secrets(running: Running, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="headrace.access")
    client = Headrace(home=home)
    link = client.sign_in_link().url
    send(running.state.port, f"GET {link.removeprefix(running.info.url)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    content = client.artifact_link(ARTIFACT).url.removeprefix(running.info.content_url)
    send(running.state.content_port, f"GET {content} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "'/auth' 403" in said and "'/c/-/report.html' 403" in said
    assert _token(running) not in said and link.partition("=")[2] not in said and content.split("/")[2] not in said
