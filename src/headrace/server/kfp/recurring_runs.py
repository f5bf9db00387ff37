"""Recurring runs: the routes are known, and say that this server has none yet."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from headrace.server.errors import HttpError
from headrace.server.kfp.routing import PREFIX, kfp_route
from headrace.server.routes import ApiCall
from headrace.service.access import Access, Resource, Verb
from headrace.wire import v2beta1 as wire


async def not_implemented(call: ApiCall) -> Response:
    """501."""
    raise HttpError(501, "NOT_IMPLEMENTED", "This version of Headrace has no recurring runs yet.")


_PATH = f"{PREFIX}/recurringruns"
_ONE = _PATH + "/{recurring_run_id}"
_route = partial(
    kfp_route, handler=not_implemented, summary="Not implemented yet.", answer=wire.Status, tag="RecurringRunService"
)

ROUTES = (
    _route(method="POST", path=_PATH, access=Access(Resource.RECURRING_RUN, Verb.CREATE, "body")),
    _route(method="GET", path=_PATH, access=Access(Resource.RECURRING_RUN, Verb.READ, "query")),
    _route(method="GET", path=_ONE, access=Access(Resource.RECURRING_RUN, Verb.READ)),
    _route(method="DELETE", path=_ONE, access=Access(Resource.RECURRING_RUN, Verb.DELETE)),
    _route(method="POST", path=_ONE + ":enable", access=Access(Resource.RECURRING_RUN, Verb.UPDATE)),
    _route(method="POST", path=_ONE + ":disable", access=Access(Resource.RECURRING_RUN, Verb.UPDATE)),
)
