"""Program texts by name. Each defines `main`, and `OPTIONS` for the compiler where it needs some."""

from __future__ import annotations

import re
from pathlib import Path

_TITLE = re.compile(r"^### (.+)$", re.M)


def _programs() -> dict[str, str]:
    """Every `### name` begins a program; what stands before a file's first one belongs to each of them."""
    found: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob("*.txt")):
        shared, *parts = _TITLE.split(path.read_text("utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            key = f"{path.stem}: {name}"
            assert key not in found, key
            found[key] = shared + text
    return found


PROGRAMS = _programs()
