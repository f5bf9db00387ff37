"""Symbolic links among what a task has made, replaced by what they lead to.

A store keeps files and folders only. Our runtime follows every link, as the task, in the task's own file system. Where
there is no runtime (the command of a container), the server follows only links that stay within the attempt's own
files: one that leaves them means another place there than on the server's machine. So it is left, and the store refuses
it.
"""

from __future__ import annotations

import os


def replace_links(path: str, within: str = "") -> None:
    """Replace each link at or below `path` by a copy of what it leads to. Raises OSError.

    Broken links and circles are left, and with `within` links that lead to something outside that folder.
    """
    _replaced(path, os.path.realpath(within) if within else "", ())


def _replaced(path: str, within: str, around: tuple[str, ...]) -> None:
    """`around`: the folders that the path lies in, also those that were copied to where it lies."""
    if os.path.islink(path):  # noqa: PTH114
        target = os.path.realpath(path)
        if not _is_followed(target, within, around):
            return
        _copy(target, path)
        around = (*around, target)
    if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
        inside = (*around, os.path.realpath(path))
        with os.scandir(path) as entries:
            found = [entry.path for entry in entries if entry.is_symlink() or entry.is_dir(follow_symlinks=False)]
        for one in found:
            _replaced(one, within, inside)


def _is_followed(target: str, within: str, around: tuple[str, ...]) -> bool:
    is_circle = any(one == target or one.startswith(f"{target}/") for one in around)
    is_inside = not within or target.startswith(f"{within}/")
    return is_inside and not is_circle and os.path.exists(target)  # noqa: PTH110


def _copy(target: str, link: str) -> None:
    import shutil

    part = f"{link}.headrace-part"
    if os.path.isdir(target):  # noqa: PTH112
        shutil.copytree(target, part, symlinks=True)
        _keep_targets(part, target)
        os.unlink(link)  # noqa: PTH108
    else:
        shutil.copy(target, part)
    os.rename(part, link)  # noqa: PTH104


def _keep_targets(copied: str, original: str) -> None:
    """Let links of a copied folder lead where those of the original do."""
    for folder, folders, files in os.walk(copied):
        for name in [*folders, *files]:
            path = f"{folder}/{name}"
            if os.path.islink(path):  # noqa: PTH114
                there = f"{original}{folder[len(copied) :]}/{name}"
                os.unlink(path)  # noqa: PTH108
                os.symlink(os.path.realpath(there), path)  # noqa: PTH211
