"""The user's file, imported, and what it raised, told by the user's own lines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headrace.cli.errors import CliError
from headrace.cli.usercode import import_file


@pytest.fixture(autouse=True)
def nothing_of_the_files_stays_imported(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def a_file(tmp_path: Path, text: str, name: str = "mine.py") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def complaint(path: Path) -> CliError:
    with pytest.raises(CliError) as caught:
        import_file(path)
    return caught.value


def test_a_file_may_import_what_lies_beside_it(tmp_path):
    a_file(tmp_path, "VALUE = 7\n", "beside_it.py")
    assert import_file(a_file(tmp_path, "import beside_it\nvalue = beside_it.VALUE\n")).value == 7


def test_a_file_may_have_the_name_of_a_module_that_is_in_use(tmp_path):
    assert import_file(a_file(tmp_path, "here = True\n", "json.py")).here
    import json

    assert json.loads("1") == 1


def test_what_it_raises_is_told_without_our_own_lines(tmp_path):
    path = a_file(tmp_path, "def inner():\n    raise ValueError('no')\n\ninner()\n")
    error = complaint(path)
    assert error.code == "IMPORT_FAILED"
    assert error.where == f"{path}:2"
    assert error.story.splitlines()[-1] == "ValueError: no"
    assert "headrace" not in error.story and "importlib" not in error.story


def test_a_syntax_error_is_shown_where_it_is(tmp_path):
    path = a_file(tmp_path, "x = 1\ny = (\n")
    error = complaint(path)
    assert (error.code, error.where) == ("IMPORT_FAILED", f"{path}:2")
    assert error.story.splitlines() == ["y = (", "    ^"]


def test_ending_the_interpreter_is_no_way_out(tmp_path):
    path = a_file(tmp_path, "import sys\nsys.exit(0)\n")
    error = complaint(path)
    assert (error.code, error.where) == ("IMPORT_EXITED", f"{path}:2")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("kfp_missing_here", "pip install kfp_missing_here"), ("kfp.no_such", "from headrace import dsl")],
)
def test_a_missing_module_comes_with_the_way_to_get_it(tmp_path, name, hint):
    assert hint in complaint(a_file(tmp_path, f"import {name}\n")).fix


def test_null_bytes_and_no_utf8_are_told_too(tmp_path):
    path = tmp_path / "binary.py"
    path.write_bytes(b"\xff\xfe\x00\x00")
    assert complaint(path).code == "IMPORT_FAILED"
