"""What a parent of warm starts compiles for its children."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: In an interpreter of its own: what is compiled stays there.
_PROGRAM = """
import sys
from headrace.runtime import attempt
source = sys.argv[1]
for _ in range(2):
    try:
        attempt.compile_ahead(source)
    except (OSError, ValueError, SyntaxError) as error:
        print(type(error).__name__)
print(len(attempt._compiled))
print(attempt._load(source, "give", "")())
"""


def _run(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    path.write_text(text)
    return subprocess.run([sys.executable, "-c", _PROGRAM, str(path)], capture_output=True, text=True)


def test_a_source_that_was_compiled_ahead_gives_the_same_function(tmp_path: Path) -> None:
    done = _run(tmp_path / "task.py", "def give():\n    return __file__.rpartition('/')[2]\n")
    assert done.stdout.splitlines() == ["1", "task.py"]
    assert done.stderr == ""


def test_a_source_with_a_warning_is_not_kept_so_that_each_attempt_warns_in_its_own_log(tmp_path: Path) -> None:
    done = _run(tmp_path / "task.py", "def give():\n    return 7 is 7\n")
    assert done.stdout.splitlines() == ["SyntaxError", "SyntaxError", "0", "True"]
    assert done.stderr.count('"is" with') == 1


@pytest.mark.parametrize("size", [1 << 17, 1 << 19])
def test_only_short_sources_are_kept(tmp_path: Path, size: int) -> None:
    done = _run(tmp_path / "task.py", f"def give():\n    return 7\n# {'x' * size}\n")
    assert done.stdout.splitlines() == ["1" if size < 1 << 18 else "0", "7"]
