"""Unique names: never one that is taken, and always the first free number."""

from __future__ import annotations

from random import Random

import pytest

from headrace.compiler.unique_names import UniqueNames


@pytest.mark.parametrize("seed", range(50))
def test_the_first_free_number_from_two(seed: int) -> None:
    rng = Random(seed)
    taken = {rng.choice("ab") + rng.choice(("", "-2", "-3", "-4", "-5", "-2-2")) for _ in range(rng.randint(0, 6))}
    unique = UniqueNames(taken)
    for _ in range(8):
        base = rng.choice(("a", "b", "a-2"))
        expected = next(name for name in (base, *(f"{base}-{n}" for n in range(2, 99))) if name not in taken)
        assert unique.unique(base) == expected
        taken.add(expected)
