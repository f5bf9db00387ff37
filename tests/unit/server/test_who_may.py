"""Every route against everything that must be refused; made from the route table, so that no route can be forgotten."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from headrace.server.app import create_app
from headrace.server.routes import NeededProof, Route, RouteTableError
from headrace.server.table import ROUTES
from serving import HOST, PORT, TOKEN, App, Clock, EmptyService, make_state

pytestmark = pytest.mark.anyio

GUARDED = [route for route in ROUTES if route.proof in (NeededProof.SIGNED_IN, NeededProof.TOKEN)]
UNSAFE = [route for route in ROUTES if route.method != "GET"]


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def address(route: Route) -> str:
    return re.sub(r"{\w+}", "11111111-2222-4333-8444-555555555555", route.path)


@dataclass
class Bypass:
    """One way to ask without the right to."""

    label: str
    headers: dict[str, str | None]
    more: tuple[tuple[str, str], ...] = ()


NO_ENTRY = [
    Bypass("nothing", {}),
    Bypass("empty", {"authorization": ""}),
    Bypass("scheme alone", {"authorization": "Bearer"}),
    Bypass("scheme and space", {"authorization": "Bearer "}),
    Bypass("wrong token", {"authorization": "Bearer " + "x" * 43}),
    Bypass("prefix of the token", {"authorization": f"Bearer {TOKEN[:-1]}"}),
    Bypass("token and more", {"authorization": f"Bearer {TOKEN}x"}),
    Bypass("upper case token", {"authorization": f"Bearer {TOKEN.upper()}"}),
    Bypass("nothing as word", {"authorization": "Bearer nothing"}),
    Bypass("undefined", {"authorization": "Bearer undefined"}),
    Bypass("basic", {"authorization": f"Basic {TOKEN}"}),
    Bypass("bare token", {"authorization": TOKEN}),
    Bypass("unsigned JWT", {"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."}),
    Bypass("not ASCII", {"authorization": "Bearer \xff\xfe"}),
    Bypass("forged user header", {"kubeflow-userid": "admin", "x-goog-authenticated-user-email": "a@b"}),
    Bypass(
        "forged forwarding", {"x-forwarded-for": "127.0.0.1", "x-forwarded-user": "admin", "x-real-ip": "127.0.0.1"}
    ),
    Bypass("token as cookie", {"cookie": f"headrace_session_{PORT}={TOKEN}"}),
    Bypass("cookie without signature", {"cookie": f"headrace_session_{PORT}=WzEsMl0.AAAA"}),
    Bypass("cookie of another port", {"cookie": f"headrace_session_{PORT + 1}=WzEsMl0.AAAA"}),
    Bypass("empty cookie", {"cookie": f"headrace_session_{PORT}="}),
    Bypass("token in a header of another name", {"x-api-key": TOKEN, "token": TOKEN}),
    Bypass("method override", {"x-http-method-override": "GET", "x-method-override": "GET"}),
    Bypass("two tokens", {}, (("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer x"))),
]


@pytest.mark.parametrize("route", GUARDED, ids=name)
async def test_no_way_in_without_the_token(route: Route) -> None:
    app = App()
    for bypass in NO_ENTRY:
        told = await app.ask(route.method, address(route), headers=bypass.headers, token=None, more=bypass.more)
        assert told.status in (400, 401), f"{bypass.label}: {told}"
        assert told.status == 401 or "AUTHORIZATION_REPEATED" in told.body.decode()


@pytest.mark.parametrize("route", GUARDED, ids=name)
async def test_no_way_in_by_another_spelling(route: Route) -> None:
    app = App()
    path = address(route)
    for spelling in (
        path + "/",
        "/" + path,
        path.replace("/", "//"),
        path.replace("/a", "/%61", 1),
        path.replace("/api", "/api/.", 1),
        path.replace("/api", "/x/../api", 1),
        path.upper(),
        path + "%00",
        path + ";x",
        path + "?token=" + TOKEN + "&access_token=" + TOKEN,
    ):
        told = await app.ask(route.method, spelling, token=None)
        assert told.status in (401, 404, 405), f"{spelling}: {told}"
        assert told.status == 401 or route.method != "GET"
    for method in ("HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT", "get", "PROPFIND"):
        told = await app.ask(method, path, token=None)
        assert told.status == 401, f"{method}: {told}"


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_foreign_hosts_are_refused_even_with_the_token(route: Route) -> None:
    app = App()
    for host in (
        None,
        "",
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        f"127.0.0.1:{PORT + 1}",
        f"127.0.0.1.evil.example:{PORT}",
        f"127.0.0.2:{PORT}",
        f"0.0.0.0:{PORT}",
        f"localhost.:{PORT}",
        f"2130706433:{PORT}",
        f"[::ffff:127.0.0.1]:{PORT}",
        f"127.0.0.1:{PORT}@evil.example",
        f"evil.example, 127.0.0.1:{PORT}",
    ):
        told = await app.ask(route.method, address(route), host=host)
        assert (told.status, "HOST_FORBIDDEN" in told.body.decode() or told.status) == (403, True), f"{host}: {told}"
    twice = await app.ask(route.method, address(route), more=(("host", "evil.example"),))
    assert twice.status == 403


@pytest.mark.parametrize("route", UNSAFE, ids=name)
async def test_other_sites_can_change_nothing(route: Route) -> None:
    app = App()
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"https://{HOST}"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"origin": f"http://localhost:{PORT}"},
        {"origin": f"http://{HOST}.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": f"http://{HOST}", "sec-fetch-site": "cross-site"},
    ):
        for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            told = await app.ask(route.method, address(route), headers={**headers, "content-type": content_type})
            assert told.status == 403 and b"CROSS_SITE" in told.body, f"{headers}: {told}"


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_scripts_of_other_sites_read_nothing_even_with_the_token(route: Route) -> None:
    app = App()
    for origin in ("http://evil.example", "null", f"http://localhost:{PORT}"):
        told = await app.ask(route.method, address(route), headers={"origin": origin})
        assert told.status == 403 and b"CROSS_SITE" in told.body, f"{origin}: {told}"


async def session_of(app: App) -> dict[str, str]:
    """Sign in; the two headers that the page sends with each request."""
    code, _ = app.state.gate.mint_code()
    told = await app.ask("GET", f"/auth?code={code}", token=None, headers={"user-agent": "Browser 1"})
    place, _, secret = told.headers["location"].partition("#session-secret=")
    assert told.status == 303 and place == "/" and len(secret) >= 43
    assert "HttpOnly" in told.headers["set-cookie"] and "SameSite=strict" in told.headers["set-cookie"]
    assert secret not in told.headers["set-cookie"]
    return {"cookie": told.headers["set-cookie"].partition(";")[0], "headrace-session-secret": secret}


@pytest.mark.parametrize("route", GUARDED, ids=name)
async def test_a_session_counts_for_our_own_page_only(route: Route) -> None:
    app = App()
    session = await session_of(app)
    own = {**session, "origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
    for foreign in (
        {"origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        told = await app.ask(route.method, address(route), headers={**session, **foreign}, token=None)
        assert told.status == 403, told
    elsewhere = await app.ask(route.method, address(route), headers=session, token=None, host=f"localhost:{PORT}")
    assert elsewhere.status == 401
    if route.method != "GET":
        silent = await app.ask(route.method, address(route), headers=session, token=None)
        assert silent.status == 403
    wrong_token = await app.ask(route.method, address(route), headers=own, token="wrong")
    assert wrong_token.status == 401
    told = await app.ask(route.method, address(route), headers=own, token=None)
    assert (told.status == 401) == (route.proof is NeededProof.TOKEN), told


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body is not None], ids=name)
async def test_json_must_say_that_it_is(route: Route) -> None:
    app = App()
    for content_type in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        told = await app.ask(route.method, address(route), headers={"content-type": content_type}, body=b'{"x": 1}')
        assert told.status == 415, told
    told = await app.ask(
        route.method, address(route), headers={"content-type": "application/json"}, body=b'{"no_such_field": 1}'
    )
    assert told.status == 400 and b"no_such_field" in told.body


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_every_answer_carries_the_security_headers(route: Route) -> None:
    told = await App().ask(route.method, address(route))
    assert told.headers["x-content-type-options"] == "nosniff"
    assert told.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in told.headers
    assert "frame-ancestors 'none'" in told.headers["content-security-policy"] or route.path.endswith("/content")


async def test_what_is_not_there_is_hidden_from_strangers() -> None:
    app = App()
    for path in ("/api/nothing", "/apis/v2beta1/nothing", "/apis/v1beta1/runs", "/", "/runs/1", "/assets/x.js"):
        assert (await app.ask("GET", path, token=None)).status == 401
    for path in ("/api/nothing", "/apis/v2beta1/nothing", "/apis/v1beta1/runs", "/assets/x.js"):
        assert (await app.ask("GET", path)).status == 404
    assert (await app.ask("PATCH", "/api/runs")).headers["allow"] == "GET, POST"


async def test_a_code_works_once_and_not_for_long() -> None:
    clock = Clock()
    app = App(state=make_state(clock))
    code, _ = app.state.gate.mint_code()
    assert (await app.ask("GET", f"/auth?code={code}", token=None)).status == 303
    again = await app.ask("GET", f"/auth?code={code}", token=None)
    assert again.status == 403 and "set-cookie" not in again.headers
    late, _ = app.state.gate.mint_code()
    clock.now += 301
    assert (await app.ask("GET", f"/auth?code={late}", token=None)).status == 403
    assert (await app.ask("GET", "/auth", token=None)).status == 403
    page = await app.ask("GET", "/auth?code=<script>", headers={"accept": "text/html"}, token=None)
    assert page.status == 403 and b"<script>" not in page.body and b"headrace ui" in page.body


async def test_a_link_followed_from_another_site_ends_in_a_page_of_ours() -> None:
    app = App()
    code, _ = app.state.gate.mint_code()
    told = await app.ask("GET", f"/auth?code={code}", headers={"sec-fetch-site": "cross-site"}, token=None)
    assert told.status == 200 and b"refresh" in told.body and "set-cookie" in told.headers
    assert b"url=/#session-secret=" in told.body


async def test_sessions_end() -> None:
    clock = Clock()
    app = App(state=make_state(clock))
    session = await session_of(app)
    assert (await app.ask("GET", "/api/session", headers=session, token=None)).status == 200
    clock.now += 8 * 24 * 3600
    assert (await app.ask("GET", "/api/session", headers=session, token=None)).status == 401


@pytest.mark.parametrize("route", GUARDED, ids=name)
async def test_a_stolen_cookie_is_good_for_nothing(route: Route) -> None:
    # Another port of this host gets the cookie of a page that opens it, and can send every header that a browser would.
    app = App()
    session, other = await session_of(app), await session_of(app)
    page = {"cookie": session["cookie"], "origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
    cookie_value = session["cookie"].partition("=")[2]
    for secret in (None, "", "x" * 43, other["headrace-session-secret"], cookie_value, TOKEN):
        told = await app.ask(
            route.method, address(route), headers={**page, "headrace-session-secret": secret}, token=None
        )
        assert told.status == 401 and b"Headrace-Session-Secret" in told.body, f"{secret}: {told}"
    only_secret = {**page, "cookie": None, "headrace-session-secret": session["headrace-session-secret"]}
    assert (await app.ask(route.method, address(route), headers=only_secret, token=None)).status == 401


async def test_a_cookie_alone_shows_the_files_of_the_page_and_no_more() -> None:
    app = App()
    cookie = {"cookie": (await session_of(app))["cookie"], "accept": "text/html"}
    assert (await app.ask("GET", "/runs/1", headers=cookie, token=None)).status == 200
    assert (await app.ask("GET", "/runs/1", headers={"accept": "text/html"}, token=None)).status == 401
    for path in ("/api/nothing", "/api", "/apis/v2beta1/nothing"):
        assert (await app.ask("GET", path, headers=cookie, token=None)).status == 401
    assert (await app.ask("POST", "/runs/1", headers=cookie, token=None)).status in (401, 403)


async def test_signed_in_browsers_are_listed_and_signed_out() -> None:
    clock = Clock()
    app = App(state=make_state(clock))
    page = {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}
    one, two = {**await session_of(app), **page}, {**await session_of(app), **page}
    clock.now += 1000
    listed = (await app.ask("GET", "/api/sessions", headers=one, token=None)).json["sessions"]
    assert [(row["browser"], row["current"]) for row in listed] == [("Browser 1", True), ("Browser 1", False)]
    assert listed[0]["used_at"] > listed[0]["created_at"] == listed[1]["used_at"]
    assert not any(value in str(listed) for value in (one["headrace-session-secret"], one["cookie"]))

    ended = await app.ask("DELETE", f"/api/sessions/{listed[1]['session_id']}", headers=one, token=None)
    assert ended.json == {"ended": 1} and "set-cookie" not in ended.headers
    assert (await app.ask("GET", "/api/session", headers=two, token=None)).status == 401
    again = await app.ask("DELETE", f"/api/sessions/{listed[1]['session_id']}", headers=one, token=None)
    assert (again.status, again.json["code"]) == (404, "SESSION_NOT_FOUND")

    out = await app.ask("DELETE", "/api/session", headers=one, token=None)
    assert out.status == 200 and "Max-Age=0" in out.headers["set-cookie"]
    assert (await app.ask("GET", "/api/session", headers=one, token=None)).status == 401
    assert (await app.ask("GET", "/api/session")).json["session_id"] == ""
    assert (await app.ask("DELETE", "/api/session")).status == 404

    await session_of(app)
    await session_of(app)
    assert (await app.ask("DELETE", "/api/sessions")).json == {"ended": 2}
    assert (await app.ask("GET", "/api/sessions")).json["sessions"] == []


async def test_without_authentication_the_other_walls_still_stand() -> None:
    app = App(state=make_state(insecure=True))
    assert (await app.ask("GET", "/api/session", token=None)).status == 200
    assert (await app.ask("GET", "/api/session", token=None, host="evil.example")).status == 403
    told = await app.ask("POST", "/api/runs", token=None, headers={"origin": "http://evil.example"})
    assert told.status == 403


async def test_a_person_without_a_session_sees_how_to_get_one() -> None:
    told = await App().ask("GET", "/runs/1", headers={"accept": "text/html"}, token=None)
    assert told.status == 401 and b"headrace ui" in told.body
    assert told.headers["content-type"].startswith("text/html")


async def test_localhost_leads_to_where_cookies_are() -> None:
    told = await App().ask("GET", "/runs/1", token=None, host=f"localhost:{PORT}")
    assert (told.status, told.headers["location"]) == (307, f"http://{HOST}/runs/1")


def test_a_route_without_an_access_does_not_start() -> None:
    route = ROUTES[0]
    nameless = Route(
        method="GET",
        path="/api/x",
        handler=route.handler,
        access=None,
        summary="X.",
        answer="text/plain",  # type: ignore[arg-type]
    )
    with pytest.raises(RouteTableError, match="/api/x"):
        create_app(EmptyService(), make_state(), [nameless])
    with pytest.raises(RouteTableError, match="twice"):
        create_app(EmptyService(), make_state(), [route, route])


def test_only_these_are_open() -> None:
    assert {route.path for route in ROUTES if route.proof in (NeededProof.NONE, NeededProof.CODE)} == {
        "/healthz",
        "/apis/v2beta1/healthz",
        "/apis/v1beta1/healthz",
        "/auth",
    }
