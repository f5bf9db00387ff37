"""What type checkers say about a user's pipeline file."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

USER_FILE = Path(__file__).with_name("user_pipeline.py")
REVEALED = ["str", "list[int]", "int", "list[str]", "str", "str"]


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", *command], capture_output=True, text=True, cwd=folder, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_strict(tmp_path: Path) -> None:
    said = run("mypy", "--strict", "--python-version", "3.11", str(USER_FILE), folder=tmp_path)
    assert "error:" not in said, said
    found = re.findall(r'Revealed type is "(?:builtins\.)?(.+)"', said)
    assert [one.replace("builtins.", "") for one in found] == REVEALED


@pytest.mark.slow
def test_pyright(tmp_path: Path) -> None:
    said = run("pyright", "--pythonpath", sys.executable, str(USER_FILE), folder=tmp_path)
    assert "0 errors" in said, said
    assert re.findall(r'Type of ".+" is "(.+)"', said) == REVEALED


@pytest.mark.slow
def test_mypy_finds_what_is_wrong(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from headrace import dsl\n"
        "@dsl.component\n"
        "def text(x: str) -> str:\n"
        "    return x\n"
        "@dsl.pipeline\n"
        "def main() -> int:\n"
        "    task = text(x='a').set_cpu_limits('1')\n"
        "    return text(x='a').output\n",
        "utf-8",
    )
    said = run("mypy", "--strict", str(wrong), folder=tmp_path)
    assert "set_cpu_limits" in said
    assert 'got "str", expected "int"' in said


def test_the_file_also_compiles() -> None:
    main = runpy.run_path(str(USER_FILE))["main"]
    assert "read-2" in main.documents()[0]["root"]["dag"]["tasks"]
