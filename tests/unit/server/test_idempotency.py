from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import documents
from fake_executor import FakeExecutor, World
from headrace.server.table import ROUTES
from headrace.service.service import Service
from headrace.service.settings import Settings
from serving import App, Told

pytestmark = pytest.mark.anyio

OWN, KFP = "/api/runs", "/apis/v2beta1/runs"
BODIES = {
    OWN: {"document": json.dumps(documents.one_task())},
    KFP: {"display_name": "r", "pipeline_spec": documents.one_task()},
}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    service = await Service.open(Settings(home=tmp_path / "home"), executor=FakeExecutor(World()))
    yield App(service)
    await service.close()


async def post(app: App, path: str, *keys: str, **changed: object) -> Told:
    body = json.dumps({**BODIES[path], **changed}).encode()
    more = tuple(("idempotency-key", key) for key in keys)
    return await app.ask("POST", path, headers={"content-type": "application/json"}, body=body, more=more)


@pytest.mark.parametrize("path", [OWN, KFP])
async def test_a_key_makes_one_run_of_each_route(app: App, path: str) -> None:
    first = await post(app, path, "k")
    assert first.status in (200, 201)
    again = await post(app, path, "k")
    assert (again.status, again.json["run_id"]) == (first.status, first.json["run_id"])
    other = await post(app, path, "k", display_name="another")
    assert other.status == 409 and b"IDEMPOTENCY_KEY_REUSED" in other.body
    assert (await post(app, path, "l")).json["run_id"] != first.json["run_id"]
    listed = (await app.ask("GET", path)).json["runs"]
    assert len(listed) == 2


async def test_a_key_of_one_route_is_free_at_another(app: App) -> None:
    own, kfp = [await post(app, path, "k") for path in (OWN, KFP)]
    assert own.json["run_id"] != kfp.json["run_id"]


@pytest.mark.parametrize("keys", [("",), ("x" * 256,), ("a", "a"), ("\t",), ("\u00e9",)])
async def test_a_key_that_is_none_is_refused(app: App, keys: tuple[str, ...]) -> None:
    told = await post(app, OWN, *[key.encode().decode("latin-1") for key in keys])
    assert (told.status, told.json["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")
    assert (await app.ask("GET", OWN)).json["runs"] == []


def test_every_route_that_makes_a_run_takes_a_key() -> None:
    assert {route.path for route in ROUTES if route.idempotent} == {OWN, KFP, "/api/runs/{run_id}/rerun"}
