"""Whole runs whose artifacts lie in a real S3 store: run, looked at, reused, damaged, deleted."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import obstore
import pytest

from faulty_proxy import faulty_proxy
from harness import Server, attempts, until
from headrace.artifacts.buckets import open_bucket
from headrace.compiler import Compiler
from headrace.spec.reading import read_pipeline
from object_servers import BUCKET, SECRET, S3Server

pytestmark = pytest.mark.slow


@pytest.fixture
def root() -> str:
    return f"s3://{BUCKET}/{uuid.uuid4()}"


@pytest.fixture
def server(home: Path, s3: S3Server, root: str):
    one = Server(home)
    try:
        yield one.start(env={**s3.variables, "HEADRACE_ARTIFACT_ROOT": root})
    finally:
        one.end()


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    from e2e.pipelines.stored import stored

    Compiler().compile(stored, str(tmp_path / "stored.yaml"))
    pipeline, _ = read_pipeline((tmp_path / "stored.yaml").read_text())
    return pipeline


def keys(s3: S3Server, root: str) -> list[str]:
    bucket, place = open_bucket(s3.stores, f"{root}/x", retries=0, request_timeout_s=10)
    return sorted(one["path"] for many in obstore.list(bucket, place.key.rpartition("/")[0]) for one in many)


def put(s3: S3Server, uri: str, content: bytes) -> None:
    bucket, place = open_bucket(s3.stores, uri, retries=0, request_timeout_s=10)
    obstore.put(bucket, place.key, content)


def start(server: Server, document: dict[str, Any], *, root: str = "", **parameters: str) -> str:
    config = {"parameters": parameters, "pipeline_root": root}
    body = {"display_name": "stored", "pipeline_spec": document, "runtime_config": config}
    return server.post("/apis/v2beta1/runs", body)["run_id"]


def execution(run: dict[str, Any], path: str) -> dict[str, Any]:
    return next(one for one in run["executions"] if one["path"] == path)


def shown(server: Server, artifact_id: str, member: str = "") -> bytes:
    link = server.post(f"/api/artifacts/{artifact_id}/link", {"member": member})["url"]
    with urllib.request.urlopen(link, timeout=30) as reply:
        return reply.read()


def test_a_run_from_beginning_to_end(server: Server, s3: S3Server, root: str, document, home: Path):
    put(s3, f"{root}-outside/data.csv", b"from outside")
    run_id = start(server, document, outside=f"{root}-outside/data.csv")
    run = server.finished(run_id)
    assert run["run"]["state"] == "SUCCEEDED", run
    assert run["outputs"]["parameters"]["Output"] == "3 inside 3"
    details = {
        path: server.get(f"/api/executions/{execution(run, path)['execution_id']}")
        for path in ("make", "lengths", "size")
    }
    assert details["lengths"]["outputs"]["parameters"]["Output"] == "1 2"
    assert details["size"]["outputs"]["parameters"]["Output"] == "from outside"
    made = details["make"]["outputs"]["artifacts"]
    (table,), (folder,) = made["table"], made["folder"]
    attempt = f"{execution(run, 'make')['execution_id']}-1"
    assert table["uri"] == f"{root}/stored/{run_id}/make/{attempt}/table"
    assert details["make"]["outputs"]["parameters"]["Output"] == table["uri"]
    # Looked at, whole and in part.
    assert shown(server, table["artifact_id"]) == b"0\n1\n2\n"
    assert shown(server, folder["artifact_id"], "deep/ä b") == b"inside"
    members = server.get(f"/api/artifacts/{folder['artifact_id']}/members")
    assert [member["name"] for member in members["members"]] == ["deep/ä b"]
    # Nothing of it in the data directory, and no credentials.
    assert not [path for path in (home / "artifacts").rglob("*") if path.is_file()]
    assert not [path for path in home.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    # Reused by a second run, until the content is gone.
    again = server.finished(start(server, document, outside=f"{root}-outside/data.csv"))
    assert execution(again, "make")["cached_from"]
    put(s3, table["uri"], b"damaged")
    third = server.finished(start(server, document, outside=f"{root}-outside/data.csv"))
    assert third["run"]["state"] == "SUCCEEDED"
    assert not execution(third, "make")["cached_from"]
    with pytest.raises(http.client.IncompleteRead):
        assert shown(server, table["artifact_id"]) == b"never seen"
    # Deleted, with its objects, and nobody else's.
    for one in (run, again, third):
        server.call("DELETE", f"/apis/v2beta1/runs/{one['run']['run_id']}")
    assert keys(s3, root) == []
    assert keys(s3, f"{root}-outside") == [f"{root}-outside/data.csv".removeprefix(f"s3://{BUCKET}/")]


def test_roots(server: Server, s3: S3Server, root: str, document):
    put(s3, f"{root}-outside/a/b", b"x")
    own = server.finished(start(server, document, root=f"{root}-own/", outside=f"{root}-outside/a"))
    assert own["run"]["state"] == "SUCCEEDED", own
    assert execution(own, "size")["state"] == "SUCCEEDED"
    assert all("-own/stored/" in key for key in keys(s3, f"{root}-own"))
    assert keys(s3, root) == []
    # A document's root that can be reached counts, one that cannot is passed over.
    theirs = server.finished(
        start(server, {**document, "defaultPipelineRoot": f"{root}-doc"}, outside=f"{root}-outside/a")
    )
    assert theirs["run"]["state"] == "SUCCEEDED"
    far = server.finished(
        start(server, {**document, "defaultPipelineRoot": "gs://theirs/x"}, outside=f"{root}-outside/a")
    )
    assert far["run"]["state"] == "SUCCEEDED"
    for bad in ("gs://theirs/x", "/somewhere", "nonsense"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            start(server, document, root=bad, outside="x")
        assert refused.value.code == 400
        assert b"PIPELINE_ROOT_UNUSABLE" in refused.value.read()


@pytest.mark.parametrize("name", ["upload.before", "upload.files", "upload.after", "fetch.before", "fetch.after"])
def test_killed_around_a_transfer(home: Path, s3: S3Server, root: str, document, name: str):
    """Nothing is lost, no task's code is started twice, and what is in the store is what the record says."""
    put(s3, f"{root}-outside/data.csv", b"from outside")
    env = {**s3.variables, "HEADRACE_ARTIFACT_ROOT": root}
    server = Server(home)
    try:
        server.start(env={**env, "HEADRACE_FAILPOINT": name})
        run_id = start(server, document, outside=f"{root}-outside/data.csv")
        assert server.process is not None
        assert server.process.wait(timeout=60) == -9
        server.start(env=env)
        run = server.finished(run_id)
        assert run["run"]["state"] == "SUCCEEDED", run
        assert run["outputs"]["parameters"]["Output"] == "3 inside 3"
        assert {one.number for one in attempts(home, run_id)} == {1}
        prefix = root.removeprefix(f"s3://{BUCKET}/")
        made = [key for key in keys(s3, root) if "/make" in key]
        assert len(made) == 3 * len(["table", "the file of the folder", "the folder's list"])
        assert all(key.startswith(f"{prefix}/stored/{run_id}/") for key in made)
    finally:
        server.end()


def test_an_outage_holds_up_what_needs_the_store_and_nothing_else(home: Path, s3: S3Server, root: str, document):
    put(s3, f"{root}-outside/data.csv", b"from outside")
    # What is being stored holds its place: there are more places than tasks that store.
    server = Server(home, max_parallel=8)
    with faulty_proxy(s3.endpoint, rate=0.0) as proxy:
        env = {**s3.variables, "AWS_ENDPOINT_URL": proxy.endpoint, "HEADRACE_ARTIFACT_ROOT": root}
        try:
            server.start(env=env)
            proxy.rate = 1.0
            held = [start(server, document, outside=f"{root}-outside/data.csv") for _ in range(3)]
            until(lambda: sum(proxy.seen.values()) > 20, "the store is asked again and again")
            # Another pipeline, so that it does not wait for the same tasks to succeed elsewhere.
            other = start(
                server,
                {**document, "pipelineInfo": {"name": "another"}},
                root=str(home / "artifacts"),
                outside="https://example.org/unread",
            )
            done = server.finished(other)
            assert execution(done, "read")["state"] == "SUCCEEDED"
            assert execution(done, "size")["reason"]["code"] == "ARTIFACT_ELSEWHERE"
            assert [server.get(f"/api/runs/{run_id}")["run"]["state"] for run_id in held] == ["RUNNING"] * 3
            proxy.rate = 0.0
            for run_id in held:
                assert server.finished(run_id)["run"]["state"] == "SUCCEEDED"
                assert {one.number for one in attempts(home, run_id)} == {1}
        finally:
            server.end()
