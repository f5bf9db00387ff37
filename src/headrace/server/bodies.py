"""Request bodies, read with a limit and a deadline before any of it is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from headrace.server.errors import HttpError
from headrace.server.routes import ApiCall
from headrace.wire.protojson import T, WireError, parse

#: A body must arrive piece by piece, none later than this.
PIECE_S = 30.0
#: Bytes of a body that take longer to read than it takes to hand them to a thread.
_LARGE = 65_536


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An uploaded file."""

    filename: str
    content: bytes


def limited(receive: Receive, headers: Mapping[str, str], limit: int) -> Receive:
    """`receive` that stops at the first byte over `limit` and does not wait without limit. Raises HttpError."""
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    taken = 0

    async def receive_limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _too_large(limit)
        return message

    return receive_limited


async def read(request: Request) -> bytes:
    """The whole body. Raises HttpError."""
    pieces: list[bytes] = []
    stream = request.stream()
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), PIECE_S)
        except StopAsyncIteration:
            return b"".join(pieces)
        except TimeoutError:
            raise HttpError(408, "BODY_TIMEOUT", "The request's body did not arrive in time.") from None
        except ClientDisconnect:
            raise HttpError(400, "BODY_INCOMPLETE", "The connection ended before the request's body did.") from None
        pieces.append(piece)


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
        async with (
            asyncio.timeout(10 * PIECE_S),
            call.request.form(max_files=1, max_fields=20, max_part_size=65536) as form,
        ):
            file = form.get(field)
            if not isinstance(file, UploadFile):
                raise HttpError(400, "UPLOAD_MISSING", f'The body has no file in the form field "{field}".')
            return Upload(filename=file.filename or "", content=await file.read())
    except (HTTPException, MultiPartException) as error:
        raise HttpError(400, "UPLOAD_INVALID", f"The body is not a multipart upload: {error}") from error
    except (TimeoutError, ClientDisconnect):
        raise HttpError(408, "BODY_TIMEOUT", "The upload did not arrive in time.") from None


def _too_large(limit: int) -> HttpError:
    error = HttpError(413, "BODY_TOO_LARGE", f"The request's body is larger than {limit} bytes.", limit_bytes=limit)
    error.headers["connection"] = "close"
    return error
