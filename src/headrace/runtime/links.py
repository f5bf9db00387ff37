"""Symbolic links among a task's outputs, replaced by what they lead to, while the task's own file system is at hand."""

from __future__ import annotations

import os


def replace_links(path: str) -> None:
    """Replace each link at or below `path` by a copy of what it leads to. Broken links and circles are left."""
    _replaced(path, ())


def _replaced(path: str, around: tuple[str, ...]) -> None:
    if os.path.islink(path):  # noqa: PTH114
        target = os.path.realpath(path)
        if not os.path.exists(target) or any(one == target or one.startswith(f"{target}/") for one in around):  # noqa: PTH110
            return
        _copy(target, path)
    if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
        inside = (*around, os.path.realpath(path))
        with os.scandir(path) as entries:
            found = [entry.path for entry in entries if entry.is_symlink() or entry.is_dir(follow_symlinks=False)]
        for one in found:
            _replaced(one, inside)


def _copy(target: str, link: str) -> None:
    import shutil

    part = f"{link}.headrace-part"
    if os.path.isdir(target):  # noqa: PTH112
        shutil.copytree(target, part, symlinks=True, ignore_dangling_symlinks=True)
        _absolute_links(part, target)
        os.unlink(link)  # noqa: PTH108
    else:
        shutil.copy(target, part)
    os.rename(part, link)  # noqa: PTH104


def _absolute_links(copied: str, original: str) -> None:
    """Links of a copied folder still lead where the original's do."""
    for folder, folders, files in os.walk(copied):
        for name in [*folders, *files]:
            path = f"{folder}/{name}"
            if os.path.islink(path):  # noqa: PTH114
                there = f"{original}{folder[len(copied) :]}/{name}"
                os.unlink(path)  # noqa: PTH108
                os.symlink(os.path.realpath(there), path)  # noqa: PTH211
