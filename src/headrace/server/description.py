"""What the server says of itself: its OpenAPI document, and that it is there."""

from __future__ import annotations

from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.routes import Call, Policy, Route


async def get_openapi(call: Call) -> Response:
    """The OpenAPI document, generated from the route table."""
    from headrace.server.openapi import document_bytes

    return Response(document_bytes(), 200, {"cache-control": "no-cache"}, "application/json")


async def get_healthz(call: Call) -> Response:
    """That the server is there, and nothing else."""
    return json_answer({"status": "ok"})


ROUTES = (
    Route(
        method="GET",
        path="/api/openapi.json",
        handler=get_openapi,
        policy=Policy.MEMBER,
        summary="This description.",
        answer="application/json",
        tag="server",
    ),
    Route(
        method="GET",
        path="/healthz",
        handler=get_healthz,
        policy=Policy.OPEN,
        summary="That the server is there.",
        answer="application/json",
        tag="server",
    ),
)
