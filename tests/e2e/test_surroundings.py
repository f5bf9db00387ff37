"""What a login shell gives, and a daemon or a scheduler need not give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness import environment

PIPELINE = """
from headrace import dsl


@dsl.component(base_image="python:3.11")
def one() -> int:
    print("ä")
    return 1


@dsl.pipeline
def pipe() -> int:
    return one().output
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors(tmp_path: Path, closed: str) -> None:
    (tmp_path / "pipe.py").write_text(PIPELINE)
    words = f"{sys.executable} -m headrace.cli.main run pipe.py --no-cache {closed}"
    ended = subprocess.run(
        ["/bin/sh", "-c", words], cwd=tmp_path, env=environment(tmp_path / "home"), capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_a_locale_that_cannot_say_it_and_a_directory_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "bücher").mkdir()
    (tmp_path / "bücher" / "größe.py").write_text(PIPELINE)
    odd = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TMPDIR": "/nonexistent"}
    words = f"mkdir gone; cd gone; rmdir ../gone; umask 0777; exec {sys.executable} -m headrace.cli.main run --no-cache"
    ended = subprocess.run(
        ["/bin/sh", "-c", f"{words} '{tmp_path}/bücher/größe.py'"],
        cwd=tmp_path,
        env=environment(tmp_path / "home", odd),
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    assert b"[one] | \\xe4" in ended.stdout
