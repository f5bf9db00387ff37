"""After the end of an attempt's process: what it made is checked, hashed and stored, however long that takes.

What hinders it for a while (a store that is away, a full disk, a machine without descriptors) is reported as what the
attempt waits for, and tried again without end: nothing of finished work is lost, and nothing runs twice. What a person
must correct (credentials, a link) fails the attempt, and what it made is kept: its next attempt stores that, instead
of running the task again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from headrace.attempt.codes import Code
from headrace.attempt.order import LaunchOrder
from headrace.attempt.python_task import python_entry
from headrace.attempt.refusal import Refusal, is_passing
from headrace.engine.model import Reason
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.command import AttemptRecordFile
from headrace.executors.local.outcome import StoreAway
from headrace.executors.port import AnyReport, Failed
from headrace.retries import delays
from headrace.threads import ThreadPool

#: What takes no longer is not reported: it would be one more event for each task.
_TELL_AFTER_S = 1.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_NO_THREAD = "can't start new thread"
#: Failures that are corrected outside of the task.
_KEPT_AFTER = frozenset({Code.OBJECT_STORE_REFUSED, Code.OBJECT_STORE_NOT_CONFIGURED})
#: Fields of two orders of one task that must agree before one may store what the other has made.
_SAME = ("component", "executor", "container", "inputs", "outputs", "artifact_lists", "kubernetes")
_log = logging.getLogger(__name__)


class StoringPools:
    """Threads that only hash, and threads that only send: a store that is away does not keep others from storing."""

    def __init__(self, hashing: int = 4, sending: int = 32) -> None:
        self._hashing = ThreadPool(hashing)
        self._sending = ThreadPool(sending)

    def of(self, order: LaunchOrder) -> ThreadPool:
        """The pool for an order."""
        return self._sending if order.stores_remotely else self._hashing


async def stored(pool: ThreadPool, determine: Callable[[], AnyReport], wait: Callable[[Reason], None]) -> AnyReport:
    """What `determine` returns, once nothing hinders it any more. `wait` gets the reason why it is not yet done."""
    pauses = delays(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
    slow = asyncio.get_running_loop().call_later(_TELL_AFTER_S, wait, _waiting("They are being hashed and stored."))
    try:
        while True:
            try:
                return await pool.run(determine)
            except (StoreAway, OSError, MemoryError, RuntimeError) as error:
                if not hinders(error):
                    raise
                hindrance = str(error) or type(error).__name__
            slow.cancel()
            wait(_waiting(f"It is tried again until it succeeds: {hindrance}"))
            await asyncio.sleep(next(pauses))
    finally:
        slow.cancel()


def hinders(error: BaseException) -> bool:
    """Whether it passes without anybody's doing anything about the task."""
    if isinstance(error, Refusal):
        code = error.reason.code
        return code == Code.DISK_FULL or (error.passing and code == Code.LAUNCH_FAILED)
    if isinstance(error, OSError):
        return is_passing(error) or error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, StoreAway | MemoryError) or _NO_THREAD in str(error)


def _waiting(how: str) -> Reason:
    return Reason(code=Code.STORING_OUTPUTS, message=f"The component has ended; its outputs are not stored yet. {how}")


# what is kept for the next attempt ----------------------------------------------------------------


def kept(report: AnyReport, attempt_dir: AttemptDir, record: AttemptRecordFile) -> AnyReport:
    """Keep what the attempt made if it failed only at storing; the report then says so."""
    if not isinstance(report, Failed) or not _is_put_right_outside(report.error.code, record.order):
        return report
    try:
        attempt_dir.write("kept.json", record)
    except OSError:
        _log.warning("what attempt %s made cannot be kept", record.order.attempt, exc_info=True)
        return report
    message = (
        f"{report.error.message} What the task has made is kept in {attempt_dir.outputs}: when this is corrected, "
        "`headrace retry` stores it without running the task again."
    )
    details = {**report.error.details, "kept": str(attempt_dir.outputs)}
    return msgspec.structs.replace(
        report, error=Reason(code=report.error.code, message=message, details=details), retryable=False
    )


def _is_put_right_outside(code: str, order: LaunchOrder) -> bool:
    # Our runtime has followed all links that can be followed; of other tasks' links a person can make files.
    return code in _KEPT_AFTER or (code == Code.ARTIFACT_INVALID and python_entry(order) is None)


def kept_before(order: LaunchOrder, attempt_dir: AttemptDir) -> tuple[AttemptDir, AttemptRecordFile] | None:
    """What an earlier attempt of this task has left to be stored, and its record; None when there is nothing."""
    for number in range(order.attempt.number - 1, 0, -1):
        earlier = AttemptDir(attempt_dir.root.parent / str(number), attempt_dir.workspace)
        record = earlier.read("kept.json", AttemptRecordFile)
        if record is not None:
            same = all(getattr(record.order, name) == getattr(order, name) for name in _SAME)
            return (earlier, record) if same else None
    return None


def forget_kept(before: int, attempt_dir: AttemptDir) -> None:
    """Remove what attempts before this number have left to be stored: it is stored, or was made again. Blocks."""
    for number in range(1, before):
        earlier = AttemptDir(attempt_dir.root.parent / str(number), attempt_dir.workspace)
        if is_kept(earlier):
            with contextlib.suppress(OSError):
                Path(earlier.root, "kept.json").unlink()
                earlier.settle()


def is_kept(attempt_dir: AttemptDir) -> bool:
    """Whether what the attempt made is kept for the next one."""
    return Path(attempt_dir.root, "kept.json").exists()
