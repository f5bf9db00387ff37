"""Two servers of one PostgreSQL behind a proxy that sends every other connection to the other one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import re
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fake_executor import FakeExecutor, World
from headrace.engine.model import Artifact, ArtifactType
from headrace.server.auth import load_token
from headrace.server.serve import Running, in_background
from headrace.service.errors import Invalid
from headrace.service.service import Service
from headrace.service.settings import Settings
from headrace.store.artifacts import insert_artifacts
from headrace.store.records import ArtifactRecord
from headrace.store.urls import DatabaseUrl
from owned_service import Service as OwnedService

CONTENT = b"what the model learned"
ARTIFACT = "a0a0a0a0-0000-4000-8000-000000000009"


class RoundRobin:
    """A proxy on loopback: each connection goes to the next server."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ports: list[int] = []
        self.counts: dict[int, int] = {}

    def start(self, ports: list[int]) -> None:
        self.ports, self.counts = ports, dict.fromkeys(ports, 0)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        for port in itertools.cycle(self.ports):
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.counts[port] += 1
            threading.Thread(target=_serve, args=(client, port), daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def _serve(client: socket.socket, port: int) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
        back.start()
        _pass_on(client, server)
        back.join()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
        other.shutdown(socket.SHUT_WR)


class Pair(NamedTuple):
    """Two servers, and the proxies before their pages and their content."""

    servers: list[Running]
    homes: list[Path]
    pages: RoundRobin
    content: RoundRobin

    @property
    def url(self) -> str:
        """Where browsers find them."""
        return f"http://127.0.0.1:{self.pages.port}"


async def fill(home: Path, database: DatabaseUrl) -> None:
    """Nine pipelines, and an artifact whose content is in the directory that both servers share."""
    service = await OwnedService.open(Settings(home=home, database=database), executor=FakeExecutor(World()))
    for number in range(9):
        await service.create_pipeline(name=f"p{number}")
    file = home / "artifacts" / "run" / "execution" / "1" / "model"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    artifact = Artifact(
        artifact_id=ARTIFACT, name="model", type=ArtifactType(), uri=file.as_uri(), size_bytes=len(CONTENT),
        digest=hashlib.sha256(CONTENT).hexdigest(),
    )  # fmt: skip
    record = ArtifactRecord(artifact=artifact, run_id=None, execution_id=None, created_at=1.0)
    await service._context.write(insert_artifacts, [record])
    await service.close()


@pytest.fixture(params=["two directories", "one directory"])
def pair(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Iterator[Pair]:
    """Servers with data directories of their own, and with one, as on a shared file system."""
    database = DatabaseUrl.parse(database_url)
    homes = [tmp_path / "one", tmp_path / ("one" if request.param == "one directory" else "two")]
    asyncio.run(fill(homes[0], database))
    pages, content = RoundRobin(), RoundRobin()

    async def opened(settings: Settings) -> Service:
        return await Service.open(settings, executor=FakeExecutor(World()))

    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(
                in_background(
                    Settings(
                        home=home,
                        database=database,
                        public_url=f"http://127.0.0.1:{pages.port}",
                        public_content_url=f"http://localhost:{content.port}",
                    ),
                    port=0,
                    open_service=opened,
                )
            )
            for home in homes
        ]
        pages.start([one.state.port for one in servers])
        content.start([one.state.content_port for one in servers])
        yield Pair(servers, homes, pages, content)
        pages.close()
        content.close()


class Reply(NamedTuple):
    """An answer, wholly read."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """The body as plain values."""
        return json.loads(self.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def ask(url: str, *, body: Any = None, **headers: str) -> Reply:
    """The answer, also a refusal. Each on a connection of its own."""
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        answer = urllib.request.build_opener(_NoRedirect).open(request, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return Reply(answer.status, answer.headers, answer.read())


def sign_in(link: str) -> dict[str, str]:
    """The headers of a page that has signed in."""
    entered = ask(link)
    assert entered.status == 303, entered
    return {
        "Cookie": str(entered.headers["set-cookie"]).partition(";")[0],
        "Headrace-Session-Secret": str(entered.headers["location"]).partition("#session-secret=")[2],
    }


def test_a_browser_signs_in_pages_and_downloads_on_either_server(pair: Pair) -> None:
    # The link is from one server, and is opened at both in turn.
    for server in pair.servers:
        for _ in range(2):
            link = server.sign_in_link()
            assert link.startswith(pair.url)
            own = {**sign_in(link), "Origin": pair.url, "Sec-Fetch-Site": "same-origin"}
            assert ask(link).status == 403
            for _ in range(2):
                assert ask(f"{pair.url}/api/session", **own).json["user"] == "local"
    found: list[str] = []
    token = ""
    while True:
        page = ask(f"{pair.url}/apis/v2beta1/pipelines?page_size=2&page_token={token}", **own).json
        found += [one["name"] for one in page["pipelines"]]
        if not (token := page.get("next_page_token", "")):
            break
    assert sorted(found) == [f"p{number}" for number in range(9)]
    assert min(pair.pages.counts.values()) >= 2
    if pair.homes[0] != pair.homes[1]:
        return  # Content is in the directory of one of them, or in an object store.
    for _ in range(2):
        answer = ask(f"{pair.url}/api/artifacts/{ARTIFACT}/link", body={}, **own)
        url = answer.json["url"]
        assert url.startswith(f"http://localhost:{pair.content.port}/c/")
        for _ in range(2):
            content = ask(url.replace("localhost", "127.0.0.1"), Host=f"localhost:{pair.content.port}")
            assert content.body == CONTENT
            assert content.headers["access-control-allow-origin"] == pair.url
    assert min(pair.content.counts.values()) >= 2


def test_each_server_s_token_is_good_at_both(pair: Pair) -> None:
    tokens = [load_token(home) for home in pair.homes]
    assert (tokens[0] != tokens[1]) == (pair.homes[0] != pair.homes[1])
    for token in tokens:
        for _ in range(2):
            assert ask(f"{pair.url}/api/session", Authorization=f"Bearer {token}").status == 200
    for _ in range(2):
        assert ask(f"{pair.url}/api/session", Authorization="Bearer " + "x" * 43).status == 401


def test_what_the_proxy_is_called_does_not_open_other_doors(pair: Pair) -> None:
    token = {"Authorization": f"Bearer {load_token(pair.homes[0])}"}
    direct = pair.servers[0].info.url
    assert ask(f"{direct}/api/session", **token).status == 200
    for host in ("evil.example", f"127.0.0.1:{pair.pages.port + 1}", f"localhost:{pair.pages.port}"):
        assert ask(f"{pair.url}/api/session", Host=host, **token).status == 403
    assert ask(f"{pair.url}/api/session", Origin="http://evil.example", **token).status == 403
    # No pages at the address of the content.
    assert ask(f"http://127.0.0.1:{pair.content.port}/api/session", **token).status == 403
    csp = ask(f"{pair.url}/api/session", **token).headers["content-security-policy"]
    assert re.search(rf"frame-src http://localhost:{pair.content.port}\b", csp)


@pytest.mark.parametrize(
    "urls",
    [
        {"public_url": "headrace.example.com"},
        {"public_url": "ftp://headrace.example.com"},
        {"public_url": "https://headrace.example.com/there"},
        {"public_url": "https://h.example.com", "public_content_url": "https://H.example.com/"},
    ],
)
def test_an_address_that_cannot_be_right_does_not_start(tmp_path: Path, urls: dict[str, str]) -> None:
    with pytest.raises(Invalid) as caught, in_background(Settings(home=tmp_path / "home", **urls), port=0):
        pass
    assert caught.value.code == "PUBLIC_URL_INVALID"
