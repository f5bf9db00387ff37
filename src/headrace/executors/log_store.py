"""The logs of attempts, by exact byte offsets, wherever they are stored."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

from headrace.engine.model import AttemptId

#: Bytes read at a time.
CHUNK_BYTES = 256 * 1024


class LiveLog(Protocol):
    """A log to which an attempt may still write."""

    async def changed(self) -> None:
        """Wait until there may be more of it, or until it is complete."""


class LogStore(Protocol):
    """Combined stdout and stderr of attempts. An attempt without a log has an empty one."""

    async def size(self, attempt: AttemptId) -> int:
        """Bytes so far."""

    async def read(self, attempt: AttemptId, *, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from byte `offset`; b"" where the log ends now."""

    def live_log(self, attempt: AttemptId) -> LiveLog | None:
        """None when the log is complete, or when no executor of this server writes it."""


async def follow_log(
    logs: LogStore, attempt: AttemptId, *, offset: int = 0, follow: bool = False
) -> AsyncIterator[bytes]:
    """The log from byte `offset`, in chunks; with `follow`, until the log is complete."""
    while True:
        # Asked before the last read: what is written until an attempt ends is never missed.
        live = logs.live_log(attempt) if follow else None
        while chunk := await logs.read(attempt, offset=offset, limit=CHUNK_BYTES):
            offset += len(chunk)
            yield chunk
        if live is None:
            return
        await live.changed()


class FileLogs:
    """Logs that attempts write to files of this machine."""

    def __init__(self, path_of: Callable[[AttemptId], Path], live_log: Callable[[AttemptId], LiveLog | None]) -> None:
        self._path_of = path_of
        self._live_log = live_log

    async def size(self, attempt: AttemptId) -> int:
        """See LogStore."""
        try:
            return self._path_of(attempt).stat().st_size
        except FileNotFoundError:
            return 0

    async def read(self, attempt: AttemptId, *, offset: int, limit: int) -> bytes:
        """See LogStore."""
        return await asyncio.to_thread(_read, self._path_of(attempt), offset, limit)

    def live_log(self, attempt: AttemptId) -> LiveLog | None:
        """See LogStore."""
        return self._live_log(attempt)


def _read(path: Path, offset: int, limit: int) -> bytes:
    try:
        # A task may put a link, or a pipe, where its log was: neither is followed nor waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return b""
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return os.pread(descriptor, limit, offset)
    finally:
        os.close(descriptor)
