"""The life of one attempt, from its order to its last report, as one coroutine.

Everything that matters after a restart is in the attempt's directory; memory holds nothing but what can be read again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn, TypeVar

import msgspec

from headrace.attempt.codes import Code
from headrace.attempt.order import LaunchOrder
from headrace.attempt.refusal import Refusal, is_passing, system_refusal
from headrace.engine.model import Reason
from headrace.executors.local import processes
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.command import AttemptMeta, AttemptRecordFile, Command
from headrace.executors.local.ending import end_processes, in_own_thread, kill_all, process_set, until_gone
from headrace.executors.local.facilities import Facilities
from headrace.executors.local.outcome import STOPPED, StoreAway, determine_outcome, log_end, lost, store_outputs
from headrace.executors.local.processes import PARTIAL, REVOKED, ProcessIdentity, ProcessSet
from headrace.executors.local.resources import Resources
from headrace.executors.local.start import StartedProcess, start
from headrace.executors.local.storing import hinders, kept, kept_before, stored
from headrace.executors.local.supervisor import exit_status, take_claim
from headrace.executors.local.warm import ForkedProcess, imports_of
from headrace.executors.port import AnyReport, Failed, Lost, Started, Stopped, Succeeded, Waiting
from headrace.failpoints import failpoint
from headrace.retries import delays

#: So much JSON is read and checked in less than a millisecond.
_QUICK_BYTES = 32 * 1024
#: A log that is followed is looked at this often.
_FOLLOW_S = 0.2
#: Pauses between tries of what the machine cannot do for the moment.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_log = logging.getLogger(__name__)
T = TypeVar("T")


class AttemptLife:
    """One attempt as long as this executor follows it."""

    def __init__(
        self,
        order: LaunchOrder,
        facilities: Facilities,
        report: Callable[[AnyReport], None],
        running: Callable[[], None],
    ) -> None:
        """`report` gets what happens; `running` is called when the attempt has a process that limits apply to."""
        self.order = order
        self.id = order.attempt
        self.attempt_dir: AttemptDir = facilities.dirs.of(order.attempt)
        self._facilities = facilities
        self._report = report
        self._running = running
        #: The first process, once the claim is taken.
        self.first: ProcessIdentity | None = None
        self.meta: AttemptMeta | None = None
        self._command: Command | None = None
        self.forked: ForkedProcess | None = None
        #: Its processes, once the first one is known.
        self.process_set: ProcessSet | None = None
        #: Set when its main process has ended.
        self.ended = asyncio.Event()
        #: Set when its last report is made, or when it is not followed any more.
        self.over = asyncio.Event()
        self.last: AnyReport | None = None
        self._stop_requested = False
        #: Until when its processes may clean up, once it is being ended; of the monotonic clock.
        self._grace_until: float | None = None
        self._killer: asyncio.Task[None] | None = None
        #: Set from the end of its process until what it made is stored.
        self._storing: asyncio.Task[AnyReport] | None = None
        #: Whether what an earlier attempt has made is still to be stored by a later one.
        self.leaves_kept = False
        self._task = asyncio.create_task(self._live())
        self._task.add_done_callback(self._on_cancelled)

    # what the executor asks -------------------------------------------------------------------

    def stop(self) -> None:
        """Begin to end it."""
        self._stop_requested = True
        if self.first is None:
            self._task.cancel()
        elif self._storing is not None:
            self._write("ending.json", Reason(code=STOPPED, message=""))
            self._storing.cancel()
        else:
            self.end(Reason(code=STOPPED, message=""))

    def end(self, reason: Reason, *, grace_s: float | None = None) -> None:
        """Begin to end its processes. The reason is written down first, so that a later server knows it too."""
        if self._grace_until is not None or self.first is None or not processes.alive(self.first):
            return
        assert self.process_set is not None, "known as soon as the first process is"
        self._write("ending.json", reason)
        grace_s = self._facilities.stop_grace_s if grace_s is None else grace_s
        self._grace_until = time.monotonic() + grace_s
        self._killer = asyncio.create_task(end_processes(self.process_set, self.ended, grace_s))

    async def leave(self) -> None:
        """Follow it no longer. Its processes go on."""
        self.cancel()
        tasks = [task for task in (self._task, self._killer) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def cancel(self) -> None:
        """As `leave`, without waiting for it."""
        self._stop_requested = False
        for task in (self._task, self._killer):
            if task is not None:
                task.cancel()
        self.over.set()

    async def changed(self) -> None:
        """See LiveLog."""
        await asyncio.wait([asyncio.ensure_future(self.over.wait())], timeout=_FOLLOW_S)

    # from the order to the last report --------------------------------------------------------

    def _on_cancelled(self, task: asyncio.Task[None]) -> None:
        """It was stopped before it had a process: that is the end of it."""
        if not task.cancelled() or not self._stop_requested:
            return
        if not take_claim(self.attempt_dir):
            # An earlier server had started its supervisor a moment before it died.
            self._task = asyncio.create_task(self._live())
            self._task.add_done_callback(self._on_cancelled)
            return
        report = Stopped(attempt=self.id, at=time.time())
        if self.attempt_dir.root.is_dir():
            self._write("result.json", report)
        self._finish_with(report)

    async def _live(self) -> None:
        try:
            is_new = not self.attempt_dir.exists()
            found = None if is_new else await self._patiently(self._read_result)
            if found is not None:
                self._say_started(processes.read_claim(self.attempt_dir.claim))
            report: AnyReport = found if found is not None else await self._until_end(is_new=is_new)
        except OSError as error:
            report = self._failed(_unreadable(error))
        self._finish_with(report)

    async def _read_result(self) -> AnyReport | None:
        return self.attempt_dir.read("result.json", AnyReport)  # type: ignore[arg-type]

    async def _patiently(self, do: Callable[[], Awaitable[T]]) -> T:
        """Do it as soon as the machine can: what it lacks for a while is reported, and fails nothing."""
        pauses = delays(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        while True:
            try:
                return await do()
            except (OSError, MemoryError, RuntimeError, Refusal) as error:
                if not hinders(error):
                    raise
                message = f"The machine cannot go on with it now, and it is tried again: {error}"
            self._wait(Reason(code=Code.STORING_OUTPUTS if self.first else Code.WAITING_FOR_SYSTEM, message=message))
            await asyncio.sleep(next(pauses))

    def _finish_with(self, report: AnyReport) -> None:
        self._say(report)
        self.over.set()

    def _say(self, report: AnyReport) -> None:
        self.last = report
        self._report(report)

    def _say_started(self, first: ProcessIdentity | None) -> float | None:
        """Say when its process began, which may be over; None when it never had one, or the time is not known."""
        began = None if first is None else processes.started_at(self.attempt_dir.claim, first)
        if began is not None:
            self._say(Started(attempt=self.id, at=began))
        return began

    async def _until_end(self, *, is_new: bool) -> AnyReport:
        report = await self._report_of_end(is_new=is_new)
        failpoint("result.before")
        if not isinstance(report, Succeeded):
            # Success follows from what the attempt left; why it failed may be known only now.
            self._write("result.json", report)
        failpoint("result.after")
        return report

    def _write(self, name: str, value: object) -> None:
        """Write a file for a later server. Where that is not possible, this one goes on: it ends what is to end."""
        try:
            self.attempt_dir.write(name, value)
        except OSError:
            _log.warning("%s of attempt %s could not be written", name, self.id, exc_info=True)

    async def _report_of_end(self, *, is_new: bool) -> AnyReport:
        async def run() -> AnyReport:
            nonlocal is_new
            new, is_new = is_new, False
            return await self._run(is_new=new)

        try:
            # What matters is in the attempt's directory: it can be taken up again at any point, as by a later server.
            return await self._patiently(run)
        except Refusal as refusal:
            return self._failed(refusal)
        except OSError as error:
            if self.ended.is_set():
                return self._failed(_unreadable(error))
            return self._failed(system_refusal(error, "The attempt could not be started"))
        except Exception as error:
            _log.exception("attempt %s", self.id)
            message = f"Headrace could not run the attempt: {type(error).__name__}: {error}"
            return self._failed(Refusal(Code.LAUNCH_FAILED, message))

    def _failed(self, refusal: Refusal) -> Failed | Lost:
        if refusal.passing:
            return Lost(attempt=self.id, at=time.time(), error=refusal.reason)
        return Failed(attempt=self.id, at=time.time(), error=refusal.reason, retryable=refusal.retryable)

    async def _run(self, *, is_new: bool) -> AnyReport:
        claim = self.attempt_dir.claim
        if is_new or processes.read_claim(claim) is None:
            left = kept_before(self.order, self.attempt_dir)
            if left is not None:
                return await self._store_kept(*left)
            earlier = None if is_new else self._facilities.dirs.read_record(self.id, AttemptRecordFile)
            started = await start(self.order, self.attempt_dir, self._facilities, self._wait, earlier)
            return await self._watch_started(started)
        self.first = await processes.settled_claim(claim, self.attempt_dir.tag) or REVOKED
        record = self._facilities.dirs.read_record(self.id, AttemptRecordFile)
        if record is None:
            return lost(self.id, time.time(), "What is known of the attempt cannot be read any more.")
        self._facilities.admission.overdraw(record.meta.allocation)
        return await self._watch(self.first, record.meta)

    async def _store_kept(self, left: AttemptDir, record: AttemptRecordFile) -> AnyReport:
        """Store what an earlier attempt has made, without running the task again."""
        self.attempt_dir.make()
        message = f"headrace: attempt {record.order.attempt.number} had ended well; what it made is stored now.\n"
        self.attempt_dir.log.write_text(message, encoding="utf-8")
        admission = self._facilities.admission
        allocation = await admission.take(Resources())
        began = time.time()
        self.leaves_kept = True
        try:
            self._say(Started(attempt=self.id, at=began))
            order = msgspec.structs.replace(record.order, attempt=self.id)
            shared = self._facilities
            store = partial(
                store_outputs, order, left, record.meta, shared.artifacts, shared.max_parameter_bytes, began
            )
            report = await stored(shared.storing.of(order), store, self._wait)
            if isinstance(report, Succeeded):
                self.leaves_kept = False
                return msgspec.structs.replace(report, at=time.time())
            return kept(report, left, record)
        finally:
            admission.release(allocation)

    def _wait(self, reason: Reason) -> None:
        """Say what it waits for, once: what hinders it for hours is not said again with each try."""
        if not isinstance(self.last, Waiting) or self.last.reason != reason:
            self._say(Waiting(attempt=self.id, at=time.time(), reason=reason))

    async def _watch_started(self, started: StartedProcess) -> AnyReport:
        self._command, self.forked = started.command, started.forked
        return await self._watch(started.identity, started.meta, ours=True)

    async def _watch(self, first: ProcessIdentity, meta: AttemptMeta, *, ours: bool = False) -> AnyReport:
        """From the start of its process, ours or an earlier server's, to its last report; then its place is free."""
        self.first, self.meta = first, meta
        try:
            taken = await self._until_claimed(first, meta, ours=ours)
            if taken is None:
                found = self.process_set
                assert found is not None, "known as soon as the first process is"
                status = await processes.exit_written(self.attempt_dir.claim, first)
                self.ended.set()
                return await self._finish(first, found, meta, status)
        finally:
            self._facilities.admission.release(meta.allocation)
        # An earlier server's supervisor was quicker than ours, which has stepped back.
        self._reap(first)
        self._facilities.admission.overdraw(meta.allocation)
        return await self._watch(taken, meta)

    async def _until_claimed(self, first: ProcessIdentity, meta: AttemptMeta, *, ours: bool) -> ProcessIdentity | None:
        """Wait for the end of its process; the process that has the claim, if that is another one."""
        is_alive = ours or processes.alive(first)
        self.process_set = process_set(first, self.attempt_dir, meta, seen_alive=is_alive)
        timer = None
        try:
            # Said in any case: it may have ended before we look.
            began = self._say_started(first)
            if began is not None and (self.forked is not None or is_alive):
                timer = self._set_timer(began)
                self._running()
                if self._stop_requested:
                    self.stop()
                await (self.forked.ended() if self.forked else processes.ended(first.pid))
        finally:
            if timer is not None:
                timer.cancel()
        taken = await processes.settled_claim(self.attempt_dir.claim, self.attempt_dir.tag)
        if taken is None or (ours and taken == PARTIAL):
            if self._grace_until is None:
                self._never_begun(first)
            return None  # It was ended before it could begin.
        return None if taken == first else taken

    def _never_begun(self, first: ProcessIdentity) -> NoReturn:
        self._reap(first)
        message = f"The attempt's supervisor could not begin. {log_end(self.attempt_dir.log)}"
        raise Refusal(Code.LAUNCH_FAILED, message)

    async def _finish(
        self, first: ProcessIdentity, found: ProcessSet, meta: AttemptMeta, status: int | None
    ) -> AnyReport:
        status = await self._end_all(first, found, meta, status)
        if self._command is not None and self._command.warm:
            self._facilities.warm.learn(self._command, list(imports_of(self.attempt_dir)))
        if _is_quick(self.order, self.attempt_dir) and not meta.container:
            try:
                return self._outcome(first, meta, status, None)
            except (StoreAway, OSError) as error:
                if not hinders(error):
                    raise
        builder = self._facilities.builders[meta.builder]
        cause = await builder.cause_of_death(meta, status)
        report = await self._store(partial(self._outcome, first, meta, status, cause))
        return kept(report, self.attempt_dir, AttemptRecordFile(order=self.order, meta=meta)) if status == 0 else report

    async def _end_all(
        self, first: ProcessIdentity, found: ProcessSet, meta: AttemptMeta, status: int | None
    ) -> int | None:
        """Let nothing of it run on; its exit status, as far as it is known then."""
        if self._grace_until is not None:
            # Children of an attempt that is being ended have the same grace as its main process.
            await until_gone(found, self._grace_until)
        if status is None or not found.is_surely_gone():
            await in_own_thread(partial(kill_all, found))
            status = exit_status(self.attempt_dir)
        # Only now: until it is waited for, its number, and its session's, is not given to another process.
        self._reap(first)
        if self._grace_until is not None or status is None:
            await self._facilities.builders[meta.builder].remove_container(meta)
        return status

    async def _store(self, determine: Callable[[], AnyReport]) -> AnyReport:
        """Store what it made, until that is done or it is stopped."""
        self._storing = asyncio.create_task(stored(self._facilities.storing.of(self.order), determine, self._wait))
        try:
            if self._stop_requested:
                self.stop()
            return await self._storing
        except asyncio.CancelledError:
            if not self._stop_requested:
                raise
            return Stopped(attempt=self.id, at=time.time())

    def _outcome(
        self, first: ProcessIdentity, meta: AttemptMeta, status: int | None, cause: Reason | None
    ) -> AnyReport:
        if not self._facilities.shared:
            return self._determine(first, meta, status, cause)
        # A server that had lost its lease without knowing may do the same; outputs are taken in once.
        with self.attempt_dir.locked():
            found: AnyReport | None = self.attempt_dir.read("result.json", AnyReport)  # type: ignore[arg-type]
            if found is None:
                found = self._determine(first, meta, status, cause)
                self._write("result.json", found)
            return found

    def _determine(
        self, first: ProcessIdentity, meta: AttemptMeta, status: int | None, cause: Reason | None
    ) -> AnyReport:
        shared = self._facilities
        builder = shared.builders[meta.builder]
        return determine_outcome(
            self.order,
            self.attempt_dir,
            first,
            meta,
            status,
            builder,
            shared.artifacts,
            shared.max_parameter_bytes,
            cause,
        )

    def _reap(self, first: ProcessIdentity) -> None:
        """Its first process has ended, and everything that it left was looked at."""
        if self.forked is not None:
            self.forked.reap()
            self.forked = None
        else:
            processes.reap(first.pid)

    def _set_timer(self, began: float) -> asyncio.TimerHandle | None:
        limit = self.order.timeout_s
        if limit is None:
            return None
        left = max(0.0, began + limit - time.time())
        message = f"The attempt ran longer than its timeout of {limit:g} s and was ended."
        reason = Reason(code=Code.TIMEOUT, message=message, details={"timeout_s": limit})
        return asyncio.get_running_loop().call_later(left, self.end, reason)


def _unreadable(error: OSError) -> Refusal:
    """Its process has ended, and how cannot be read or written down: that is not a failed start."""
    reason = system_refusal(error, "What the attempt left cannot be read or written").reason
    return Refusal(Code.RESULT_INVALID, reason.message, passing=is_passing(error))


def _is_quick(order: LaunchOrder, attempt_dir: AttemptDir) -> bool:
    """Whether reading its outputs takes no longer than passing that to a thread: no artifacts, and few bytes."""
    if order.outputs.artifacts or order.inputs.artifacts or order.workspace_bytes is not None:
        return False
    try:
        size = os.stat(attempt_dir.output_file).st_size  # noqa: PTH116 - hot
    except OSError:
        size = 0
    return size <= _QUICK_BYTES
