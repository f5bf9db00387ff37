"""Every route as every principal: generated from the route table, over a real service with runs in two namespaces."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import documents
from fake_executor import FakeExecutor, World
from headrace.server.app import create_app
from headrace.server.auth import UNKNOWN, Gate, Identity, Proof
from headrace.server.handlers import HandlerError, asked_of_session
from headrace.server.routes import ApiCall, NeededProof, Route, RouteTableError
from headrace.server.table import ROUTES
from headrace.service.access import Access, Caller, Decision, Resource, Role, Source, TokenScope, Verb, decide, owner
from headrace.service.requests import NewRecurringRun
from headrace.service.service import NewRun, NewVersion, Service
from headrace.service.session import Session, UndeclaredAccess, access_of
from headrace.service.settings import Settings
from headrace.store.records import ListQuery, StoredTimetable
from serving import KEYS, App, EmptyService, MemoryLedger, Told, make_state
from waiting import until_final

pytestmark = pytest.mark.anyio

#: The namespace that requests without one mean, and another.
HOME, AWAY = "", "away"
READ_ONLY = frozenset({TokenScope.READ})


def caller(user: str, roles: dict[str, Role], scopes: frozenset[TokenScope] = frozenset()) -> Caller:
    return Caller(user=user, namespaces=roles, scopes=scopes, source=Source.TOKEN)


PRINCIPALS: dict[str, Caller] = {
    "everything": owner(Source.TOKEN),
    "owner": caller("o", {HOME: Role.OWNER}),
    "editor": caller("e", {HOME: Role.EDITOR}),
    "viewer": caller("v", {HOME: Role.VIEWER}),
    "reader": caller("r", {HOME: Role.OWNER}, READ_ONLY),
    "stranger": caller("s", {AWAY: Role.OWNER}),
    "guest": caller("g", {HOME: Role.VIEWER, AWAY: Role.OWNER}),
    "roleless": caller("n", {}),
}


class PrincipalGate(Gate):
    """Knows each principal by a token that is their name."""

    async def identify(
        self, *, authorization: str | None, cookie: str | None = None, secret: str | None = None
    ) -> Identity:
        found = PRINCIPALS.get((authorization or "").removeprefix("Bearer "))
        return UNKNOWN if found is None else Identity(caller=found, proof=Proof.TOKEN)


class Things(msgspec.Struct):
    """Ids of what is in one namespace."""

    path: dict[str, str]


ABSENT = {
    name: f"{number:08x}-0000-4000-8000-000000000000"
    for number, name in enumerate(
        (
            "run_id",
            "execution_id",
            "artifact_id",
            "experiment_id",
            "pipeline_id",
            "pipeline_version_id",
            "recurring_run_id",
        )
    )
}
OTHERS = {"node_id": "x", "artifact_name": "x", "code": "RUN_FINAL"}


async def fill(service: Service, namespace: str) -> Things:
    """One of each thing, by the owner of everything."""
    session = service.for_caller(owner())
    experiment = await session.create_experiment(name="e", namespace=namespace)
    version = NewVersion(name="v", pipeline_spec=documents.one_task())
    pipeline = await session.create_pipeline(name=f"p{namespace}", namespace=namespace, version=version)
    (stored,) = (await session.list_versions(pipeline.pipeline_id, ListQuery())).items
    new = NewRun(pipeline_spec=documents.one_task(cache=True), experiment_id=experiment.experiment_id)
    run = await session.create_run(new)
    await until_final(session, run.run_id)
    view = await session.run_view(run.run_id)
    execution = next(one for one in view.executions if one.path == "work")
    detail = await session.execution_detail(execution.execution_id)
    (artifact,) = detail.outputs.artifacts["model"]
    # In a hundred years, so that it makes no run of its own accord.
    timetable = StoredTimetable(interval_s=3_155_760_000)
    recurring = await session.create_recurring_run(
        NewRecurringRun(
            display_name="r",
            pipeline_spec=documents.one_task(),
            experiment_id=experiment.experiment_id,
            timetable=timetable,
        )
    )
    return Things({
        "recurring_run_id": recurring.recurring_run_id,
        "run_id": run.run_id,
        "execution_id": execution.execution_id,
        "artifact_id": artifact.artifact_id,
        "experiment_id": experiment.experiment_id,
        "pipeline_id": pipeline.pipeline_id,
        "pipeline_version_id": stored.pipeline_version_id,
        "name": f"p{namespace}",
    })  # fmt: skip


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[tuple[App, Service, dict[str, Things]]]:
    service = await Service.open(Settings(home=tmp_path / "home"), executor=FakeExecutor(World()))
    things = {namespace: await fill(service, namespace) for namespace in (HOME, AWAY)}
    state = msgspec.structs.replace(make_state(), gate=PrincipalGate(token="t" * 43, keys=KEYS, ledger=MemoryLedger()))
    state.stopping.set()  # Event streams end after what is there.
    yield App(service, state), service, things
    await service.close()


def address(route: Route, ids: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: {**OTHERS, **ids}[found[1]], route.path)


def body_of(route: Route, ids: dict[str, str]) -> tuple[dict[str, str], bytes]:
    """A good body, as far as `ids` are of things that are there."""
    document = documents.one_task()
    if route.upload:
        content = json.dumps(document).encode()
        head = b'--x\r\nContent-Disposition: form-data; name="uploadfile"; filename="p.json"\r\n\r\n'
        return {"content-type": "multipart/form-data; boundary=x"}, head + content + b"\r\n--x--\r\n"
    named: dict[str, Any] = {"display_name": "made"}
    bodies: dict[str, dict[str, Any]] = {
        "CreateRun": {"document": json.dumps(document), "experiment_id": ids.get("experiment_id")},
        "Run": {**named, "pipeline_spec": document, "experiment_id": ids.get("experiment_id")},
        "RecurringRun": {
            **named,
            "pipeline_spec": document,
            "experiment_id": ids.get("experiment_id"),
            "max_concurrency": "1",
        },
        "CreateRecurringRun": {
            **named,
            "document": json.dumps(document),
            "experiment_id": ids.get("experiment_id"),
            "timetable": {"interval_s": 3_155_760_000},
        },
        "PreviewTimetable": {"timetable": {"interval_s": 60}},
        "RerunRun": {"from": ["work"]},
        "MarkExecution": {"state": "SKIPPED"},
        "DropCache": {"everything": True},
        "CreateLink": {},
        "PipelineVersion": {**named, "pipeline_spec": document},
        "CreatePipelineAndVersion": {"pipeline": named, "pipeline_version": {**named, "pipeline_spec": document}},
    }
    if route.body is None:
        return {}, b""
    return {"content-type": "application/json"}, json.dumps(bodies.get(route.body.__name__, named)).encode()


async def ask(app: App, principal: str, route: Route, ids: dict[str, str]) -> Told:
    headers, body = body_of(route, ids)
    path = address(route, ids)
    if route.path.endswith("upload_version"):
        path += f"?pipelineid={ids['pipeline_id']}"
    async with asyncio.timeout(10):
        return await app.ask(route.method, path, token=principal, headers=headers, body=body)


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


#: Routes whose answer depends on the caller's rights to a thing.
DECIDED = [route for route in ROUTES if route.proof is NeededProof.SIGNED_IN and asked_of_session(route.handler)]
#: Those that name a thing, and those that make one in a namespace.
NAMED = [route for route in DECIDED if route.access.scope in ("row", "body")]
IDS = (
    "run_id",
    "execution_id",
    "artifact_id",
    "experiment_id",
    "pipeline_id",
    "pipeline_version_id",
    "recurring_run_id",
    "name",
)


#: Those that change nothing are tried on one service.
READING = [route for route in DECIDED if route.access.verb is Verb.READ]
CHANGING = [route for route in DECIDED if route.access.verb is not Verb.READ]


@pytest.mark.parametrize("routes", [READING, *([one] for one in CHANGING)], ids=lambda some: name(some[0]))
async def test_each_principal_may_do_what_the_rules_say_and_nothing_else(
    filled: tuple[App, Service, dict[str, Things]], routes: list[Route]
) -> None:
    app, _, things = filled
    for route in routes:
        # A request by name, and one that makes something, means the namespace HOME; but a run is in its experiment's.
        fixed = route.path.endswith("/names/{name}") or (
            route.access.scope == "body" and route.access.kind not in (Resource.RUN, Resource.RECURRING_RUN)
        )
        tries = [
            (expected_decision(route, who, namespace), principal, namespace)
            for principal, who in PRINCIPALS.items()
            for namespace in ((HOME,) if fixed else things)
        ]
        gone: set[str] = set()
        # Whoever may delete a thing comes after those who may not.
        for expected, principal, namespace in sorted(tries, key=lambda one: (one[0] is Decision.ALLOW, one)):
            told = await ask(app, principal, route, things[namespace].path)
            where = (name(route), principal, namespace, told)
            match expected:
                case Decision.ALLOW:
                    assert told.status not in (401, 403, 404, 500) or namespace in gone or is_state(told), where
                    gone |= {namespace} if route.method == "DELETE" else set()
                case Decision.REFUSE:
                    assert told.status == 403 and b"ACCESS_DENIED" in told.body, where
                case Decision.HIDE:
                    assert told.status == 404, where


def expected_decision(route: Route, who: Caller, namespace: str) -> Decision:
    if route.access.scope == "query" and "{" not in route.path:
        if route.access.verb is Verb.READ:
            return Decision.ALLOW  # A list of what the caller may read, which may be nothing.
        roles = [namespace] if who.namespaces is None else list(who.namespaces)
        every = {decide(who, route.access.kind, route.access.verb, one) for one in roles}
        return next((one for one in (Decision.ALLOW, Decision.REFUSE) if one in every), Decision.HIDE)
    return decide(who, route.access.kind, route.access.verb, namespace, created_by="local")


def is_state(told: Told) -> bool:
    """Content and logs that the fake executor never wrote."""
    return told.status == 404 and any(code in told.body for code in (b"NO_ATTEMPT", b"CONTENT_MISSING"))


async def test_what_is_foreign_looks_like_what_is_absent(filled: tuple[App, Service, dict[str, Things]]) -> None:
    app, _, things = filled
    for route in (one for one in NAMED if "{" in one.path or one.path.endswith("/runs")):
        for principal in ("owner", "viewer", "reader", "roleless"):
            foreign = await ask(app, principal, route, things[AWAY].path)
            absent = await ask(app, principal, route, {**things[AWAY].path, **ABSENT})
            assert foreign.status == absent.status == 404, (name(route), principal, foreign, absent)
            assert forget_ids(foreign.body, things[AWAY].path) == forget_ids(absent.body, ABSENT)
            assert {**foreign.headers, "content-length": ""} == {**absent.headers, "content-length": ""}


def forget_ids(body: bytes, ids: dict[str, str]) -> bytes:
    for key, value in ids.items():
        if key != "name":
            body = body.replace(value.encode(), b"ID")
    return body


LISTS = {
    "/api/runs": "runs",
    "/apis/v2beta1/runs": "runs",
    "/apis/v2beta1/experiments": "experiments",
    "/apis/v2beta1/pipelines": "pipelines",
    "/api/cache": "entries",
    "/api/recurring-runs": "recurring_runs",
    "/apis/v2beta1/recurringruns": "recurringRuns",
}


async def test_every_list_is_among_those_that_are_looked_at() -> None:
    lists = {one.path for one in DECIDED if one.access == Access(one.access.kind, Verb.READ, "query")}
    others = {"/api/events", "/api/recurring-runs/preview", "/apis/v2beta1/pipelines/names/{name}"}
    assert lists - others == set(LISTS)


@pytest.mark.parametrize("path", LISTS)
async def test_lists_hold_what_the_caller_may_read(filled: tuple[App, Service, dict[str, Things]], path: str) -> None:
    app, _, _ = filled
    counts = {}
    for principal in PRINCIPALS:
        told = await app.ask("GET", path, token=principal)
        counts[principal] = len(told.json.get(LISTS[path], []))
        assert told.json.get("total_size", 0) == counts[principal]
    one = counts["owner"]
    assert one > 0 and counts["everything"] > one
    assert counts == {
        "everything": counts["everything"], "owner": one, "editor": one, "viewer": one, "reader": one,
        "stranger": counts["everything"] - one, "guest": counts["everything"], "roleless": 0,
    }  # fmt: skip


async def test_a_page_token_of_another_caller_does_not_widen_a_list(
    filled: tuple[App, Service, dict[str, Things]],
) -> None:
    app, _, things = filled
    first = await app.ask("GET", "/api/runs?page_size=1", token="everything")
    token = first.json["next_page_token"]
    rest = {
        principal: [one["run_id"] for one in (await app.ask("GET", f"/api/runs?page_token={token}", token=principal)).json["runs"]]
        for principal in ("everything", "viewer", "stranger", "roleless")
    }  # fmt: skip
    assert rest["everything"] == [things[HOME].path["run_id"]] == rest["viewer"]
    assert rest["stranger"] == rest["roleless"] == []


async def test_a_stream_tells_of_the_runs_that_the_caller_may_read(
    filled: tuple[App, Service, dict[str, Things]],
) -> None:
    _, service, things = filled
    stream = service.for_caller(PRINCIPALS["viewer"]).watch_runs()
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for namespace in (AWAY, HOME):
        for archived in (True, False):
            await service.for_caller(owner()).set_run_archived(things[namespace].path["run_id"], archived)
    async with asyncio.timeout(10):
        change = await first
    assert [run.run_id for run in change.runs] == [things[HOME].path["run_id"]]
    await stream.aclose()


async def test_dropping_the_cache_leaves_what_is_foreign(filled: tuple[App, Service, dict[str, Things]]) -> None:
    app, service, _ = filled
    session = service.for_caller(owner())
    before = (await session.list_cache(ListQuery())).total_size
    body, headers = b'{"everything": true}', {"content-type": "application/json"}
    told = await app.ask("POST", "/api/cache/drop", token="owner", headers=headers, body=body)
    assert (told.status, told.json["dropped"]) == (200, 1)
    assert (await session.list_cache(ListQuery())).total_size == before - 1 > 0


async def test_a_mark_does_not_take_artifacts_that_its_caller_may_not_read(
    filled: tuple[App, Service, dict[str, Things]],
) -> None:
    app, _, things = filled
    ids, foreign = things[HOME].path, things[AWAY].path["artifact_id"]
    told = []
    for artifact in (foreign, ABSENT["artifact_id"]):
        body = json.dumps({"state": "SUCCEEDED", "artifacts": {"model": [artifact]}}).encode()
        path = f"/api/runs/{ids['run_id']}/executions/{ids['execution_id']}/mark"
        headers = {"content-type": "application/json"}
        answer = await app.ask("POST", path, token="editor", headers=headers, body=body)
        told.append((answer.status, answer.json["code"], answer.json["message"].replace(artifact, "ID")))
    assert told[0] == told[1] == (400, "ARTIFACT_UNKNOWN", "There is no artifact ID.")


async def test_a_run_is_not_made_from_a_pipeline_that_its_caller_may_not_read(
    filled: tuple[App, Service, dict[str, Things]],
) -> None:
    app, _, things = filled
    for field in ("pipeline_id", "pipeline_version_id"):
        for ids, status in ((things[HOME].path, 201), (things[AWAY].path, 404), (ABSENT, 404)):
            body = json.dumps({field: ids[field]}).encode()
            headers = {"content-type": "application/json"}
            told = await app.ask("POST", "/api/runs", token="editor", headers=headers, body=body)
            assert told.status == status, told


async def test_who_made_a_run_is_who_asked_for_it(filled: tuple[App, Service, dict[str, Things]]) -> None:
    app, service, _ = filled
    body = json.dumps({"document": json.dumps(documents.one_task())}).encode()
    told = await app.ask("POST", "/api/runs", token="editor", headers={"content-type": "application/json"}, body=body)
    run = await service.for_caller(owner()).get_run(told.json["run_id"])
    assert (run.created_by, run.namespace) == ("e", HOME)
    assert (await app.ask("DELETE", f"/api/runs/{run.run_id}", token="editor")).status == 200


# --- what the table refuses --------------------------------------------------------------------------


async def reads(call: ApiCall) -> Any:
    return await call.session.get_run("x")


async def deletes_in_a_helper(call: ApiCall) -> Any:
    return await helper(call)


async def helper(call: ApiCall) -> Any:
    return [await call.session.delete_run(one) for one in ("x",)]


async def hands_on(call: ApiCall) -> Any:
    session = call.session
    return await session.delete_run("x")


def route(handler: Any, access: Any = Access(Resource.RUN, Verb.READ)) -> Route:  # noqa: B008
    return Route(
        method="GET", path="/api/x", handler=handler, access=access, summary="X.", answer="text/plain"
    )  # fmt: skip


def test_the_table_refuses_a_handler_that_asks_for_more_than_its_route_declares() -> None:
    create_app(EmptyService(), make_state(), [route(reads)])
    with pytest.raises(RouteTableError, match="calls delete_run"):
        create_app(EmptyService(), make_state(), [route(deletes_in_a_helper)])
    with pytest.raises(RouteTableError, match="calls get_run"):
        create_app(EmptyService(), make_state(), [route(reads, Access(Resource.RUN, Verb.READ, "query"))])
    with pytest.raises(HandlerError, match="hands_on"):
        create_app(EmptyService(), make_state(), [route(hands_on)])


async def test_a_session_of_a_route_answers_only_what_the_route_declares(
    filled: tuple[App, Service, dict[str, Things]],
) -> None:
    _, service, things = filled
    session = service.for_caller(owner(), only=Access(Resource.RUN, Verb.READ))
    run_id = things[HOME].path["run_id"]
    assert (await session.get_run(run_id)).run_id == run_id
    with pytest.raises(UndeclaredAccess):
        await session.delete_run(run_id)
    with pytest.raises(UndeclaredAccess):
        session.read_artifact("x")


def test_every_method_of_a_session_says_what_it_needs() -> None:
    methods = [value for key, value in vars(Session).items() if not key.startswith("_") and callable(value)]
    assert len(methods) > 40
    for method in methods:
        assert isinstance(access_of(method), Access), method


def test_every_handler_s_requests_are_seen() -> None:
    silent = {route.path for route in ROUTES if not asked_of_session(route.handler)}
    assert silent == {
        "/api/session", "/api/session/link", "/api/sessions", "/api/sessions/{session_id}", "/auth", "/api/openapi.json", "/api/codes/{code}", "/healthz",
        "/apis/v2beta1/healthz", "/apis/v1beta1/healthz",
        "/apis/v2beta1/runs/{run_id}/nodes/{node_id}/artifacts/{artifact_name}:read",
    }  # fmt: skip


async def test_a_caller_without_rights_signs_in_and_reads_what_is_the_server_s(
    filled: tuple[App, Service, dict[str, Things]],
) -> None:
    app, _, _ = filled
    assert (await app.ask("GET", "/api/session", token="roleless")).json["user"] == "n"
    assert (await app.ask("POST", "/api/session/link", token="roleless")).status == 200
    assert (await app.ask("POST", "/api/session/link", token="reader")).status == 403
    assert (await app.ask("GET", "/api/sessions", token="reader")).status == 200
    assert (await app.ask("DELETE", "/api/sessions", token="reader")).status == 403
