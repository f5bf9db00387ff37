"""The content of a file or directory: checked, hashed and made durable, without following symbolic links.

A directory is described by its manifest, one line a file in the order of the names' bytes:

    <sha256> <size> <name>

with `\\` and line breaks in names escaped, and a line `- 0 <name>/` for each directory without entries. The digest of
a directory is that of its manifest, so the manifest proves itself, and each file by it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import cache
from pathlib import Path

import msgspec

from headrace.artifacts.port import Corrupt, NotStorable
from headrace.threads import check_canceled

CHUNK = 1 << 20
#: Files in a directory from which on they are written through together.
_MANY = 64
_ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n"}


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at a path."""

    digest: str
    size_bytes: int
    is_directory: bool
    #: Of a directory.
    manifest: bytes = b""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a manifest. Names as Python has them: bytes that are no UTF-8 are surrogates."""

    name: str
    digest: str
    size_bytes: int

    @property
    def is_directory(self) -> bool:
        """Whether it stands for a directory without entries."""
        return self.name.endswith("/")


def examine(path: Path) -> Content:
    """Hash a file, or every file of a directory, and write it through to the disk."""
    kind = checked_kind(path)
    if kind == "file":
        digest, size = _file(path)
        return Content(digest=digest, size_bytes=size, is_directory=False)
    found = list(walk(path))
    # One by one they wait for the disk thousands of times; all at once, together with what others have written.
    at_once = len(found) > _MANY and _can_sync_at_once()
    entries = [
        Entry(name=name, digest="", size_bytes=0) if name.endswith("/") else _entry(name, *_file(file, not at_once))
        for name, file in found
    ]
    if at_once:
        _sync_file_system(path)
    return described(entries)


def _can_sync_at_once() -> bool:
    return hasattr(_libc(), "syncfs")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _sync_file_system(path: Path) -> None:
    """Write through all that has been written to the file system of a directory (`syncfs(2)`)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc().syncfs(descriptor) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(path))
    finally:
        os.close(descriptor)


def described(entries: Iterable[Entry]) -> Content:
    """The directory that these entries make up."""
    entries = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    manifest = b"".join(_line(entry) for entry in entries)
    return Content(
        digest=hashlib.sha256(manifest).hexdigest(),
        size_bytes=sum(entry.size_bytes for entry in entries),
        is_directory=True,
        manifest=manifest,
    )


def checked_kind(path: Path) -> str:
    """`file` or `directory`; refuses all else."""
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    kind = kind_name(mode)
    raise NotStorable(f"{path.name!r} is a {kind}; an artifact is a file or a directory of files.{way_out(kind)}")


def _entry(name: str, digest: str, size: int) -> Entry:
    return Entry(name=name, digest=digest, size_bytes=size)


def _line(entry: Entry) -> bytes:
    name = os.fsencode(entry.name)
    for plain, escaped in _ESCAPES.items():
        name = name.replace(plain, escaped)
    return f"{entry.digest or '-'} {entry.size_bytes} ".encode() + name + b"\n"


def read_manifest(manifest: bytes, digest: str = "") -> tuple[Entry, ...]:
    """Its entries, checked against the digest of the directory. Raises Corrupt."""
    if digest and hashlib.sha256(manifest).hexdigest() != digest:
        raise Corrupt("the list of the directory's files is not the one that was recorded.")
    try:
        return tuple(_read_line(line) for line in manifest.split(b"\n") if line)
    except ValueError as error:
        raise Corrupt(f"the list of the directory's files cannot be read: {error}.") from error


def _read_line(line: bytes) -> Entry:
    digest, size, escaped = line.split(b" ", 2)
    name = os.fsdecode(_unescaped(escaped))
    if any(part in ("", ".", "..") for part in name.removesuffix("/").split("/")) or "\0" in name:
        raise ValueError(f"{name!r} leads outside")
    return Entry(name=name, digest="" if digest == b"-" else digest.decode("ascii"), size_bytes=int(size))


def _unescaped(name: bytes) -> bytes:
    return b"\\".join(part.replace(b"\\n", b"\n") for part in name.split(b"\\\\"))


def walk(path: Path) -> Iterator[tuple[str, Path]]:
    """`(name, path)` of each file below a directory, sorted by name; refuses what is neither a file nor a directory.

    A directory without entries is there too, with a name that ends in `/`.
    """
    yield from sorted(_walk(path, ""), key=lambda found: os.fsencode(found[0]))


def _walk(path: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    empty = True
    with os.scandir(path) as entries:
        for entry in entries:
            empty = False
            check_canceled()
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                yield name, Path(entry.path)
            else:
                kind = kind_name(entry.stat(follow_symlinks=False).st_mode)
                message = f"{name!r} in the directory is a {kind}; an artifact holds only files and directories."
                raise NotStorable(message + way_out(kind))
    if empty and prefix:
        yield prefix, path


def way_out(kind: str) -> str:
    """How to store what is of this kind, as a sentence after a space; "" when there is no way."""
    if kind != "symbolic link":
        return ""
    return " What it leads to is not among the task's files: copy that in the task (cp -L), then run it again."


def open_file(path: Path) -> int:
    """A descriptor of a regular file; no link is followed."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _file(path: Path, sync: bool = True) -> tuple[str, int]:
    with os.fdopen(open_file(path), "rb") as file:
        digest = hashlib.sha256()
        size = 0
        while chunk := file.read(CHUNK):
            check_canceled()
            digest.update(chunk)
            size += len(chunk)
        if sync:
            os.fsync(file.fileno())
    return digest.hexdigest(), size


def sync_directory(path: Path) -> None:
    """Write a directory's entries through to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_durably(directory: Path, mode: int = 0o777) -> None:
    """Make a directory, and those above it, so that they are there after a power loss."""
    if directory.is_dir():
        return
    make_durably(directory.parent)
    directory.mkdir(mode=mode, exist_ok=True)
    sync_directory(directory.parent)


def shown(name: str) -> str:
    """A file name as UTF-8 can say it."""
    return os.fsencode(name).decode("utf-8", "replace")


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


async def verified(chunks: AsyncIterator[bytes], digest: str) -> AsyncIterator[bytes]:
    """The chunks, of which the last is held back until all are known to be what was recorded. Raises Corrupt."""
    found = hashlib.sha256()
    held: bytes | None = None
    async for chunk in chunks:
        if held is not None:
            yield held
        found.update(chunk)
        held = chunk
    if found.hexdigest() != digest:
        raise altered(digest, found.hexdigest())
    if held is not None:
        yield held


def altered(recorded: str, found: str) -> Corrupt:
    """The content is another than was recorded."""
    return Corrupt(
        f"its content has the sha256 {found[:12]}…, but {recorded[:12]}… was recorded: it was altered since."
    )
