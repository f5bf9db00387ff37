"""What mypy --strict and pyright say of users' files: nothing about right ones, each mistake in wrong ones."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import EXAMPLES, ROOT
from headrace import dsl

USERS = ROOT / "tests" / "typing"
#: Written for kfp, on purpose: kfp has no types.
NOT_OURS = {"stock_kfp.py"}
RIGHT = [USERS / "ordinary.py", *(path for path in sorted(EXAMPLES.glob("*.py")) if path.name not in NOT_OURS)]
MISTAKES = USERS / "mistakes.py"
#: Packages of tasks need not be installed where a pipeline is checked.
_PYRIGHT = '{"typeCheckingMode": "standard", "reportMissingImports": "none", "enableTypeIgnoreComments": false}'

Errors = dict[tuple[str, int], str]


def mypy(files: list[Path], folder: Path) -> Errors:
    options = ["--strict", "--python-version", "3.11", "--disable-error-code", "import-not-found", "--no-error-summary"]
    return _errors([sys.executable, "-m", "mypy", *options, *map(str, files)], folder, r"(.+?):(\d+): error: (.*)")


def pyright(files: list[Path], folder: Path) -> Errors:
    (folder / "pyrightconfig.json").write_text(_PYRIGHT)
    words = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(folder)]
    for file in files:
        (folder / file.name).write_text(file.read_text())
    return _errors(words, folder, r"\s*(.+?):(\d+):\d+ - error: (.*)")


def _errors(words: list[str], folder: Path, form: str) -> Errors:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: Errors = {}
    for line in done.stdout.splitlines():
        if match := re.match(form, line):
            place = (Path(match[1]).name, int(match[2]))
            found[place] = f"{found.get(place, '')} {match[3]}"
    assert bool(found) == bool(done.returncode), done.stdout + done.stderr
    return found


CHECKERS = pytest.mark.parametrize("check", [mypy, pyright], ids=["mypy", "pyright"])


@pytest.mark.slow
@CHECKERS
def test_nothing_is_said_about_what_is_right(check: Callable[[list[Path], Path], Errors], tmp_path: Path) -> None:
    assert check(RIGHT, tmp_path) == {}


@pytest.mark.slow
@CHECKERS
def test_each_mistake_is_found(check: Callable[[list[Path], Path], Errors], tmp_path: Path) -> None:
    marked = {
        (MISTAKES.name, number): line.split("# wrong: ")[1]
        for number, line in enumerate(MISTAKES.read_text().splitlines(), 1)
        if "# wrong: " in line
    }
    found = check([MISTAKES], tmp_path)
    assert sorted(found) == sorted(marked)
    assert {place: found[place] for place, about in marked.items() if about not in found[place]} == {}


def test_right_files_have_no_ignores() -> None:
    assert [path.name for path in RIGHT if "type: ignore" in path.read_text()] == []


def test_the_ordinary_file_compiles() -> None:
    names = runpy.run_path(str(USERS / "ordinary.py"))
    assert isinstance(names["ordinary"], dsl.GraphComponent)
    assert list(names["ordinary"].documents()[0]["root"]["dag"]["tasks"]) == [
        "exit-handler-1",
        "importer",
        "train-2",
        "report",
    ]
