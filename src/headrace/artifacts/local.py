"""Artifacts in a directory of this machine."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from headrace.artifacts.content import Content, examine, kind_name, sync_directory, walk
from headrace.artifacts.port import Member, NotStorable, NotStored, Stored
from headrace.failpoints import failpoint

_PART = re.compile(r"[^/\0]+")
_CHUNK = 256 * 1024


class LocalStore:
    """Keeps each artifact at `<root>/<key>`; what comes from the same file system is moved, not copied."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._incoming = self.root / ".incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    # taking in --------------------------------------------------------------------------------

    def take(self, key: str, path: Path) -> Stored:
        """See the port."""
        target, incoming = self._at(key), self._incoming_of(key)
        if not os.path.lexists(path) and not os.path.lexists(incoming) and os.path.lexists(target):
            return self._stored(key, examine(target))
        try:
            failpoint("artifact.before")
            self._bring(path, incoming)
            failpoint("artifact.moved")
            content = examine(incoming)
            self._sync(incoming)
            self._publish(incoming, target)
            failpoint("artifact.after")
        except Exception:
            _remove(incoming)
            raise
        return self._stored(key, content)

    def begun(self, key: str) -> bool:
        """See the port."""
        return os.path.lexists(self._incoming_of(key)) or os.path.lexists(self._at(key))

    def _stored(self, key: str, content: Content) -> Stored:
        return Stored(
            uri=self.uri(key), digest=content.digest, size_bytes=content.size_bytes, is_directory=content.is_directory
        )

    def _incoming_of(self, key: str) -> Path:
        """Follows from the key, so that a take that was cut off is taken up again where it was."""
        return self._incoming / key.split("/", 1)[0] / hashlib.sha256(key.encode()).hexdigest()

    def _bring(self, path: Path, incoming: Path) -> None:
        """Move to where nobody looks, so that what still writes by name cannot reach it; copy across file systems.

        What lies at `incoming` is always whole.
        """
        if os.path.lexists(incoming):
            return
        if path.is_symlink():
            raise NotStorable(
                f"{path.name!r} is a {kind_name(path.lstat().st_mode)}; an artifact is a file or a directory."
            )
        incoming.parent.mkdir(exist_ok=True)
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

    def _sync(self, incoming: Path) -> None:
        if incoming.is_dir():
            for directory, _, _ in os.walk(incoming):
                sync_directory(Path(directory))

    def _publish(self, incoming: Path, target: Path) -> None:
        _make_durably(target.parent)
        if target.exists():
            # A replacement cannot be atomic for a directory; nobody knows this key before its taker has answered.
            _remove(target)
        incoming.rename(target)
        sync_directory(target.parent)

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
        parts = key.split("/")
        if any(part in ("", ".", "..") or not _PART.fullmatch(part) for part in parts) or parts[0].startswith("."):
            raise ValueError(f"not a key of an artifact: {key!r}")
        return self.root.joinpath(*parts)

    def _of(self, uri: str) -> Path:
        if not self.owns(uri):
            raise NotStored(f"{uri} does not lie in this store.")
        return Path(os.path.normpath(unquote(urlsplit(uri).path)))

    # giving back ------------------------------------------------------------------------------

    async def open_read(
        self, uri: str, *, offset: int = 0, limit: int | None = None, member: str = ""
    ) -> AsyncIterator[bytes]:
        """See the port."""
        descriptor = await asyncio.to_thread(self._open, uri, member)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            file.seek(offset)
            left = limit
            while left is None or left > 0:
                chunk = await asyncio.to_thread(file.read, _CHUNK if left is None else min(_CHUNK, left))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk

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
            return tuple(Member(name=_text(name), size_bytes=file.lstat().st_size) for name, file in walk(path))
        except FileNotFoundError as error:
            raise NotStored("the artifact's content is not there.") from error

    async def delete(self, prefix: str) -> None:
        """See the port."""
        await asyncio.to_thread(_remove, self._at(prefix))
        if "/" not in prefix:
            await asyncio.to_thread(_remove, self._incoming / prefix)


def _text(name: str) -> str:
    """A file name as UTF-8 can say it."""
    return os.fsencode(name).decode("utf-8", "replace")


def _copy(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True)
    else:
        shutil.copy2(path, target, follow_symlinks=False)


def _make_durably(directory: Path) -> None:
    """Make a directory so that it is there after a power loss."""
    if directory.is_dir():
        return
    _make_durably(directory.parent)
    directory.mkdir(exist_ok=True)
    sync_directory(directory.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
