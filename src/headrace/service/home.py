"""The data directory: made, taken by one process, and let go of.

headrace.db   everything that must not be lost
lock          held while a process runs over the directory; says which
server.json   that process's URL, if it serves one (written by `server`)
page.key      signs page tokens
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import Any

from headrace.service.errors import Unavailable


class Home:
    """A data directory that is ours until `close`."""

    def __init__(self, path: Path, lock: int, secret: bytes) -> None:
        self.path = path
        self.secret = secret
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> Home:
        """Make the directory if need be and take it. Raises Unavailable: HOME_IN_USE, HOME_READ_ONLY, HOME_FULL."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _take(path)
        except OSError as error:
            raise unusable(path, error) from error
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            _keep_private(path)
            home = cls(path, lock, _secret(path / "page.key"))
        except OSError as error:
            os.close(lock)
            raise unusable(path, error) from error
        return home

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


def _take(path: Path) -> int:
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


def _secret(path: Path) -> bytes:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        found = b""
    if len(found) < 32:
        found = secrets.token_bytes(32)
        _write(path, found)
    return found


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


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
