"""A pipeline that asks for more than any machine has: refused by itself, run when the user says so."""

from __future__ import annotations

import os
import subprocess
import sys
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
