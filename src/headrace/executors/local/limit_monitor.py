"""One look a second at everything that runs: logs, groups, disks. What exceeds a limit is ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from headrace.attempt.codes import Code
from headrace.engine.model import AttemptId, Reason
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.cgroups import ControlGroup
from headrace.executors.local.command import AttemptMeta
from headrace.executors.local.limits import Allowance, exceeded
from headrace.executors.local.processes import ProcessSet
from headrace.executors.local.resources import size
from headrace.executors.local.warm import ForkedProcess

#: Directories are measured again when the disk has so many more files, or bytes, than at the last time.
_MORE_FILES = 10_000
_MORE_BYTES = 16 << 20
#: Measuring takes at most this share of the time.
_SHARE = 0.1
_BLOCK = 512
_BETWEEN_LOOKS_S = 1.0
_log = logging.getLogger(__name__)


class Watched(Protocol):
    """One attempt that runs, or is about to."""

    @property
    def attempt_dir(self) -> AttemptDir: ...
    @property
    def meta(self) -> AttemptMeta | None: ...
    @property
    def process_set(self) -> ProcessSet | None: ...
    @property
    def forked(self) -> ForkedProcess | None: ...
    @property
    def ended(self) -> asyncio.Event: ...
    def end(self, reason: Reason, *, grace_s: float | None = None) -> None: ...


class DiskUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How much a disk holds and can hold."""

    used_bytes: int
    free_bytes: int
    #: None where the file system does not count them.
    used_files: int | None

    @classmethod
    def of(cls, path: Path) -> DiskUsage:
        """The disk of a path."""
        found = os.statvfs(path)
        return cls(
            used_bytes=(found.f_blocks - found.f_bfree) * found.f_frsize,
            free_bytes=found.f_bavail * found.f_frsize,
            used_files=found.f_files - found.f_ffree if found.f_files else None,
        )


class LimitMonitor:
    """Looks, and remembers how full the disk was at the last look."""

    def __init__(self, home: Path, allowance: Allowance, max_log_bytes: int) -> None:
        self._home = home
        self._allowance = allowance
        self._max_log_bytes = max_log_bytes
        self._measured: DiskUsage | None = None
        self._not_before = 0.0

    async def watch(self, attempts: Mapping[AttemptId, Watched]) -> None:
        """Look once a second as long as any of these runs. One that exceeds a limit gets no grace period."""
        while running := {
            attempt: one for attempt, one in attempts.items() if one.process_set and not one.ended.is_set()
        }:
            try:
                for attempt, reason in await asyncio.to_thread(self.look, running):
                    if attempt in attempts:
                        running[attempt].end(reason, grace_s=0.0)
                for one in running.values():
                    if one.forked is not None:
                        one.forked.look()
            except OSError:
                _log.exception("limits could not be looked at")
            await asyncio.sleep(_BETWEEN_LOOKS_S)

    def look(self, running: Mapping[AttemptId, Watched]) -> list[tuple[AttemptId, Reason]]:
        """Which of them are to be ended. Blocks; meant for a thread."""
        found = [(attempt, reason) for attempt, one in running.items() if (reason := self._too_much(one))]
        return found or list(self._too_large(running))

    def _too_much(self, one: Watched) -> Reason | None:
        with contextlib.suppress(FileNotFoundError):
            limit = self._max_log_bytes
            if one.attempt_dir.log.stat().st_size > limit:
                message = f"The attempt wrote more than {limit} bytes of log (setting max_log_bytes) and was ended."
                return Reason(code=Code.LOG_LIMIT, message=message, details={"limit": limit})
        if one.meta is None or one.process_set is None or one.meta.container:
            return None
        group = ControlGroup(one.meta.group) if one.meta.group else None
        return exceeded(one.meta.applied, group, one.process_set.members() if group is None else ())

    # files ------------------------------------------------------------------------------------

    def _too_large(self, running: Mapping[AttemptId, Watched]) -> Iterator[tuple[AttemptId, Reason]]:
        disk = DiskUsage.of(self._home)
        if not running or not self._worth_measuring(disk):
            return
        began = time.monotonic()
        sizes = {attempt: self._measure(one.attempt_dir) for attempt, one in running.items()}
        self._measured = disk
        self._not_before = time.monotonic() + (time.monotonic() - began) / _SHARE
        for attempt, (count, files) in sizes.items():
            if reason := self._beyond(count, files):
                yield attempt, reason
        least = self._allowance.min_free_bytes
        largest, (count, _) = max(sizes.items(), key=lambda item: item[1])
        if disk.free_bytes < least <= count:
            message = (
                f"The disk of {self._home} has less than {size(least)} free (setting min_free_bytes), and of what runs "
                f"this attempt, with {size(count)}, held the most of it, so it was ended."
            )
            yield largest, Reason(code=Code.DISK_FULL, message=message, details={"held": count})

    def _worth_measuring(self, disk: DiskUsage) -> bool:
        if time.monotonic() < self._not_before:
            return False
        before = self._measured
        if before is None or disk.used_files is None or before.used_files is None:
            return True
        bytes_worth = min(_MORE_BYTES, (self._allowance.max_work_bytes or _MORE_BYTES) // 8)
        files_worth = min(_MORE_FILES, self._allowance.max_work_files // 8)
        more_files = disk.used_files - before.used_files
        return (
            disk.used_bytes - before.used_bytes >= bytes_worth
            or more_files >= files_worth
            or disk.free_bytes < self._allowance.min_free_bytes
        )

    def _beyond(self, count: int, files: int) -> Reason | None:
        most = self._allowance.max_work_bytes
        if most is not None and count > most:
            message = f"The attempt's directory holds more than {size(most)} (setting max_work_bytes); it was ended."
            return Reason(code=Code.DISK_LIMIT, message=message, details={"limit": most})
        most = self._allowance.max_work_files
        if files > most:
            message = f"The attempt's directory holds more than {most} files (setting max_work_files); it was ended."
            return Reason(code=Code.DISK_LIMIT, message=message, details={"limit": most})
        return None

    def _measure(self, attempt_dir: AttemptDir) -> tuple[int, int]:
        """Bytes and files in an attempt's own directories; no further than is enough to know that it is too much."""
        count = files = 0
        most = self._allowance.max_work_bytes
        for entry in _entries(attempt_dir.work, attempt_dir.outputs):
            files += 1
            with contextlib.suppress(OSError):
                count += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
            if files > self._allowance.max_work_files or (most is not None and count > most):
                break
        return count, files


def _entries(*directories: Path) -> Iterator[os.DirEntry[str]]:
    waiting = [str(path) for path in directories]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
