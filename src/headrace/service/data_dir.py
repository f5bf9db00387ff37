"""The data directory: a process makes it if need be, locks it, and releases it at the end.

headrace.db   everything that must not be lost
lock          locked while a process uses the directory; holds its process id
server.json   that process's URL, if it serves one (written by `server`)
place.id      a random word that names this directory among others on one PostgreSQL
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.artifacts.content import make_durably, sync_directory
from headrace.service.errors import Unavailable


class DataDirectory:
    """A data directory, locked by this process until `close`."""

    def __init__(self, path: Path, locks: tuple[int, ...]) -> None:
        self.path = path
        self._locks = locks

    @classmethod
    def open(cls, path: Path, *, shared: bool = False) -> DataDirectory:
        """Make the directory if it is missing and lock it; `shared`: together with other processes that share it.

        Raises Unavailable: HOME_IN_USE, HOME_READ_ONLY, HOME_FULL.
        """
        try:
            make_durably(path, mode=0o700)
            locks = _take(path, shared)
        except OSError as error:
            raise unusable(path, error) from error
        try:
            os.ftruncate(locks[0], 0)
            os.pwrite(locks[0], str(os.getpid()).encode(), 0)
            _keep_private(path)
            data_dir = cls(path, locks)
            sync_directory(path)
        except OSError as error:
            _close(locks)
            raise unusable(path, error) from error
        return data_dir

    def domain(self) -> str:
        """The domain of executors whose attempts are in this directory: unlike that of any other directory or copy."""
        path = self.path / "place.id"
        word = _kept(path, lambda: secrets.token_hex(16).encode()).decode("ascii", "replace")
        return f"{word}-{path.stat().st_ino}"

    def database(self) -> Path:
        """The database file, empty where there was none: SQLite itself would make it for all to read.

        Raises Unavailable DATABASE_MISSING where it is empty or missing beside attempts of runs: that directory is
        not new, and a server that took it for a new one would remove what the runs have made.
        """
        path = self.path / "headrace.db"
        if (not path.exists() or path.stat().st_size == 0) and _has_runs(self.path):
            why = (
                f"its database {path.name} is {'empty' if path.exists() else 'missing'}, but runs have left attempts. "
                "Restore the database from a backup, or choose another directory with HEADRACE_HOME"
            )
            raise unavailable(self.path, "DATABASE_MISSING", why)
        try:
            path.touch(mode=0o600)
        except OSError as error:
            raise unusable(self.path, error) from error
        return path

    def close(self) -> None:
        """Release the lock."""
        # Closing releases the lock. The process id stays in the file and does no harm.
        _close(self._locks)


def _close(locks: tuple[int, ...]) -> None:
    for lock in locks:
        os.close(lock)


def _has_runs(path: Path) -> bool:
    """Whether any run has left an attempt."""
    try:
        return any(not one.name.startswith(".") for one in (path / "attempts").iterdir())
    except OSError:
        return False


def _keep_private(path: Path) -> None:
    """Only this user may read what runs hold, even in a directory that existed before and is open to others."""
    found = path.stat()
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX and found.st_uid == os.geteuid():
        # What others may write to, others could have planted. A directory of another owner is that owner's to close.
        path.chmod(stat.S_IMODE(found.st_mode) & ~0o077)
    for name in ("artifacts", "attempts", "envs", "sources", "code"):
        (path / name).mkdir(mode=0o700, exist_ok=True)
        (path / name).chmod(0o700)
    for file in path.glob("headrace.db*"):
        file.chmod(0o600)


def _holder(path: Path) -> dict[str, Any]:
    """`pid` and `url` of the process that has this directory; empty when unknown."""
    found: dict[str, Any] = {"pid": None, "url": ""}
    try:
        found["pid"] = int((path / "lock").read_bytes())
        server = json.loads((path / "server.json").read_bytes())
        found["url"] = server["url"] if server["pid"] == found["pid"] else ""
    except (OSError, ValueError, KeyError, TypeError):
        # What is missing stays unknown: it is only part of a message.
        pass
    return found


def _take(path: Path, shared: bool) -> tuple[int, ...]:
    """Lock the file `lock`, which earlier versions look at, and the directory itself, which cannot be replaced."""
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    locks = (lock, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    try:
        for one in locks:
            fcntl.flock(one, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        _close(locks)
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
    return locks


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the file holds. When it is missing it is made; of several processes that make it at once, one wins."""
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
    "DATABASE_MISSING": "is not a new one.",
    "HOME_UNUSABLE": "cannot be used as a data directory. Choose another with HEADRACE_HOME.",
}


def unavailable(path: Path, code: str, why: str, **details: Any) -> Unavailable:
    """An error that says that the data directory cannot be used, and why."""
    message = f"The data directory {path} {_SENTENCES[code]} ({why})"
    return Unavailable(message, code=code, home=str(path), **details)


def unusable(path: Path, error: OSError) -> Unavailable:
    """The data directory cannot be used, for this reason of the operating system."""
    code = _CODES.get(error.errno or 0, "HOME_UNUSABLE")
    return unavailable(path, code, os.strerror(error.errno) if error.errno else str(error))
