"""Which requests are looked at at all: the Host they name, the site they come from, and what answers carry."""

from __future__ import annotations

from starlette.requests import Request

from headrace.server.app_state import AppState
from headrace.server.auth import Identity, Proof, cookie_name
from headrace.server.browsers import SECRET_HEADER
from headrace.server.errors import HttpError
from headrace.server.routes import NeededProof, Route
from headrace.service.access import Caller, Decision, decide

SAFE_METHODS = frozenset({"GET", "HEAD"})


def check_host(request: Request, allowed: frozenset[str]) -> str:
    """The request's one Host. Others are refused: a foreign name that leads here is how DNS rebinding works."""
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or hosts[0].lower() not in allowed:
        names = ", ".join(sorted(allowed))
        raise HttpError(403, "HOST_FORBIDDEN", f"This server answers only to the host {names}.")
    return hosts[0].lower()


def check_site(request: Request, own_origin: str, identity: Identity) -> None:
    """Refuse what another site made the browser send.

    A script of another site (it sends a foreign Origin) may do nothing. Every method but the safe ones must come
    from our own page or from no page; so must everything that a session vouches for, reading included. What is
    left to other sites is a plain link.
    """
    origins = request.headers.getlist("origin")
    sites = request.headers.getlist("sec-fetch-site")
    is_link = request.method in SAFE_METHODS and identity.proof is not Proof.SESSION
    if any(origin != own_origin for origin in origins) or (
        not is_link and any(site not in ("same-origin", "none") for site in sites)
    ):
        raise HttpError(403, "CROSS_SITE", "The request comes from another site, which this server does not allow.")
    if request.method not in SAFE_METHODS and identity.proof is Proof.SESSION and not origins and not sites:
        raise HttpError(403, "CROSS_SITE", "A change made with a session must say which page it comes from (Origin).")


async def identify(request: Request, state: AppState, host: str) -> Identity:
    """Who is asking. A session counts only where its cookie was set: at the address that browsers use.

    A cookie that reached another port of this host, and was sent here by its program, comes without the secret.
    """
    values = request.headers.getlist("authorization")
    if len(values) > 1:
        raise HttpError(400, "AUTHORIZATION_REPEATED", "The Authorization header is given more than once.")
    cookie = request.cookies.get(cookie_name(host)) if state.is_home(host) else None
    secret = request.headers.get(SECRET_HEADER)
    return await state.gate.identify(authorization=values[0] if values else None, cookie=cookie, secret=secret)


def check_proof(needed: NeededProof, identity: Identity) -> None:
    """Refuse who has not shown who they are, in the way that is needed."""
    match needed:
        case NeededProof.NONE | NeededProof.CODE:
            return
        case NeededProof.COOKIE:
            allowed = identity.proof is not Proof.NONE
        case NeededProof.SIGNED_IN:
            allowed = identity.proof not in (Proof.NONE, Proof.COOKIE)
        case NeededProof.TOKEN:
            allowed = identity.proof in (Proof.TOKEN, Proof.TRUSTED)
    if not allowed:
        raise unauthenticated(by_cookie=identity.proof is Proof.COOKIE)


def check_server_access(route: Route, caller: Caller) -> None:
    """Decide, before the handler is called, what no row decides: access to what is the server's own."""
    access = route.access
    is_open = route.proof in (NeededProof.NONE, NeededProof.CODE)
    if is_open or access.scope != "server" or decide(caller, access.kind, access.verb, "") is Decision.ALLOW:
        return
    raise HttpError(403, "ACCESS_DENIED", f"You may not {access.verb} what is of the kind {access.kind} here.")


def unauthenticated(*, by_cookie: bool = False) -> HttpError:
    """401, with how to do better."""
    message = (
        "This needs Headrace's token, which is in the file `token` of its data directory: send it as "
        "`Authorization: Bearer TOKEN`. For the browser, `headrace ui` gives a sign-in link."
    )
    if by_cookie:
        message = (
            f"The cookie of a session is not enough: its page sends {SECRET_HEADER} beside it, which came without or "
            "with another session's. For the browser, `headrace ui` gives a new sign-in link; a program sends the "
            "token of the data directory as `Authorization: Bearer TOKEN`."
        )
    error = HttpError(401, "UNAUTHENTICATED", message)
    error.headers["www-authenticate"] = 'Bearer realm="headrace"'
    return error


def page_headers(state: AppState) -> dict[str, str]:
    """What every answer of the application carries."""
    policy = "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self' 'unsafe-inline'",
            f"img-src 'self' data: blob: {state.content_origin}",
            "font-src 'self'",
            f"connect-src 'self' {state.content_origin}",
            f"frame-src {state.content_origin}",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "object-src 'none'",
            "frame-ancestors 'none'",
            # Text becomes script only through the UI's one policy, which makes its worker's address.
            "require-trusted-types-for 'script'",
            "trusted-types headrace",
        )
    )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=()",
    }
