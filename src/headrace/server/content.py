"""The content origin: artifacts' bytes behind signed links, without cookies, without an API, without trust in them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from headrace.engine.model import Artifact
from headrace.server.app_state import AppState
from headrace.server.errors import HttpError
from headrace.service.access import Access, Caller, Resource, Role, Source, Verb
from headrace.service.service import Service

#: How long a link is good for.
LINK_S = 300.0

#: The rest is offered as a download.
_INLINE = {
    ".html": "text/html; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
    ".csv": "text/plain; charset=utf-8",
    ".tsv": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".yaml": "text/plain; charset=utf-8",
    ".yml": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
_BY_TYPE = {
    "system.HTML": _INLINE[".html"],
    "system.Markdown": _INLINE[".md"],
    "system.Metrics": _INLINE[".json"],
    "system.ClassificationMetrics": _INLINE[".json"],
    "system.SlicedClassificationMetrics": _INLINE[".json"],
}
_SCRIPTED = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data: blob:; connect-src 'none'; "
    "form-action 'none'; base-uri 'none'"
)
_STILL = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"
_READ_CONTENT = Access(Resource.CONTENT, Verb.READ)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class ContentGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a link lets its bearer read."""

    artifact_id: str
    member: str
    size_bytes: int
    name: str
    type: str
    download: bool = False
    #: The user whom the link was given to, and the artifact's namespace.
    user: str = ""
    namespace: str = ""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes to send."""

    start: int
    length: int
    partial: bool = False


def content_name(artifact: Artifact, member: str) -> str:
    """A file name for people: of the file itself, else of the artifact."""
    path = member or unquote(urlsplit(artifact.uri).path)
    name = PurePosixPath(path).name or artifact.name
    return "".join(char for char in name if char.isprintable() and char not in '/\\"') or "artifact"


async def serve_content(request: Request, service: Service, state: AppState) -> Response:
    """`GET /c/{signed}/{name}`; nothing else exists here."""
    grant = _grant(request, state)
    span = requested_span(request.headers.get("range"), grant.size_bytes)
    headers = _headers(grant, state, span)
    status = 206 if span.partial else 200
    if request.method == "HEAD" or span.length == 0:
        return Response(None, status, headers)
    session = service.for_caller(_caller(grant), only=_READ_CONTENT)
    body = session.read_artifact(grant.artifact_id, offset=span.start, limit=span.length, member=grant.member)
    return StreamingResponse(body, status, headers)


def _caller(grant: ContentGrant) -> Caller:
    """The user whom the link was given to, who may with it read this namespace and nothing else."""
    return Caller(user=grant.user, namespaces={grant.namespace: Role.VIEWER}, source=Source.LINK)


def _grant(request: Request, state: AppState) -> ContentGrant:
    pieces = str(request.scope["raw_path"], "ascii", "replace").split("/")
    if request.method not in ("GET", "HEAD"):
        raise HttpError(405, "METHOD_NOT_ALLOWED", "Content can only be read.")
    if len(pieces) != 4 or pieces[0] or pieces[1] != "c":
        raise HttpError(404, "NOT_FOUND", "There is nothing here but what signed links lead to.")
    grant = state.signer.open("content", pieces[2], ContentGrant)
    if grant is None:
        raise HttpError(403, "LINK_EXPIRED", "This link is not valid any more. Open the artifact in Headrace again.")
    return grant


def requested_span(header: str | None, size: int) -> Span:
    """One range is served; several or a malformed one are answered with everything, as RFC 9110 allows."""
    whole = Span(start=0, length=size)
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not any(match.groups()) or size == 0:
        return whole
    first, last = match.groups()
    start = max(0, size - int(last)) if not first else int(first)
    end = size if not first or not last else min(size, int(last) + 1)
    if start >= size or (first and end <= start):
        if first and last and int(last) < int(first):
            return whole
        error = HttpError(416, "RANGE_NOT_SATISFIABLE", f"The content has {size} bytes.")
        error.headers["content-range"] = f"bytes */{size}"
        raise error
    return Span(start=start, length=end - start, partial=True)


def _headers(grant: ContentGrant, state: AppState, span: Span) -> dict[str, str]:
    media = _media(grant)
    inline = media is not None and not grant.download
    policy = _SCRIPTED if media == _INLINE[".html"] else _STILL
    headers = {
        "content-type": media or "application/octet-stream",
        "content-disposition": f"{'inline' if inline else 'attachment'}; filename*=UTF-8''{quote(grant.name, safe='')}",
        "content-security-policy": f"{policy}; frame-ancestors {state.origin}",
        # The page may read text and show images; the link itself is the permission.
        "access-control-allow-origin": state.origin,
        "access-control-expose-headers": "content-range, content-length, accept-ranges",
    }
    return headers | span_headers(span, grant.size_bytes)


def span_headers(span: Span, size: int) -> dict[str, str]:
    """The headers that say which bytes these are."""
    headers = {"content-length": str(span.length), "accept-ranges": "bytes"}
    if span.partial:
        headers["content-range"] = f"bytes {span.start}-{span.start + span.length - 1}/{size}"
    return headers


def _media(grant: ContentGrant) -> str | None:
    """By the file's ending, else by the artifact's type; None when it is not shown but saved."""
    by_ending = _INLINE.get(PurePosixPath(grant.name).suffix.lower())
    return by_ending or (None if grant.member else _BY_TYPE.get(grant.type))


CONTENT_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "cross-origin",
    "cache-control": "private, max-age=240",
}
