"""Importers: what may be registered, and what is found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import documents
from fake_executor import FakeExecutor, World
from headrace.engine.model import State, execution_id
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from owned_service import Service
from waiting import until_final

pytestmark = pytest.mark.anyio


def importing(uri: str, *, name: str = "", **importer: Any) -> dict[str, Any]:
    document = documents.importer()
    if name:
        document["pipelineInfo"]["name"] = name
    spec = document["deploymentSpec"]["executors"]["exec-get"]["importer"]
    spec.update({"artifactUri": {"constant": uri}, **importer})
    return document


async def imported(service: Service, document: dict[str, Any]) -> Any:
    """The artifact that came of it, or the reason why none did."""
    made = await service.create_run(NewRun(pipeline_spec=document))
    record = await until_final(service, made.run_id)
    detail = await service.execution_detail(execution_id(made.run_id, "get"))
    if record.state is State.SUCCEEDED:
        return detail.outputs.artifacts["artifact"][0]
    return detail.execution.reason


async def test_only_artifacts_of_the_same_pipeline_are_found_again(service: Service):
    first = await imported(service, importing("s3://bucket/data"))
    assert (await imported(service, importing("s3://bucket/data"))).artifact_id == first.artifact_id
    others = [
        await imported(service, importing("s3://bucket/data", name="another")),
        await imported(service, importing("s3://bucket/data", metadata={"rows": 4})),
        await imported(service, importing("s3://bucket/data", typeSchema={"schemaTitle": "system.Model"})),
        await imported(service, importing("s3://bucket/other")),
    ]
    assert len({first.artifact_id, *(one.artifact_id for one in others)}) == 5
    assert {one.uri for one in others} == {"s3://bucket/data", "s3://bucket/other"}


async def test_nothing_is_asked_of_another_machine(service: Service):
    for uri in ("https://example.org/x", "gs://none/none", "oci://image", "odd:thing"):
        assert (await imported(service, importing(uri))).uri == uri


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
async def test_what_is_not_on_this_machine_fails_the_importer(service: Service, tmp_path: Path, form: str):
    path = tmp_path / "data.csv"
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    for missing in (path, tmp_path / "broken", tmp_path / "home" / "artifacts" / "run" / "x"):
        reason = await imported(service, importing(form.format(missing)))
        assert reason.code == "IMPORT_NOT_FOUND"
        assert str(missing) in reason.message
    path.touch()
    assert (await imported(service, importing(form.format(path)))).uri == form.format(path)


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
async def test_the_server_s_own_files_are_refused(service: Service, tmp_path: Path, form: str):
    home = tmp_path / "home"
    (tmp_path / "innocent").symlink_to(home / "place.id")
    (home / "artifacts" / "way-out").symlink_to("/etc")
    refused = [
        home / "place.id", home, home / "artifacts", home / "artifacts" / ".." / "headrace.db", tmp_path / "innocent",
        "/proc/self/environ", "/dev/zero", "/sys/kernel",
    ]  # fmt: skip
    (home / "artifacts" / "run").mkdir()
    (home / "artifacts" / "run" / "x").touch()
    for path in refused:
        reason = await imported(service, importing(form.format(path)))
        assert getattr(reason, "code", "") == "IMPORT_REFUSED", path
    assert (await imported(service, importing(form.format(home / "artifacts" / "run" / "x")))).uri


async def test_downloads_to_the_workspace_are_marked_as_kfp_does(service: Service):
    plain = await imported(service, importing("s3://bucket/data", metadata={"a": 1}))
    marked = await imported(service, importing("s3://bucket/data", metadata={"a": 1}, downloadToWorkspace=True))
    assert (plain.metadata, marked.metadata) == ({"a": 1}, {"a": 1, "_kfp_workspace": True})
    assert plain.artifact_id != marked.artifact_id


async def test_an_importer_without_a_uri(service: Service):
    assert (await imported(service, importing(" "))).code == "IMPORT_REFUSED"


async def test_only_what_lies_below_the_roots(tmp_path: Path):
    settings = Settings(home=tmp_path / "home", import_roots=(tmp_path / "data",))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path)
    (tmp_path / "data" / "x").touch()
    service = await Service.open(settings, executor=FakeExecutor(World()))
    try:
        assert (await imported(service, importing(f"{tmp_path}/data/x"))).uri
        for path in ("/etc/passwd", f"{tmp_path}/data/../x", f"{tmp_path}/data-2", f"{tmp_path}/data/link/x"):
            reason = await imported(service, importing(path))
            assert reason.code == "IMPORT_REFUSED", path
            assert str(tmp_path / "data") in reason.message
    finally:
        await service.close()
