"""Rules of KFP's API that its own tests fix, and mistakes that must be answered with 400, on each route that has them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import documents
from fake_executor import FakeExecutor, World, hang
from headrace.server.routes import Route
from headrace.server.table import ROUTES
from headrace.service.requests import NewRun, NewVersion
from headrace.service.service import Service
from headrace.service.settings import Settings
from owned_service import Service as OwnedService
from serving import App, Told
from waiting import until_final

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
LISTS = {
    "/api/runs": "runs",
    "/apis/v2beta1/runs": "runs",
    "/apis/v2beta1/experiments": "experiments",
}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def service(tmp_path: Path, world: World) -> AsyncIterator[OwnedService]:
    service = await OwnedService.open(Settings(home=tmp_path / "home"), executor=FakeExecutor(world))
    yield service
    await service.close()


@pytest.fixture
def app(service: OwnedService) -> App:
    found: Service = service
    return App(found)


async def get(app: App, path: str) -> dict[str, Any]:
    told = await app.ask("GET", path)
    assert told.status == 200, told
    return told.json


def address(route: Route) -> str:
    return re.sub(r"{\w+}", "11111111-2222-4333-8444-555555555555", route.path)


@pytest.mark.parametrize("route", [one for one in ROUTES if one.body], ids=lambda one: f"{one.method} {one.path}")
@pytest.mark.parametrize("body", [b'{"display_name": "\xff"}', b"\xff", b"\xfe\xff\x00{", b'{"a": "\xed\xa0\x80"}'])
async def test_a_body_that_is_not_utf_8_is_a_mistake_of_the_caller(app: App, route: Route, body: bytes) -> None:
    told = await app.ask(route.method, address(route), headers=JSON, body=body)
    assert told.status == 400, told


@pytest.mark.parametrize("path", LISTS)
async def test_words_are_compared_as_texts(app: App, service: OwnedService, path: str) -> None:
    """AVAILABLE is greater than ARCHIVED."""
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    await until_final(service, made.run_id)
    found = {}
    for operation, word in product(
        ("EQUALS", "NOT_EQUALS", "GREATER_THAN", "GREATER_THAN_EQUALS", "LESS_THAN", "LESS_THAN_EQUALS"),
        ("AVAILABLE", "archived"),
    ):
        clause = {"operation": operation, "key": "storage_state", "string_value": word}
        text = quote(json.dumps({"predicates": [clause]}))
        found[operation, word] = len((await get(app, f"{path}?filter={text}")).get(LISTS[path], []))
    assert found == {
        ("EQUALS", "AVAILABLE"): 1, ("EQUALS", "archived"): 0,
        ("NOT_EQUALS", "AVAILABLE"): 0, ("NOT_EQUALS", "archived"): 1,
        ("GREATER_THAN", "AVAILABLE"): 0, ("GREATER_THAN", "archived"): 1,
        ("GREATER_THAN_EQUALS", "AVAILABLE"): 1, ("GREATER_THAN_EQUALS", "archived"): 1,
        ("LESS_THAN", "AVAILABLE"): 0, ("LESS_THAN", "archived"): 0,
        ("LESS_THAN_EQUALS", "AVAILABLE"): 1, ("LESS_THAN_EQUALS", "archived"): 0,
    }  # fmt: skip


@pytest.mark.parametrize("word", ["succeeded", "SUCCEEDED", "Succeeded"])
@pytest.mark.parametrize("operation", ["EQUALS", "IN"])
async def test_states_are_found_however_they_are_written(
    app: App, service: OwnedService, word: str, operation: str
) -> None:
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    await until_final(service, made.run_id)
    value = {"string_values": {"values": [word]}} if operation == "IN" else {"string_value": word}
    text = quote(json.dumps({"predicates": [{"operation": operation, "key": "state", **value}]}))
    assert len((await get(app, f"/apis/v2beta1/runs?filter={text}"))["runs"]) == 1


async def test_a_list_sorted_by_long_texts_has_a_second_page(app: App, service: OwnedService) -> None:
    pipeline = await service.create_pipeline(name="p")
    for number in range(3):
        document = documents.document({"t": documents.task("t", "comp-t")}, {"comp-t": documents.component("exec-t")})
        document["deploymentSpec"]["executors"]["exec-t"]["container"]["args"] = [f"{number}" + "x" * 50_000]
        await service.create_version(pipeline.pipeline_id, NewVersion(name=f"v{number}", pipeline_spec=document))
        await service.create_experiment(name=f"e{number}", description=f"{number}" + "\u00e9" * 100_000)
    versions = f"/apis/v2beta1/pipelines/{pipeline.pipeline_id}/versions"
    for path, sort_by, key in (
        (versions, "pipeline_spec", "pipeline_versions"),
        ("/apis/v2beta1/experiments", "description", "experiments"),
    ):
        seen, token = [], ""
        while True:
            page = await get(app, f"{path}?page_size=1&sort_by={sort_by}&page_token={token}")
            seen += [one["display_name"] for one in page[key]]
            token = page.get("next_page_token", "")
            assert len(token) < 2000
            if not token:
                break
        assert len(seen) == len(set(seen)) >= 3


async def test_query_names_in_both_spellings(app: App, service: OwnedService) -> None:
    experiment = await service.create_experiment(name="e")
    for one in (experiment.experiment_id, None):
        made = await service.create_run(NewRun(pipeline_spec=documents.one_task(), experiment_id=one))
        await until_final(service, made.run_id)
    for name in ("experiment_id", "experimentId"):
        assert len((await get(app, f"/apis/v2beta1/runs?{name}={experiment.experiment_id}"))["runs"]) == 1
    for name in ("page_size", "pageSize"):
        page = await get(app, f"/apis/v2beta1/runs?{name}=1&sortBy=CREATED_AT%20desc")
        assert (len(page["runs"]), page["total_size"]) == (1, 2)
    assert [one["experiment_id"] for one in (await get(app, "/apis/v2beta1/runs?sort_by=Created_At"))["runs"]][
        0
    ] == experiment.experiment_id


@pytest.mark.parametrize("path", ["/api/runs?experimentId=x", "/api/recurring-runs?experiment=x", "/api/cache?task_=x"])
async def test_an_unknown_query_name_never_widens_a_list(app: App, path: str) -> None:
    told = await app.ask("GET", path)
    assert (told.status, told.json["code"]) == (400, "QUERY_UNKNOWN")


async def test_what_was_cancelled_has_no_error(app: App, service: OwnedService, world: World) -> None:
    world.behaviour = hang
    made = await service.create_run(NewRun(pipeline_spec=documents.one_task()))
    await service.terminate_run(made.run_id)
    await until_final(service, made.run_id)
    run = await get(app, f"/apis/v2beta1/runs/{made.run_id}")
    assert run["state"] == "CANCELED"
    assert '"error"' not in json.dumps(run)
    own = await get(app, f"/api/runs/{made.run_id}")
    assert own["run"]["error"]["code"] == "RUN_CANCELED"


async def test_a_version_is_found_under_any_pipeline(app: App, service: OwnedService) -> None:
    one, other = [await service.create_pipeline(name=name) for name in "ab"]
    version = await service.create_version(one.pipeline_id, NewVersion(name="v", pipeline_spec=documents.one_task()))
    path = f"/apis/v2beta1/pipelines/{other.pipeline_id}/versions/{version.pipeline_version_id}"
    assert (await get(app, path))["pipeline_id"] == one.pipeline_id
    told: Told = await app.ask("DELETE", path)
    assert told.status == 200
    assert (await app.ask("GET", path)).status == 404


async def test_whole_numbers_have_no_point(app: App, service: OwnedService) -> None:
    document = documents.one_task()
    document["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})["size"] = {
        "parameterType": "NUMBER_DOUBLE", "defaultValue": 20971520.0, "isOptional": True,
    }  # fmt: skip
    made = await service.create_run(NewRun(pipeline_spec=document, parameters={"size": 5.0}))
    await until_final(service, made.run_id)
    told = await app.ask("GET", f"/apis/v2beta1/runs/{made.run_id}")
    assert b'"defaultValue":20971520,' in told.body
    assert b'"size":5}' in told.body
    assert b"20971520.0" not in told.body


async def test_a_run_whose_root_needs_an_artifact_is_made_and_fails(app: App, service: OwnedService) -> None:
    """Our own API refuses it at once."""
    document = documents.document(
        {
            "read": documents.task(
                "read", "comp-read", inputs={"artifacts": {"data": {"componentInputArtifact": "data"}}}
            )
        },
        {"comp-read": documents.component("exec-read", artifacts_in={"data": "system.Dataset"})},
    )
    document["root"]["inputDefinitions"] = {"artifacts": {"data": {"artifactType": {"schemaTitle": "system.Dataset"}}}}
    body = json.dumps({"display_name": "r", "pipeline_spec": document}).encode()
    told = await app.ask("POST", "/apis/v2beta1/runs", headers=JSON, body=body)
    assert told.status == 200, told
    await until_final(service, told.json["run_id"])
    run = await get(app, f"/apis/v2beta1/runs/{told.json['run_id']}")
    assert run["state"] == "FAILED"
    assert "INPUT_MISSING" in run["error"]["message"]
    body = json.dumps({"document": json.dumps(document)}).encode()
    refused = await app.ask("POST", "/api/runs", headers=JSON, body=body)
    assert (refused.status, refused.json["code"]) == (400, "INVALID_ARGUMENTS")


@pytest.mark.parametrize("path", LISTS)
async def test_a_page_token_with_another_order_is_refused(app: App, service: OwnedService, path: str) -> None:
    for number in range(3):
        experiment = await service.create_experiment(name=f"e{number}")
        new = NewRun(pipeline_spec=documents.one_task(), experiment_id=experiment.experiment_id)
        await until_final(service, (await service.create_run(new)).run_id)
    first = await get(app, f"{path}?page_size=1&sort_by=name%20desc")
    token = first["next_page_token"]
    for order in ("name", "created_at", "created_at%20desc", "id%20desc"):
        told = await app.ask("GET", f"{path}?page_token={token}&sort_by={order}")
        assert (told.status, b"BAD_PAGE_TOKEN" in told.body) == (400, True), (order, told)
    said, unsaid = [
        await get(app, f"{path}?page_size=1&page_token={token}{more}") for more in ("&sort_by=name%20desc", "")
    ]
    assert said[LISTS[path]] == unsaid[LISTS[path]] != first[LISTS[path]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "DOCUMENT_MISSING"),
        ({"package_url": {"pipeline_url": ""}}, "DOCUMENT_MISSING"),
        ({"package_url": {"pipeline_url": "http://127.0.0.1:9/"}, "pipeline_spec": {}}, "DOCUMENT_MISSING"),
        ({"package_url": {"pipeline_url": "http://127.0.0.1:9/"}}, "PACKAGE_URL_PRIVATE"),
        ({"packageUrl": {"pipelineUrl": "file:///etc/passwd"}}, "PACKAGE_URL_INVALID"),
    ],
)
async def test_a_package_url_does_not_reach_inside(
    app: App, service: OwnedService, body: dict[str, Any], code: str
) -> None:
    pipeline = await service.create_pipeline(name="p")
    path = f"/apis/v2beta1/pipelines/{pipeline.pipeline_id}/versions"
    told = await app.ask("POST", path, headers=JSON, body=json.dumps({"display_name": "v", **body}).encode())
    assert (told.status, code in told.body.decode()) == (400, True), told
    whole = json.dumps({"pipeline": {"display_name": "q"}, "pipeline_version": {"display_name": "v", **body}}).encode()
    told = await app.ask("POST", "/apis/v2beta1/pipelines/create", headers=JSON, body=whole)
    assert (told.status, code in told.body.decode()) == (400, True), told
    assert (await app.ask("GET", "/apis/v2beta1/pipelines/names/q")).status == 404
