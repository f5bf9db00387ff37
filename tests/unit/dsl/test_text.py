"""Pipeline values inside Python texts: found and replaced wherever they stand, refused when cut."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.dsl.errors import DslError
from headrace.dsl.pipeline_channel import PipelineChannel, PipelineParameterChannel
from headrace.dsl.text import channels_in, replace_tokens, token
from headrace.dsl.types.type_utils import UNKNOWN


def channel(name: str) -> PipelineChannel:
    return PipelineParameterChannel(name=name, type=UNKNOWN)


A, B = channel("a"), channel("b")


def replaced(text: str) -> str:
    return replace_tokens(text, lambda found: f"<{found.name}>")


@pytest.mark.parametrize("before", ["", "x ", "\\\\"])
@pytest.mark.parametrize("between", ["", " and "])
def test_each_value_is_replaced_where_it_stands(before: str, between: str) -> None:
    text = f"{before}{token(A)}{between}{token(B)}{token(A)}."
    assert replaced(text) == f"{before}<a>{between}<b><a>."
    assert list(channels_in(text)) == [A, B, A]
    assert json.loads(replaced(json.dumps({"k": text}))) == {"k": f"{before}<a>{between}<b><a>."}


def test_every_cut_through_a_value_is_refused() -> None:
    text = f"ab{token(A)}cd"
    first, last = 2, 2 + len(token(A))
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            part = text[start:end]
            if start <= first and last <= end:
                assert replaced(part) == text[start:first] + "<a>" + text[last:end]
            elif end <= first or start >= last or part.isdigit():  # without an end of the token, a number is a number
                assert replaced(part) == part
            else:
                with pytest.raises(DslError) as refused:
                    replaced(part)
                assert refused.value.code == "CHANNEL_TEXT_DAMAGED", (start, end)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (A, [A]),
        (token(A), [A]),
        ([A, [B]], [A, B]),
        ((A, {"k": B}), [A, B]),
        ({token(A): 1}, [A]),
        ({"k": {f"x{token(A)}": [token(B)]}}, [A, B]),
        ({"k": 1, "l": None, "m": "text", "n": 1.5}, []),
    ],
)
def test_values_are_found_at_any_depth_also_in_keys(value: Any, found: list[PipelineChannel]) -> None:
    assert list(channels_in(value)) == found
