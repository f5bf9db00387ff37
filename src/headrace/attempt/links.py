"""Symbolic links among what an attempt has made.

A store keeps files and folders only. A link that stays within the attempt's own files is replaced by a copy of what it
leads to. A link that leaves them means another place in a container than here, so it is left, and the store refuses it;
our runtime, which runs as the task, has replaced its own links before (`runtime.links`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

#: Links that lead to folders with links, and so on: so deep they are followed.
_DEPTH = 8


def replace_links(path: Path, *, within: Path) -> None:
    """Replace links at or below `path` that lead to content below `within` by that content. Raises OSError."""
    root = os.path.realpath(within)
    for _ in range(_DEPTH):
        found = [link for link in _links(str(path)) if _leads_inside(link, root)]
        if not found:
            return
        for link in found:
            _replace(link)


def _links(path: str) -> Iterator[str]:
    if os.path.islink(path):  # noqa: PTH114
        yield path
        return
    for folder, folders, files in os.walk(path):
        yield from (one for name in [*folders, *files] if os.path.islink(one := f"{folder}/{name}"))  # noqa: PTH114


def _leads_inside(link: str, root: str) -> bool:
    """Whether it leads to something there is below the root, and not to a folder that holds the link itself."""
    target = os.path.realpath(link)
    is_around = os.path.realpath(os.path.dirname(link)).startswith(f"{target}/") or target == os.path.dirname(link)  # noqa: PTH120
    return target.startswith(f"{root}/") and os.path.exists(target) and not is_around  # noqa: PTH110


def _replace(link: str) -> None:
    target, part = os.path.realpath(link), f"{link}.headrace-part"
    if os.path.isdir(target):  # noqa: PTH112
        shutil.copytree(target, part, symlinks=True)
        os.unlink(link)  # noqa: PTH108
    else:
        shutil.copy(target, part)
    os.rename(part, link)  # noqa: PTH104
