"""Documents that are fetched: from a real server, and never from where a caller could not reach by itself."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest

import documents
from fake_executor import FakeExecutor, World
from headrace.service import package_urls
from headrace.service.errors import Invalid
from headrace.service.requests import NewVersion
from headrace.service.settings import Settings
from owned_service import Service

pytestmark = pytest.mark.anyio

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A server on this machine; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def content(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


async def refused(url: str, *, private: bool = True) -> str:
    with pytest.raises(Invalid) as caught:
        await package_urls.fetch(url, private=private)
    return caught.value.code


async def test_what_is_there_is_fetched() -> None:
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.path, handler.headers["host"], handler.headers["user-agent"]))
        content(b"x" * 200_000)(handler)

    with serving(answer) as address:
        assert await package_urls.fetch(f"{address}/a/b.yaml?v=1#part", private=True) == b"x" * 200_000
    assert seen == [("/a/b.yaml?v=1", address.removeprefix("http://"), "headrace")]


async def test_redirects_are_followed_and_counted() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        left = int(handler.path.rpartition("/")[2])
        if left:
            content(b"", 302, location=f"{left - 1}")(handler)
        else:
            content(b"there")(handler)

    with serving(answer) as address:
        assert await package_urls.fetch(f"{address}/5", private=True) == b"there"
        assert await refused(f"{address}/6") == "PACKAGE_URL_UNREACHABLE"


@pytest.mark.parametrize("status", [204, 400, 401, 404, 500, 304])
async def test_other_answers_are_told(status: int) -> None:
    with serving(content(b"no", status)) as address:
        assert await refused(address) == "PACKAGE_URL_REFUSED"


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "//user:secret@127.0.0.1/x", "gopher://x"]
)
async def test_a_redirect_to_another_kind_of_url_is_refused(location: str) -> None:
    with serving(content(b"", 302, location=location)) as address:
        assert await refused(address) == "PACKAGE_URL_INVALID"


async def test_content_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_urls, "MAX_BYTES", 1 << 20)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            pass

    with serving(answer) as address:
        assert await refused(address) == "PACKAGE_URL_TOO_LARGE"


async def test_an_answer_that_ends_too_early_is_none() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        handler.wfile.write(b"x" * 10)

    with serving(answer) as address:
        assert await refused(address) == "PACKAGE_URL_UNREACHABLE"


@pytest.mark.parametrize("slow", ["silent", "drops", "drops of the head"])
async def test_a_slow_server_has_a_deadline(monkeypatch: pytest.MonkeyPatch, slow: str) -> None:
    monkeypatch.setattr(package_urls, "_TIME_S", 0.5)
    over = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if slow == "drops":
            handler.send_response(200)
            handler.end_headers()
        if slow == "drops of the head":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not over.wait(0.02):
            if slow != "silent":
                try:
                    handler.wfile.write(b"x")
                except OSError:
                    return

    with serving(answer) as address:
        began = time.monotonic()
        try:
            assert await refused(address) == "PACKAGE_URL_UNREACHABLE"
        finally:
            over.set()
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://example.org/x",
        "https://",
        "https://user:secret@example.org/x",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://[::1/",
        "http://example.org/a b",
        "http://example.org/\r\nX: y",
        "http://ex\u00e4mple.org/",
    ],
)
async def test_what_is_not_a_url_of_a_package(url: str) -> None:
    assert await refused(url) == "PACKAGE_URL_INVALID"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]", "[fe80::1]", "[fc00::1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]",
        "[ff02::1]",
    ],
)  # fmt: skip
async def test_nothing_is_fetched_from_inside(host: str) -> None:
    assert await refused(f"http://{host}:9/", private=False) == "PACKAGE_URL_PRIVATE"


@pytest.mark.parametrize(
    ("address", "is_public"), [("1.1.1.1", True), ("2606:4700::1", True), ("64:ff9b::101:101", True)]
)
def test_public_addresses(address: str, is_public: bool) -> None:
    assert package_urls._is_public(ip_address(address)) is is_public


async def test_a_redirect_to_the_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first host counts as public here; the one that it names does not."""
    asked = []
    real = package_urls._is_public
    monkeypatch.setattr(package_urls, "_is_public", lambda one: len(asked) < 1 or real(one))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        content(b"secret", 302 if handler.path == "/" else 200, location="/inside")(handler)

    with serving(answer) as address:
        assert await refused(f"{address}/", private=False) == "PACKAGE_URL_PRIVATE"
    assert asked == ["/"]


async def test_the_address_that_was_looked_at_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that means another address each time it is asked for."""
    real, asked = socket.getaddrinfo, []

    def resolve(host: str, port: int, *rest: object, **more: object) -> list:
        if host == "rebinding.example":
            asked.append(host)
            host = "1.1.1.1" if len(asked) > 1 else "127.0.0.1"
        return real(host, port, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with serving(content(b"here")) as address:
        port = address.rpartition(":")[2]
        assert await package_urls.fetch(f"http://rebinding.example:{port}/", private=True) == b"here"
    assert len(asked) == 1


async def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert await refused(f"http://127.0.0.1:{taken.getsockname()[1]}/") == "PACKAGE_URL_UNREACHABLE"
    assert await refused("http://no-such-host.invalid/") == "PACKAGE_URL_UNREACHABLE"


@pytest.mark.parametrize("private", [True, False])
async def test_a_version_from_a_url(tmp_path: Path, private: bool) -> None:
    settings = Settings(home=tmp_path / "home", fetch_private=private)
    service = await Service.open(settings, executor=FakeExecutor(World()))
    try:
        pipeline = await service.create_pipeline(name="p")
        with serving(content(json.dumps(documents.one_task()).encode())) as address:
            new = NewVersion(name="v", package_url=f"{address}/p.json")
            if private:
                version = await service.create_version(pipeline.pipeline_id, new)
                assert version.pipeline_spec == documents.one_task()
            else:
                with pytest.raises(Invalid) as caught:
                    await service.create_version(pipeline.pipeline_id, new)
                assert caught.value.code == "PACKAGE_URL_PRIVATE"
    finally:
        await service.close()
