"""Artifacts in a directory of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import re
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from headrace.artifacts.content import (
    Content,
    Entry,
    altered,
    examine,
    kind_name,
    make_durably,
    read_manifest,
    shown,
    sync_directory,
    verified,
    walk,
    way_out,
)
from headrace.artifacts.port import Corrupt, Member, NotStorable, NotStored, StoredContent
from headrace.artifacts.verified_paths import VerifiedPaths
from headrace.failpoints import failpoint

_PART = re.compile(r"[^/\0]+")
_CHUNK = 256 * 1024
#: Beside the artifacts of an attempt: the manifests of those that are directories.
_MANIFESTS = ".headrace"


class LocalStore:
    """Keeps each artifact at `<root>/<key>`; what comes from the same file system is moved, not copied.

    Content in the store is read-only: files and directories lose their write permission, and so does the
    directory that holds an attempt's artifacts. So tasks can be given them where they lie. (Permissions do not bind
    root; `fetch` finds out what root has altered.)
    """

    def __init__(self, root: Path, *, seal_directories: bool = True) -> None:
        """Without `seal_directories` only files lose it, so that a folder of one's own can be removed by hand."""
        self.root = root.absolute()
        self._seal_directories = seal_directories
        self._incoming = self.root / ".incoming"
        make_durably(self._incoming)
        self._verified = VerifiedPaths()

    # taking in --------------------------------------------------------------------------------

    def take(self, key: str, path: Path) -> StoredContent:
        """See the port."""
        target, incoming = self._at(key), self._incoming_of(key)
        if not os.path.lexists(path) and not os.path.lexists(incoming) and os.path.lexists(target):
            return self._stored(key, examine(target))
        try:
            failpoint("artifact.before")
            self._bring(path, incoming)
            failpoint("artifact.moved")
            _take_apart(incoming)
            content = examine(incoming)
            self._seal(incoming)
            self._publish(incoming, target, content)
            failpoint("artifact.after")
        except NotStorable:
            # A person can put it right: it stays what the attempt made.
            _give_back(incoming, path)
            raise
        except OSError:
            raise  # what was brought here is taken up again by the next try
        except Exception:
            _remove(incoming)
            raise
        self._verified.remember(target)
        return self._stored(key, content)

    def begun(self, key: str) -> bool:
        """See the port."""
        return os.path.lexists(self._incoming_of(key)) or os.path.lexists(self._at(key))

    def _stored(self, key: str, content: Content) -> StoredContent:
        return StoredContent(
            uri=self.uri(key), digest=content.digest, size_bytes=content.size_bytes, is_directory=content.is_directory
        )

    def _incoming_of(self, key: str) -> Path:
        """Follows from the key, so that a take that was cut off is taken up again where it was."""
        inside = self._at(key).relative_to(self.root)
        return self._incoming / inside.parts[0] / hashlib.sha256(os.fsencode(inside)).hexdigest()

    def _bring(self, path: Path, incoming: Path) -> None:
        """Move to a place of the store's own, which no process writes to by name; copy across file systems.

        What lies at `incoming` is always whole.
        """
        if os.path.lexists(incoming):
            return
        if path.is_symlink():
            kind = kind_name(path.lstat().st_mode)
            raise NotStorable(f"{path.name!r} is a {kind}; an artifact is a file or a directory.{way_out(kind)}")
        incoming.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.rename(incoming)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or a directory of the image's user
            part = incoming.with_suffix(".part")
            _remove(part)
            _copy(path, part)
            part.rename(incoming)
            _remove(path)

    def _seal(self, incoming: Path) -> None:
        """Take away the right to write, and write the directories through to the disk.

        The topmost directory keeps it for a moment: without it, a directory cannot be moved.
        """
        if not incoming.is_dir():
            _forbid_writing(incoming)
            return
        for directory, _, files in os.walk(incoming):
            for name in files:
                _forbid_writing(Path(directory, name))
            sync_directory(Path(directory))
            if directory != str(incoming) and self._seal_directories:
                _forbid_writing(Path(directory))

    def _publish(self, incoming: Path, target: Path, content: Content) -> None:
        self._make_parent(target)
        target.parent.chmod(0o755)
        try:
            if os.path.lexists(target):
                # A replacement cannot be atomic for a directory; no reader knows this key before `take` has returned.
                _remove(target)
            if content.is_directory:
                _write_durably(_manifest_of(target), content.manifest)
            incoming.rename(target)
            if content.is_directory and self._seal_directories:
                _forbid_writing(target)
            sync_directory(target.parent)
        finally:
            if self._seal_directories:
                target.parent.chmod(0o555)

    def _make_parent(self, target: Path) -> None:
        """Make the folder of a key, also below the folder of an attempt, which may not be written to any more."""
        above = next(one for one in target.parent.parents if one.is_dir())
        is_sealed = not target.parent.is_dir() and not above.stat().st_mode & 0o200
        if is_sealed:
            above.chmod(0o755)
        make_durably(target.parent)
        if is_sealed:
            above.chmod(0o555)

    # names ------------------------------------------------------------------------------------

    def uri(self, key: str) -> str:
        """The URI of the artifact under `key`."""
        return "file://" + quote(str(self._at(key)))

    def owns(self, uri: str) -> bool:
        """See the port."""
        parts = urlsplit(uri)
        path = Path(os.path.normpath(unquote(parts.path)))
        return parts.scheme == "file" and path != self.root and path.is_relative_to(self.root)

    def _at(self, key: str) -> Path:
        """The place of a key: a `file:` URI below the root, or what follows the root in one. Raises NotStored."""
        parts = list(self._of(key).relative_to(self.root).parts) if key.startswith("file:") else key.split("/")
        if any(part in ("", ".", "..") or not _PART.fullmatch(part) for part in parts) or parts[0].startswith("."):
            raise ValueError(f"not a key of an artifact: {key!r}")
        return self.root.joinpath(*parts)

    def _of(self, uri: str) -> Path:
        if not self.owns(uri):
            raise NotStored(f"{uri} does not lie in this store.")
        return Path(os.path.normpath(unquote(urlsplit(uri).path)))

    # giving back ------------------------------------------------------------------------------

    def fetch(self, uri: str, target: Path, *, digest: str = "") -> Path:
        """See the port: where it lies, once it is known to be what was recorded.

        It is read whole unless this store has done so before, and names, sizes and times are still what they were.
        """
        path = self._of(uri)
        if not os.path.lexists(path):
            raise NotStored(f"the artifact's content is not there: {path} does not exist.")
        if digest and not self._verified.is_same(path):
            self._check(path, digest)
            self._verified.remember(path)
        return path

    def at_hand(self, uri: str, *, digest: str = "") -> Path | None:
        """See the port."""
        return self.fetch(uri, self.root, digest=digest) if self.owns(uri) else None

    def _check(self, path: Path, digest: str) -> None:
        try:
            found = examine(path).digest
        except (OSError, NotStorable) as error:
            raise Corrupt(f"its content cannot be read: {error}") from error
        if found != digest:
            raise altered(digest, found)

    async def open_read(
        self, uri: str, *, offset: int = 0, limit: int | None = None, member: str = "", digest: str = ""
    ) -> AsyncIterator[bytes]:
        """See the port."""
        descriptor = await asyncio.to_thread(self._open, uri, member)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            whole = offset == 0 and (limit is None or limit >= os.fstat(descriptor).st_size)
            expected = await asyncio.to_thread(self._digest_of, uri, member, digest) if whole and digest else ""
            chunks = _chunks(file, offset, limit)
            async for chunk in verified(chunks, expected) if expected else chunks:
                yield chunk

    def _digest_of(self, uri: str, member: str, digest: str) -> str:
        """The digest of the artifact's file, or of one of its files; "" when it is not known."""
        if not member:
            return digest
        try:
            entries = self._entries(uri, digest)
        except FileNotFoundError:
            return ""
        return next((entry.digest for entry in entries if entry.name == member), "")

    def _entries(self, uri: str, digest: str = "") -> tuple[Entry, ...]:
        return read_manifest(_manifest_of(self._of(uri)).read_bytes(), digest)

    async def exists(self, uri: str, *, digest: str = "", size_bytes: int | None = None) -> bool:
        """See the port."""
        return await asyncio.to_thread(self._exists, uri, digest, size_bytes)

    def _exists(self, uri: str, digest: str, size_bytes: int | None) -> bool:
        path = self._of(uri)
        if path.is_symlink() or not path.exists():
            return False
        if not path.is_dir():
            return size_bytes is None or path.stat().st_size == size_bytes
        try:
            entries = self._entries(uri, digest)
        except (FileNotFoundError, Corrupt):
            return False
        there = {name: file.lstat().st_size for name, file in walk(path) if not name.endswith("/")}
        return there == {entry.name: entry.size_bytes for entry in entries if not entry.is_directory}

    def _open(self, uri: str, member: str) -> int:
        """Open step by step from the store's root, following no link, so that no name leads outside."""
        names = [*self._of(uri).relative_to(self.root).parts, *(member.split("/") if member else ())]
        if any(name in ("", ".", "..") or not _PART.fullmatch(name) for name in names):
            raise NotStored(f"the artifact has no member {member!r}.")
        at = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names[:-1]:
                at, parent = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at), at
                os.close(parent)
            found = os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
        except OSError as error:
            raise NotStored(f"the artifact's content is not there: {error.strerror}.") from error
        finally:
            os.close(at)
        if not stat.S_ISREG(os.fstat(found).st_mode):
            os.close(found)
            raise NotStored("the artifact is a directory; ask for one of its members." if not member else "not a file.")
        return found

    async def members(self, uri: str) -> tuple[Member, ...]:
        """See the port."""
        return await asyncio.to_thread(self._members, self._of(uri))

    def _members(self, path: Path) -> tuple[Member, ...]:
        try:
            mode = path.lstat()
            if not stat.S_ISDIR(mode.st_mode):
                return (Member(name="", size_bytes=mode.st_size),)
            return tuple(
                Member(name=shown(name), size_bytes=file.lstat().st_size)
                for name, file in walk(path)
                if not name.endswith("/")
            )
        except FileNotFoundError as error:
            raise NotStored("the artifact's content is not there.") from error

    async def delete(self, prefix: str) -> None:
        """See the port."""
        await asyncio.to_thread(self._delete, prefix)

    def _delete(self, prefix: str) -> None:
        path = self._at(prefix)
        depth = len(path.relative_to(self.root).parts)
        # Below an attempt, whose directory may not be written to.
        sealed = path.parent if depth > 3 and path.parent.is_dir() else None
        mode = 0o555 if self._seal_directories else 0o755
        if sealed is not None:
            sealed.chmod(0o755)
        _remove(path)
        if sealed is not None:
            _manifest_of(path).unlink(missing_ok=True)
            sealed.chmod(mode)
        if depth == 1:
            _remove(self._incoming / path.name)


async def _chunks(file: io.FileIO, offset: int, limit: int | None) -> AsyncIterator[bytes]:
    file.seek(offset)
    left = limit
    while left is None or left > 0:
        chunk = await asyncio.to_thread(file.read, _CHUNK if left is None else min(_CHUNK, left))
        if not chunk:
            return
        left = None if left is None else left - len(chunk)
        yield chunk


def _manifest_of(path: Path) -> Path:
    return path.parent / _MANIFESTS / path.name


def _write_durably(path: Path, content: bytes) -> None:
    make_durably(path.parent)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_directory(path.parent)


def _forbid_writing(path: Path) -> None:
    # What a container's other users own is theirs to write to.
    with contextlib.suppress(PermissionError):
        path.chmod((path.stat().st_mode & 0o111) | 0o444)


def _take_apart(path: Path) -> None:
    """Give content a file of its own where its file has other names too: what is stored cannot be changed through one,
    and the file of that name keeps its permissions."""
    found = (
        [path] if not path.is_dir() else [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    )
    for file in found:
        mode = file.lstat()
        if stat.S_ISREG(mode.st_mode) and mode.st_nlink > 1:
            part = file.with_name(f".{hashlib.sha256(os.fsencode(file.name)).hexdigest()}.part")
            shutil.copy2(file, part)
            part.replace(file)


def _copy(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True)
    else:
        shutil.copy2(path, target, follow_symlinks=False)


def _give_back(incoming: Path, path: Path) -> None:
    with contextlib.suppress(OSError):
        if os.path.lexists(incoming) and not os.path.lexists(path):
            incoming.rename(path)
    _remove(incoming)


def _remove(path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for directory, _, _ in os.walk(path):
        # Nothing can be removed from a directory that may not be written to.
        with contextlib.suppress(OSError):
            Path(directory).chmod(0o755)
    shutil.rmtree(path, ignore_errors=True)
