"""Logs an outage that lasts, such as a full disk: when it begins, once a minute while it lasts, and when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

#: Seconds after which an outage that lasts is logged again.
_REPEAT_S = 60.0


def _monotonic() -> float:
    return time.monotonic()


class OutageLog:
    """Logs one kind of outage."""

    def __init__(self, clock: Callable[[], float] = _monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        #: Code and time of the last line that was logged.
        self._logged: tuple[str, float] = ("", 0.0)

    def failing(self, code: str, message: str) -> None:
        """Recording has failed, for the first time or again."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        last, at = self._logged
        if code != last or now - at >= _REPEAT_S:
            self._logged = (code, now)
            log.warning("Nothing can be recorded, so runs wait; this is tried again all the time. %s", message)

    def over(self) -> None:
        """Recording has worked. Does nothing when it did not fail before."""
        if self._began is not None:
            log.warning("Recording works again, after %.0f s; runs go on.", self._clock() - self._began)
            self._began, self._logged = None, ("", 0.0)
