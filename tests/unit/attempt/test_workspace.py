"""The workspace of a run, as its tasks name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.attempt import workspace
from headrace.attempt.order import ContainerOrder
from headrace.engine.model import Artifact, ArtifactType
from orders import an_order


def artifact(uri: str, **metadata: object) -> Artifact:
    return Artifact(artifact_id="a", name="a", type=ArtifactType(), uri=uri, metadata=metadata)


@pytest.mark.parametrize(
    ("changes", "uses"),
    [
        ({}, False),
        ({"parameters": {"x": "/kfp-workspaces"}}, False),
        ({"parameters": {"x": [{"deep": "/kfp-workspace/a"}]}}, True),
        ({"parameters": {"x": "in {{$.workspace_path}}/a"}}, True),
        ({"artifacts": {"x": (artifact("s3://b/k"),)}}, False),
        ({"artifacts": {"x": (artifact("s3://b/k", _kfp_workspace=True),)}}, True),
        ({"artifacts": {"x": (artifact("/kfp-workspace/data"),)}}, True),
    ],
)
def test_who_uses_it(changes, uses):
    assert workspace.uses_workspace(an_order(ContainerOrder(image="i"), **changes)) is uses


def test_both_names_stand_for_the_place():
    order = an_order(
        ContainerOrder(image="i"),
        parameters={"a": "{{$.workspace_path}}/x", "b": ["/kfp-workspace"], "c": "/kfp-workspace-2"},
        artifacts={"d": (artifact("/kfp-workspace/x"),)},
    )
    there = workspace.with_workspace(order, "/spaces/run")
    assert there.inputs.parameters == {"a": "/spaces/run/x", "b": ["/spaces/run"], "c": "/kfp-workspace-2"}
    assert there.inputs.artifacts["d"][0].uri == "/spaces/run/x"
    assert there.facts["workspace_path"] == "/spaces/run"


def test_paths_that_are_given_out_are_the_same_for_all():
    given = {"a": "/spaces/run/x", "b": ["/spaces/run", "/spaces/running", 1, None]}
    assert workspace.as_mounted(given, "/spaces/run") == {
        "a": "/kfp-workspace/x", "b": ["/kfp-workspace", "/spaces/running", 1, None],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "inside"),
    [
        ("s3://bucket/a/b", "s3/bucket/a/b"),
        ("gs://bucket/a", "gcs/bucket/a"),
        ("minio://bucket/a/", "minio/bucket/a"),
        ("s3://bucket/../../x", None),
        ("/plain/path", None),
    ],
)
def test_where_downloads_lie(uri, inside):
    """As in KFP's SDK: `/kfp-workspace/.artifacts/<store>/<bucket>/<key>`."""
    found = workspace.path_in_workspace(artifact(uri, _kfp_workspace=True), Path("/w"))
    assert found == (None if inside is None else Path("/w/.artifacts", inside))
    assert workspace.path_in_workspace(artifact(uri), Path("/w")) is None
