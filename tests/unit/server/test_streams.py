"""Server-sent events: what is sent, how it is cut, and that nothing stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.client.sse import parse_events
from headrace.server import sse
from headrace.server.sse import ServerEvent, TextFrom, event_response, gathered, sent_id
from serving import EXECUTION, App

pytestmark = pytest.mark.anyio


def events(body: bytes):
    return list(parse_events(body.splitlines(keepends=True)))


async def collected(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in pieces]


@given(st.binary(max_size=60), st.lists(st.integers(0, 60)), st.integers(0, 100))
def test_text_is_the_same_wherever_the_bytes_are_cut(content: bytes, cuts: list[int], start: int) -> None:
    text = TextFrom(start)
    edges = sorted({0, len(content), *(cut for cut in cuts if cut <= len(content))})
    said = ""
    for begin, end in zip(edges, edges[1:], strict=False):
        said += text.feed(content[begin:end])
        # To go on from here gives the rest: no character is lost, none comes twice.
        rest = content[text.offset - start :]
        assert said + rest.decode("utf-8", "replace") == content.decode("utf-8", "replace")
    said += text.feed(b"", final=True)
    assert (said, text.offset) == (content.decode("utf-8", "replace"), start + len(content))


async def test_many_small_pieces_become_few() -> None:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(20_000):
            yield b"%d\n" % number

    batches = await collected(gathered(lines()))
    assert b"".join(batches) == b"".join(b"%d\n" % number for number in range(20_000))
    assert len(batches) < 20


async def test_what_came_before_a_failure_is_sent() -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"before"
        raise OSError("disk")

    seen: list[bytes] = []
    with pytest.raises(OSError, match="disk"):
        async for batch in gathered(lines()):
            seen.append(batch)
    assert seen == [b"before"]


async def test_a_log_is_streamed_with_offsets_and_an_end() -> None:
    told = await App().ask("GET", f"/api/executions/{EXECUTION}/logs/stream?attempt=1")
    log, end = events(told.body)
    assert told.headers["content-type"].startswith("text/event-stream")
    assert (log.event, log.id) == ("log", "23")
    assert '"line 1\\nline \ufffd2\\ngr\u00fc\u00dfe\\n"' in log.data
    assert end.event == "end"


async def test_a_reader_goes_on_where_it_was() -> None:
    told = await App().ask(
        "GET", f"/api/executions/{EXECUTION}/logs/stream?attempt=1&offset=2", headers={"last-event-id": "15"}
    )
    assert events(told.body)[0].data.endswith('"gr\u00fc\u00dfe\\n"}')


async def test_part_of_a_log_as_text() -> None:
    app = App()
    told = await app.ask("GET", f"/api/executions/{EXECUTION}/logs?attempt=1&offset=7&limit=6")
    assert (told.body, told.headers["x-log-offset"], told.headers["x-log-size"]) == (b"line \xff", "13", "23")
    assert told.headers["content-type"] == "text/plain; charset=utf-8"
    tail = await app.ask("GET", f"/api/executions/{EXECUTION}/logs?attempt=1&offset=-3")
    assert tail.body == b"\x9fe\n"
    assert (await app.ask("GET", f"/api/executions/{EXECUTION}/logs?attempt=1&offset=99")).body == b""
    for bad in ("attempt=0", "attempt=x", "attempt=1&limit=-1", "attempt=1&offset=1e9", "attempt=1&limit=" + "9" * 30):
        assert (await app.ask("GET", f"/api/executions/{EXECUTION}/logs?{bad}")).status == 400
    assert (await app.ask("GET", f"/api/executions/{EXECUTION}/logs?attempt=2")).status == 404


async def test_a_heartbeat_keeps_the_line_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.01)
    stopping, closed = asyncio.Event(), asyncio.Event()

    async def silence() -> AsyncIterator[ServerEvent]:
        try:
            await asyncio.Event().wait()
            yield ServerEvent(event="x", data=b"{}")
        finally:
            closed.set()

    stream = event_response(silence(), stopping).body_iterator
    assert [await anext(stream) for _ in range(3)] == [b"retry: 1000\n\n", b": here\n\n", b": here\n\n"]
    stopping.set()
    assert [piece async for piece in stream] == []
    assert closed.is_set()


async def test_a_reader_that_leaves_frees_everything() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[ServerEvent]:
        try:
            while True:
                yield ServerEvent(event="x", data=b"{}")
        finally:
            closed.set()

    before = asyncio.all_tasks()
    stream = event_response(endless(), asyncio.Event()).body_iterator
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    assert closed.is_set()
    assert asyncio.all_tasks() == before


async def test_changes_of_runs_are_streamed() -> None:
    told = await App().ask("GET", "/api/events")
    assert [event.event for event in events(told.body)] == ["runs"]


@pytest.mark.parametrize(("header", "expected"), [(None, 3), ("", 3), ("12", 12), ("-1", 3), ("x", 3), ("9" * 40, 3)])
def test_last_event_ids(header: str | None, expected: int) -> None:
    assert sent_id(header, 3) == expected
