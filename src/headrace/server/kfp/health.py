"""Whether the server is there."""

from __future__ import annotations

from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.kfp.routing import PREFIX, kfp_route
from headrace.server.routes import ApiCall, NeededProof
from headrace.service.access import Access, Resource, Verb
from headrace.wire import v2beta1 as wire


async def get_healthz(call: ApiCall) -> Response:
    """KFP's clients ask this before anything else, without credentials."""
    return json_answer(
        wire.Health(commit_sha="", tag_name=call.state.version, multi_user=False, pipeline_store="database")
    )


async def get_healthz_v1(call: ApiCall) -> Response:
    """Probes written for older servers ask here."""
    return json_answer(wire.HealthV1(commit_sha="", tag_name=call.state.version, multi_user=False))


ROUTES = (
    kfp_route(
        method="GET",
        path=f"{PREFIX}/healthz",
        handler=get_healthz,
        access=Access(Resource.SERVER, Verb.READ, "server"),
        proof=NeededProof.NONE,
        summary="Whether the server is there.",
        answer=wire.Health,
        tag="HealthzService",
    ),
    kfp_route(
        method="GET",
        path="/apis/v1beta1/healthz",
        handler=get_healthz_v1,
        access=Access(Resource.SERVER, Verb.READ, "server"),
        proof=NeededProof.NONE,
        summary="Whether the server is there, for older probes.",
        answer=wire.HealthV1,
        tag="HealthzService",
    ),
)
