"""The whole server on real sockets: who may, content from its own origin, live events, long logs, the end."""

from __future__ import annotations

import http.client
import http.cookiejar
import io
import json
import runpy
import signal
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from harness import FINAL, Server
from headrace.client import Headrace
from headrace.client.packages import compile_pipeline
from headrace.client.sse import SentEvent, parse_events
from headrace.server.routes import NeededProof, Route
from headrace.server.table import ROUTES
from headrace.wire.api import CreateRun

pytestmark = [pytest.mark.slow]
PIPELINES = Path(__file__).parent / "pipelines"
UPLOAD = "/apis/v2beta1/pipelines/upload?name=x"
LINES = 100_000


class Told(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Shown(NamedTuple):
    """A server and the run that made the pages."""

    server: Server
    client: Headrace
    run_id: str
    executions: dict[str, str]

    def artifact(self, task: str) -> str:
        outputs = self.client.get_execution(self.executions[task]).outputs
        ((artifact,),) = outputs.artifacts.values()
        return artifact.artifact_id


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Told:
    """One request on a connection of its own, with exactly these headers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        where = parts.path + (f"?{parts.query}" if parts.query else "")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, where, body=body, headers=named)
        response = connection.getresponse()
        return Told(response.status, response.headers, response.read())
    finally:
        connection.close()


def submitted(server: Server, file: str, pipeline: str, **arguments: Any) -> str:
    document = compile_pipeline(runpy.run_path(str(PIPELINES / file))[pipeline]).decode()
    run = CreateRun(display_name=pipeline, document=document, parameters=arguments)
    return Headrace(home=server.home).create_run(run).run_id


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    server = Server(tmp_path_factory.mktemp("server") / "home")
    try:
        server.start()
        run_id = submitted(server, "pages.py", "pages", lines=LINES)
        view = server.finished(run_id)
        assert view["run"]["state"] == "SUCCEEDED", view
        executions = {one["task"]: one["execution_id"] for one in view["executions"]}
        yield Shown(server, Headrace(home=server.home), run_id, executions)
    finally:
        server.end()


# --- who may -----------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_each_route_asks_who_it_is(shown: Shown, route: Route) -> None:
    path = route.path.replace("{run_id}", shown.run_id).replace("{execution_id}", shown.executions["report"])
    while "{" in path:
        path = path[: path.index("{")] + "x" + path[path.index("}") + 1 :]
    url, token = shown.server.url + path, f"Bearer {shown.server.token}"
    told = ask(url, route.method)
    wrong = ask(url, route.method, Authorization="Bearer " + "x" * 43)
    foreign = ask(url, route.method, Host="evil.example", Authorization=token)
    assert foreign.status == 403
    if route.proof in (NeededProof.NONE, NeededProof.CODE):
        assert told.status == wrong.status != 401
    else:
        assert (told.status, wrong.status) == (401, 401)
    if route.method != "GET" and route.proof not in (NeededProof.NONE, NeededProof.CODE):
        assert ask(url, route.method, Authorization=token, Origin="http://evil.example").status == 403
    assert shown.server.get(f"/api/runs/{shown.run_id}")["run"]["storage_state"] == "AVAILABLE"


# --- content -----------------------------------------------------------------------------------


def test_content_comes_from_an_origin_to_which_no_cookie_goes(shown: Shown) -> None:
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    link = shown.client.sign_in_link().url
    with browser.open(link) as page:
        assert page.status == 200
        secret = page.url.partition("#session-secret=")[2]
    (cookie,) = jar
    assert cookie.has_nonstandard_attr("HttpOnly") and str(cookie.get_nonstandard_attr("SameSite")).lower() == "strict"
    asked = urllib.request.Request(shown.server.url + "/api/session", headers={"Headrace-Session-Secret": secret})
    with browser.open(asked) as session:
        content_origin = json.load(session)["content_origin"]
    with pytest.raises(urllib.error.HTTPError) as again:
        urllib.request.urlopen(link)
    again.value.close()
    assert again.value.code in (401, 403)

    url = shown.client.artifact_link(shown.artifact("report")).url
    assert url.startswith(content_origin + "/c/") and urlsplit(url).hostname != urlsplit(shown.server.url).hostname
    request = urllib.request.Request(url)
    jar.add_cookie_header(request)
    assert not request.has_header("Cookie")
    with browser.open(request) as content:
        assert content.read().startswith(b"<h1>report</h1>")
        policy = content.headers["content-security-policy"]
        assert "sandbox allow-scripts" in policy and "default-src 'none'" in policy and "connect-src 'none'" in policy
        assert "allow-same-origin" not in policy
        assert content.headers["x-content-type-options"] == "nosniff"
        assert content.headers["referrer-policy"] == "no-referrer" and content.headers["set-cookie"] is None


def test_links_that_are_not_ours_show_nothing(shown: Shown) -> None:
    url = shown.client.artifact_link(shown.artifact("report")).url
    origin, _, rest = url.partition("/c/")
    signed, _, name = rest.partition("/")
    other = shown.client.artifact_link(shown.artifact("folder"), member="a/note.txt").url.partition("/c/")[2]
    assert ask(url).status == 200
    mixed = signed.rpartition(".")[0] + "." + other.partition("/")[0].rpartition(".")[2]
    flipped = signed[:10] + ("A" if signed[10] != "A" else "B") + signed[11:]
    for forged in (mixed, flipped, signed[:-2], signed + "A", "", "x"):
        told = ask(f"{origin}/c/{forged}/{name}")
        assert told.status in (403, 404) and b"report</h1>" not in told.body, forged
    # The application's origin serves no links; the content origin serves nothing else, with or without a token.
    assert b"report</h1>" not in ask(url.replace(origin, shown.server.url)).body
    token = f"Bearer {shown.server.token}"
    for path in ("/api/session", f"/api/runs/{shown.run_id}", "/apis/v2beta1/healthz", "/", "/auth?code=x"):
        assert ask(origin + path, Authorization=token).status == 404


def test_parts_and_members(shown: Shown) -> None:
    artifact_id = shown.artifact("folder")
    assert [(one.name, one.size_bytes) for one in shown.client.list_members(artifact_id)] == [("a/note.txt", 10)]
    assert b"".join(shown.client.read_artifact(artifact_id, member="a/note.txt")) == b"0123456789"
    told = ask(shown.client.artifact_link(artifact_id, member="a/note.txt").url, Range="bytes=2-4")
    assert (told.status, told.body, told.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    whole = f"{shown.server.url}/api/artifacts/{artifact_id}/content?member="
    token = f"Bearer {shown.server.token}"
    for member in ("../note.txt", "a/../../../../token", "/etc/passwd", "a", "a%2F..%2F..%2Ftoken", "none"):
        assert ask(whole + member, Authorization=token).status in (400, 404), member


# --- live --------------------------------------------------------------------------------------


def events(server: Server, path: str, last_id: str = "") -> Iterator[SentEvent]:
    """Events of one connection, which is open from now on, until it ends."""
    headers = {"Authorization": f"Bearer {server.token}", **({"Last-Event-ID": last_id} if last_id else {})}
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=60)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    assert response.status == 200 and response.headers["content-type"].startswith("text/event-stream")
    return _read(connection, response)


def _read(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Iterator[SentEvent]:
    try:
        yield from parse_events(iter(response.readline, b""))
    finally:
        connection.close()


def test_a_run_is_followed_and_gone_on_with(shown: Shown, tmp_path: Path) -> None:
    server, flag = shown.server, tmp_path / "flag"
    news = events(server, "/api/events")
    run_id = submitted(server, "shapes.py", "waits", path=str(flag))
    seen: list[dict[str, Any]] = []
    for event in news:
        seen += [run for run in json.loads(event.data)["runs"] if run["run_id"] == run_id]
        if seen:
            break
    assert event.event == "runs"
    path = f"/api/runs/{run_id}/events"
    first = events(server, path)
    latest = next(first)
    change = json.loads(latest.data)
    assert latest.event == "change" and "" in {one["path"] for one in change["executions"]}
    while not _running(change, "wait-for"):
        latest = next(first)
        change = json.loads(latest.data)
    assert latest.id == str(change["version"])

    flag.touch()
    server.finished(run_id)
    rest = list(events(server, path, last_id=latest.id))
    assert rest[-1].event == "end" and all(event.event == "change" for event in rest[:-1])
    changes = [json.loads(event.data) for event in rest[:-1]]
    assert all(one["version"] > int(latest.id) for one in changes)
    assert changes[-1]["run"]["state"] == "SUCCEEDED"
    told = {one["task"] for change in changes for one in change["executions"]}
    assert "wait-for" in told and "number" not in told, "what was known before is not sent again"
    for event in news:
        if any(run["run_id"] == run_id and run["state"] in FINAL for run in json.loads(event.data)["runs"]):
            break
    news.close()


def _running(change: dict[str, Any], task: str) -> bool:
    return any(one["task"] == task and one["state"] == "RUNNING" for one in change["executions"])


def test_ten_megabytes_of_log_arrive_quickly_and_whole(shown: Shown) -> None:
    execution_id = shown.executions["many-lines"]
    began = time.monotonic()
    chunks = list(shown.client.stream_log(execution_id, attempt=1))
    spent = time.monotonic() - began
    text = "".join(chunk.text for chunk in chunks)
    lines = [line for line in text.splitlines() if line.endswith("x" * 89)]
    assert len(lines) == LINES and lines[0].startswith("000000000 ") and lines[-1].startswith(f"{LINES - 1:09d} ")
    assert len(text) > 9_900_000 and chunks[-1].offset == shown.client.read_log(execution_id, limit=1).size
    assert len(chunks) < 1000
    assert spent < 5, f"{spent:.1f} s"
    middle = chunks[len(chunks) // 2].offset
    (resumed, *_) = shown.client.stream_log(execution_id, attempt=1, offset=middle)
    assert text.encode()[middle:].startswith(resumed.text.encode())


# --- bombs -------------------------------------------------------------------------------------


@cache
def bombs() -> dict[str, bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("pipeline.yaml", "w", force_zip64=True) as member:
            for _ in range(200):
                member.write(b"a: 1\n" * 200_000)
    aliases = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    return {"zip": packed.getvalue(), "aliases": aliases.encode(), "depth": b"[" * 100_000, "nothing": b""}


@pytest.mark.parametrize("name", ["zip", "aliases", "depth", "nothing"])
def test_bombs_do_no_harm(shown: Shown, name: str) -> None:
    boundary = "b" * 16
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="uploadfile"; filename="p.yaml"\r\n\r\n'
    body = head.encode() + bombs()[name] + f"\r\n--{boundary}--\r\n".encode()
    began = time.monotonic()
    told = ask(
        shown.server.url + UPLOAD,
        "POST",
        body,
        Authorization=f"Bearer {shown.server.token}",
        Content_Type=f"multipart/form-data; boundary={boundary}",
    )
    assert told.status == 400 and json.loads(told.body)["error_message"], told
    assert time.monotonic() - began < 10
    assert shown.server.answers()
    assert resident_mb(shown.server) < 300


def resident_mb(server: Server) -> float:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


# --- the end -----------------------------------------------------------------------------------


def test_it_ends_promptly_with_readers_and_tasks_and_goes_on_afterwards(
    server: Server, home: Path, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    run_id = submitted(server, "shapes.py", "waits", path=str(flag))
    stream = events(server, f"/api/runs/{run_id}/events")
    while not _running(json.loads(next(stream).data), "wait-for"):
        pass
    followed = events(server, "/api/events")
    began = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 3
    assert not (home / "server.json").exists() and (home / "token").exists()
    assert not list(followed) and all(event.event == "change" for event in stream), "no stream says that it is over"

    flag.touch()
    server.start()
    assert server.finished(run_id)["run"]["state"] == "SUCCEEDED"
