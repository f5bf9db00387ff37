"""Delays between the tries of something that may pass by itself: a store that is away, a full disk.

This room knows nothing of the others.
"""

from __future__ import annotations

import random
from collections.abc import Iterator


def delays(first_s: float, longest_s: float, *, jitter: float = 0.25) -> Iterator[float]:
    """Seconds to wait before each further try, without end: each about twice the one before, up to `longest_s`.

    Each is longer or shorter by up to `jitter` of itself, so that many that failed together do not try again together.
    """
    delay = first_s
    while True:
        yield delay * random.uniform(1.0 - jitter, 1.0 + jitter)  # noqa: S311 - no secret
        delay = min(2.0 * delay, longest_s)
