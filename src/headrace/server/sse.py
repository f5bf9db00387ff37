"""Server-sent events: batches with an id to go on from, a heartbeat, and nothing left when the reader is gone."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.responses import StreamingResponse

log = logging.getLogger("headrace.server")

HEARTBEAT_S = 15.0
#: Text of a log is held back this long, to send many lines at once.
FLUSH_S = 0.1
_FLUSH_BYTES = 65_536
_HEARTBEAT = b": here\n\n"
_END = object()


class ServerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event, ready to send."""

    event: str
    data: bytes
    id: str = ""

    def encoded(self) -> bytes:
        """As the wire has it. `data` is JSON and so has no line breaks."""
        head = f"id: {self.id}\nevent: {self.event}\n" if self.id else f"event: {self.event}\n"
        return head.encode() + b"data: " + self.data + b"\n\n"


def event_response(events: AsyncIterator[ServerEvent], stopping: asyncio.Event) -> StreamingResponse:
    """An answer that sends the events as they come, until they end, the reader leaves or the server stops."""
    return StreamingResponse(
        _kept_alive(events, stopping),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


def sent_id(header: str | None, otherwise: int) -> int:
    """The id to go on after: what the reader says it had, if that is a number."""
    return int(header) if header is not None and header.isdigit() and len(header) < 19 else otherwise


async def _kept_alive(events: AsyncIterator[ServerEvent], stopping: asyncio.Event) -> AsyncIterator[bytes]:
    stop = asyncio.ensure_future(stopping.wait())
    nxt: asyncio.Future[Any] | None = None
    try:
        yield b"retry: 1000\n\n"
        while not stopping.is_set():
            nxt = nxt or asyncio.ensure_future(anext(events, _END))
            done, _ = await asyncio.wait({nxt, stop}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
            if nxt in done:
                item, nxt = _arrived(nxt), None
                if item is _END:
                    return
                yield item.encoded()
            elif not done:
                yield _HEARTBEAT
    finally:
        await _cancelled(stop, nxt)
        if hasattr(events, "aclose"):
            await events.aclose()


def _arrived(future: asyncio.Future[Any]) -> Any:
    """What arrived; a source that failed ends the stream without `end`, so that the reader comes again."""
    error = future.exception()
    if error is None:
        return future.result()
    log.error("An event stream broke off", exc_info=error)
    return _END


async def _cancelled(*futures: asyncio.Future[Any] | None) -> None:
    for future in futures:
        if future is not None:
            future.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await future


class TextFrom:
    """Bytes in pieces to text in pieces, together with the byte each piece ends at."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, piece: bytes, *, final: bool = False) -> str:
        """The text so far complete; a character cut in two waits for its rest, and `offset` stays before it."""
        pending = len(self._decoder.getstate()[0])
        text = self._decoder.decode(piece, final)
        self.offset += len(piece) + pending - len(self._decoder.getstate()[0])
        return text


async def gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in fewer pieces: at most one in FLUSH_S, unless there is much."""
    arrived: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=16)

    async def pump() -> None:
        try:
            async for piece in pieces:
                await arrived.put(piece)
        finally:
            # Also when reading failed: the failure is then raised from `pumping`, after what came before it.
            await arrived.put(None)

    pumping = asyncio.ensure_future(pump())
    try:
        ended = False
        while not ended:
            batch, ended = await _batch(arrived)
            if batch:
                yield batch
        await pumping
    finally:
        pumping.cancel()
        while not arrived.empty():
            arrived.get_nowait()
        await _cancelled(pumping)
        if hasattr(pieces, "aclose"):
            await pieces.aclose()


async def _batch(arrived: asyncio.Queue[bytes | None]) -> tuple[bytes, bool]:
    batch = bytearray()
    piece = await arrived.get()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_S):
            while piece is not None and len(batch) < _FLUSH_BYTES:
                batch += piece
                piece = b""
                piece = await arrived.get()
    return bytes(batch + (piece or b"")), piece is None
