"""Sorting in pieces gives what `sorted` gives."""

from __future__ import annotations

from random import Random

import pytest

from headrace.engine import sorting
from headrace.engine.sorting import sorted_in_pieces


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 57, 100])
def test_it_is_sorted_and_stable(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "_PIECE", 10)
    rng = Random(count)
    items = [(rng.randrange(20), number) for number in range(count)]
    assert sorted_in_pieces(iter(items)) == sorted(items)
    assert sorted_in_pieces(items, key=lambda item: item[0]) == sorted(items, key=lambda item: item[0])
