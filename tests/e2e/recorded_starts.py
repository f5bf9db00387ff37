"""The five shapes of `pipelines/recorded_starts.py`, and what must be true of their runs whatever happened to the server."""

from __future__ import annotations

import hashlib
import json
import urllib.error
from pathlib import Path
from urllib.parse import unquote, urlsplit

from e2e.pipelines import recorded_starts as pipelines
from harness import Server, attempts, failure_report, processes_of, rows, until
from headrace.compiler import Compiler
from headrace.dsl.base_component import BaseComponent

SHAPES: dict[str, BaseComponent] = {
    "chain": pipelines.chain,
    "fan-out": pipelines.fan_out,
    "loop": pipelines.loop,
    "retry": pipelines.retry,
    "exit-handler": pipelines.exit_handler,
}
#: Tasks of each shape.
TASKS = {"chain": 3, "fan-out": 4, "loop": 4, "retry": 2, "exit-handler": 3}


def document(shape: str, scratch: Path) -> str:
    """The shape's document, as text."""
    path = scratch / f"{shape}.yaml"
    Compiler().compile(SHAPES[shape], str(path))
    return path.read_text()


def submit(server: Server, text: str, **parameters: str) -> str | None:
    """A run's id; None when the server died before it said so."""
    try:
        made = server.post("/api/runs", {"document": text, "parameters": parameters, "caching": False})
    except (OSError, urllib.error.URLError):
        return None
    return str(made["run_id"])


def recorded_runs(home: Path) -> list[str]:
    """Ids of all runs that are on record."""
    return [row["run_id"] for row in rows(home, "SELECT run_id FROM runs")]


def state_of(home: Path, run_id: str) -> str:
    """The run's state as recorded."""
    (row,) = rows(home, "SELECT state FROM runs WHERE run_id = ?", run_id)
    return str(row["state"])


def starts(ledger: Path) -> list[tuple[str, int]]:
    """`(execution id, number)` of each start of a task's code, in order."""
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return [(Path(line).parent.name, int(Path(line).name)) for line in lines]


def check_run(home: Path, run_id: str, ledger: Path, shape: str) -> None:
    """All of it happened, once: what is recorded, what user code wrote down and what is stored say the same."""
    told = failure_report(home)
    assert state_of(home, run_id) == "SUCCEEDED", told
    started = starts(ledger)
    assert len(started) == len(set(started)), f"an attempt's code was started twice: {started}\n{told}"
    made = {}
    for row in rows(home, "SELECT execution_id, body FROM executions WHERE run_id = ? AND kind = 'TASK'", run_id):
        made[row["execution_id"]] = json.loads(row["body"])
    assert len(made) == TASKS[shape], told
    known = {(name, one["number"]) for name, body in made.items() for one in body["attempts"]}
    assert set(started) <= known, f"code was started that nobody recorded\n{told}"
    for name, body in made.items():
        states = [one["state"] for one in body["attempts"]]
        assert states.count("SUCCEEDED") == 1 and states[-1] == "SUCCEEDED", told
        assert (name, body["attempts"][-1]["number"]) in started, told
        # A retry that the user asked for, and what was lost and said so: nothing ran more often than that.
        assert len(states) <= 1 + (shape == "retry") + body.get("lost_count", 0), told
    check_artifacts(home, run_id, TASKS[shape])


def check_artifacts(home: Path, run_id: str, count: int) -> None:
    """Every task has its artifact, whole."""
    found = rows(home, "SELECT * FROM artifacts WHERE run_id = ?", run_id)
    assert len(found) == count, failure_report(home)
    for row in found:
        content = Path(unquote(urlsplit(row["uri"]).path)).read_bytes()
        assert content, failure_report(home)
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (row["digest"], row["size_bytes"]), (
            failure_report(home)
        )


def check_canceled(home: Path, run_id: str, ledger: Path) -> None:
    """The run is over, nothing of it is left running, and no attempt was started twice."""
    assert state_of(home, run_id) == "CANCELED", failure_report(home)
    started = starts(ledger)
    assert len(started) == len(set(started)), f"an attempt's code was started twice: {started}\n{failure_report(home)}"
    until(lambda: not processes_of(home), lambda: f"no process is left: {processes_of(home)}\n{failure_report(home)}")


def running(home: Path, run_id: str) -> bool:
    """Whether any attempt of the run is recorded as running."""
    return any(one.state == "RUNNING" for one in attempts(home, run_id))
