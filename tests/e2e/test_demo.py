"""The demo pipeline as `make demo` runs it: real data, real packages, real processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import EXAMPLES, attempts, headrace, rows

pytestmark = pytest.mark.slow
DEMO = EXAMPLES / "breast_cancer.py"


def test_the_demo_trains_compares_judges_and_publishes(home: Path):
    answer = headrace("run", DEMO, home=home, timeout_s=600)
    assert (answer.status, answer.err) == (0, ""), answer
    for said in ("train[0]", "train[2]", "accuracy", "roc_auc", "report", "published", "SUCCEEDED  breast-cancer"):
        assert said in answer.out, said
    assert set(states_of(home, answer.run_id).values()) == {"SUCCEEDED"}
    outputs = artifacts_of(home, answer.run_id)
    assert 0.9 < json.loads(outputs["metrics"]["metadata"])["accuracy"] <= 1
    judged = json.loads(outputs["classification"]["metadata"])
    assert sum(sum(row["row"]) for row in judged["confusionMatrix"]["rows"]) == 143
    assert judged["confidenceMetrics"]
    report = content_of(outputs["report"])
    assert "<svg" in report and "polyline" in report
    assert "ended: **SUCCEEDED**" in content_of(outputs["summary"])

    before = environments(home)
    again = headrace("run", DEMO, "--arg", "threshold=1.0", home=home, timeout_s=600)
    assert again.status == 0, again
    assert "cached" in again.out
    ran = {one.path.rpartition("/")[2] for one in attempts(home, again.run_id)}
    assert ran == {"summarise"}, "only what the new threshold changes runs again"
    assert "SKIPPED" in states_of(home, again.run_id).values()
    assert environments(home) == before, "nothing is installed again"


def states_of(home: Path, run_id: str) -> dict[str, str]:
    found = rows(home, "SELECT path, state FROM executions WHERE run_id = ?", run_id)
    return {row["path"]: row["state"] for row in found}


def artifacts_of(home: Path, run_id: str) -> dict[str, dict]:
    return {row["name"]: dict(row) for row in rows(home, "SELECT * FROM artifacts WHERE run_id = ?", run_id)}


def content_of(artifact: dict) -> str:
    return Path(artifact["uri"].removeprefix("file://")).read_text()


def environments(home: Path) -> set[str]:
    return {path.name for path in (home / "envs").iterdir()}
