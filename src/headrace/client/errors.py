"""What a client can run into."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """The server answered with an error. The fields are those of KFP's ApiException, and our stable code."""

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
    """Nobody answers at the server's address, or there is no server to be found."""

    code = "SERVER_UNREACHABLE"
