"""Completion as a real shell asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import environment, headrace

pytestmark = pytest.mark.slow

#: Types the words as a person would, and prints what bash offers.
SCRIPT = """
eval "$(headrace completion bash)"
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMPREPLY=()
_headrace_completion headrace
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def offered(home: Path, words: str) -> list[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = SCRIPT.format(words=words)
    done = subprocess.run(
        ["bash", "-c", script], env=environment(home, {"PATH": path}), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("headrace rec", ["recurring-runs"]),
        ("headrace lo", ["logs"]),
        ("headrace recurring-runs e", ["edit", "enable", "explain"]),
        ("headrace recurring-runs create --ev", ["--every"]),
        ("headrace recurring-runs create --at-limit s", ["skip"]),
        ("headrace nothing-of-ours", []),
    ],
)
def test_bash_offers(home: Path, words: str, expected: list[str]) -> None:
    assert offered(home, words) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(home: Path, shell: str) -> None:
    done = headrace("completion", shell, home=home)
    assert (done.status, "_HEADRACE_COMPLETE" in done.out) == (0, True)


def test_another_shell_is_refused(home: Path) -> None:
    done = headrace("completion", "tcsh", home=home)
    assert (done.status, "'bash', 'zsh', 'fish'" in done.err) == (2, True)
