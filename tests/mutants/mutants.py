"""Faults planted in the core on purpose, to see that the simulation finds them. `make mutants` hunts them all.

Each `*.patch` beside this file is one fault: a line that says what it breaks, then a unified diff against `src`. A hunk
is found by its text, not by its line numbers, so that it outlives changes elsewhere in its file; when a hunk's own
lines change, the patch has to be written anew (edit the source, `git diff -U1`, undo), or dropped with its fault.

    mutants.py                   hunt them all; ends with 1 if one is not found or does not apply
    mutants.py NAME ...          only these
    mutants.py --refresh         write the patches' line numbers anew, after the source has moved
    mutants.py --histories N     how many histories each may take (2,000)
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HISTORIES = 2000
_HUNK = re.compile(r"^@@ -(\d+)")

_HUNT = """
import sys
import headrace
assert headrace.__file__.startswith(sys.argv[1]), headrace.__file__
from properties.test_histories import history
for seed in range(int(sys.argv[2])):
    try:
        history(seed)
    except BaseException as error:
        why = next(iter(str(error).splitlines()), "")
        print(seed, type(error).__name__, why[:150])
        break
else:
    print("-")
"""


class Stale(Exception):
    """The patch does not apply: the lines it changes are not there, or several times."""


@dataclass(frozen=True, kw_only=True)
class Hunk:
    """Lines of one file that become others."""

    file: str
    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One planted fault."""

    name: str
    breaks: str
    hunks: tuple[Hunk, ...]


def read(path: Path) -> Mutant:
    """A patch file."""
    breaks, *lines = path.read_text().splitlines()
    hunks: list[Hunk] = []
    file = ""
    for text in lines:
        if text.startswith("--- "):
            continue
        if text.startswith("+++ "):
            file = text[4:].removeprefix("b/")
        elif match := _HUNK.match(text):
            hunks.append(Hunk(file=file, line=int(match[1]), old=(), new=()))
        elif hunks and text[:1] in (" ", "-", "+", ""):
            last, body = hunks[-1], text[1:]
            old = last.old if text[:1] == "+" else (*last.old, body)
            new = last.new if text[:1] == "-" else (*last.new, body)
            hunks[-1] = Hunk(file=file, line=last.line, old=old, new=new)
    if not breaks.startswith("breaks: ") or not hunks:
        raise Stale(f"{path.name}: wants a line `breaks: ...` and a unified diff")
    return Mutant(name=path.stem, breaks=breaks.removeprefix("breaks: "), hunks=tuple(hunks))


def everyone() -> list[Mutant]:
    """All of them, by name."""
    return [read(path) for path in sorted(HERE.glob("*.patch"))]


def mutated(mutant: Mutant, root: Path) -> dict[str, tuple[str, str]]:
    """File -> its text as it is below `root`, and with the fault; raises Stale."""
    texts: dict[str, tuple[str, str]] = {}
    for hunk in mutant.hunks:
        before, now = texts.get(hunk.file) or (((root / hunk.file).read_text(),) * 2)
        texts[hunk.file] = before, _replaced(mutant, hunk, now)
    return texts


def _replaced(mutant: Mutant, hunk: Hunk, text: str) -> str:
    lines, size = text.splitlines(), len(hunk.old)
    places = [i for i in range(len(lines) - size + 1) if tuple(lines[i : i + size]) == hunk.old]
    if not places:
        raise Stale(f"{mutant.name}: {hunk.file} has no lines\n" + "\n".join(f"  | {line}" for line in hunk.old))
    at = min(places, key=lambda place: abs(place + 1 - hunk.line))
    return "\n".join([*lines[:at], *hunk.new, *lines[at + size :]]) + "\n"


def diff(mutant: Mutant, root: Path) -> str:
    """The patch file's text, with the line numbers of today."""
    parts = [f"breaks: {mutant.breaks}\n"]
    for file, (before, after) in mutated(mutant, root).items():
        lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
        parts += difflib.unified_diff(*lines, f"a/{file}", f"b/{file}", n=1)
    return "".join(parts)


def hunt(mutant: Mutant, histories: int = HISTORIES) -> str:
    """What the simulation says of a source with this fault: `SEED error`, or "" when it finds nothing."""
    with tempfile.TemporaryDirectory(prefix="headrace-mutant-") as place:
        copy = Path(place).resolve() / "src"
        ignore = shutil.ignore_patterns("static", "__pycache__")
        shutil.copytree(ROOT / "src" / "headrace", copy / "headrace", ignore=ignore)
        for file, (_, text) in mutated(mutant, ROOT).items():
            (copy.parent / file).write_text(text)
        done = subprocess.run(
            [sys.executable, "-c", _HUNT, str(copy), str(histories)],
            env={**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{ROOT / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=place, text=True, capture_output=True,
        )  # fmt: skip
    if done.returncode:
        return f"0 it does not even start: {done.stderr.strip().splitlines()[-1]}"
    found = done.stdout.strip()
    return "" if found == "-" else found


def main() -> int:
    parser = argparse.ArgumentParser(description="Hunt the faults that were planted in the core.")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--histories", type=int, default=HISTORIES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--refresh", action="store_true", help="write line numbers anew")
    options = parser.parse_args()
    chosen = [m for m in everyone() if not options.names or m.name in options.names]
    if options.refresh:
        return _refresh(chosen)
    if said := hunt(Mutant(name="none", breaks="nothing", hunks=()), 100):
        print(f"the source as it is does not live its histories: {said}")
        return 1
    survivors = 0
    with ThreadPoolExecutor(options.jobs) as threads:
        for mutant, said in zip(chosen, threads.map(lambda m: _told(m, options.histories), chosen), strict=True):
            survivors += not said.startswith("found")
            print(f"{mutant.name:34} {said}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} planted faults were found")
    return 1 if survivors else 0


def _told(mutant: Mutant, histories: int) -> str:
    try:
        said = hunt(mutant, histories)
    except Stale as stale:
        return f"DOES NOT APPLY: {stale}"
    seed, _, why = said.partition(" ")
    return f"found at seed {seed}: {why}" if said else f"NOT FOUND in {histories} histories: {mutant.breaks}"


def _refresh(mutants: list[Mutant]) -> int:
    stale = 0
    for mutant in mutants:
        try:
            (HERE / f"{mutant.name}.patch").write_text(diff(mutant, ROOT))
        except Stale as error:
            stale += 1
            print(f"DOES NOT APPLY: {error}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
