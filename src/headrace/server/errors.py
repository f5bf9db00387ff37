"""What went wrong, as HTTP: the one place where errors become statuses and bodies."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from starlette.responses import Response

from headrace.server.routes import ErrorStyle
from headrace.service import errors
from headrace.wire.api import ErrorBody
from headrace.wire.v2beta1 import Status, UploadError

log = logging.getLogger("headrace.server")


class HttpError(Exception):
    """A refusal that the server itself decides, before any service is asked."""

    def __init__(self, status: int, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers: dict[str, str] = {}


class FailedPrecondition(HttpError):
    """As KFP's: 400 rather than 409."""

    def __init__(self, error: errors.ServiceError) -> None:
        super().__init__(400, error.code, error.message, **error.details)


#: gRPC's codes; KFP's gateway sends them in the body.
_GRPC: dict[int, int] = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    405: 12,
    408: 4,
    409: 10,
    413: 3,
    415: 3,
    421: 7,
    501: 12,
    503: 14,
}
_STATUS: tuple[tuple[type[errors.ServiceError], int], ...] = (
    (errors.NotFound, 404),
    (errors.AlreadyExists, 409),
    (errors.Invalid, 400),
    (errors.Conflict, 409),
    (errors.Forbidden, 403),
    (errors.Unavailable, 503),
)


def as_http_error(error: Exception) -> HttpError:
    """Any exception of a handler as the error that the client gets: INTERNAL for an unexpected one, which is logged."""
    if isinstance(error, HttpError):
        return error
    if isinstance(error, errors.ServiceError):
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        return HttpError(status, error.code, error.message, **error.details)
    log.error("A request failed in an unforeseen way", exc_info=error)
    return HttpError(500, "INTERNAL", "Headrace failed to answer. The server's log says why.")


def error_response(error: HttpError, style: ErrorStyle) -> Response:
    """The error in the words of the API it happened in."""
    media = "application/json"
    if style == "page":
        media, body = "text/plain; charset=utf-8", f"{error.code}: {error.message}\n".encode()
    else:
        body = msgspec.json.encode(_body(error, style), enc_hook=str)
    headers = {"cache-control": "no-store", "link": f'<{page_of(error.code)}>; rel="help"', **error.headers}
    return Response(body, error.status, headers, media)


def _body(error: HttpError, style: ErrorStyle) -> msgspec.Struct:
    if style == "gateway":
        return gateway_body(error)
    if style == "upload":
        return UploadError(error_message=error.message, error_details=f"{error.code}: {error.message}")
    return ErrorBody(code=error.code, message=error.message, details=error.details, help=page_of(error.code))


def page_of(code: str) -> str:
    """Where this server says what a code means."""
    return f"/api/codes/{code}"


def gateway_body(error: HttpError) -> Status:
    """`google.rpc.Status`; the last detail carries our own stable code."""
    code = grpc_code(error)
    generic = {"@type": "type.googleapis.com/google.rpc.Status", "code": code, "message": error.message}
    ours = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.code,
        "domain": "headrace",
        "metadata": {key: _metadata(value) for key, value in error.details.items()},
    }
    return Status(code=code, message=error.message, details=[generic, ours])


def grpc_code(error: HttpError) -> int:
    """gRPC's number of the error."""
    if isinstance(error, FailedPrecondition):
        return 9
    if error.status == 409 and error.code.endswith("ALREADY_EXISTS"):
        return 6
    return _GRPC.get(error.status, 13)


def _metadata(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
