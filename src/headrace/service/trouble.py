"""Tells the log of what lasts, such as a full disk: at once, then now and then, and when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

#: So often the same trouble is told again while it lasts.
_AGAIN_S = 60.0


class Trouble:
    """One kind of trouble that comes and goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._told: tuple[str, float] = ("", 0.0)

    def tell(self, code: str, message: str) -> None:
        """It is there, or still there."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        last, at = self._told
        if code != last or now - at >= _AGAIN_S:
            self._told = (code, now)
            log.warning("Nothing can be recorded, so runs wait; this is tried again all the time. %s", message)

    def over(self) -> None:
        """It is gone, if it was there."""
        if self._began is not None:
            log.warning("Recording works again, after %.0f s; runs go on.", self._clock() - self._began)
            self._began, self._told = None, ("", 0.0)
