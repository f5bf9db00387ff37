"""A wheel from a clean clone has the web UI, or is not built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from uv import find_uv_bin

from harness import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that git has, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / "clone" / name)
    return tmp_path / "clone"


def built(clone: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [find_uv_bin(), "build", "--wheel", "--python", sys.executable, "--out-dir", str(clone / "dist")]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)


def test_a_wheel_of_a_clean_clone_holds_the_ui(clone: Path) -> None:
    assert not (clone / "src/headrace/server/static/index.html").exists()
    made = built(clone)
    assert made.returncode == 0, made.stderr
    (wheel,) = (clone / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "headrace/server/static/index.html" in names
    assert sum("/static/" in name for name in names) > 5


def test_without_npm_no_wheel_without_a_ui_is_built(clone: Path, tmp_path: Path) -> None:
    made = built(clone, PATH=str(tmp_path))
    assert made.returncode != 0
    assert "The web UI is not built, and npm is not there to build it. Install Node.js" in made.stderr
    assert not list(clone.glob("dist/*.whl"))
