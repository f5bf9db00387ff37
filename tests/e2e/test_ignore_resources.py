"""A pipeline that asks for more than any machine has: refused by itself, run when the user says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

PIPELINE = """
from headrace import dsl

@dsl.component
def small() -> int:
    return 1

@dsl.pipeline
def large():
    small().set_cpu_limit("4000").set_memory_limit("9000Gi").set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(8)
"""


@pytest.mark.parametrize("way", ["not at all", "option", "variable"])
def test_requests_beyond_the_machine(tmp_path: Path, way: str) -> None:
    (tmp_path / "large.py").write_text(PIPELINE)
    words = [sys.executable, "-m", "headrace.cli.main", "run", "large.py", "--home", str(tmp_path / "home")]
    done = subprocess.run(
        [*words, *(["--ignore-resources"] if way == "option" else [])],
        cwd=tmp_path,
        env={**os.environ, **({"HEADRACE_IGNORE_RESOURCES": "1"} if way == "variable" else {})},
        capture_output=True,
        text=True,
    )
    if way == "not at all":
        assert done.returncode == 1
        assert "DOES_NOT_FIT" in done.stdout
        assert "--ignore-resources" in done.stdout
    else:
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_server_in_the_background_ignores_them_too(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text(PIPELINE)
    home = str(tmp_path / "home")
    words = [sys.executable, "-m", "headrace.cli.main"]
    started = subprocess.run(
        [*words, "run", "large.py", "--no-wait", "--ignore-resources", "--home", home],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert started.returncode == 0, started.stderr
    state = ""
    deadline = time.monotonic() + 60
    while state not in ("SUCCEEDED", "FAILED") and time.monotonic() < deadline:
        shown = subprocess.run(
            [*words, "runs", "get", "last", "--json", "--home", home], capture_output=True, text=True
        )
        state = json.loads(shown.stdout)["run"]["state"] if shown.returncode == 0 else ""
    assert state == "SUCCEEDED"
