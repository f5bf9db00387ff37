"""A disk that fails under a running server: it says so, ends with a status of its own, and the next one goes on."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from harness import Server, until

pytestmark = pytest.mark.slow


def document() -> dict:
    from documents import one_task

    return one_task()


def test_the_server_ends_with_74_and_the_next_one_knows_all_that_was_acknowledged(home: Path, server: Server):
    kept = server.post("/apis/v2beta1/runs", {"display_name": "kept", "pipeline_spec": document()})["run_id"]
    server.finished(kept)
    process = server.process
    assert process is not None
    # Not "no room" (that passes, and is waited for): writing beyond this is an error of the file system.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    with pytest.raises(OSError):
        for _ in range(50):
            server.post("/apis/v2beta1/runs", {"display_name": "lost", "pipeline_spec": document()})
    until(lambda: process.poll() is not None, "the server ends")
    assert process.returncode == 74
    assert "DISK_FAILED" in server.output
    assert "start Headrace again" in server.output
    server.start()
    assert server.get(f"/api/runs/{kept}")["run"]["display_name"] == "kept"
    again = server.post("/apis/v2beta1/runs", {"display_name": "again", "pipeline_spec": document()})["run_id"]
    server.finished(again)
