from __future__ import annotations

import math

import pytest

from headrace.engine import values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (3.0, "3"),
        (0.1, "0.1"),
        ([1.0, "x", None], '[1,"x",null]'),
        ({"b": {"z": 1, "y": 2}, "a": "ü"}, '{"a":"ü","b":{"y":2,"z":1}}'),
    ],
)
def test_values_as_text(value: object, text: str):
    assert values.as_text(value) == text


@pytest.mark.parametrize("number", [2.0**60, 0.5, math.inf, -math.inf])
def test_only_doubles_that_are_exact_integers_become_whole(number: float):
    assert isinstance(values.whole(number), float)


def test_long_values_are_cut_in_messages():
    assert len(values.shown("x" * 1000)) == 120
    assert values.shown("x" * 1000).endswith("…")


def test_doubles_as_protobuf_has_them():
    assert values.doubles([1, True, {"a": 2}, None]) == [1.0, True, {"a": 2.0}, None]
    assert values.doubles(10**400) == math.inf
    assert values.doubles(-(10**400)) == -math.inf


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(1, 1.0, True), (1, True, False), (False, 0, False), ("a", "a", True)]
)
def test_equal_as_json(a: object, b: object, expected: bool):
    assert values.same(a, b) is expected


def test_a_text_is_wanted_of_people_where_a_task_may_get_anything_as_text():
    assert values.fit(3, "STRING") == "3"
    with pytest.raises(values.Mismatch, match="expected a text, got integer 3"):
        values.fit_strictly(3, "STRING")
