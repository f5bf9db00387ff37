"""The data directory: made, taken by one process, and let go of.

headrace.db   everything that must not be lost
lock          held while a process runs over the directory; says which
server.json   that process's URL, if it serves one (written by `server`)
page.key      signs page tokens
place.id      tells this directory from others on one PostgreSQL
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.artifacts.content import make_durably, sync_directory
from headrace.service.errors import Unavailable


class Home:
    """A data directory that is ours until `close`."""

    def __init__(self, path: Path, lock: int, secret: bytes) -> None:
        self.path = path
        self.secret = secret
        self._lock = lock

    @classmethod
    def open(cls, path: Path, *, shared: bool = False) -> Home:
        """Make the directory if need be and take it; `shared`: together with others that share it too.

        Raises Unavailable: HOME_IN_USE, HOME_READ_ONLY, HOME_FULL.
        """
        try:
            make_durably(path, mode=0o700)
            lock = _take(path, shared)
        except OSError as error:
            raise unusable(path, error) from error
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            _keep_private(path)
            home = cls(path, lock, _kept(path / "page.key", lambda: secrets.token_bytes(32)))
            sync_directory(path)
        except OSError as error:
            os.close(lock)
            raise unusable(path, error) from error
        return home

    def place(self) -> str:
        """What tells this directory from all others, also on other machines, and from copies of it."""
        path = self.path / "place.id"
        word = _kept(path, lambda: secrets.token_hex(16).encode()).decode("ascii", "replace")
        return f"{word}-{path.stat().st_ino}"

    def database(self) -> Path:
        """The database file, empty where there was none: SQLite itself would make it for all to read."""
        path = self.path / "headrace.db"
        try:
            path.touch(mode=0o600)
        except OSError as error:
            raise unusable(self.path, error) from error
        return path

    def close(self) -> None:
        """Let others have it."""
        # Closing lets go of the lock; who had it last stays written there and does no harm.
        os.close(self._lock)


def _keep_private(path: Path) -> None:
    """Nobody else reads what runs hold, even in a directory that was there before and is open to others."""
    for name in ("artifacts", "attempts", "envs"):
        (path / name).mkdir(mode=0o700, exist_ok=True)
        (path / name).chmod(0o700)
    for file in path.glob("headrace.db*"):
        file.chmod(0o600)


def _holder(path: Path) -> dict[str, Any]:
    """`pid` and `url` of the process that has this directory; empty when unknown."""
    found: dict[str, Any] = {"pid": None, "url": ""}
    try:
        found["pid"] = int((path / "lock").read_bytes())
        told = json.loads((path / "server.json").read_bytes())
        found["url"] = told["url"] if told["pid"] == found["pid"] else ""
    except (OSError, ValueError, KeyError, TypeError):
        # What is missing stays unknown: it is only told to a person.
        pass
    return found


def _take(path: Path, shared: bool) -> int:
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        who = _holder(path)
        raise Unavailable(
            f"Another Headrace (process {who['pid'] or 'unknown'}{', ' + who['url'] if who['url'] else ''}) is using "
            f"the data directory {path}. Use that server, stop it, or choose another directory with HEADRACE_HOME.",
            code="HOME_IN_USE",
            home=str(path),
            **who,
        ) from error
    return lock


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the file holds, made now if there is none; of several that make it at once, one is the first."""
    with contextlib.suppress(FileNotFoundError):
        if len(found := path.read_bytes()) >= 32:
            return found
        path.unlink()
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(make())
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return path.read_bytes()


_CODES = {
    errno.EROFS: "HOME_READ_ONLY",
    errno.EACCES: "HOME_READ_ONLY",
    errno.EPERM: "HOME_READ_ONLY",
    errno.ENOSPC: "HOME_FULL",
    errno.EDQUOT: "HOME_FULL",
}
_SENTENCES = {
    "HOME_READ_ONLY": "cannot be written to. Give this user write access, or choose another with HEADRACE_HOME.",
    "HOME_FULL": "has no room left. Free some space on its disk, or choose another with HEADRACE_HOME.",
    "HOME_UNUSABLE": "cannot be used as a data directory. Choose another with HEADRACE_HOME.",
}


def unavailable(path: Path, code: str, why: str, **details: Any) -> Unavailable:
    """The data directory is the trouble, in words for a person."""
    message = f"The data directory {path} {_SENTENCES[code]} ({why})"
    return Unavailable(message, code=code, home=str(path), **details)


def unusable(path: Path, error: OSError) -> Unavailable:
    """The data directory cannot be had, for this reason of the operating system's."""
    code = _CODES.get(error.errno or 0, "HOME_UNUSABLE")
    return unavailable(path, code, os.strerror(error.errno) if error.errno else str(error))
