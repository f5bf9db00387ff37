"""What is sent to the server: limits, forms, and documents that are none."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import tarfile
import time
import zipfile

import msgspec
import pytest

from headrace.server import bodies
from headrace.server.app import create_app
from headrace.server.bodies import announced, limited
from headrace.server.errors import HttpError
from headrace.server.inflight import SMALL, BytesInFlight
from headrace.server.table import ROUTES
from serving import App, EmptyService

pytestmark = pytest.mark.anyio

UPLOAD = "/apis/v2beta1/pipelines/upload?name=p"
SPEC = {
    "pipelineInfo": {"name": "p"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "root": {"dag": {"tasks": {}}},
    "deploymentSpec": {"executors": {}},
    "components": {},
}


def multipart(content: bytes, *, field: str = "uploadfile", filename: str = "p.yaml") -> tuple[dict[str, str], bytes]:
    head = f'--B\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n\r\n'.encode()
    return {"content-type": "multipart/form-data; boundary=B"}, head + content + b"\r\n--B--\r\n"


def zipped(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def tarred(content: bytes, *, link: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("pipeline.yaml")
        if link:
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
        else:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


BOMBS = {
    "aliases": b"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
    "nesting": b"[" * 30_000,
    "nested maps": b"{a: " * 30_000,
    "tag": b"!!python/object/apply:os.system ['true']",
    "doubled key": b"pipelineInfo: {name: a}\npipelineInfo: {name: b}\nroot: {dag: {tasks: {}}}\n",
    "not UTF-8": b"\xff\xfe\xfa\xfb\x00\x01",
    "empty": b"",
    "a list": b"- 1\n- 2\n",
    "a word": b"hello",
    "malformed": b"a: b: c: [",
    "zip bomb": zipped("pipeline.yaml", b"a" * 40_000_000),
    "gzip bomb": gzip.compress(b"\0" * 40_000_000),
    "tar bomb": tarred(b"a" * 40_000_000),
    "tar link": tarred(b"", link="/etc/passwd"),
    "zip of nothing": zipped("readme.txt", b"hello"),
    "zip in zip": zipped("x.zip", zipped("pipeline.yaml", b"x")),
    "broken zip": zipped("pipeline.yaml", b"x" * 1000)[:60],
    "no pipeline": b"apiVersion: v1\nkind: Pod\n",
    "without root": json.dumps({"pipelineInfo": {"name": "x"}}).encode(),
}


@pytest.mark.parametrize("what", BOMBS)
async def test_uploads_that_are_no_pipelines(what: str) -> None:
    headers, body = multipart(BOMBS[what])
    began = time.monotonic()
    told = await App().ask("POST", UPLOAD, headers=headers, body=body)
    assert told.status == 400, told
    assert set(told.json) == {"error_message", "error_details"}
    assert told.json["error_message"] and told.json["error_details"].split(":")[0].isupper()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "packed",
    [
        json.dumps(SPEC).encode(),
        zipped("x/pipeline.json", json.dumps(SPEC).encode()),
        tarred(json.dumps(SPEC).encode()),
    ],
)
async def test_uploads_that_are(packed: bytes) -> None:
    headers, body = multipart(packed)
    told = await App().ask("POST", UPLOAD, headers=headers, body=body)
    # The service behind this application is empty: that it was asked is what counts.
    assert (told.status, told.json["error_message"]) == (404, "There is no such thing.")


async def test_uploads_of_the_wrong_form() -> None:
    app = App()
    headers, body = multipart(b"x", field="file")
    assert (await app.ask("POST", UPLOAD, headers=headers, body=body)).status == 400
    assert (await app.ask("POST", UPLOAD, headers={"content-type": "application/json"}, body=b"{}")).status == 415
    assert (await app.ask("POST", UPLOAD, headers={"content-type": "multipart/form-data"}, body=b"x")).status == 400
    assert (await app.ask("POST", UPLOAD, headers=headers, body=b"garbage")).status == 400
    for query in ("tags=x", "tags=[]", 'tags={"a.b":"c"}', "name=" + "n" * 129):
        headers, body = multipart(json.dumps(SPEC).encode())
        told = await app.ask("POST", f"/apis/v2beta1/pipelines/upload?name=p&{query}", headers=headers, body=body)
        assert told.status == 400, query
    headers, body = multipart(json.dumps(SPEC).encode(), filename="")
    told = await app.ask("POST", "/apis/v2beta1/pipelines/upload", headers=headers, body=body)
    assert told.status == 400


async def test_a_body_is_cut_at_its_limit() -> None:
    app = App()
    headers = {"content-type": "application/json"}
    told = await app.ask("POST", "/apis/v2beta1/experiments", headers=headers, body=b" " * (1 << 20) + b"{}")
    assert told.status == 413 and told.headers["connection"] == "close"
    announced = await app.ask(
        "POST", "/apis/v2beta1/experiments", headers={**headers, "content-length": "99999999999"}, body=b"{}"
    )
    assert announced.status == 413
    form, body = multipart(b"x" * ((32 << 20) + 70_000))
    assert (await app.ask("POST", UPLOAD, headers=form, body=body)).status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'"x"',
        b"\xff",
        b'{"displayName": 1}',
        b'{"display_name": "a", "displayName": "b"}',
        b'{"display_name": ""}',
        b'{"display_name": "   "}',
        b'{"display_name": "' + b"x" * 129 + b'"}',
        b'{"unknown": 1}',
        b'{"created_at": "yesterday"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
async def test_bodies_that_are_not_the_message(body: bytes) -> None:
    told = await App().ask("POST", "/apis/v2beta1/experiments", headers={"content-type": "application/json"}, body=body)
    assert told.status == 400
    assert told.json["code"] == 3 and told.json["message"]
    kinds = [detail["@type"].rpartition(".")[2] for detail in told.json["details"]]
    assert kinds == ["Status", "ErrorInfo"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"display_name": "x"}, "RUN_SOURCE"),
        ({"display_name": "x", "pipeline_spec": SPEC, "pipeline_version_reference": {}}, "RUN_SOURCE"),
        ({"display_name": "", "pipeline_spec": SPEC}, "NAME_MISSING"),
        ({"display_name": "x", "pipeline_spec": {}}, "SPEC_NOT_A_PIPELINE"),
        ({"display_name": "x", "pipeline_spec": {"pipelineInfo": {"name": "x"}, "root": 1}}, "SPEC_NOT_A_PIPELINE"),
        ({"display_name": "x", "pipelineSpec": SPEC, "pluginsOutput": {"x": {}}}, "PLUGINS_OUTPUT_GIVEN"),
    ],
)
async def test_runs_that_cannot_be(body: object, code: str) -> None:
    headers = {"content-type": "application/json"}
    told = await App().ask("POST", "/apis/v2beta1/runs", headers=headers, body=json.dumps(body).encode())
    assert told.json["details"][1]["reason"] == code


async def test_errors_have_the_shape_of_their_api() -> None:
    app = App()
    missing = await app.ask("GET", "/api/runs/x")
    assert missing.json == {
        "code": "NOT_FOUND",
        "message": "There is no such thing.",
        "details": {},
        "help": "/api/codes/NOT_FOUND",
    }
    assert missing.headers["link"] == '</api/codes/NOT_FOUND>; rel="help"'
    assert (await app.ask("GET", missing.json["help"])).json["meaning"] == "The object or the address does not exist."
    unknown = await app.ask("GET", "/api/codes/NOT_FOUNT")
    assert (unknown.status, unknown.json["details"]["near"][0]) == (404, "NOT_FOUND")
    gateway = (await app.ask("GET", "/apis/v2beta1/runs/x")).json
    assert (gateway["code"], gateway["details"][0]["code"]) == (5, 5)
    told = await app.ask("GET", "/apis/v2beta1/runs/x/nodes/y/artifacts/z:read")
    assert (told.status, told.json["code"]) == (501, 12)


async def test_a_body_that_trickles_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SLOW_S", 0.05)

    async def trickle() -> dict[str, object]:
        await asyncio.sleep(0.001)
        return {"type": "http.request", "body": b" ", "more_body": True}

    receive = limited(trickle, {}, 1 << 20)
    with pytest.raises(HttpError) as caught:
        while True:
            await receive()
    assert (caught.value.status, caught.value.code) == (408, "BODY_TIMEOUT")
    assert caught.value.headers["connection"] == "close"


async def test_a_large_body_has_the_time_that_it_needs_and_a_whole_one_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SLOW_S", 0.0)
    monkeypatch.setattr(bodies, "LEAST_RATE", 1000)
    # The first piece is there; each brings a time of its own, which the next one uses in part.
    pieces = [b" " * 1000] * 5
    slow = False

    async def receive() -> dict[str, object]:
        if not pieces:
            await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}
        if slow:
            await asyncio.sleep(0.02)
        return {"type": "http.request", "body": pieces.pop(), "more_body": bool(pieces)}

    read = limited(receive, {}, 1 << 20)
    for _ in range(5):
        assert (await read())["body"]
        slow = True
    monkeypatch.setattr(bodies, "LEAST_RATE", 1_000_000_000)
    assert (await read())["type"] == "http.disconnect"


async def test_large_bodies_take_turns_and_small_ones_do_not_wait() -> None:
    room = BytesInFlight(10 * SMALL, patience_s=60)
    order: list[str] = []
    entered = {name: asyncio.Event() for name in "abcs"}
    leave = {name: asyncio.Event() for name in "abcs"}

    async def body(name: str, size: int) -> None:
        async with room.room_for(size):
            order.append(name)
            entered[name].set()
            await leave[name].wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(body("a", 6 * SMALL))
        group.create_task(body("b", 6 * SMALL))
        group.create_task(body("c", 3 * SMALL))  # It would fit, but b came first.
        group.create_task(body("s", SMALL))
        await entered["a"].wait()
        await entered["s"].wait()
        assert (order, room.used) == (["a", "s"], 6 * SMALL)
        leave["a"].set()
        await entered["c"].wait()
        assert (order, room.used) == (["a", "s", "b", "c"], 9 * SMALL)
        for event in leave.values():
            event.set()
    assert room.used == 0


async def test_a_body_without_room_is_told_to_come_again() -> None:
    room = BytesInFlight(2 * SMALL, patience_s=0.02)
    async with room.room_for(100 * SMALL):  # more than all: it has all of it
        assert room.used == 2 * SMALL
        with pytest.raises(HttpError) as caught:
            async with room.room_for(2 * SMALL):
                pass
        waiting = asyncio.ensure_future(room.room_for(2 * SMALL).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (caught.value.status, caught.value.code, caught.value.headers["retry-after"]) == (503, "SERVER_BUSY", "2")
    assert room.used == 0
    async with room.room_for(2 * SMALL):
        assert room.used == 2 * SMALL


async def test_a_request_that_finds_no_room_is_answered_so() -> None:
    app = App()
    room = BytesInFlight(SMALL, patience_s=0.01)
    app.app = create_app(EmptyService(), msgspec.structs.replace(app.state, in_flight=room))
    headers, body = multipart(b"x" * 2 * SMALL)
    sized = {**headers, "content-length": str(len(body))}
    async with room.room_for(2 * SMALL):
        told = await app.ask("POST", UPLOAD, headers=sized, body=body)
        assert (told.status, told.headers["retry-after"]) == (503, "2") and "SERVER_BUSY" in told.body.decode()
        assert (await app.ask("GET", "/api/session")).status == 200
    assert (await app.ask("POST", UPLOAD, headers=sized, body=body)).status == 400
    assert room.used == 0


def test_what_a_request_may_bring_is_known_before_it_is_read() -> None:
    upload = next(route for route in ROUTES if route.upload)
    listing = next(route for route in ROUTES if route.path == "/api/runs" and route.method == "GET")
    assert announced({"content-length": "70000"}, upload) == 70_000
    assert announced({"content-length": "99999999999"}, upload) == upload.max_body
    assert announced({"transfer-encoding": "chunked"}, upload) == upload.max_body
    assert announced({"content-length": "70000"}, listing) == 0
