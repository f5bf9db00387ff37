"""The example in a folder of its own: its document is kept beside it, and depends on nothing but what is in the folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from golden.test_examples import compiled
from harness import EXAMPLES
from headrace.cli.main import call

EXAMPLE = EXAMPLES / "own_code"


def test_it_compiles_to_the_document_beside_it(tmp_path: Path, golden):
    golden(EXAMPLE / "own_code.yaml", compiled(EXAMPLE / "own_code.py", tmp_path))


def test_so_does_a_copy_elsewhere(tmp_path: Path):
    shutil.copytree(EXAMPLE, tmp_path / "copy", copy_function=shutil.copyfile)
    assert compiled(tmp_path / "copy" / "own_code.py", tmp_path) == (EXAMPLE / "own_code.yaml").read_text()


def test_nothing_is_wrong_with_it(capsys):
    assert call(["lint", str(EXAMPLE / "own_code.yaml")]) == 0
    assert "nothing wrong" in capsys.readouterr().out
