"""Signing in and out, and which browsers are signed in."""

from __future__ import annotations

from starlette.responses import HTMLResponse, RedirectResponse, Response

from headrace.server.answers import json_answer
from headrace.server.auth import cookie_name
from headrace.server.browsers import SECRET_FRAGMENT, SESSION_S
from headrace.server.errors import HttpError
from headrace.server.routes import ApiCall, NeededProof, Query, Route
from headrace.service.access import Access, Resource, Verb
from headrace.wire import api
from headrace.wire.times import millis

# A page of our own in between: a SameSite=Strict cookie is not sent along a redirect that began on another site.
_ENTER = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={to}">
<title>Headrace</title><p><a href="{to}">Go on to Headrace</a></p>"""


async def get_session(call: ApiCall) -> Response:
    """Who is asking, and what this server is."""
    state = call.state
    return json_answer(
        api.SessionView(
            user=call.identity.caller.user,
            version=state.version,
            content_origin=state.content_origin,
            session_id=call.identity.session_id,
        )
    )


async def create_sign_in_link(call: ApiCall) -> Response:
    """A link that signs one browser in, once."""
    code, expires_at = call.state.gate.mint_code()
    url = f"{call.state.origin}/auth?code={code}"
    return json_answer(api.SignInLink(url=url, expires_at=millis(expires_at)))


async def sign_in(call: ApiCall) -> Response:
    """Turn a one-time code into a session: a cookie, and the secret for the page that is opened.

    The secret stands behind the `#` of the page's address: a browser sends that part to no server, and the page
    takes it out of the address.
    """
    browser = call.request.headers.get("user-agent", "")
    signed_in = await call.state.gate.redeem(call.query.get("code", ""), browser=browser)
    if signed_in is None:
        raise HttpError(
            403,
            "CODE_EXPIRED",
            "This sign-in link was used already or is too old. Get a new one with `headrace ui`, "
            "or from the terminal in which Headrace runs.",
        )
    came_from_elsewhere = call.request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    to = f"/#{SECRET_FRAGMENT}={signed_in.secret}"
    answer: Response = HTMLResponse(_ENTER.format(to=to)) if came_from_elsewhere else RedirectResponse(to, 303)
    answer.set_cookie(
        cookie_name(call.request.headers["host"].lower()),
        signed_in.cookie,
        max_age=int(SESSION_S),
        path="/",
        secure=call.state.origin.startswith("https:"),
        httponly=True,
        samesite="strict",
    )
    answer.headers["cache-control"] = "no-store"
    return answer


async def list_sessions(call: ApiCall) -> Response:
    """The caller's signed-in browsers."""
    listed = await call.state.gate.sessions.listed(call.identity.caller.user)
    return json_answer(
        api.BrowserSessionList(
            sessions=[
                api.BrowserSessionView(
                    session_id=one.session_id,
                    browser=one.browser,
                    created_at=millis(one.created_at),
                    used_at=millis(one.used_at),
                    expires_at=millis(one.expires_at),
                    current=one.session_id == call.identity.session_id,
                )
                for one in listed
            ]
        )
    )


async def sign_out(call: ApiCall) -> Response:
    """End the session that asks."""
    return await _signed_out(call, call.identity.session_id)


async def end_session(call: ApiCall) -> Response:
    """End one session, of whichever browser."""
    return await _signed_out(call, call.path["session_id"])


async def end_sessions(call: ApiCall) -> Response:
    """End all sessions, the one that asks among them."""
    ended = await call.state.gate.sessions.end_all(user=call.identity.caller.user)
    return _without_cookie(call, json_answer(api.SignedOut(ended=ended)))


async def _signed_out(call: ApiCall, session_id: str) -> Response:
    if not await call.state.gate.sessions.end(session_id, user=call.identity.caller.user):
        raise HttpError(
            404, "SESSION_NOT_FOUND", "There is no such session: it has ended already, or this caller has none."
        )
    answer = json_answer(api.SignedOut(ended=1))
    return _without_cookie(call, answer) if session_id == call.identity.session_id else answer


def _without_cookie(call: ApiCall, answer: Response) -> Response:
    answer.delete_cookie(cookie_name(call.request.headers["host"].lower()), path="/", httponly=True, samesite="strict")
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
        method="DELETE",
        path="/api/session",
        handler=sign_out,
        access=Access(Resource.SIGN_IN, Verb.DELETE, "server"),
        summary="Sign this browser out.",
        answer=api.SignedOut,
        tag="session",
    ),
    Route(
        method="GET",
        path="/api/sessions",
        handler=list_sessions,
        access=Access(Resource.SIGN_IN, Verb.READ, "server"),
        summary="The browsers that are signed in.",
        answer=api.BrowserSessionList,
        tag="session",
    ),
    Route(
        method="DELETE",
        path="/api/sessions",
        handler=end_sessions,
        access=Access(Resource.SIGN_IN, Verb.DELETE, "server"),
        summary="Sign all browsers out.",
        answer=api.SignedOut,
        tag="session",
    ),
    Route(
        method="DELETE",
        path="/api/sessions/{session_id}",
        handler=end_session,
        access=Access(Resource.SIGN_IN, Verb.DELETE, "server"),
        summary="Sign one browser out.",
        answer=api.SignedOut,
        tag="session",
    ),
    Route(
        method="GET",
        path="/auth",
        handler=sign_in,
        access=Access(Resource.SIGN_IN, Verb.CREATE, "server"),
        proof=NeededProof.CODE,
        summary="Turn a one-time code into a session, then show the UI: a cookie, and a secret for its page.",
        answer="text/html",
        query=(Query(name="code"),),
        errors="page",
        tag="session",
    ),
)
