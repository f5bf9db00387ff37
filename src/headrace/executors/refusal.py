"""Why an attempt cannot be started, or did not end well: raised inside this room, reported as Failed."""

from __future__ import annotations

from typing import Any

from headrace.engine.model import Reason
from headrace.executors.codes import Code


class Refusal(Exception):
    """A failure of the attempt, with its code."""

    def __init__(
        self, code: Code | str, message: str, *, retryable: bool = True, passing: bool = False, **details: Any
    ) -> None:
        super().__init__(message)
        #: Infrastructure is to blame, and may be well again: the attempt is lost rather than failed.
        self.passing = passing
        self.reason = Reason(code=str(code), message=message, details=details)
        self.retryable = retryable
