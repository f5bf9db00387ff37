"""The error of a local run."""

from __future__ import annotations

from headrace.engine.model import Json


class LocalRunError(RuntimeError):
    """A component or pipeline that was called did not succeed, or could not be started.

    `code`, `task` and `details` are attributes. With `local.init(inline=True)` the exception that the component's
    function raised is this error's `__cause__`.

    Args:
        message: What went wrong, with the traceback of the component if there is one.
        code: A stable code, listed in the reference of error codes.
        task: The path of the task that failed. Default: an empty text: the whole run.
        details: Facts about the failure, by name. Default: none.
    """

    def __init__(self, message: str, *, code: str, task: str = "", details: dict[str, Json] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.task = task
        self.details = details or {}
