"""What a local run can raise."""

from __future__ import annotations

from headrace.engine.model import Json


class LocalRunError(RuntimeError):
    """A component or pipeline that was called did not succeed, or could not be begun.

    `code` is one of the documented error codes, `task` the path of the task that failed ("" for the whole run).
    With `inline=True` the user's own exception is this error's cause.
    """

    def __init__(self, message: str, *, code: str, task: str = "", details: dict[str, Json] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.task = task
        self.details = details or {}
