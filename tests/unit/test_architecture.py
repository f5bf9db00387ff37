"""ARCHITECTURE.md is what the code is: its picture, and every path and name that it mentions."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import architecture
from architecture import PACKAGE, PAGE, ROOT

#: `path: name, name` in backquotes: a file with names that it defines, or a path alone.
_MENTIONS = re.compile(r"`([\w./{},*-]+?(?:/|\.\w+))(?:: ([\w., ]+))?`")
#: Paths of a user's machine or of the API, and files of other kinds, that are not files of the repository.
_NOT_OURS = re.compile(r"^/|^executor_output\.json$")


def test_the_picture_and_the_table_of_rooms_are_those_of_the_code() -> None:
    assert architecture.written() == architecture.generated(), "Run: .venv/bin/python tests/architecture.py"


def test_every_room_has_a_row() -> None:
    assert {room for row in architecture.rows() for room in row} == set(architecture.modules())


def test_an_import_that_follows_from_others_is_left_out_of_the_picture() -> None:
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert architecture.reduced(graph) == {"a": {"b"}, "b": {"c"}, "c": set()}


def mentions_in(text: str) -> list[tuple[str, str]]:
    """Every path that a text mentions, with the names in it."""
    found = [(path, names or "") for path, names in _MENTIONS.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))]
    return [(path, names) for path, names in found if not _NOT_OURS.search(path)]


def mentions() -> list[tuple[str, str]]:
    """Those of the page, without its generated part."""
    return mentions_in(PAGE.read_text().replace(architecture.written(), ""))


def files_of(path: str) -> list[Path]:
    """The files or folders that a path means: from the root, or from the package; `{a,b}` means both."""
    if group := re.search(r"\{([^}]*)\}", path):
        options = [path[: group.start()] + one + path[group.end() :] for one in group[1].split(",")]
        each = [files_of(one) for one in options]
        return [file for files in each for file in files] if all(each) else []
    return [where / path for where in (ROOT, PACKAGE) if (where / path).exists()]


@cache
def names_in(path: Path) -> set[str]:
    """What a module defines: functions, classes, methods (`Class.method`) and constants."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{one.name}"
                for one in node.body
                if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            }
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize(("path", "names"), sorted(set(mentions())))
def test_what_the_page_mentions_exists(path: str, names: str) -> None:
    files = files_of(path)
    assert files, f"ARCHITECTURE.md mentions {path}, which does not exist"
    if names and files[0].suffix == ".py":
        missing = {name.strip() for name in names.split(",")} - names_in(files[0])
        assert not missing, f"{path} has no {', '.join(sorted(missing))}"


def test_the_page_mentions_functions() -> None:
    assert len([names for _, names in mentions() if names]) > 20
