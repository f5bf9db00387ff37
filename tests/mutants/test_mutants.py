"""The planted faults still fit the source and name suites that exist. Three a day are planted here, all by `make mutants`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mutants.faults import FAULTS, ROOT, Fault, Stale, changed_files, read_faults
from mutants.hunt import Hunt

ALL = read_faults()
_FIRST = 3 * date.today().toordinal()
TODAY = [ALL[(_FIRST + n) % len(ALL)] for n in range(3)]
#: The room whose faults the histories find.
CORE = "engine"
#: How many faults there are at least outside of it.
OUTSIDE = 280
#: Every room with behaviour of its own has faults; `wire` holds only shapes.
ROOMS = {folder.name for folder in (ROOT / "src/headrace").iterdir() if any(folder.glob("*.py"))} - {"wire"} | {"ui"}


def test_there_are_enough_of_them_in_many_rooms_and_everywhere_in_the_core() -> None:
    files = {edit.file.removeprefix("src/headrace/") for fault in ALL for edit in fault.edits}
    assert sum(fault.room == CORE for fault in ALL) >= 110
    assert {fault.room for fault in ALL} >= ROOMS
    assert sum(fault.room != CORE for fault in ALL) >= OUTSIDE
    topics = ("attempts", "control", "endings", "groups", "lookups", "loops", "redo", "start", "transition")
    rules = ("commands", "conditions", "facts", "fingerprint", "index", "inputs", "outputs", "plan", "run")
    assert {f"engine/{name}.py" for name in (*topics, *rules)} <= files
    assert {"attempt/derive.py", "service/active.py", "store/runs.py"} <= files


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_a_planted_fault_fits_the_source(fault: Fault) -> None:
    """Where it does not: give it the text that the source has now, or remove it with the rule that it broke."""
    for file, (before, after) in changed_files(fault).items():
        assert after != before
        if file.endswith(".py"):
            compile(after, file, "exec")


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.name)
def test_a_planted_fault_names_a_suite_that_exists(fault: Fault) -> None:
    kind, *arguments = fault.suite
    folder = ROOT / "ui" if kind == "vitest" else ROOT
    paths = [argument.partition("::")[0] for argument in arguments if "/" in argument]
    assert kind == "histories" or paths
    for path in paths:
        assert (folder / path).exists(), f"{fault.name}: there is no {path}"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_faults_of_the_day_are_found() -> None:
    with Hunt.of(1) as hunt:
        missed = {fault.breaks: detail for fault, column, detail in hunt.run(TODAY) if column != "found"}
    assert missed == {}


# --- the format --------------------------------------------------------------------------------


def _read(folder: Path, old: str, new: str, text: str) -> str:
    (folder / "code.py").write_text(text)
    (folder / "room.toml").write_text(
        f"[[fault]]\nname = 'one'\nbreaks = 'it'\nsuite = 'pytest tests/unit'\nfile = 'code.py'\n"
        f"old = '''\n{old}'''\nnew = '''\n{new}'''\n"
    )
    (fault,) = read_faults(folder)
    return changed_files(fault, folder)["code.py"][1]


def test_one_line_is_a_fragment(tmp_path: Path) -> None:
    assert _read(tmp_path, "a > 1", "a >= 1", "if a > 1:\n    b()\n") == "if a >= 1:\n    b()\n"


def test_several_lines_are_found_at_any_indentation(tmp_path: Path) -> None:
    text = "class A:\n    def f():\n        if a:\n            b()\n        c()\n"
    found = _read(tmp_path, "if a:\n    b()\n", "if not a:\n    b()\n", text)
    assert found == "class A:\n    def f():\n        if not a:\n            b()\n        c()\n"


@pytest.mark.parametrize(
    ("old", "text"),
    [("a", "b\n"), ("a", "a\na\n"), ("a:\n    b\n", "a:\n        b\n"), ("a\nb\n", "a\nb\nc\n a\n b\n")],
    ids=["absent", "twice", "another shape", "lines twice"],
)
def test_a_text_that_is_not_there_once_is_stale(tmp_path: Path, old: str, text: str) -> None:
    with pytest.raises(Stale):
        _read(tmp_path, old, "x", text)


def test_a_fault_of_the_wrong_shape_is_refused(tmp_path: Path) -> None:
    (tmp_path / "room.toml").write_text("[[fault]]\nname = 'one'\nbreaks = 'it'\nsuite = 'make check'\n")
    with pytest.raises(ValueError, match="suite must be"):
        read_faults(tmp_path)


def test_every_room_of_faults_is_a_room_of_the_source() -> None:
    rooms = {path.stem for path in (ROOT / "src" / "headrace").iterdir()} | {"ui"}
    assert {path.stem for path in FAULTS.glob("*.toml")} <= rooms
