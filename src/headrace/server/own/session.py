"""Signing in, and who is signed in."""

from __future__ import annotations

from starlette.responses import HTMLResponse, RedirectResponse, Response

from headrace.server.answers import json_answer
from headrace.server.auth import SESSION_S, cookie_name
from headrace.server.errors import HttpError
from headrace.server.routes import ApiCall, NeededProof, Query, Route
from headrace.service.access import Access, Resource, Verb
from headrace.wire import api
from headrace.wire.times import millis

# A page of our own in between: a SameSite=Strict cookie is not sent along a redirect that began on another site.
_ENTER = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">
<title>Headrace</title><p><a href="/">Go on to Headrace</a></p>"""


async def get_session(call: ApiCall) -> Response:
    """Who is asking, and what this server is."""
    state = call.state
    return json_answer(
        api.SessionView(user=call.identity.caller.user, version=state.version, content_origin=state.content_origin)
    )


async def create_sign_in_link(call: ApiCall) -> Response:
    """A link that signs one browser in, once."""
    code, expires_at = call.state.gate.mint_code()
    url = f"{call.state.origin}/auth?code={code}"
    return json_answer(api.SignInLink(url=url, expires_at=millis(expires_at)))


async def sign_in(call: ApiCall) -> Response:
    """Turn a one-time code into a session."""
    session = await call.state.gate.redeem(call.query.get("code", ""))
    if session is None:
        raise HttpError(
            403,
            "CODE_EXPIRED",
            "This sign-in link was used already or is too old. Get a new one with `headrace ui`, "
            "or from the terminal in which Headrace runs.",
        )
    came_from_elsewhere = call.request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    answer: Response = HTMLResponse(_ENTER) if came_from_elsewhere else RedirectResponse("/", 303)
    answer.set_cookie(
        cookie_name(call.request.headers["host"].lower()),
        session,
        max_age=int(SESSION_S),
        path="/",
        secure=call.state.origin.startswith("https:"),
        httponly=True,
        samesite="strict",
    )
    answer.headers["cache-control"] = "no-store"
    return answer


ROUTES = (
    Route(
        method="GET",
        path="/api/session",
        handler=get_session,
        access=Access(Resource.SIGN_IN, Verb.READ, "server"),
        summary="Who is asking, and what this server is.",
        answer=api.SessionView,
        tag="session",
    ),
    Route(
        method="POST",
        path="/api/session/link",
        handler=create_sign_in_link,
        access=Access(Resource.SIGN_IN, Verb.CREATE, "server"),
        proof=NeededProof.TOKEN,
        summary="A link that signs one browser in, once, within minutes.",
        answer=api.SignInLink,
        tag="session",
    ),
    Route(
        method="GET",
        path="/auth",
        handler=sign_in,
        access=Access(Resource.SIGN_IN, Verb.CREATE, "server"),
        proof=NeededProof.CODE,
        summary="Turn a one-time code into a session cookie, then show the UI.",
        answer="text/html",
        query=(Query(name="code"),),
        errors="page",
        tag="session",
    ),
)
