"""Request bodies, read with a limit and a deadline before any of it is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from headrace.server.errors import HttpError
from headrace.server.routes import ApiCall, Route
from headrace.wire.protojson import T, WireError, parse

#: The beginning of a body may be as slow as it likes for this long, in seconds; then the whole body so far must have
#: come at the least rate. A document of 32 MiB may take half an hour, a body of some bytes may not.
SLOW_S = 20.0
LEAST_RATE = 16_384  # bytes a second
#: Bytes of a body that take longer to read than it takes to hand them to a thread.
_LARGE = 65_536


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An uploaded file."""

    filename: str
    content: bytes


def limited(receive: Receive, headers: Mapping[str, str], limit: int) -> Receive:
    """`receive` that stops at the first byte over `limit`, and when the body comes too slowly. Raises HttpError."""
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    taken, began, ended = 0, 0.0, False

    async def receive_limited() -> Message:
        nonlocal taken, began, ended
        if ended:  # What comes after the body is only that the client leaves.
            return await receive()
        began = began or _now()
        try:
            async with asyncio.timeout_at(began + SLOW_S + taken / LEAST_RATE):
                message = await receive()
        except TimeoutError:
            raise _too_slow() from None
        taken += len(message.get("body", b""))
        ended = not message.get("more_body", False)
        if taken > limit:
            raise _too_large(limit)
        return message

    return receive_limited


def announced(headers: Mapping[str, str], route: Route) -> int:
    """How many bytes of a body the server must be ready to hold for this request; 0 where the route reads none."""
    if route.body is None and not route.upload:
        return 0
    length = headers.get("content-length", "")
    if length.isdigit():
        return min(int(length), route.max_body)
    return route.max_body if "transfer-encoding" in headers else 0


async def read(request: Request) -> bytes:
    """The whole body. Raises HttpError."""
    try:
        return b"".join([piece async for piece in request.stream()])
    except ClientDisconnect:
        raise HttpError(400, "BODY_INCOMPLETE", "The connection ended before the request's body did.") from None


def check_content_type(request: Request, wanted: str) -> None:
    """Refuse what a mere HTML form could have sent: JSON must say that it is JSON."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise HttpError(415, "CONTENT_TYPE", f"Send the body as {wanted}; this one is {given or 'of no named type'}.")


async def read_message(call: ApiCall, kind: type[T]) -> T:
    """The JSON body as a shape; unknown fields are refused. Raises HttpError."""
    body = await read(call.request)
    if body or not call.route.body_optional:
        check_content_type(call.request, "application/json")
    try:
        # A pipeline of thousands of tasks comes in megabytes: in a thread, so that others get their answers meanwhile.
        return parse(kind, body) if len(body) < _LARGE else await asyncio.to_thread(parse, kind, body)
    except WireError as error:
        raise HttpError(400, "BODY_INVALID", str(error)) from error


async def read_upload(call: ApiCall, field: str = "uploadfile") -> Upload:
    """The one file of a multipart body. Raises HttpError."""
    from starlette.datastructures import UploadFile
    from starlette.exceptions import HTTPException
    from starlette.formparsers import MultiPartException

    check_content_type(call.request, "multipart/form-data")
    try:
        async with call.request.form(max_files=1, max_fields=20, max_part_size=65536) as form:
            file = form.get(field)
            if not isinstance(file, UploadFile):
                raise HttpError(400, "UPLOAD_MISSING", f'The body has no file in the form field "{field}".')
            return Upload(filename=file.filename or "", content=await file.read())
    except (HTTPException, MultiPartException) as error:
        raise HttpError(400, "UPLOAD_INVALID", f"The body is not a multipart upload: {error}") from error
    except ClientDisconnect:
        raise HttpError(400, "BODY_INCOMPLETE", "The connection ended before the upload did.") from None


def _now() -> float:
    return asyncio.get_running_loop().time()


def _too_slow() -> HttpError:
    error = HttpError(
        408,
        "BODY_TIMEOUT",
        f"The request's body came too slowly: after {SLOW_S:g} seconds, {LEAST_RATE >> 10} KiB must come in a second.",
    )
    error.headers["connection"] = "close"
    return error


def _too_large(limit: int) -> HttpError:
    error = HttpError(413, "BODY_TOO_LARGE", f"The request's body is larger than {limit} bytes.", limit_bytes=limit)
    error.headers["connection"] = "close"
    return error
