"""The life of one attempt, from its order to its last report, as one coroutine.

Everything that matters after a restart is in the attempt's directory; memory holds nothing but what can be read again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from functools import partial

from headrace.attempt.codes import Code
from headrace.attempt.order import LaunchOrder
from headrace.attempt.refusal import Refusal, system_refusal
from headrace.engine.model import Reason
from headrace.executors.local import processes
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.command import AttemptMeta, AttemptRecordFile, Command
from headrace.executors.local.ending import end_processes, kill_all, process_set, until_gone
from headrace.executors.local.facilities import Facilities
from headrace.executors.local.outcome import STOPPED, determine_outcome, log_end, lost
from headrace.executors.local.processes import PARTIAL, REVOKED, ProcessIdentity, ProcessSet
from headrace.executors.local.start import StartedProcess, start
from headrace.executors.local.supervisor import exit_status, take_claim
from headrace.executors.local.warm import ForkedProcess, imports_of
from headrace.executors.port import AnyReport, Failed, Lost, Started, Stopped, Succeeded, Waiting
from headrace.failpoints import failpoint
from headrace.threads import in_background

#: So much JSON is read and checked in less than a millisecond.
_QUICK_BYTES = 32 * 1024
#: A log that is followed is looked at this often.
_FOLLOW_S = 0.2
_log = logging.getLogger(__name__)


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
        self._task = asyncio.create_task(self._live())
        self._task.add_done_callback(self._on_cancelled)

    # what the executor asks -------------------------------------------------------------------

    def stop(self) -> None:
        """Begin to end it."""
        self._stop_requested = True
        if self.first is None:
            self._task.cancel()
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
            found: AnyReport | None = None
            if not is_new:
                found = self.attempt_dir.read("result.json", AnyReport)  # type: ignore[arg-type]
            if found is not None:
                self._say_started(processes.read_claim(self.attempt_dir.claim))
            report: AnyReport = found if found is not None else await self._until_end(is_new=is_new)
        except OSError as error:
            report = self._failed(system_refusal(error, "The attempt's result cannot be written"))
        self._finish_with(report)

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
        try:
            return await self._run(is_new=is_new)
        except Refusal as refusal:
            return self._failed(refusal)
        except OSError as error:
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
            earlier = None if is_new else self._facilities.dirs.read_record(self.id, AttemptRecordFile)
            started = await start(self.order, self.attempt_dir, self._facilities, self._wait, earlier)
            return await self._watch_started(started)
        self.first = await processes.settled_claim(claim, self.attempt_dir.tag) or REVOKED
        record = self._facilities.dirs.read_record(self.id, AttemptRecordFile)
        if record is None:
            return lost(self.id, time.time(), "What is known of the attempt cannot be read any more.")
        self._facilities.admission.overdraw(record.meta.allocation)
        return await self._watch(self.first, record.meta)

    def _wait(self, reason: Reason) -> None:
        self._say(Waiting(attempt=self.id, at=time.time(), reason=reason))

    async def _watch_started(self, started: StartedProcess) -> AnyReport:
        self._command, self.forked = started.command, started.forked
        return await self._watch(started.identity, started.meta, ours=True)

    async def _watch(self, first: ProcessIdentity, meta: AttemptMeta, *, ours: bool = False) -> AnyReport:
        """From the start of its process, ours or an earlier server's, to its last report."""
        self.first, self.meta = first, meta
        is_alive = ours or processes.alive(first)
        found = self.process_set = process_set(first, self.attempt_dir, meta, seen_alive=is_alive)
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
            self._facilities.admission.release(meta.allocation)
            if timer is not None:
                timer.cancel()
        taken = await processes.settled_claim(self.attempt_dir.claim, self.attempt_dir.tag)
        if taken is None or (ours and taken == PARTIAL):
            return await self._never_begun(first, found, meta)
        if taken != first:
            # An earlier server's supervisor was quicker than ours, which has stepped back.
            self._reap(first)
            self._facilities.admission.overdraw(meta.allocation)
            return await self._watch(taken, meta)
        status = await processes.exit_written(self.attempt_dir.claim, first)
        self.ended.set()
        return await self._finish(first, found, meta, status)

    async def _never_begun(self, first: ProcessIdentity, found: ProcessSet, meta: AttemptMeta) -> AnyReport:
        if self._grace_until is not None:
            # It was ended before it could begin.
            self.ended.set()
            return await self._finish(first, found, meta, exit_status(self.attempt_dir))
        self._reap(first)
        message = f"The attempt's supervisor could not begin. {log_end(self.attempt_dir.log)}"
        raise Refusal(Code.LAUNCH_FAILED, message)

    async def _finish(
        self, first: ProcessIdentity, found: ProcessSet, meta: AttemptMeta, status: int | None
    ) -> AnyReport:
        if self._grace_until is not None:
            # Children of an attempt that is being ended have the same grace as its main process.
            await until_gone(found, self._grace_until)
        builder = self._facilities.builders[meta.builder]
        if status is None or not found.is_surely_gone():
            await asyncio.to_thread(kill_all, found)
            status = exit_status(self.attempt_dir)
        # Only now: until it is waited for, its number, and its session's, is not given to another process.
        self._reap(first)
        if self._grace_until is not None or status is None:
            await builder.remove_container(meta)
        if self._command is not None and self._command.warm:
            self._facilities.warm.learn(self._command, list(imports_of(self.attempt_dir)))
        if _is_quick(self.order, self.attempt_dir) and not meta.container:
            return self._outcome(first, meta, status, None)
        cause = await builder.cause_of_death(meta, status)
        determine = partial(self._outcome, first, meta, status, cause)
        # Sending to an object store may take minutes, which others should not wait for.
        return await (in_background(determine) if self.order.stores_remotely else asyncio.to_thread(determine))

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
                self.attempt_dir.write("result.json", found)
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


def _is_quick(order: LaunchOrder, attempt_dir: AttemptDir) -> bool:
    """Whether reading its outputs takes no longer than passing that to a thread: no artifacts, and few bytes."""
    if order.outputs.artifacts or order.inputs.artifacts or order.workspace_bytes is not None:
        return False
    try:
        size = os.stat(attempt_dir.output_file).st_size  # noqa: PTH116 - hot
    except OSError:
        size = 0
    return size <= _QUICK_BYTES
