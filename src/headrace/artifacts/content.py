"""The content of a file or directory: checked, hashed and made durable, without following symbolic links."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headrace.artifacts.port import NotStorable

_CHUNK = 1 << 20


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at a path."""

    digest: str
    size_bytes: int
    is_directory: bool


def examine(path: Path) -> Content:
    """Hash a file, or every file of a directory, and write it through to the disk."""
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        digest, size = _file(path)
        return Content(digest=digest, size_bytes=size, is_directory=False)
    if stat.S_ISDIR(mode):
        return _directory(path)
    raise NotStorable(f"{path.name!r} is a {kind_name(mode)}; an artifact is a file or a directory of files.")


def _directory(path: Path) -> Content:
    """A directory's digest is that of its manifest: one line a file, `<sha256> <size> <name>`, sorted by name."""
    manifest = hashlib.sha256()
    total = 0
    for name, file in walk(path):
        digest, size = _file(file)
        manifest.update(f"{digest} {size} ".encode() + os.fsencode(name) + b"\n")
        total += size
    return Content(digest=manifest.hexdigest(), size_bytes=total, is_directory=True)


def walk(path: Path) -> Iterator[tuple[str, Path]]:
    """`(name, path)` of each file below a directory, sorted by name; refuses what is no file or directory."""
    yield from sorted(_walk(path, ""), key=lambda found: found[0])


def _walk(path: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    with os.scandir(path) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                yield name, Path(entry.path)
            else:
                kind = kind_name(entry.stat(follow_symlinks=False).st_mode)
                raise NotStorable(
                    f"{name!r} in the directory is a {kind}; an artifact holds only files and directories."
                )


def _file(path: Path) -> tuple[str, int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        digest = hashlib.sha256()
        size = 0
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def sync_directory(path: Path) -> None:
    """Write a directory's entries through to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def kind_name(mode: int) -> str:
    """What a person calls a file of this mode."""
    for test, name in (
        (stat.S_ISLNK, "symbolic link"),
        (stat.S_ISFIFO, "named pipe"),
        (stat.S_ISSOCK, "socket"),
        (stat.S_ISBLK, "block device"),
        (stat.S_ISCHR, "character device"),
    ):
        if test(mode):
            return name
    return "special file"
