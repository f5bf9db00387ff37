"""What can go wrong with a request: raised in `service`, mapped to statuses in `server`, and nowhere else."""

from __future__ import annotations

from typing import Any


class ServiceError(Exception):
    """Base: a stable code, a sentence for a person, typed details."""

    code = "INTERNAL"

    def __init__(self, message: str, *, code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.details = details


class NotFound(ServiceError):
    """No such thing, or not yours to know of. HTTP 404."""

    code = "NOT_FOUND"


class AlreadyExists(ServiceError):
    """The name is taken. HTTP 409."""

    code = "ALREADY_EXISTS"


class Invalid(ServiceError):
    """The request cannot be right as it is; says what, where and how to fix it. HTTP 400."""

    code = "INVALID"


class Conflict(ServiceError):
    """Right in itself, but not in the present state. HTTP 409."""

    code = "CONFLICT"


class Forbidden(ServiceError):
    """Not allowed. HTTP 403."""

    code = "FORBIDDEN"


class Unavailable(ServiceError):
    """Not now: disk full, data directory read-only, shutting down. HTTP 503."""

    code = "UNAVAILABLE"
