from __future__ import annotations

from itertools import islice

import pytest

from headrace.retries import delays


@pytest.mark.parametrize("jitter", [0.0, 0.25, 0.5])
def test_delays_double_up_to_the_longest(jitter: float):
    for delay, plain in zip(islice(delays(0.05, 2.0, jitter=jitter), 9), [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2]):
        assert plain * (1 - jitter) <= delay <= plain * (1 + jitter)


def test_what_failed_together_is_not_tried_again_together():
    assert len({next(delays(1.0, 2.0)) for _ in range(50)}) > 40
