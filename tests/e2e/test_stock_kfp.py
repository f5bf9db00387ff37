"""A pipeline written with `from kfp import dsl`, compiled by the real kfp, submitted by the real kfp.Client."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import EXAMPLES, attempt_folders, headrace

pytestmark = [pytest.mark.kfp, pytest.mark.slow]


def a_client(server) -> Any:
    import kfp

    return kfp.Client(host=server.url, existing_token=server.token)


def test_a_stock_pipeline_runs_unchanged(server, home: Path, tmp_path: Path):
    package = tmp_path / "stock_kfp.yaml"
    kfp = Path(sys.executable).parent / "kfp"
    words = [kfp, "dsl", "compile", "--py", EXAMPLES / "stock_kfp.py", "--output", package]
    subprocess.run(words, check=True, capture_output=True)
    client = a_client(server)
    result = client.create_run_from_pipeline_package(
        str(package), arguments={"count": 3, "points": 5000}, experiment_name="stock", run_name="from kfp"
    )
    run = client.wait_for_run_completion(result.run_id, timeout=240, sleep_duration=1)
    assert run.state == "SUCCEEDED"
    assert run.display_name == "from kfp"
    assert run.error is None
    again = client.get_run(result.run_id)
    assert (again.run_id, again.state) == (result.run_id, "SUCCEEDED")
    assert again.state_history[-1].state == "SUCCEEDED"
    assert {detail.state for detail in again.run_details.task_details} <= {"SUCCEEDED", "SKIPPED"}
    assert [detail.display_name for detail in again.run_details.task_details].count("estimate") == 3
    assert again.experiment_id == client.get_experiment(experiment_name="stock").experiment_id
    view = server.get(f"/api/runs/{result.run_id}")
    assert abs(view["outputs"]["parameters"]["Output"] - math.pi) < 0.2
    for folder in attempt_folders(home, result.run_id).values():
        assert "pip" not in (folder / "log").read_text().lower(), "the bootstrap's pip calls are not made"


def test_the_other_branch_and_uploaded_pipelines(server):
    """Uploaded first, then run by its version; with one point the estimate is bad, and the Else branch runs."""
    client = a_client(server)
    pipeline = client.upload_pipeline(str(EXAMPLES / "stock_kfp.yaml"), pipeline_name="stock")
    version = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions[0]
    experiment = client.create_experiment("another")
    run = client.run_pipeline(
        experiment.experiment_id,
        "few points",
        pipeline_id=pipeline.pipeline_id,
        version_id=version.pipeline_version_id,
        params={"count": 1, "points": 1},
        enable_caching=False,
    )
    done = client.wait_for_run_completion(run.run_id, timeout=240, sleep_duration=1)
    assert done.state == "SUCCEEDED"
    states = {detail.display_name: detail.state for detail in done.run_details.task_details}
    assert states["verdict-2"] == "SUCCEEDED"
    assert states.get("verdict", "SKIPPED") == "SKIPPED"


def test_a_stock_file_runs_from_our_command_line(home: Path):
    answer = headrace("run", EXAMPLES / "stock_kfp.py", "--arg", "points=2000", home=home)
    assert answer.status == 0, answer
    assert "SUCCEEDED  stock-kfp" in answer.out
