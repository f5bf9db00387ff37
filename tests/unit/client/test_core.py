"""Requests built and answers read, without a server."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.client import ApiError, ServerUnreachable, core, packages
from headrace.client.server_address import ServerAddress, find_server_address
from headrace.client.sse import SentEvent, parse_events
from headrace.wire.api import SessionView
from headrace.wire.server_file import ServerInfo


def test_queries_leave_out_what_is_not_given() -> None:
    request = core.get("/x", {"a": None, "b": "", "c": 0, "d": True, "e": "ä &=/"})
    assert request.path == "/x?c=0&d=true&e=%C3%A4+%26%3D%2F"
    assert core.get("/x", {}).path == "/x"


def test_ids_cannot_leave_their_place_in_a_path() -> None:
    assert core.path("/api/runs/{run_id}", run_id="../../x?y#z") == "/api/runs/..%2F..%2Fx%3Fy%23z"


def test_a_file_name_cannot_break_out_of_its_header() -> None:
    request = core.upload("/x", 'a"\r\nX-Evil: 1\r\n.yaml', b"content", {"name": "n"})
    head = request.body.partition(b"\r\n\r\n")[0].decode()
    assert "X-Evil" in head and "\r\nX-Evil" not in head and head.count('"') == 4


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (404, {"code": "RUN_NOT_FOUND", "message": "No.", "details": {"a": 1}}, "RUN_NOT_FOUND", "No."),
        (400, {"error_message": "Bad.", "error_details": "NOT_YAML: Bad."}, "NOT_YAML", "Bad."),
        (
            409,
            {"code": 6, "message": "Taken.", "details": [{"@type": "x"}, {"domain": "headrace", "reason": "TAKEN"}]},
            "TAKEN",
            "Taken.",
        ),
        (500, {"code": 13, "message": "Other server."}, "GRPC_13", "Other server."),
    ],
)
def test_errors_of_every_style_are_read(status: int, body: object, code: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        core.check(core.Answer(status=status, reason="Nope", body=json.dumps(body).encode()))
    error = caught.value
    assert (error.status, error.code, error.message, error.reason) == (status, code, message, "Nope")


def test_what_is_no_answer_of_this_api_is_said() -> None:
    with pytest.raises(ApiError, match="Bad gateway"):
        core.check(core.Answer(status=502, body=b"Bad gateway"))
    with pytest.raises(ApiError) as caught:
        core.read(core.Answer(status=200, body=b"<html>"), SessionView)
    assert caught.value.code == "ANSWER_INVALID"


def test_events_are_read_from_lines() -> None:
    stream = (
        b"retry: 1000\n\n: here\n\nid: 7\nevent: change\ndata: {}\n\ndata: a\r\ndata: b\r\n\r\nevent: cut\ndata: off"
    )
    assert list(parse_events(stream.splitlines(keepends=True))) == [
        SentEvent(event="change", data="{}", id="7"),
        SentEvent(event="message", data="a\nb", id="7"),
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]), st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]))
        )
    )
)
def test_what_the_server_writes_the_client_reads(sent: list[tuple[str, str]]) -> None:
    from headrace.server.sse import ServerEvent

    wire = b"".join(
        ServerEvent(event=name, data=msgspec.json.encode(text), id=str(number)).encoded()
        for number, (name, text) in enumerate(sent, 1)
    )
    read = [(event.event, msgspec.json.decode(event.data)) for event in parse_events(wire.splitlines(keepends=True))]
    assert read == sent


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What listens where the server is said to be."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


@pytest.fixture
def home(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HEADRACE_URL", "HEADRACE_TOKEN", "HEADRACE_HOME"):
        monkeypatch.delenv(name, raising=False)
    info = ServerInfo(
        pid=os.getpid(),
        url=f"http://127.0.0.1:{port}",
        content_url="http://localhost:1",
        started_at=time.time(),
        version="1",
    )
    (tmp_path / "server.json").write_bytes(msgspec.json.encode(info))
    (tmp_path / "token").write_text("secret\n")
    return tmp_path


def test_the_server_of_the_data_directory_is_found(home: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ServerAddress(url=f"http://127.0.0.1:{port}", token="secret")
    assert find_server_address(home=home) == expected
    monkeypatch.setenv("HEADRACE_HOME", str(home))
    assert find_server_address() == expected


def test_the_token_goes_to_its_own_server_only(home: Path, port: int) -> None:
    assert find_server_address(f"http://127.0.0.1:{port}/", home=home).token == "secret"
    assert find_server_address(f"localhost:{port}", home=home) == ServerAddress(
        url=f"http://localhost:{port}", token="secret"
    )
    for other in (
        "http://127.0.0.1:9",
        f"https://127.0.0.1:{port}",
        f"http://evil.example:{port}",
        f"http://127.0.0.1:{port}.evil",
    ):
        assert find_server_address(other, home=home).token == "", other
    assert find_server_address("http://evil.example", "given", home=home).token == "given"


def test_a_server_that_is_gone_is_not_found(home: Path) -> None:
    info = json.loads((home / "server.json").read_text())
    (home / "server.json").write_text(json.dumps(info | {"pid": 2**22 + 1}))
    with pytest.raises(ServerUnreachable, match="headrace up"):
        find_server_address(home=home)
    (home / "server.json").write_text(json.dumps(info | {"url": "nowhere"}))
    with pytest.raises(ServerUnreachable):
        find_server_address(home=home)
    (home / "server.json").write_text("{")
    with pytest.raises(ServerUnreachable):
        find_server_address(home=home)


def test_another_process_with_the_number_of_a_killed_server_is_not_taken_for_it(
    home: Path, listener: socket.socket
) -> None:
    listener.close()
    with pytest.raises(ServerUnreachable, match="headrace up"):
        find_server_address(home=home)


def test_caching_is_switched_for_all_tasks_also_nested_ones() -> None:
    dag = {"dag": {"tasks": {"a": {"cachingOptions": {"enableCache": True}}, "b": {}}}}
    spec = {"root": dag, "components": {"comp-loop": dag, "comp-a": {"executorLabel": "x"}}}
    for switched in (
        packages.override_caching(spec, False, None),
        packages.override_caching({"pipeline_spec": spec, "platform_spec": {}}, False, None)["pipeline_spec"],
    ):
        for component in (switched["root"], switched["components"]["comp-loop"]):
            assert {str(task["cachingOptions"]) for task in component["dag"]["tasks"].values()} == {
                "{'enableCache': False}"
            }
        assert switched["components"]["comp-a"] == {"executorLabel": "x"}
    keyed = packages.override_caching(spec, True, "k")
    assert keyed["root"]["dag"]["tasks"]["b"]["cachingOptions"] == {"enableCache": True, "cacheKey": "k"}
    assert spec["root"]["dag"]["tasks"]["b"] == {}
