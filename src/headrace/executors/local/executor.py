"""The executor of this machine: it begins, adopts, stops and settles attempts, each of which lives in `life`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Set

from headrace.attempt.order import LaunchOrder
from headrace.engine.model import AttemptId, Json
from headrace.executors.local import processes
from headrace.executors.local.cleanup import Cleaner
from headrace.executors.local.command import AttemptMeta, AttemptRecordFile
from headrace.executors.local.ending import control_group, end_unwatched, process_set
from headrace.executors.local.facilities import Facilities
from headrace.executors.local.life import AttemptLife
from headrace.executors.local.limit_monitor import LimitMonitor
from headrace.executors.local.start import surroundings_of
from headrace.executors.local.storing import forget_kept, is_kept
from headrace.executors.local.supervisor import take_claim
from headrace.executors.local.warm import WarmStarts
from headrace.executors.log_store import FileLogs, LiveLog
from headrace.executors.port import AnyReport, Failed, Lost, Stopped
from headrace.spec.settings import without_effect

_log = logging.getLogger(__name__)


class LocalExecutor:
    """See `Executor`. Builders decide what an order comes down to: a Python process, a container."""

    def __init__(self, facilities: Facilities, monitor: LimitMonitor, domain: str) -> None:
        self.domain = domain
        self.logs = FileLogs(lambda attempt: facilities.dirs.of(attempt).log, self._live_log)
        self._facilities = facilities
        self._monitor = monitor
        self._cleaner = Cleaner()
        self._lives: dict[AttemptId, AttemptLife] = {}
        self._reports: asyncio.Queue[AnyReport | None] = asyncio.Queue()
        self._monitoring: asyncio.Task[None] | None = None

    @property
    def warm(self) -> WarmStarts:
        """The parents of warm starts, with how often they were used."""
        return self._facilities.warm

    async def launch(self, order: LaunchOrder) -> None:
        """See Executor."""
        known = self._lives.get(order.attempt)
        if known is None:
            self._begin(order)
        elif known.last is not None:
            self._reports.put_nowait(known.last)

    async def surroundings(self, order: LaunchOrder) -> Mapping[str, str]:
        """See Executor."""
        builder = self._facilities.builders[self._facilities.choose(order)]
        return {**await builder.surroundings(order), **surroundings_of(order)}

    def without_effect(self, settings: Mapping[str, Json]) -> tuple[str, ...]:
        """See Executor."""
        return without_effect(settings)

    async def stop(self, attempt: AttemptId) -> None:
        """See Executor."""
        known = self._lives.get(attempt) or self._adopted(attempt)
        if known is None:
            self._reports.put_nowait(Stopped(attempt=attempt, at=time.time()))
        elif known.over.is_set():
            if known.last is not None:
                self._reports.put_nowait(known.last)
        else:
            known.stop()

    async def settle(self, attempt: AttemptId) -> None:
        """See Executor."""
        known = self._lives.pop(attempt, None)
        if known is not None and not known.over.is_set():
            known.cancel()
        meta = (known.meta if known is not None else None) or self._meta_of(attempt)
        attempt_dir = self._facilities.dirs.of(attempt)
        keeps = is_kept(attempt_dir)
        if not keeps:
            await self._delete_artifacts(attempt, known)
        self._facilities.dirs.remove_record(attempt)
        if meta is not None:
            self._facilities.confinement.release(control_group(meta), meta.applied.limits)
        if not keeps:
            await self._cleaner.settle(attempt_dir)
        if attempt.number > 1 and not (known is not None and known.leaves_kept):
            await asyncio.to_thread(forget_kept, attempt.number, attempt_dir)

    async def keep_only(self, attempts: Set[AttemptId], *, within: Set[str] | None = None) -> None:
        """See Executor."""
        records = {record.order.attempt: record for record, _ in self._facilities.dirs.live(AttemptRecordFile)}
        unwanted = [
            one
            for one in {**records, **self._lives}
            if one not in attempts and (within is None or one.run_id in within)
        ]
        await asyncio.gather(*(self._stop_unwanted(attempt) for attempt in unwanted))
        if within is None and not self._facilities.shared:
            groups = [control_group(records[attempt].meta) for attempt in attempts if attempt in records]
            names = {group.name for group in groups if group is not None}
            await asyncio.to_thread(self._facilities.confinement.remove_others, names)

    async def live(self) -> Set[AttemptId]:
        """See Executor."""
        return frozenset(record.order.attempt for record, _ in self._facilities.dirs.live(AttemptRecordFile))

    async def hand_over(self, run_id: str) -> None:
        """See Executor."""
        for known in [one for one in self._lives.values() if one.id.run_id == run_id]:
            del self._lives[known.id]
            known.cancel()

    async def reports(self) -> AsyncIterator[AnyReport]:
        """See Executor."""
        # In shared directories each attempt is adopted by the server that is asked to launch it.
        shared = self._facilities.shared
        for record, attempt_dir in () if shared else self._facilities.dirs.live(AttemptRecordFile):
            if record.order.attempt not in self._lives and attempt_dir.claim.exists():
                self._begin(record.order)
        while (report := await self._reports.get()) is not None:
            yield report

    async def delete_run(self, run_id: str) -> None:
        """See Executor."""
        await asyncio.to_thread(self._facilities.dirs.delete, run_id)

    async def close(self) -> None:
        """See Executor."""
        if self._monitoring is not None:
            self._monitoring.cancel()
            await asyncio.gather(self._monitoring, return_exceptions=True)
        await asyncio.gather(*(known.leave() for known in self._lives.values()))
        self._facilities.confinement.close()
        await self._facilities.warm.close()
        self._reports.put_nowait(None)

    # ------------------------------------------------------------------------------------------

    def _begin(self, order: LaunchOrder) -> AttemptLife:
        known = AttemptLife(order, self._facilities, self._report, self._monitor_limits)
        self._lives[known.id] = known
        return known

    def _report(self, report: AnyReport) -> None:
        if report.attempt in self._lives:
            self._reports.put_nowait(report)

    def _live_log(self, attempt: AttemptId) -> LiveLog | None:
        known = self._lives.get(attempt)
        return None if known is None or known.over.is_set() else known

    def _adopted(self, attempt: AttemptId) -> AttemptLife | None:
        """An attempt that an earlier executor has started. One that it had not started can never start after this."""
        record = self._facilities.dirs.read_record(attempt, AttemptRecordFile)
        started = record is not None and not take_claim(self._facilities.dirs.of(attempt))
        return self._begin(record.order) if record is not None and started else None

    def _meta_of(self, attempt: AttemptId) -> AttemptMeta | None:
        record = self._facilities.dirs.read_record(attempt, AttemptRecordFile)
        return None if record is None else record.meta

    async def _delete_artifacts(self, attempt: AttemptId, known: AttemptLife | None) -> None:
        """Remove what an attempt that did not succeed has put into a store: no record will ever name it.

        Only what its own result says counts: one that is gone, or was never recorded, may have been successful.
        """
        record = None if known else self._facilities.dirs.read_record(attempt, AttemptRecordFile)
        order = known.order if known else record.order if record else None
        if order is None or not order.outputs.artifacts:
            return
        report = known.last if known else None
        if known is None:
            # The end of an attempt that is only known by its files is written down where it was not a success.
            report = self._facilities.dirs.of(attempt).read("result.json", AnyReport)  # type: ignore[arg-type]
        if not isinstance(report, Failed | Lost | Stopped):
            return
        try:
            await self._facilities.artifacts.delete(order.artifact_prefix)
        except Exception:
            _log.exception("what attempt %s has left in the artifact store could not be removed", attempt)

    async def _stop_unwanted(self, attempt: AttemptId) -> None:
        known = self._lives.pop(attempt, None)
        if known is not None:
            await known.leave()
        attempt_dir = self._facilities.dirs.of(attempt)
        take_claim(attempt_dir)
        first = await processes.settled_claim(attempt_dir.claim, attempt_dir.tag)
        if first is not None and first.boot == processes.boot_id():
            meta = self._meta_of(attempt)
            found = process_set(first, attempt_dir, meta, seen_alive=processes.alive(first))
            await end_unwatched(found, self._facilities.stop_grace_s)
            if meta is not None:
                await self._facilities.builders[meta.builder].remove_container(meta)
        await self.settle(attempt)

    def _monitor_limits(self) -> None:
        if self._monitoring is None or self._monitoring.done():
            self._monitoring = asyncio.create_task(self._monitor.watch(self._lives))
