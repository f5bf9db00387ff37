"""Requests built and answers read, without any I/O: shared by all clients."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from headrace.client.errors import ApiError

T = TypeVar("T")

IDEMPOTENCY_KEY = "Idempotency-Key"


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready to send."""

    method: str
    #: With the query.
    path: str
    headers: dict[str, str] = {}
    body: bytes | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it again does no harm: it reads, or has an idempotency key."""
        return self.method == "GET" or IDEMPOTENCY_KEY in self.headers


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, read to its end."""

    status: int
    reason: str = ""
    #: Lower-case names.
    headers: dict[str, str] = {}
    body: bytes = b""


def path(template: str, **ids: str) -> str:
    """`/api/runs/{run_id}` with ids put in, encoded."""
    return template.format_map({name: quote(value, safe="") for name, value in ids.items()})


def get(where: str, query: Mapping[str, Any] | None = None) -> HttpRequest:
    """A GET request; query values that are None or "" are left out."""
    return HttpRequest(method="GET", path=_with_query(where, query))


def post(where: str, body: Any = None, query: Mapping[str, Any] | None = None) -> HttpRequest:
    """A POST request; without `body`, its body is empty."""
    return _with_body("POST", _with_query(where, query), body)


def post_once(where: str, body: Any, query: Mapping[str, Any] | None = None) -> HttpRequest:
    """Make one thing, however often the request is sent: it carries an idempotency key of its own."""
    made = post(where, body, query)
    return msgspec.structs.replace(made, headers={**made.headers, IDEMPOTENCY_KEY: str(uuid.uuid4())})


def patch(where: str, body: Any) -> HttpRequest:
    """A PATCH request."""
    return _with_body("PATCH", where, body)


def delete(where: str, query: Mapping[str, Any] | None = None) -> HttpRequest:
    """A DELETE request."""
    return HttpRequest(method="DELETE", path=_with_query(where, query))


def upload(where: str, filename: str, content: bytes, query: Mapping[str, Any]) -> HttpRequest:
    """A file as multipart form field `uploadfile`."""
    boundary = secrets.token_hex(16)
    name = filename.replace("\\", "_").replace('"', "_").replace("\r", "_").replace("\n", "_")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="uploadfile"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    return HttpRequest(method="POST", path=_with_query(where, query), headers={"Content-Type": kind}, body=body)


def read(answer: Answer, kind: type[T]) -> T:
    """The answer as a shape. Raises ApiError for an error, and for an answer that is not of this API."""
    check(answer)
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ApiError(
            status=answer.status,
            code="ANSWER_INVALID",
            message=f"The server's answer is not what this client understands: {error}",
            body=answer.body,
        ) from error


def check(answer: Answer) -> None:
    """Raise ApiError if the answer is an error."""
    if 200 <= answer.status < 300:
        return
    code, message, details = _error(answer)
    raise ApiError(
        status=answer.status, code=code, message=message, reason=answer.reason, body=answer.body, details=details
    )


def _error(answer: Answer) -> tuple[str, str, dict[str, Any]]:
    """Code, message and details of an error in any of the server's styles."""
    try:
        body = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        body = None
    if not isinstance(body, dict):
        shown = answer.body[:300].decode("utf-8", "replace").strip()
        return f"HTTP_{answer.status}", shown or f"The server answered {answer.status} {answer.reason}.", {}
    if "error_message" in body:
        return str(body.get("error_details", "")).partition(":")[0] or "UPLOAD_FAILED", str(body["error_message"]), {}
    if isinstance(body.get("code"), str):
        return body["code"], str(body.get("message", "")), body.get("details") or {}
    for detail in body.get("details") or ():
        if isinstance(detail, dict) and detail.get("domain") == "headrace":
            return str(detail.get("reason", "")), str(body.get("message", "")), detail.get("metadata") or {}
    return f"GRPC_{body.get('code', 'UNKNOWN')}", str(body.get("message", "")), {}


def _with_body(method: str, where: str, body: Any) -> HttpRequest:
    if body is None:
        return HttpRequest(method=method, path=where)
    headers = {"Content-Type": "application/json"}
    return HttpRequest(method=method, path=where, headers=headers, body=msgspec.json.encode(body))


def _with_query(where: str, query: Mapping[str, Any] | None) -> str:
    given = {name: _query_text(value) for name, value in (query or {}).items() if value not in (None, "")}
    return f"{where}?{urlencode(given)}" if given else where


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
