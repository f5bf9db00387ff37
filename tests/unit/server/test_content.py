"""The content origin: signed links only, nothing trusted."""

from __future__ import annotations

import pytest

from headrace.engine.model import Artifact, ArtifactType
from headrace.server.content import content_name, requested_span
from headrace.server.errors import HttpError
from headrace.server.signing import Signer
from headrace.wire.api import CreateLink
from serving import ARTIFACT, CONTENT_HOST, CONTENT_PORT, FILES, FOLDER, HOST, PORT, TOKEN, App, Clock, make_state

pytestmark = pytest.mark.anyio

REPORT = FILES[ARTIFACT][""]


async def link(app: App, artifact_id: str, body: bytes = b"") -> str:
    headers = {"content-type": "application/json"} if body else {}
    told = await app.ask("POST", f"/api/artifacts/{artifact_id}/link", headers=headers, body=body)
    assert told.status == 200, told
    return told.json["url"]


async def test_a_link_shows_html_in_a_sandbox() -> None:
    app = App()
    url = await link(app, ARTIFACT)
    assert url.startswith(f"http://{CONTENT_HOST}/c/") and url.endswith("/report.html")
    told = await app.content(url)
    assert (told.status, told.body) == (200, REPORT)
    policy = told.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "connect-src 'none'" in policy and f"frame-ancestors http://{HOST}" in policy and "same-origin" not in policy
    assert told.headers["content-type"] == "text/html; charset=utf-8"
    assert told.headers["content-disposition"].startswith("inline")
    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in told.headers
    assert told.headers["access-control-allow-origin"] == f"http://{HOST}"
    assert "access-control-allow-credentials" not in told.headers


async def test_what_cannot_be_shown_is_saved() -> None:
    app = App()
    told = await app.content(await link(app, FOLDER, b'{"member": "model.bin"}'))
    assert told.headers["content-type"] == "application/octet-stream"
    assert told.headers["content-disposition"] == "attachment; filename*=UTF-8''model.bin"
    saved = await app.content(await link(app, ARTIFACT, b'{"download": true}'))
    assert saved.headers["content-disposition"].startswith("attachment")
    note = await app.content(await link(app, FOLDER, b'{"member": "a/note.txt"}'))
    assert (note.body, note.headers["content-type"]) == (b"0123456789", "text/plain; charset=utf-8")
    assert note.headers["content-security-policy"].startswith("sandbox; ")


@pytest.mark.parametrize(
    "member", ["", "nope", "../token", "a/../../token", "/etc/passwd", "a\\note.txt", "a%2fnote.txt"]
)
async def test_a_link_is_given_for_listed_files_only(member: str) -> None:
    body = b'{"member": "' + member.replace("\\", "\\\\").encode() + b'"}'
    headers = {"content-type": "application/json"}
    told = await App().ask("POST", f"/api/artifacts/{FOLDER}/link", headers=headers, body=body)
    assert (told.status, told.json["code"]) == (404, "MEMBER_NOT_FOUND")


async def test_links_end_and_cannot_be_forged() -> None:
    clock = Clock()
    app = App(state=make_state(clock))
    url = await link(app, ARTIFACT)
    _, _, _, _, signed, name = url.split("/")
    payload, mac = signed.split(".")
    other = Signer(b"x" * 32).sign("content", CreateLink(), ttl_s=9)[0]
    elsewhere = app.state.signer.sign("session", CreateLink(), ttl_s=9)[0]
    for forged in (
        payload,
        f"{payload}.",
        f"{payload}.{mac[:-2]}",
        f".{mac}",
        f"{payload}A.{mac}",
        other,
        elsewhere,
        "é",
        "",
    ):
        told = await app.content(f"/c/{forged.encode('ascii', 'ignore').decode()}/{name}")
        assert told.status in (403, 404), forged
    clock.now += 301
    assert (await app.content(url)).status == 403


async def test_there_is_nothing_else_on_the_content_origin() -> None:
    app = App()
    url = await link(app, ARTIFACT)
    for path in (
        "/",
        "/api/session",
        "/apis/v2beta1/healthz",
        "/healthz",
        "/auth?code=x",
        "/c/x",
        "/c/x/y/z",
        "/index.html",
    ):
        told = await app.content(path, token=TOKEN)
        assert told.status in (403, 404), path
    for method in ("POST", "DELETE", "OPTIONS"):
        assert (await app.content(url, method=method)).status == 405
    assert (await app.content(url, method="HEAD")).body == b""


@pytest.mark.parametrize(
    "host", [HOST, f"localhost:{PORT}", f"127.0.0.1:{CONTENT_PORT}", "localhost", f"evil.example:{CONTENT_PORT}"]
)
async def test_the_content_origin_has_one_name(host: str) -> None:
    app = App()
    assert (await app.content(await link(app, ARTIFACT), host=host)).status == 403


async def test_the_application_does_not_serve_links() -> None:
    app = App()
    path = (await link(app, ARTIFACT)).removeprefix(f"http://{CONTENT_HOST}")
    told = await app.ask("GET", path)
    assert REPORT not in told.body


async def test_parts_of_the_content() -> None:
    app = App()
    url = await link(app, FOLDER, b'{"member": "a/note.txt"}')
    part = await app.content(url, headers={"range": "bytes=2-4"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    beyond = await app.content(url, headers={"range": "bytes=10-"})
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */10")


@pytest.mark.parametrize(
    ("header", "start", "length", "partial"),
    [
        (None, 0, 10, False),
        ("bytes=0-0", 0, 1, True),
        ("bytes=5-", 5, 5, True),
        ("bytes=-3", 7, 3, True),
        ("bytes=-99", 0, 10, True),
        ("bytes=0-99", 0, 10, True),
        ("bytes=5-2", 0, 10, False),
        ("bytes=-", 0, 10, False),
        ("bytes=0-1,3-4", 0, 10, False),
        ("lines=0-1", 0, 10, False),
    ],
)
def test_ranges(header: str | None, start: int, length: int, partial: bool) -> None:
    span = requested_span(header, 10)
    assert (span.start, span.length, span.partial) == (start, length, partial)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=999999999999999999-"])
def test_ranges_beyond_the_end(header: str) -> None:
    with pytest.raises(HttpError) as caught:
        requested_span(header, 10)
    assert caught.value.status == 416


def test_an_empty_file_has_no_ranges() -> None:
    assert requested_span("bytes=0-9", 0).partial is False


async def test_content_for_scripts_is_never_a_page() -> None:
    told = await App().ask("GET", f"/api/artifacts/{ARTIFACT}/content", headers={"range": "bytes=1-2"})
    assert (told.status, told.body) == (206, REPORT[1:3])
    assert told.headers["content-type"] == "application/octet-stream"
    assert told.headers["content-disposition"] == "attachment"
    assert told.headers["content-security-policy"] == "sandbox; default-src 'none'"
    missing = await App().ask("GET", f"/api/artifacts/{FOLDER}/content?member=../x")
    assert missing.status == 404


@pytest.mark.parametrize(
    ("uri", "member", "expected"),
    [
        ("file:///a/b%20c.html", "", "b c.html"),
        ("s3://bucket/", "", "plot"),
        ("file:///a/dir", "x/y.png", "y.png"),
        ('file:///a/b"%0d%0aX: y', "", "bX: y"),
    ],
)
def test_file_names_for_people(uri: str, member: str, expected: str) -> None:
    artifact = Artifact(artifact_id="1", name="plot", type=ArtifactType(), uri=uri)
    assert content_name(artifact, member) == expected
