"""Planted faults: the format of `faults/ROOM.toml`, and how a fault is put into the source.

A fault is found in its file by text, so it outlives code that moves within the file. `old` must occur there exactly
once. One line is a fragment: it may be a part of a line. Several lines are whole lines, and their common indentation
does not matter.
"""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FAULTS = HERE / "faults"
#: Kind of suite -> how long it may take with one fault, in seconds.
LIMITS_S = {"histories": 1200.0, "pytest": 240.0, "vitest": 240.0}
_KEYS = {"name", "breaks", "suite", "file", "old", "new", "limit_s", "edits"}


class Stale(Exception):
    """The fault does not fit the source: its file is gone, or its text is not there exactly once."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One text of one file that becomes another."""

    #: Path below the repository's root.
    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One planted fault."""

    name: str
    #: Name of the TOML file, without its ending.
    room: str
    #: What no longer holds with this fault, as a sentence.
    breaks: str
    #: First the kind (`histories`, `pytest` or `vitest`), then the arguments of the command.
    suite: tuple[str, ...]
    edits: tuple[Edit, ...]
    #: Longest time of the suite, in seconds. A suite that takes longer has not found the fault.
    limit_s: float


def read_faults(folder: Path = FAULTS) -> list[Fault]:
    """All faults of all rooms, in the order of their files. Raises ValueError for a file that is not in the format."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        found += [_fault(path, raw) for raw in tomllib.loads(path.read_text())["fault"]]
    names = [fault.name for fault in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two faults have the same name: {', '.join(sorted(twice))}")
    return found


def _fault(path: Path, raw: dict[str, Any]) -> Fault:
    where = f"{path.name}: {raw.get('name', 'a fault without a name')}"
    if unknown := set(raw) - _KEYS:
        raise ValueError(f"{where}: unknown keys {sorted(unknown)}; a fault has {sorted(_KEYS)}")
    edits = raw.get("edits") or [{key: raw[key] for key in ("file", "old", "new") if key in raw}]
    suite = tuple(shlex.split(raw.get("suite", "")))
    if not suite or suite[0] not in LIMITS_S or (len(suite) < 2 and suite[0] != "histories"):
        raise ValueError(f"{where}: suite must be `histories`, `pytest PATH ...` or `vitest PATH ...`")
    try:
        return Fault(
            name=raw["name"], room=path.stem, breaks=raw["breaks"], suite=suite,
            edits=tuple(Edit(**edit) for edit in edits), limit_s=float(raw.get("limit_s", LIMITS_S[suite[0]])),
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise ValueError(f"{where}: it needs name, breaks, suite, file, old and new ({error})") from None


def changed_files(fault: Fault, root: Path = ROOT) -> dict[str, tuple[str, str]]:
    """File -> its text below `root`, and the text with the fault. Raises Stale."""
    texts: dict[str, tuple[str, str]] = {}
    for edit in fault.edits:
        if edit.file not in texts:
            try:
                texts[edit.file] = ((root / edit.file).read_text(),) * 2
            except FileNotFoundError:
                raise Stale(f"{fault.name}: there is no file {edit.file}") from None
        before, now = texts[edit.file]
        texts[edit.file] = before, _edited(fault, edit, now)
    return texts


def _edited(fault: Fault, edit: Edit, text: str) -> str:
    if "\n" not in edit.old.strip("\n"):
        old = edit.old.strip("\n")
        count, edited = text.count(old), text.replace(old, edit.new.strip("\n"))
    else:
        count, edited = _with_lines(edit, text.splitlines())
    if count != 1:
        raise Stale(f"{fault.name}: {edit.file} has this text {count} times, not once:\n{edit.old}")
    return edited


def _with_lines(edit: Edit, lines: list[str]) -> tuple[int, str]:
    """How often the lines occur, at whatever indentation, and the text with the last of these places changed."""
    old = edit.old.strip("\n").splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in old if line.strip())
    wanted = [line[margin:] for line in old]
    instead = [line[margin:] for line in edit.new.strip("\n").splitlines()]
    found, edited = 0, ""
    for at in range(len(lines) - len(old) + 1):
        indent = _indent(lines[at], wanted[0])
        if indent is not None and lines[at : at + len(old)] == _indented(wanted, indent):
            found += 1
            edited = "\n".join([*lines[:at], *_indented(instead, indent), *lines[at + len(old) :]]) + "\n"
    return found, edited


def _indent(line: str, wanted: str) -> str | None:
    indent = line.removesuffix(wanted)
    return indent if line.endswith(wanted) and not indent.strip() else None


def _indented(lines: list[str], indent: str) -> list[str]:
    return [indent + line if line.strip() else "" for line in lines]
