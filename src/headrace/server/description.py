"""What the server says of itself: its OpenAPI document, and that it is there."""

from __future__ import annotations

from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.errors import HttpError
from headrace.server.routes import ApiCall, NeededProof, Route
from headrace.service.access import Access, Resource, Verb
from headrace.wire import codes
from headrace.wire.api import CodePage


async def get_openapi(call: ApiCall) -> Response:
    """The OpenAPI document, generated from the route table."""
    from headrace.server.openapi import document_bytes

    return Response(document_bytes(), 200, {"cache-control": "no-cache"}, "application/json")


async def get_code(call: ApiCall) -> Response:
    """What an error code means."""
    code = call.path["code"]
    page = codes.find(code)
    if page is None:
        near = codes.near(code)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise HttpError(404, "CODE_UNKNOWN", f"There is no code {code[:60]!r}.{meant}", near=near)
    return json_answer(page)


async def get_healthz(call: ApiCall) -> Response:
    """That the server is there, and nothing else."""
    return json_answer({"status": "ok"})


ROUTES = (
    Route(
        method="GET",
        path="/api/openapi.json",
        handler=get_openapi,
        access=Access(Resource.SERVER, Verb.READ, "server"),
        summary="This description.",
        answer="application/json",
        tag="server",
    ),
    Route(
        method="GET",
        path="/api/codes/{code}",
        handler=get_code,
        access=Access(Resource.SERVER, Verb.READ, "server"),
        summary="What an error code means, and what to do.",
        answer=CodePage,
        tag="server",
    ),
    Route(
        method="GET",
        path="/healthz",
        handler=get_healthz,
        access=Access(Resource.SERVER, Verb.READ, "server"),
        proof=NeededProof.NONE,
        summary="That the server is there.",
        answer="application/json",
        tag="server",
    ),
)
