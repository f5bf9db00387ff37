"""Where the source that a component ships stands in the files of its author, so that a failure names these.

What the compiler writes is the same as KFP's, so this is kept beside it, in this process.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

#: Sources that are remembered; the oldest is forgotten first.
_MOST = 10_000


class CodePlace(NamedTuple):
    """Lines of a shipped source that are lines of a file."""

    #: The first of them in the source, from 1, and how many they are.
    row: int
    rows: int
    #: The file, or the cell of a notebook (`Cell In[3]`), and the line there.
    file: str
    line: int


_known: dict[str, tuple[CodePlace, ...]] = {}


def remember(source: str, places: list[CodePlace]) -> None:
    """Keep where the lines of a shipped source come from."""
    if len(_known) >= _MOST:
        del _known[next(iter(_known))]
    _known[source] = tuple(places)


def places_of(source: str) -> tuple[CodePlace, ...]:
    """Where the lines of a shipped source come from; nothing when no component of this process ships it."""
    return _known.get(source, ())


def place_of(func: Callable[..., Any], *, row: int, text: str, left_out: int) -> CodePlace | None:
    """The place of a function whose text begins at `row` of a source, without its first `left_out` lines."""
    code = getattr(inspect.unwrap(func), "__code__", None)
    if code is None:
        return None
    rows = text.rstrip("\n").count("\n") + 1
    return CodePlace(row, rows, shown_file(code.co_filename), code.co_firstlineno + left_out)


def shown_file(file: str) -> str:
    """The file as its author knows it: absolute, and for a cell of a notebook its number, as IPython shows it."""
    if (cell := _cell(file)) is not None:
        return cell
    try:
        found = str(Path(file).absolute()) if Path(file).exists() else file
    except (OSError, ValueError):  # the current directory is gone, or no path at all
        found = file
    # In the encoding of files, whatever locale this process has.
    return os.fsencode(found).decode("utf-8", "replace")


def _cell(file: str) -> str | None:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", None)
    named = name_of(file) if name_of is not None else None
    return " ".join(named) if named else None
