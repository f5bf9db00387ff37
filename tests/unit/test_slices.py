"""JSON in slices is JSON: the same values, the same bytes, the same refusals."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import slices
from headrace.slices import decode_json, encode_json, in_slices

_TEXTS = st.text(max_size=8) | st.sampled_from(["", '"', "\\", "a,b", "[{", "\u2028", "é"])
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TEXTS, inner, max_size=5),
    max_leaves=30,
)


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "_SLICE_BYTES", 4)
    monkeypatch.setattr(slices, "_FIELDS", 2)


@given(value=_VALUES, indent=st.none() | st.just(2))
@settings(deadline=None)
def test_what_is_written_and_read_in_slices_is_as_if_at_once(value: Any, indent: int | None):
    assert encode_json(value) == msgspec.json.encode(value)
    text = json.dumps(value, indent=indent)
    assert decode_json(text) == decode_json(text.encode()) == msgspec.json.decode(text)


@given(value=_VALUES, data=st.data())
@settings(deadline=None)
def test_a_text_that_is_no_json_is_refused_in_the_same_words(value: Any, data: st.DataObject):
    text = json.dumps(value)
    at = data.draw(st.integers(0, len(text) - 1))
    broken = text[:at] + data.draw(st.sampled_from(["", "}", '"', ",", "x"])) + text[at + 1 :]
    try:
        expected = msgspec.json.decode(broken)
    except msgspec.DecodeError as error:
        with pytest.raises(msgspec.DecodeError) as caught:
            decode_json(broken)
        assert str(caught.value) == str(error)
    else:
        assert decode_json(broken) == expected


@pytest.mark.anyio
async def test_items_in_slices_let_other_work_of_the_event_loop_go_on():
    seen: list[Any] = []

    async def count() -> None:
        async for item in in_slices(range(6), 2):
            seen.append(item)

    async def other() -> None:
        for _ in range(4):
            seen.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(count(), other())
    assert seen == [0, 1, "other", 2, 3, "other", 4, 5, "other", "other"]
