"""What the tutorial says is what happens."""

from __future__ import annotations

import re
from pathlib import Path

from harness import ROOT, headrace

TUTORIAL = ROOT / "docs" / "tutorials" / "first-pipeline.md"
README = ROOT / "README.md"


def python_of(page: Path) -> str:
    """The page's first Python block."""
    found = re.search(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert found, page
    return found[1]


def test_the_tutorial(home: Path, tmp_path: Path):
    file = tmp_path / "first.py"
    file.write_text(python_of(TUTORIAL))
    first = headrace("run", file, "--arg", "count=5000", home=home)
    assert first.status == 0, first
    assert "average  mean" in first.out
    again = headrace("run", file, "--arg", "count=5000", home=home)
    assert again.out.count("cached") == 2
    assert headrace("run", file, "--arg", "count=many", home=home).status == 2
    assert "the mean of 5000 points" in headrace("runs", "logs", home=home).out
    file.write_text(
        python_of(TUTORIAL).replace('    print(f"the mean', '    raise ValueError("no points")\n    print(f"the mean')
    )
    broken = headrace("run", file, "--arg", "count=5000", home=home)
    assert broken.status == 1
    assert "ValueError: no points" in broken.out
    assert "cached" in broken.out


def test_the_readme(home: Path, tmp_path: Path):
    file = tmp_path / "hello.py"
    file.write_text(python_of(README))
    answer = headrace("run", file, "--arg", "name=Ada", home=home)
    assert answer.status == 0, answer
    assert "Hello, Ada!" in answer.out
