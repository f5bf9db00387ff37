"""A request with an idempotency key makes one run, although the server dies between recording it and answering."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from e2e.recorded_starts import document, recorded_runs, state_of
from harness import FINAL, Server, failure_report, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def server(home: Path) -> Server:
    """A server that is started by its test, and killed."""
    home.mkdir()
    server = Server(home)
    yield server
    server.end()


def send(server: Server, body: dict[str, Any], key: str) -> str:
    """The id of the run that the answer names."""
    request = urllib.request.Request(
        server.url + "/api/runs",
        method="POST",
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {server.token}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        },
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return str(json.loads(reply.read())["run_id"])


@pytest.mark.parametrize(("point", "recorded"), [("create.before", 0), ("create.after", 1), ("acknowledge.before", 1)])
def test_killed_before_the_answer_the_request_sent_again_makes_no_second_run(
    server: Server, tmp_path: Path, point: str, recorded: int
):
    parameters = {"ledger": str(tmp_path / "ledger"), "hold": ""}
    body = {"document": document("chain", tmp_path), "parameters": parameters, "caching": False}
    key = str(uuid.uuid4())
    server.start(env={"HEADRACE_FAILPOINT": f"{point}:1"})
    with pytest.raises((OSError, urllib.error.URLError)):
        send(server, body, key)
    process = server.process
    assert process is not None
    until(lambda: process.poll() is not None, f"the server passes {point}")
    assert process.returncode == -9, server.output
    assert len(recorded_runs(server.home)) == recorded
    server.start()
    run_id = send(server, body, key)
    assert recorded_runs(server.home) == [run_id]
    assert send(server, body, key) == run_id
    until(lambda: state_of(server.home, run_id) in FINAL, lambda: failure_report(server.home), alive=server.process)
    assert recorded_runs(server.home) == [run_id]
