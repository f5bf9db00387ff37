"""Artifacts: what is known of them, and links to their content on the content origin."""

from __future__ import annotations

from functools import partial
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from headrace.server.answers import json_answer
from headrace.server.bodies import read_message
from headrace.server.content import LINK_S, ContentGrant, content_name, requested_span, span_headers
from headrace.server.routes import ApiCall, Query, Route
from headrace.service.access import Access, Resource, Verb
from headrace.service.views import artifact_view
from headrace.wire import api
from headrace.wire.times import millis


async def get_artifact(call: ApiCall) -> Response:
    """An artifact, without its content."""
    return json_answer(artifact_view(await call.session.get_artifact(call.path["artifact_id"])))


async def list_members(call: ApiCall) -> Response:
    """The files of a directory artifact."""
    members = await call.session.list_artifact_members(call.path["artifact_id"])
    return json_answer(api.MemberList(members=[api.MemberView(name=name, size_bytes=size) for name, size in members]))


async def read_content(call: ApiCall) -> Response:
    """The content for our own page's scripts: never shown by the browser as a page of this origin."""
    artifact_id, member = call.path["artifact_id"], call.query.get("member", "")
    _, size = await call.session.find_content(artifact_id, member)
    span = requested_span(call.request.headers.get("range"), size)
    headers = span_headers(span, size) | _UNTRUSTED
    status = 206 if span.partial else 200
    if span.length == 0:
        return Response(None, status, headers)
    body = call.session.read_artifact(artifact_id, offset=span.start, limit=span.length, member=member)
    return StreamingResponse(body, status, headers)


async def create_link(call: ApiCall) -> Response:
    """A signed URL of the content, good for minutes."""
    body = await read_message(call, api.CreateLink)
    record, size = await call.session.find_content(call.path["artifact_id"], body.member)
    name = content_name(record.artifact, body.member)
    grant = ContentGrant(
        artifact_id=record.artifact.artifact_id,
        member=body.member,
        size_bytes=size,
        name=name,
        type=record.artifact.type.schema_title,
        download=body.download,
        user=call.identity.caller.user,
        namespace=record.namespace,
    )
    signed, expires_at = call.state.signer.sign("content", grant, ttl_s=LINK_S)
    url = f"{call.state.content_origin}/c/{signed}/{quote(name, safe='')}"
    return json_answer(api.ContentLink(url=url, expires_at=millis(expires_at)))


_UNTRUSTED = {
    "content-type": "application/octet-stream",
    "content-disposition": "attachment",
    "content-security-policy": "sandbox; default-src 'none'",
    "cache-control": "no-store",
}
_ONE = "/api/artifacts/{artifact_id}"
_READ_CONTENT = Access(Resource.CONTENT, Verb.READ)
_route = partial(Route, tag="artifacts")

ROUTES = (
    _route(
        method="GET",
        path=_ONE,
        handler=get_artifact,
        access=Access(Resource.ARTIFACT, Verb.READ),
        summary="An artifact, without its content.",
        answer=api.ArtifactView,
    ),
    _route(
        method="GET",
        path=_ONE + "/members",
        handler=list_members,
        access=Access(Resource.ARTIFACT, Verb.READ),
        summary="The files of a directory artifact.",
        answer=api.MemberList,
    ),
    _route(
        method="GET",
        path=_ONE + "/content",
        handler=read_content,
        access=_READ_CONTENT,
        summary="The content as bytes (Range is honoured), for scripts; to show it, ask for a link.",
        answer="application/octet-stream",
        query=(Query(name="member", note="A file of a directory artifact."),),
    ),
    _route(
        method="POST",
        path=_ONE + "/link",
        handler=create_link,
        access=_READ_CONTENT,
        summary="A signed URL of the content on the content origin, good for minutes.",
        body=api.CreateLink,
        body_optional=True,
        answer=api.ContentLink,
    ),
)
