"""The ASGI application: two origins on two ports, each request checked from the outside in before a handler sees it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.server import guard, pages
from headrace.server.app_state import AppState
from headrace.server.auth import Identity
from headrace.server.bodies import announced, limited
from headrace.server.content import CONTENT_HEADERS, serve_content
from headrace.server.errors import HttpError, as_http_error, error_response
from headrace.server.routes import ApiCall, ErrorStyle, Match, NeededProof, Route, RouteTable
from headrace.service.service import Service

access_log = logging.getLogger("headrace.access")

_SIGNED = re.compile(r"^/c/[^/]*")


def create_app(service: Service, state: AppState, routes: Iterable[Route] | None = None) -> ASGIApp:
    """The application over an open service. Raises RouteTableError when a route must not be served."""
    if routes is None:
        from headrace.server.table import ROUTES

        routes = ROUTES
    table = RouteTable(routes)
    own_headers = guard.page_headers(state)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse_other(scope, receive, send)
            return
        began = time.perf_counter()
        at_content = (scope.get("server") or ("", None))[1] == state.content_port
        if at_content:
            response = await _answer_content(Request(scope, receive), service, state)
        else:
            response = await _answer(scope, receive, table, service, state)
        fixed = CONTENT_HEADERS if at_content else own_headers
        for name, value in fixed.items():
            response.headers.setdefault(name, value)
        # An answer may come before the body was read; the limit stays for what is still to come.
        await response(scope, receive, _logged(send, scope, began))

    return app


async def _answer(scope: Scope, receive: Receive, table: RouteTable, service: Service, state: AppState) -> Response:
    raw_path = _raw_path(scope)
    request = Request(scope, receive)
    style = _style(raw_path)
    try:
        host = guard.check_host(request, state.hosts)
        found = table.find(scope["method"], raw_path)
        if isinstance(found, Match):
            style = found.route.errors
        identity = await guard.identify(request, state, host)
        guard.check_site(request, state.origin_at(host), identity)
        if not isinstance(found, Match):
            return _without_route(request, raw_path, found, state, identity)
        guard.check_proof(found.route.proof, identity)
        guard.check_server_access(found.route, identity.caller)
        _check_query(found.route, request)
        limited_receive = limited(receive, request.headers, found.route.max_body)
        call = ApiCall(
            session=service.for_caller(identity.caller, only=found.route.access),
            state=state,
            request=Request(scope, limited_receive),
            route=found.route,
            path=found.path,
            identity=identity,
        )
        async with state.in_flight.room_for(announced(request.headers, found.route)):
            return await found.route.handler(call)
    except Exception as error:
        return _failed(request, as_http_error(error), style)


def _check_query(route: Route, request: Request) -> None:
    """Refuse a query parameter of our API that is unknown: a mistyped one would show more than was asked for.

    KFP ignores those of its API.
    """
    if route.errors != "own":
        return
    known = [one.name for one in route.query]
    for name in request.query_params:
        if name not in known:
            listed = f"it has {', '.join(known)}" if known else "it has none"
            raise HttpError(400, "QUERY_UNKNOWN", f"There is no query parameter {name[:60]!r} here; {listed}.")


def _without_route(
    request: Request, raw_path: str, allowed: frozenset[str], state: AppState, identity: Identity
) -> Response:
    """An answer without a route: a file or page of the UI. For anything else, a signed-in caller gets 404 or 405."""
    is_ui = not raw_path.startswith(("/api/", "/apis/")) and raw_path not in ("/api", "/apis") and not allowed
    is_page = is_ui and request.method in guard.SAFE_METHODS
    elsewhere = not state.is_home(request.headers["host"].lower())
    if is_page and elsewhere:
        return RedirectResponse(f"{state.origin}{request.url.path}", 307)
    guard.check_proof(NeededProof.COOKIE if is_page else NeededProof.SIGNED_IN, identity)
    if allowed:
        error = HttpError(405, "METHOD_NOT_ALLOWED", f"{request.method} is not possible here; {_listed(allowed)} is.")
        error.headers["allow"] = ", ".join(sorted(allowed))
        raise error
    if not is_page:
        raise HttpError(404, "NOT_FOUND", f"There is no {request.method} {request.url.path}.")
    return pages.serve_ui(request)


async def _answer_content(request: Request, service: Service, state: AppState) -> Response:
    try:
        guard.check_host(request, state.content_hosts)
        return await serve_content(request, service, state)
    except Exception as error:
        return error_response(as_http_error(error), "page")


def _failed(request: Request, error: HttpError, style: ErrorStyle) -> Response:
    if style == "page" and pages.wants_page(request):
        page = pages.sign_in_page() if error.status == 401 else pages.error_page(error)
        page.headers.update(error.headers)
        return page
    return error_response(error, style)


def _style(raw_path: str) -> ErrorStyle:
    if raw_path.startswith("/apis"):
        return "gateway"
    return "own" if raw_path.startswith("/api") else "page"


def _raw_path(scope: Scope) -> str:
    """The path as sent, still encoded: `%2F` in an id must not become a slash."""
    return bytes(scope["raw_path"]).partition(b"?")[0].decode("ascii", "replace")


def _listed(words: frozenset[str]) -> str:
    return " or ".join(sorted(words))


def _logged(send: Send, scope: Scope, began: float) -> Send:
    """`send` that also notes the answer: path without query and without what signs it."""
    path = _SIGNED.sub("/c/-", scope["path"])

    async def send_logged(message: Message) -> None:
        if message["type"] == "http.response.start" and access_log.isEnabledFor(logging.INFO):
            spent = (time.perf_counter() - began) * 1000
            access_log.info("%s %r %d %.1f ms", scope["method"], path, message["status"], spent)
        await send(message)

    return send_logged


async def _refuse_other(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
