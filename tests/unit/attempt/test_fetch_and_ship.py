"""`fetch` and `ship` in processes of their own, as beside a pod: they share nothing but the order and the directories."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from headrace.artifacts.local import LocalStore
from headrace.attempt import result as results
from headrace.attempt.codes import Code
from headrace.attempt.inputs import shown_paths
from headrace.attempt.layout import INSIDE, Layout
from headrace.attempt.refusal import Refusal
from headrace.attempt.result import ProducedArtifact, ResultFailed, ResultSucceeded, decode_result, encode_result
from headrace.engine.model import Artifact, ArtifactType, Reason
from headrace.executors.local.python import RUNTIME
from orders import python_order, shell_order

PORTER = """
import asyncio, sys
from pathlib import Path
import msgspec
from headrace.artifacts.local import LocalStore
from headrace.attempt.fetch import fetch_apart, fetched_before
from headrace.attempt.layout import Layout
from headrace.attempt.order import LaunchOrder
from headrace.attempt.ship import ship
step, order, root, store = sys.argv[1:]
order = msgspec.json.decode(Path(order).read_bytes(), type=LaunchOrder)
layout, access = Layout(Path(root), Path(root) / "workspace"), LocalStore(Path(store))
if step == "fetch":
    asyncio.run(fetch_apart(order, layout, access))
else:
    ship(order, layout, access, inputs_seen_at=fetched_before(layout), record=layout.result)
assert not any(name.startswith("headrace.executors") for name in sys.modules)
"""
COPIES = """
def f(rows: Input[Dataset], same: Output[Dataset], copied: Output[Dataset], times: int) -> str:
    text = open(rows.path).read()
    open(copied.path, 'w').write(text * times)
    same.path = rows.path
    return text
"""


@pytest.fixture
def pod(tmp_path):
    class Pod:
        layout = Layout(tmp_path / "pod", tmp_path / "pod" / "workspace")
        store = LocalStore(tmp_path / "store")

        def run(self, step: str, order: object) -> None:
            path = tmp_path / "order.json"
            path.write_bytes(msgspec.json.encode(order))
            arguments = [step, str(path), str(self.layout.root), str(tmp_path / "store")]
            subprocess.run([sys.executable, "-c", PORTER, *arguments], check=True)

    return Pod()


def an_input(store: LocalStore, tmp_path: Path) -> Artifact:
    (tmp_path / "rows.csv").write_text("1,2\n")
    stored = store.take("earlier/rows.csv", tmp_path / "rows.csv")
    kind = ArtifactType(schema_title="system.Dataset")
    return Artifact(artifact_id="i", name="rows", type=kind, uri=stored.uri, digest=stored.digest, size_bytes=4)


def test_a_python_component_as_in_a_pod(pod, tmp_path):
    rows = an_input(pod.store, tmp_path)
    order = python_order(
        COPIES, parameters={"times": 2}, artifacts={"rows": (rows,)}, gives={"Output": "STRING"},
        makes={"same": "system.Dataset", "copied": "system.Dataset"},
    )  # fmt: skip
    pod.run("fetch", order)
    assert Path(shown_paths(order, pod.layout)[rows.uri]).read_text() == "1,2\n"
    pod.layout.work.mkdir()
    main = [sys.executable, str(RUNTIME), str(pod.layout.request)]
    done = subprocess.run(main, cwd=pod.layout.work, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not pod.layout.result.exists()
    pod.run("ship", order)
    result = decode_result(pod.layout.result.read_bytes())
    assert isinstance(result, ResultSucceeded), result
    assert result.parameters == {"Output": "1,2\n"}
    copied, same = result.artifacts["copied"][0], result.artifacts["same"][0]
    assert pod.store.at_hand(copied.uri, digest=copied.digest).read_text() == "1,2\n1,2\n"
    assert (same.uri, same.digest) == (rows.uri, rows.digest)
    pod.run("fetch", order)  # again, after a crash
    pod.run("ship", order)
    assert decode_result(pod.layout.result.read_bytes()) == result


def test_paths_inside_follow_from_the_order_alone(pod, tmp_path):
    rows = an_input(pod.store, tmp_path)
    order = shell_order("cat", image="x", artifacts={"rows": (rows, rows)})
    assert shown_paths(order, INSIDE) == {rows.uri: "/headrace/inputs/rows/0/rows.csv"}


def test_an_input_that_was_altered_fails_the_attempt(pod, tmp_path):
    rows = an_input(pod.store, tmp_path)
    order = shell_order("cat", image="x", artifacts={"rows": (rows,)})
    pod.run("fetch", order)
    path = pod.store.at_hand(rows.uri)
    path.chmod(0o644)
    path.write_text("3,4\n")
    pod.run("ship", order)
    result = decode_result(pod.layout.result.read_bytes())
    assert isinstance(result, ResultFailed), result
    assert (result.error.code, result.retryable, result.lost) == (Code.INPUT_ALTERED, False, False)


@pytest.mark.parametrize(
    "result",
    [
        ResultSucceeded(parameters={"a": [1, None]}),
        ResultSucceeded(artifacts={"m": (ProducedArtifact(name="m", type=ArtifactType(), uri="s3://b/k"),)}),
        ResultFailed(error=Reason(code="X", message="y", details={"n": 1}), retryable=False, lost=True),
    ],
)
def test_a_result_is_read_as_it_was_written(result):
    assert decode_result(encode_result(result)) == result


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_another_version_is_refused_clearly(version):
    text = json.dumps({"state": "succeeded", "version": version})
    with pytest.raises(Refusal, match="format .*this server reads format 1") as refused:
        decode_result(text.encode())
    assert (refused.value.reason.code, refused.value.retryable) == (Code.RESULT_INVALID, False)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"version":1}', b'{"version":1,"state":"odd"}'])
def test_what_is_not_a_result_is_refused(text):
    with pytest.raises(Refusal) as refused:
        decode_result(text)
    assert refused.value.reason.code == Code.RESULT_INVALID


def test_a_result_appears_whole(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    results.write_result(path, ResultSucceeded(parameters={"a": 1}))

    def fails(descriptor: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(results.os, "fsync", fails)
    with pytest.raises(OSError, match="full"):
        results.write_result(path, ResultSucceeded(parameters={"a": 2}))
    assert decode_result(path.read_bytes()) == ResultSucceeded(parameters={"a": 1})
