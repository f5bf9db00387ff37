"""The errors of a client."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """The server refused a request. The attributes are those of `kfp_server_api.ApiException`, and a stable code.

    Args:
        status: The HTTP status.
        code: A stable code, listed in the reference of error codes.
        message: What is wrong, for people.
        reason: The words of the HTTP status. Default: an empty text.
        body: The answer's body. Default: empty.
        details: Facts about the error, by name. Default: none.
    """

    def __init__(
        self, *, status: int, code: str, message: str, reason: str = "", body: bytes = b"", details: Any = None
    ) -> None:
        super().__init__(f"{message} [{code}]")
        self.status = status
        #: Stable UPPER_SNAKE code.
        self.code = code
        self.message = message
        self.reason = reason
        self.body = body
        self.details: dict[str, Any] = details or {}


class ServerUnreachable(ConnectionError):
    """No server answers at the address, or no server runs over the data directory."""

    code = "SERVER_UNREACHABLE"
