"""The example with a package of its own, for real: `headrace run`, and calls from Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from harness import EXAMPLES, attempts, environment, headrace

EXAMPLE = EXAMPLES / "own_code"


def test_the_example_runs_and_unpacks_its_package_once(home: Path, tmp_path: Path):
    answer = headrace("run", EXAMPLE / "own_code.py", "--arg", "count=4", home=home)
    assert answer.status == 0, answer
    assert "Output  4.14" in answer.out
    (folder,) = (home / "code").iterdir()
    assert (folder / "shop" / "prices.json").is_file()


def test_the_document_runs_far_from_the_project(home: Path, tmp_path: Path):
    shutil.copy(EXAMPLE / "own_code.yaml", tmp_path / "alone.yaml")
    answer = headrace("run", tmp_path / "alone.yaml", home=home)
    assert answer.status == 0, answer
    assert "Output  2.34" in answer.out


def test_a_changed_helper_is_not_taken_from_the_cache(home: Path, tmp_path: Path):
    shutil.copytree(EXAMPLE, tmp_path / "project")
    file = tmp_path / "project" / "own_code.py"
    first, second = (headrace("run", file, home=home) for _ in range(2))
    prices = tmp_path / "project" / "shop" / "prices.json"
    prices.write_text(prices.read_text().replace("0.75", "1.75"))
    third = headrace("run", file, home=home)
    assert (first.status, second.status, third.status) == (0, 0, 0), third
    assert [len(attempts(home, answer.run_id)) for answer in (first, second, third)] == [2, 0, 2]
    assert "Output  2.34" in second.out
    assert "Output  4.14" in third.out


CALL = """
import sys
sys.path.insert(0, {folder!r})
from headrace import local
import own_code
for inline in (False, True):
    local.init(inline=inline, pipeline_root={root!r})
    print(own_code.own_code(count=2).output)
"""


def test_local_calls_in_processes_and_inline(home: Path, tmp_path: Path):
    program = CALL.format(folder=str(EXAMPLE), root=str(tmp_path / "root"))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line == "1.8"] == ["1.8", "1.8"]
