"""Runs attempts as processes of this machine, so that they outlive us and are found again.

Each attempt has one coroutine here that lives as long as it does. All that matters after a
restart is in the attempt's attempt_dir on disk; memory holds nothing but what can be read again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Set
from functools import partial
from pathlib import Path

import msgspec

from headrace.attempt.artifact_access import ArtifactAccess
from headrace.attempt.codes import Code
from headrace.attempt.executor_input import own_prefix
from headrace.attempt.order import LaunchOrder
from headrace.attempt.refusal import Refusal, system_refusal
from headrace.attempt.workspace import uses_workspace
from headrace.engine.model import AttemptId, Reason
from headrace.executors.local import processes
from headrace.executors.local.admission import Admission
from headrace.executors.local.attempt_dir import AttemptDir, AttemptDirs
from headrace.executors.local.cgroups import Group
from headrace.executors.local.cleanup import Cleaner
from headrace.executors.local.command import AttemptMeta, AttemptRecordFile, Command, CommandBuilder
from headrace.executors.local.limit_monitor import LimitMonitor, Watched
from headrace.executors.local.limits import Allowance, Confinement, bounded
from headrace.executors.local.machine import Machine
from headrace.executors.local.outcome import STOPPED, determine_outcome, kill_all, log_end, lost, out_of_memory_kills
from headrace.executors.local.processes import PARTIAL, REVOKED, ProcessIdentity, ProcessSet
from headrace.executors.local.resources import Allocation, Resources, resources_of
from headrace.executors.local.supervisor import exit_status, spawn, take_claim
from headrace.executors.local.warm import SWITCHED_OFF, ForkedProcess, WarmStarts, imports_of
from headrace.executors.port import AnyReport, Failed, Lost, Started, Stopped, Succeeded, Waiting
from headrace.failpoints import failpoint
from headrace.threads import in_background

_PLAIN = Allowance()
_FINAL = (Succeeded, Failed, Lost, Stopped)
_MONITOR_S = 1.0
_FOLLOW_S = 0.2
_LEASE_LOOK_S = 0.1
_CHUNK = 256 * 1024
#: So much JSON is read and checked in less than a millisecond.
_QUICK_BYTES = 32 * 1024
_log = logging.getLogger(__name__)


class _Attempt:
    """One attempt as long as this executor cares for it."""

    def __init__(self, order: LaunchOrder, attempt_dir: AttemptDir) -> None:
        self.order = order
        self.attempt_dir = attempt_dir
        self.id = order.attempt
        #: The process that took the claim, once there is one.
        self.claim = processes.read_claim(attempt_dir.claim)
        self.meta: AttemptMeta | None = None
        #: What it was started as, if by us, and the process if a parent has forked it.
        self.command: Command | None = None
        self.forked: ForkedProcess | None = None
        #: Set when its main process has ended.
        self.ended = asyncio.Event()
        #: Set when its last report is made.
        self.over = asyncio.Event()
        self.last: AnyReport | None = None
        self.stop_requested = False
        #: Until when its processes may clean up, once it is being ended.
        self.grace_until: float | None = None
        self.life: asyncio.Task[None] | None = None
        self.killer: asyncio.Task[None] | None = None
        #: Its processes, once its claim is known.
        self.process_set: ProcessSet | None = None


class LocalExecutor:
    """See `Executor`. What an order comes down to is for its builders to say: a Python component, a container."""

    def __init__(
        self,
        home: Path,
        *,
        builders: Mapping[str, CommandBuilder],
        choose: Callable[[LaunchOrder], str],
        artifacts: ArtifactAccess,
        max_parallel: int,
        stop_grace_s: float = 5.0,
        max_log_bytes: int = 1 << 30,
        max_parameter_bytes: int = 1 << 20,
        workspaces: Path | None = None,
        shared: bool = False,
        may_start: Callable[[], bool] = lambda: True,
        warm_starts: bool = True,
        warm_patience_s: float = 0.0,
        machine: Machine | None = None,
        allowance: Allowance = _PLAIN,
    ) -> None:
        """`shared`: other servers may be at work in `home` too, and only what is asked of us is ours.

        Nothing is started while `may_start` says no. `machine` is what attempts may use together; None: nothing but
        `max_parallel` decides what begins.
        """
        self._dirs = AttemptDirs(home.absolute(), workspaces, shared=shared)
        self._builders = builders
        self._choose = choose
        self._artifacts = artifacts
        self._admission = Admission(max_parallel, machine)
        self.warm = WarmStarts(home.absolute(), "" if warm_starts else SWITCHED_OFF, warm_patience_s)
        self._confinement = Confinement.here(home.absolute(), machine.memory_bytes if machine else None)
        self._allowance = allowance
        self._monitor = LimitMonitor(home.absolute(), allowance, max_log_bytes)
        self._cleaner = Cleaner()
        self._stop_grace_s = stop_grace_s
        self._max_parameter_bytes = max_parameter_bytes
        self._attempts: dict[AttemptId, _Attempt] = {}
        self._shared = shared
        self._may_start = may_start
        self._reports: asyncio.Queue[AnyReport | None] = asyncio.Queue()
        self._monitoring: asyncio.Task[None] | None = None
        self._closing = False

    # the port ---------------------------------------------------------------------------------

    async def launch(self, order: LaunchOrder) -> None:
        """See Executor."""
        known = self._attempts.get(order.attempt)
        if known is None:
            self._begin(order)
        elif known.last is not None:
            self._reports.put_nowait(known.last)

    async def surroundings(self, order: LaunchOrder) -> Mapping[str, str]:
        """See Executor."""
        return {**await self._builders[self._choose(order)].surroundings(order), **_shared(order)}

    async def stop(self, attempt: AttemptId) -> None:
        """See Executor."""
        known = self._attempts.get(attempt) or self._recall(attempt)
        if known is None:
            self._reports.put_nowait(Stopped(attempt=attempt, at=time.time()))
        elif known.over.is_set():
            if known.last is not None:
                self._reports.put_nowait(known.last)
        else:
            self._stop(known)

    async def settle(self, attempt: AttemptId) -> None:
        """See Executor."""
        known = self._attempts.pop(attempt, None)
        if known is not None and known.life is not None and not known.over.is_set():
            known.life.cancel()
        meta = known.meta if known is not None else self._kept_of(attempt)
        await self._drop_artifacts(attempt, known)
        self._dirs.remove_record(attempt)
        attempt_dir = self._dirs.of(attempt)
        group = _group(meta)
        if group is not None:
            group.remove()
        await self._cleaner.settle(attempt_dir)

    async def _drop_artifacts(self, attempt: AttemptId, known: _Attempt | None) -> None:
        """Remove what an attempt that did not succeed has put into a store: nobody will ever be told of it.

        Only what its own result says counts: one that is gone, or was never recorded, may have been successful.
        """
        record = None if known else self._dirs.read_record(attempt, AttemptRecordFile)
        order = known.order if known else record.order if record else None
        # The end of an attempt that is only known by its files is written down where it was none of success.
        report = known.last if known else self._dirs.of(attempt).read("result.json", AnyReport)  # type: ignore[arg-type]
        if order is None or not order.outputs.artifacts or not isinstance(report, Failed | Lost | Stopped):
            return
        try:
            await self._artifacts.delete(order.artifact_prefix or own_prefix(order))
        except Exception:
            _log.exception("what attempt %s has left in the artifact store could not be removed", attempt)

    async def keep_only(self, attempts: Set[AttemptId], *, within: Set[str] | None = None) -> None:
        """See Executor."""
        orphans = [
            record.order for record, _ in self._dirs.live(AttemptRecordFile) if record.order.attempt not in attempts
        ]
        orphans += [known.order for known in self._attempts.values() if known.id not in attempts]
        if within is not None:
            orphans = [order for order in orphans if order.attempt.run_id in within]
        await asyncio.gather(
            *(self._stop_unwanted(order) for order in {order.attempt: order for order in orphans}.values())
        )
        if within is None and not self._shared:
            await asyncio.to_thread(
                self._confinement.remove_others, {self._dirs.of(attempt).tag for attempt in attempts}
            )

    async def live(self) -> Set[AttemptId]:
        """See Executor."""
        return frozenset(record.order.attempt for record, _ in self._dirs.live(AttemptRecordFile))

    async def hand_over(self, run_id: str) -> None:
        """See Executor."""
        mine = [known for known in self._attempts.values() if known.id.run_id == run_id]
        for known in mine:
            del self._attempts[known.id]
            for task in (known.life, known.killer):
                if task is not None:
                    task.cancel()
            known.over.set()

    async def reports(self) -> AsyncIterator[AnyReport]:
        """See Executor."""
        # Of a shared attempt_dir each attempt is adopted by the server that is asked to launch it.
        for record, attempt_dir in () if self._shared else self._dirs.live(AttemptRecordFile):
            if record.order.attempt not in self._attempts and attempt_dir.claim.exists():
                self._begin(record.order)
        while (report := await self._reports.get()) is not None:
            yield report

    async def logs(self, attempt: AttemptId, *, offset: int = 0, follow: bool = False) -> AsyncIterator[bytes]:
        """See Executor."""
        path = self._dirs.of(attempt).log
        known = self._attempts.get(attempt)
        while True:
            at_end = not follow or known is None or known.over.is_set()
            while chunk := await asyncio.to_thread(_read, path, offset):
                offset += len(chunk)
                yield chunk
            if at_end or known is None:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(known.over.wait(), _FOLLOW_S)

    async def log_size(self, attempt: AttemptId) -> int:
        """See Executor."""
        try:
            return self._dirs.of(attempt).log.stat().st_size
        except FileNotFoundError:
            return 0

    async def delete_run(self, run_id: str) -> None:
        """See Executor."""
        await asyncio.to_thread(self._dirs.delete, run_id)

    async def close(self) -> None:
        """See Executor."""
        self._closing = True
        tasks = [task for known in self._attempts.values() for task in (known.life, known.killer) if task is not None]
        tasks += [self._monitoring] if self._monitoring is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for known in self._attempts.values():
            known.over.set()
        self._confinement.close()
        await self.warm.close()
        self._reports.put_nowait(None)

    # an attempt's life ------------------------------------------------------------------------

    def _begin(self, order: LaunchOrder) -> _Attempt:
        known = _Attempt(order, self._dirs.of(order.attempt))
        self._attempts[known.id] = known
        known.life = asyncio.create_task(self._live(known))
        known.life.add_done_callback(lambda life: self._end_unstarted(known, life))
        return known

    def _end_unstarted(self, known: _Attempt, life: asyncio.Task[None]) -> None:
        """Its coroutine was cancelled before it spawned a process: that is the end of it, if that was asked for."""
        if not life.cancelled() or not known.stop_requested or self._closing:
            return
        if not take_claim(known.attempt_dir):
            # An earlier server had spawned its supervisor a moment before it died.
            self._stop(self._begin(known.order))
            return
        report = Stopped(attempt=known.id, at=time.time())
        if known.attempt_dir.root.is_dir():
            known.attempt_dir.write("result.json", report)
        self._say(known, report)
        known.over.set()

    def _recall(self, attempt: AttemptId) -> _Attempt | None:
        """An attempt that an earlier executor has started; one that it had not is never to start any more."""
        record = self._dirs.read_record(attempt, AttemptRecordFile)
        return None if record is None or take_claim(self._dirs.of(attempt)) else self._begin(record.order)

    def _say(self, known: _Attempt, report: AnyReport) -> None:
        known.last = report
        if known.id in self._attempts:
            self._reports.put_nowait(report)

    async def _live(self, known: _Attempt) -> None:
        try:
            report = known.attempt_dir.read("result.json", AnyReport)  # type: ignore[arg-type]
            if report is None:
                report = await self._report_of_end(known)
                failpoint("result.before")
                if not isinstance(report, Succeeded):
                    # Success follows from what the attempt left; why it failed may be known only now.
                    known.attempt_dir.write("result.json", report)
                failpoint("result.after")
        except OSError as error:
            report = self._failed(known, system_refusal(error, "The attempt's result cannot be meta"))
        self._say(known, report)
        known.over.set()

    async def _report_of_end(self, known: _Attempt) -> AnyReport:
        try:
            return await self._run(known)
        except Refusal as refusal:
            return self._failed(known, refusal)
        except OSError as error:
            return self._failed(known, system_refusal(error, "The attempt could not be started"))
        except Exception as error:
            _log.exception("attempt %s", known.id)
            message = f"Headrace could not run the attempt: {type(error).__name__}: {error}"
            return self._failed(known, Refusal(Code.LAUNCH_FAILED, message))

    @staticmethod
    def _failed(known: _Attempt, refusal: Refusal) -> Failed | Lost:
        if refusal.passing:
            return Lost(attempt=known.id, at=time.time(), error=refusal.reason)
        return Failed(attempt=known.id, at=time.time(), error=refusal.reason, retryable=refusal.retryable)

    async def _run(self, known: _Attempt) -> AnyReport:
        if known.claim is None:
            return await self._launch(known)
        claim = await processes.settled_claim(known.attempt_dir.claim, known.attempt_dir.tag) or REVOKED
        meta = known.meta = self._kept_of(known.id)
        if meta is None:
            return lost(known.id, time.time(), "What is known of the attempt cannot be read any more.")
        self._admission.overdraw(meta.allocation)
        return await self._watch(known, claim, meta)

    def _kept_of(self, attempt: AttemptId) -> AttemptMeta | None:
        record = self._dirs.read_record(attempt, AttemptRecordFile)
        return None if record is None else record.meta

    async def _launch(self, known: _Attempt) -> AnyReport:
        order, attempt_dir = known.order, known.attempt_dir
        attempt_dir.make()
        resources = resources_of(order.container.resources if order.container else {})
        self._admission.check(resources)
        name = self._choose(order)
        command, meta = await self._builders[name].build(order, attempt_dir, lambda reason: self._wait(known, reason))
        applied = self._allowance.limits(resources)
        group = None if meta.container else self._confinement.of(attempt_dir.tag, applied.limits)
        meta = msgspec.structs.replace(
            meta,
            out_of_memory_kills=out_of_memory_kills(),
            surroundings={**meta.surroundings, **_shared(order)},
            group=group.directories if group else (),
            applied=applied,
            allocation=Allocation(resources=resources),
        )
        known.meta = meta
        self._dirs.write_record(known.id, AttemptRecordFile(order=order, meta=meta))
        allocation = await self._admit(known, resources)
        try:
            while not self._may_start():  # noqa: ASYNC110 - time passes, or the run is another server's
                await asyncio.sleep(_LEASE_LOOK_S)
            if allocation.devices:
                meta = known.meta = msgspec.structs.replace(meta, allocation=allocation)
                self._dirs.write_record(known.id, AttemptRecordFile(order=order, meta=meta))
            command = _fitted(command, meta, allocation)
            joins = self._confinement.make(group, applied.limits)
            failpoint("spawn.before")
            known.command, known.forked = command, await self.warm.start(command, attempt_dir, joins)
            pid = (
                known.forked.pid
                if known.forked
                else spawn(attempt_dir, command.argv, command.env, joins, command.request)
            )
            failpoint("spawn.after")
        except BaseException:
            if group is not None:
                group.remove()
            self._admission.release(allocation)
            raise
        claim = _claim_of(pid)
        return await self._watch(known, claim, meta, ours=True)

    async def _admit(self, known: _Attempt, resources: Resources) -> Allocation:
        allocation = self._admission.take_now(resources)
        if allocation is None:
            self._wait(known, self._admission.why(resources))
            allocation = await self._admission.take(resources)
        return allocation

    def _wait(self, known: _Attempt, reason: Reason) -> None:
        self._say(known, Waiting(attempt=known.id, at=time.time(), reason=reason))

    async def _watch(
        self, known: _Attempt, claim: ProcessIdentity, meta: AttemptMeta, *, ours: bool = False
    ) -> AnyReport:
        """From the start of its process, ours or an earlier server's, to its last report."""
        known.claim = claim
        known.process_set = _family(claim, known.attempt_dir, meta, seen_alive=ours or processes.alive(claim))
        timer = None
        try:
            if known.forked is not None or processes.alive(claim):
                began = time.time() if ours else processes.started_at(claim)
                self._say(known, Started(attempt=known.id, at=began))
                timer = self._set_timer(known, began)
                self._keep_monitoring()
                if known.stop_requested:
                    self._stop(known)
                await (known.forked.ended() if known.forked else processes.ended(claim.pid))
        finally:
            self._admission.release(meta.allocation)
            if timer is not None:
                timer.cancel()
        taken = await processes.settled_claim(known.attempt_dir.claim, known.attempt_dir.tag)
        if taken is None or (ours and taken == PARTIAL):
            if known.grace_until is not None:
                # It was ended before it could begin.
                known.ended.set()
                return await self._finish(known, claim, known.process_set, meta)
            _reap(known, claim)
            told = log_end(known.attempt_dir.log)
            raise Refusal(Code.LAUNCH_FAILED, f"The attempt's supervisor could not begin. {told}")
        if taken != claim:
            # An earlier server's supervisor was quicker than ours, which has stepped back.
            _reap(known, claim)
            self._admission.overdraw(meta.allocation)
            return await self._watch(known, taken, meta)
        await processes.exit_written(known.attempt_dir.claim, claim)
        known.ended.set()
        return await self._finish(known, claim, known.process_set, meta)

    async def _finish(
        self, known: _Attempt, claim: ProcessIdentity, process_set: ProcessSet, meta: AttemptMeta
    ) -> AnyReport:
        if known.grace_until is not None:
            # Children of an attempt that is being ended have the same grace as its main process.
            await _until_gone(process_set, known.grace_until)
        builder = self._builders[meta.builder]
        if exit_status(known.attempt_dir) is None or not process_set.is_surely_gone():
            await asyncio.to_thread(kill_all, process_set)
        # Only now: until it is waited for, its number, and its session's, is nobody else's.
        _reap(known, claim)
        if known.grace_until is not None or exit_status(known.attempt_dir) is None:
            await builder.remove_container(meta)
        if known.command is not None and known.command.warm:
            self.warm.learn(known.command, list(imports_of(known.attempt_dir)))
        if _is_quick(known) and not meta.container:
            return self._judge(known, claim, meta, None)
        judging = partial(
            self._judge, known, claim, meta, await builder.cause_of_death(meta, exit_status(known.attempt_dir))
        )
        # Sending to an object store may take minutes, which others should not wait for.
        return await (in_background(judging) if known.order.artifact_prefix else asyncio.to_thread(judging))

    def _judge(self, known: _Attempt, claim: ProcessIdentity, meta: AttemptMeta, seen: Reason | None) -> AnyReport:
        group, attempt_dir = _group(meta), known.attempt_dir
        try:
            if not self._shared:
                return self._judged(known, claim, meta, seen)
            # A server that had lost its lease without knowing may determine_outcome it too; outputs are taken in once.
            with attempt_dir.locked():
                found: AnyReport | None = attempt_dir.read("result.json", AnyReport)  # type: ignore[arg-type]
                if found is None:
                    found = self._judged(known, claim, meta, seen)
                    attempt_dir.write("result.json", found)
                return found
        finally:
            if group is not None:
                group.remove()

    def _judged(self, known: _Attempt, claim: ProcessIdentity, meta: AttemptMeta, seen: Reason | None) -> AnyReport:
        builder = self._builders[meta.builder]
        return determine_outcome(
            known.order, known.attempt_dir, claim, meta, builder, self._artifacts, self._max_parameter_bytes, seen
        )

    # ending an attempt ------------------------------------------------------------------------

    def _stop(self, known: _Attempt) -> None:
        known.stop_requested = True
        if known.claim is None and known.life is not None:
            known.life.cancel()
        else:
            self._end(known, Reason(code=STOPPED, message=""))

    def _set_timer(self, known: _Attempt, began: float) -> asyncio.TimerHandle | None:
        limit = known.order.timeout_s
        if limit is None:
            return None
        left = max(0.0, began + limit - time.time())
        reason = Reason(code=Code.TIMEOUT, message=_timeout_message(limit), details={"timeout_s": limit})
        return asyncio.get_running_loop().call_later(left, self._end, known, reason)

    def _end(self, known: _Attempt, reason: Reason, *, grace_s: float | None = None) -> None:
        """Begin to end it. Why is written down first, so that a later server knows too."""
        if known.grace_until is not None or known.claim is None or not processes.alive(known.claim):
            return
        known.attempt_dir.write("ending.json", reason)
        grace_s = self._stop_grace_s if grace_s is None else grace_s
        known.grace_until = time.monotonic() + grace_s
        known.killer = asyncio.create_task(self._kill(known, grace_s))

    async def _kill(self, known: _Attempt, grace_s: float) -> None:
        assert known.process_set is not None
        process_set = known.process_set
        processes.send(await asyncio.to_thread(process_set.members), signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(known.ended.wait(), grace_s)
        while not known.ended.is_set():
            if process_set.group is not None:
                process_set.group.end()
            processes.send(await asyncio.to_thread(process_set.members), signal.SIGKILL)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(known.ended.wait(), 0.1)

    async def _stop_unwanted(self, order: LaunchOrder) -> None:
        known = self._attempts.pop(order.attempt, None)
        for task in (known.life, known.killer) if known else ():
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        attempt_dir = self._dirs.of(order.attempt)
        take_claim(attempt_dir)
        claim = await processes.settled_claim(attempt_dir.claim, attempt_dir.tag)
        if claim is not None and claim.boot == processes.boot_id():
            await self._kill_processes(claim, attempt_dir, self._kept_of(order.attempt))
        await self.settle(order.attempt)

    async def _kill_processes(self, claim: ProcessIdentity, attempt_dir: AttemptDir, meta: AttemptMeta | None) -> None:
        """End an attempt that nobody wants to hear of any more."""
        process_set = _family(claim, attempt_dir, meta, seen_alive=processes.alive(claim))
        processes.send(await asyncio.to_thread(process_set.members), signal.SIGTERM)
        await _until_gone(process_set, time.monotonic() + self._stop_grace_s)
        await asyncio.to_thread(kill_all, process_set)
        processes.reap(claim.pid)
        if meta is not None:
            await self._builders[meta.builder].remove_container(meta)

    # limits -----------------------------------------------------------------------------------

    def _keep_monitoring(self) -> None:
        if self._monitoring is None or self._monitoring.done():
            self._monitoring = asyncio.create_task(self._watch_limits())

    async def _watch_limits(self) -> None:
        """One look a second at all there is, as long as anything runs. Who exceeds a limit gets no grace."""
        while running := [known for known in self._attempts.values() if known.claim and not known.ended.is_set()]:
            watched = {
                known.id: Watched(attempt_dir=known.attempt_dir, meta=known.meta, process_set=known.process_set)
                for known in running
                if known.meta and known.process_set
            }
            try:
                for attempt, reason in await asyncio.to_thread(self._monitor.look, watched):
                    if attempt in self._attempts:
                        self._end(self._attempts[attempt], reason, grace_s=0.0)
            except OSError:
                _log.exception("limits could not be looked at")
            for known in running:
                if known.forked is not None:
                    known.forked.look()
            await asyncio.sleep(_MONITOR_S)


def _fitted(command: Command, meta: AttemptMeta, allocation: Allocation) -> Command:
    """The command with what the attempt was granted, and bounds where no group gives it any."""
    if allocation.devices and not meta.container:
        command = msgspec.structs.replace(
            command, env={**command.env, "CUDA_VISIBLE_DEVICES": ",".join(allocation.devices)}
        )
    if not meta.container and not meta.group and meta.applied.limits.memory_bytes is not None:
        return msgspec.structs.replace(
            command, argv=bounded(command.argv, meta.applied.limits.memory_bytes), warm=False
        )
    return command


def _shared(order: LaunchOrder) -> dict[str, str]:
    """What lies in a workspace is another with each run, and nobody can tell what a task reads there."""
    return {"workspace": f"of run {order.attempt.run_id}"} if uses_workspace(order) else {}


def _family(
    claim: ProcessIdentity, attempt_dir: AttemptDir, meta: AttemptMeta | None, *, seen_alive: bool
) -> ProcessSet:
    """The attempt's processes, by their session, tag and group. A container's own processes are the engine's to end."""
    tag = "" if meta is not None and meta.container else attempt_dir.tag
    return ProcessSet(claim, tag, group=_group(meta), seen_alive=seen_alive)


def _group(meta: AttemptMeta | None) -> Group | None:
    return Group(meta.group) if meta is not None and meta.group else None


async def _until_gone(process_set: ProcessSet, until: float) -> None:
    while time.monotonic() < until:
        if not await asyncio.to_thread(process_set.members):
            return
        await asyncio.sleep(0.05)


def _reap(known: _Attempt, claim: ProcessIdentity) -> None:
    """Its first process has ended and all that it left has been looked at."""
    if known.forked is not None:
        known.forked.reap()
        known.forked = None
    else:
        processes.reap(claim.pid)


def _is_quick(known: _Attempt) -> bool:
    """Whether reading its outputs takes no longer than handing that to a thread: no artifacts, and few bytes."""
    if known.order.outputs.artifacts or known.order.inputs.artifacts or known.order.workspace_bytes is not None:
        return False
    try:
        size = os.stat(known.attempt_dir.output_file).st_size  # noqa: PTH116
    except OSError:
        size = 0
    return size <= _QUICK_BYTES


def _claim_of(pid: int) -> ProcessIdentity:
    stat = processes.stat_of(pid)
    return ProcessIdentity(pid=pid, started=stat.started if stat else 0, boot=processes.boot_id())


def _timeout_message(limit: float) -> str:
    return f"The attempt ran longer than its timeout of {limit:g} s and was ended."


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(_CHUNK)
    except FileNotFoundError:
        return b""
