"""Recurring runs from the command line, on a real server: made, explained, edited in place, deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Server, headrace, until

pytestmark = pytest.mark.slow

PIPELINE = """
from headrace import dsl

@dsl.component
def say(day: str) -> str:
    return day

@dsl.pipeline
def nightly(day: str = "x"):
    say(day=day)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nightly.py"
    path.write_text(PIPELINE)
    return path


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    server = Server(home)
    try:
        yield server.start()
    finally:
        server.end()


def ticks(home: Path, name: str) -> dict:
    done = headrace("recurring-runs", "explain", name, "--json", home=home)
    assert done.status == 0, done.err
    return json.loads(done.out)


def test_from_create_to_delete(server: Server, home: Path, file: Path) -> None:
    made = headrace(
        *("recurring-runs", "create", file, "--every", "1s", "--name", "Quick", "--max-concurrency", "5"),
        *("--arg", "day=[[ScheduledTime.2006]] [[Index]]"),
        home=home,
    )
    assert made.status == 0, made.err
    assert "Next ticks:" in made.out
    # 1. It makes runs, and its ticks say which.
    until(lambda: len(ticks(home, "Quick")["past"]) >= 2, "two ticks have made runs")
    run_id = ticks(home, "Quick")["past"][-1]["run_id"]
    view = server.finished(run_id)
    assert (view["run"]["state"], view["parameters"]["day"][4:]) == ("SUCCEEDED", " 1")
    # 2. It is changed in place: the same id, the same history.
    listed = json.loads(headrace("recurring-runs", "list", "--json", home=home).out)["recurring_runs"]
    (found,) = listed
    edited = headrace(
        *("recurring-runs", "edit", found["recurring_run_id"][:8], "--cron", "30 2 * * 1-5"),
        *("--time-zone", "Europe/Berlin", "--name", "Nightly", "--catch-up", "3"),
        home=home,
    )
    assert edited.status == 0, edited.err
    assert edited.out.count(" 02:30:00 +0") == 5
    after = json.loads(headrace("recurring-runs", "get", "Nightly", "--json", home=home).out)
    assert after["recurring_run_id"] == found["recurring_run_id"]
    assert after["timetable"]["catch_up_limit"] == 3
    assert after["parameters"] == found["parameters"]
    assert ticks(home, "Nightly")["past"][-1]["run_id"] == run_id
    # 3. Disabled, it says so of each tick that comes.
    assert headrace("recurring-runs", "disable", "Nightly", home=home).status == 0
    assert [one["state"] for one in ticks(home, "Nightly")["coming"]] == ["PAUSED"] * 5
    shown = headrace("recurring-runs", "explain", "Nightly", home=home)
    assert "made a run" in shown.out
    assert "RECURRING_RUN_DISABLED" in shown.out
    enabled = headrace("recurring-runs", "enable", "Nightly", home=home)
    assert "Next ticks:" in enabled.out
    # 4. Its runs stay when it is deleted.
    assert headrace("recurring-runs", "delete", "Nightly", home=home).status == 0
    assert json.loads(headrace("recurring-runs", "list", "--json", home=home).out)["recurring_runs"] == []
    assert server.get(f"/api/runs/{run_id}")["run"]["state"] == "SUCCEEDED"


def test_of_an_uploaded_pipeline(server: Server, home: Path, file: Path) -> None:
    document = home.parent / "nightly.yaml"
    assert headrace("compile", file, "-o", document, home=home).status == 0
    pipeline = server.post("/apis/v2beta1/pipelines", {"display_name": "nightly", "name": "nightly"})
    version = server.post(
        f"/apis/v2beta1/pipelines/{pipeline['pipeline_id']}/versions",
        {"display_name": "v1", "pipeline_spec": json.loads(json.dumps(_spec(document)))},
    )
    made = headrace(
        *("recurring-runs", "create", "--pipeline-id", pipeline["pipeline_id"], "--every", "1s", "--name", "Quick"),
        home=home,
    )
    assert made.status == 0, made.err
    until(lambda: ticks(home, "Quick")["past"], "a tick has made a run")
    run = server.get(f"/api/runs/{ticks(home, 'Quick')['past'][-1]['run_id']}")["run"]
    assert run["pipeline_version_id"] == version["pipeline_version_id"]


def _spec(document: Path) -> object:
    import yaml

    return yaml.safe_load(document.read_text())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create",), "USAGE"),
        (("create", "FILE"), "USAGE"),
        (("create", "FILE", "--every", "1h", "--cron", "* * * * *"), "USAGE"),
        (("create", "FILE", "--every", "soon"), "USAGE"),
        (("create", "FILE", "--every", "1h", "--catch-up", "some"), "USAGE"),
        (("create", "FILE", "--every", "1h", "--catch-up", "101"), "USAGE"),
        (("create", "FILE", "--every", "1h", "--pipeline-id", "x"), "USAGE"),
        (("create", "FILE", "--every", "0s"), "INTERVAL_INVALID"),
        (("create", "FILE", "--every", "1h", "--start", "yesterday"), "TIME_INVALID"),
        (("create", "FILE", "--every", "1h", "--arg", "night=1"), "ARGUMENT_UNKNOWN"),
        (("create", "FILE", "--cron", "99 * * * *"), "CRON_INVALID"),
        (("create", "FILE", "--cron", "0 0 30 2 *"), "CRON_NEVER_DUE"),
        (("create", "FILE", "--cron", "0 9 * * *", "--time-zone", "Mars/Olympus"), "TIME_ZONE_UNKNOWN"),
        (("preview", "--cron", "0 9 * *"), "CRON_INVALID"),
        (("edit", "nobody", "--name", "x"), "RECURRING_RUN_NOT_FOUND"),
        (("get", "00000000-0000-0000-0000-000000000000"), "NOT_FOUND"),
        (("delete", "nobody"), "RECURRING_RUN_NOT_FOUND"),
    ],
)
def test_what_cannot_be_right_is_refused(home: Path, file: Path, words: tuple[str, ...], code: str) -> None:
    done = headrace("recurring-runs", *(file if word == "FILE" else word for word in words), home=home)
    assert (done.status, f"[{code}]" in done.err) == (2, True), done.err
    assert "Traceback" not in done.err
    assert headrace("recurring-runs", "list", home=home).out == "No recurring runs.\n"


def test_without_a_server_it_says_that_no_runs_are_made(home: Path, file: Path) -> None:
    made = headrace("recurring-runs", "create", file, "--every", "1h", home=home)
    assert made.status == 0
    assert "headrace up" in made.err
