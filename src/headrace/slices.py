"""Long work in short slices, so that the event loop and other threads get their turn in between.

A function written in C holds the interpreter until it returns: a megabyte of JSON is ten milliseconds in which no other
thread of the process runs. What is here does the same in many short calls.

A coroutine that does not wait for anything holds the event loop in the same way: see `in_slices`.

This room knows nothing of the others.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import msgspec

#: Texts up to so many bytes are read in one call: about half a millisecond.
_SLICE_BYTES = 64 * 1024
#: How deep values are taken apart before they are written: a document's tasks are four levels below its list.
_WRITTEN_DEPTH = 5
#: Fields of an object that are written in one call.
_FIELDS = 32
_START = re.compile(rb"\s*")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
T = TypeVar("T")


async def in_slices(items: Iterable[T], size: int) -> AsyncIterator[T]:
    """The items. After `size` of them, and after as many again, the event loop turns to other work."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % size == 0:
            await asyncio.sleep(0)


def decode_json(text: bytes | str) -> Any:
    """What `msgspec.json.decode` answers and raises; large objects, and lists of large values, field by field."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        return _decode(data)
    except (msgspec.DecodeError, RecursionError):
        # Read whole, so that the message gives the place in the text.
        return msgspec.json.decode(data)


def _decode(data: bytes | memoryview) -> Any:
    if len(data) <= _SLICE_BYTES:
        return msgspec.json.decode(data)
    start = _START.match(data)
    first = bytes(data[start.end() : start.end() + 1]) if start else b""
    if first == b"{":
        return {key: _decode(memoryview(raw)) for key, raw in _fields.decode(data).items()}
    if first == b"[" and _has_large_items(data):
        return [_decode(memoryview(raw)) for raw in _items.decode(data)]
    return msgspec.json.decode(data)


def _has_large_items(data: bytes | memoryview) -> bool:
    """Whether its first kilobyte ends in its first item: of short items, taking them apart would cost the most."""
    return b"," not in re.sub(rb'"(?:[^"\\]|\\.)*"|[{\[].*', b"", bytes(data[1:1024]), flags=re.DOTALL)


def encode_json(value: Any) -> bytes:
    """What `msgspec.json.encode` answers and raises, for plain values; objects of many fields some at a time."""
    return b"".join(_encoded(value, _WRITTEN_DEPTH))


def _encoded(value: Any, depth: int) -> Iterator[bytes]:
    """An object near the top is taken apart: one of few fields into each, one of many into shorter ones."""
    if type(value) is dict and depth and len(value) > _FIELDS:
        fields = iter(value.items())
        shorter = iter(lambda: dict(islice(fields, _FIELDS)), {})
        yield from _joined(b"{}", (msgspec.json.encode(some)[1:-1] for some in shorter))
    elif type(value) is dict and depth and value:
        yield from _joined(b"{}", (b"".join(_field(key, one, depth - 1)) for key, one in value.items()))
    elif type(value) is list and depth and len(value) <= _FIELDS:
        yield from _joined(b"[]", (b"".join(_encoded(one, depth - 1)) for one in value))
    else:
        yield msgspec.json.encode(value)


def _field(key: Any, value: Any, depth: int) -> Iterator[bytes]:
    yield msgspec.json.encode({key: None})[1:-5]
    yield from _encoded(value, depth)


def _joined(ends: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield ends[:1]
    for number, piece in enumerate(pieces):
        if number:
            yield b","
        yield piece
    yield ends[1:]
