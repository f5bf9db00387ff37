"""The checks of the chaos tests report each planted violation, and nothing for a correct history."""

from __future__ import annotations

import pytest

from e2e.start_checks import Recorded, violations

GOOD = [
    Recorded("r", "a", 1, "SUCCEEDED", ""),
    Recorded("r", "b", 1, "FAILED", "SERVER_LOST"),
    Recorded("r", "b", 2, "SUCCEEDED", ""),
]
STARTS = [("r", "a"), ("r", "b"), ("r", "b")]


def told(accepted=("r",), states=None, attempts=GOOD, starts=STARTS) -> list[str]:
    return violations(accepted, {"r": "SUCCEEDED"} if states is None else states, attempts, starts, tasks=2)


def test_a_good_history_is_not_told_of():
    assert told() == []


@pytest.mark.parametrize(
    ("planted", "word"),
    [
        ({"accepted": ("r", "s")}, "is lost"),
        ({"states": {"r": "RUNNING"}}, "is RUNNING"),
        ({"states": {"r": "FAILED"}}, "is FAILED"),
        ({"attempts": GOOD[:1]}, "has 1 tasks"),
        ({"attempts": [*GOOD, Recorded("r", "a", 2, "SUCCEEDED", "")]}, "succeeded 2 times"),
        ({"starts": [*STARTS, ("r", "a")]}, "begun 2 times with 0"),
        ({"starts": [*STARTS, ("r", "b")]}, "begun 3 times with 1"),
        ({"starts": STARTS[1:]}, "never begun"),
        ({"starts": [*STARTS, ("r", "c")]}, "not recorded"),
        ({"attempts": [Recorded("r", "a", 1, "FAILED", "DATABASE_UNREACHABLE"), *GOOD]}, "failed of DATABASE"),
        ({"attempts": [Recorded("r", "a", 3, "SUCCEEDED", ""), *GOOD[1:]]}, "has attempts [3]"),
    ],
)
def test_a_planted_breach_is_found(planted, word):
    assert any(word in line for line in told(**planted)), told(**planted)
