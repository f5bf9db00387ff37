"""Runs made from others, marks and pauses, with the command line, a real server and real processes."""

from __future__ import annotations

import json
from pathlib import Path

from harness import attempts, headrace, rows, until

TRAINED = Path(__file__).parent / "pipelines" / "control.py"
SHAPES = Path(__file__).parent / "pipelines" / "shapes.py"


def artifacts(home: Path, run_id: str) -> dict[str, str]:
    """Output artifacts of a run by task and name: their ids."""
    found = rows(
        home,
        "SELECT e.path, x.name, x.artifact_id FROM execution_artifacts x JOIN executions e USING (execution_id) "
        "WHERE x.run_id = ? AND x.direction = 'OUTPUT'",
        run_id,
    )
    return {f"{row['path']}.{row['name']}": row["artifact_id"] for row in found}


def test_a_run_is_made_again_from_its_middle(home: Path):
    first = headrace("run", TRAINED, home=home)
    assert first.status == 1
    second = headrace("rerun", first.run_id[:8], "--from", "train", "--arg", "rate=0.8", home=home)
    assert second.status == 0, second
    assert "SUCCEEDED  0.0 s  reused" in second.out
    assert second.run_id != first.run_id
    assert {one.path for one in attempts(home, second.run_id)} == {"train", "test"}
    assert artifacts(home, second.run_id)["load.data"] == artifacts(home, first.run_id)["load.data"]
    # What the new run has taken over outlives the run that made it.
    assert headrace("runs", "delete", first.run_id, "--yes", home=home).status == 0
    third = headrace("rerun", second.run_id, TRAINED, "--from", "test", "--name", "third", home=home)
    assert third.status == 0, third
    assert {one.path for one in attempts(home, third.run_id)} == {"test"}
    shown = json.loads(headrace("runs", "get", third.run_id, "--json", home=home).out)
    assert (shown["run"]["rerun_of"], shown["run"]["rerun_from"]) == (second.run_id, ["test"])
    assert {one["path"] for one in shown["executions"] if one["reused_from"]} == {"load", "train"}


def test_what_cannot_be_run_again_says_why(home: Path):
    first = headrace("run", TRAINED, "--arg", "rate=0.5", home=home)
    assert first.status == 0, first
    unknown = headrace("rerun", "last", "--from", "trian", home=home)
    assert (unknown.status, "Did you mean train?" in unknown.err) == (2, True)
    other = headrace("rerun", "last", SHAPES, "--pipeline", "fails", "--arg", "path=x", "--no-wait", home=home)
    # Nothing of the other pipeline was in the run, so there is nothing to take over, and all of it runs.
    assert other.status == 0, other


def test_a_failed_task_is_marked_and_its_run_goes_on(home: Path):
    model = artifacts(home, headrace("run", TRAINED, "--arg", "rate=0.5", home=home).run_id)["train.model"]
    failed = headrace("run", TRAINED, home=home)
    missing = headrace("mark", failed.run_id, "train", "--succeeded", home=home)
    assert missing.status == 2
    assert "[INVALID_OUTPUTS]" in missing.err and "model: expected an artifact (system.Model)" in missing.err
    words = ("--succeeded", "--output", "Output=0.75", "--artifact", f"model={model}", "--note", "by hand")
    marked = headrace("mark", failed.run_id, "train", *words, home=home)
    assert marked.status == 0, marked
    assert "Marked SUCCEEDED by" in marked.out and "by hand" in marked.out
    assert "test   Output  0.75" in marked.out
    assert headrace("mark", failed.run_id, "train", "--skipped", home=home).status == 2


def test_a_running_task_is_stopped_for_its_mark_and_a_paused_run_waits(server, home: Path, tmp_path: Path):
    never = tmp_path / "never"
    begun = headrace("run", SHAPES, "--pipeline", "waits", "--arg", f"path={never}", "--no-wait", home=home)

    def running() -> bool:
        return any(one.state == "RUNNING" for one in attempts(home, begun.run_id))

    until(running, "the task runs")
    assert headrace("pause", begun.run_id, home=home).status == 0
    (row,) = rows(home, "SELECT state FROM runs WHERE run_id = ?", begun.run_id)
    assert row["state"] == "PAUSED"
    assert "[RUN_NOT_PAUSED]" not in headrace("resume", begun.run_id, "--no-wait", home=home).err
    (task,) = {one.path for one in attempts(home, begun.run_id) if one.state == "RUNNING"}
    marked = headrace("mark", begun.run_id, task, "--skipped", home=home)
    assert marked.status == 0, marked
    assert "[RUN_FINAL]" in headrace("pause", begun.run_id, home=home).err
