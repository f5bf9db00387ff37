"""Recording: what a batch of events did is committed, tried again while it may pass, and given up when it cannot be.

A commit whose answer was lost may have been done or not. It is tried again, and when the rows have changed meanwhile
they are compared with what it would have written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from headrace.failpoints import failpoint
from headrace.retries import delays
from headrace.service.active import ActiveRun, BatchResult, failed_by
from headrace.service.context import Context, disk_failed
from headrace.service.outage_log import OutageLog
from headrace.store import errors as store
from headrace.store import run_changes

log = logging.getLogger(__name__)

_RETRY_FIRST_S = 0.05
_RETRY_LONGEST_S = 2.0
#: Errors that may pass by themselves: to wait and try again is right.
_PASSING = (store.Full, store.ReadOnly, store.Busy, store.Broken, store.DatabaseUnreachable, store.CommitUnknown)


@dataclass(kw_only=True)
class Recorded:
    """How the recording of some results ended."""

    #: Results that are on disk. Where only the failure of a run could be recorded it is that failure.
    done: list[BatchResult] = field(default_factory=list)
    #: Ids of runs that another server drives by now, or has deleted.
    stale: list[str] = field(default_factory=list)
    #: Ids of runs of which not even the failure can be recorded.
    impossible: list[str] = field(default_factory=list)


class Recorder:
    """Commits results of batches."""

    def __init__(self, context: Context, fail_waiting: Callable[[Exception], None]) -> None:
        """`fail_waiting` is called with an error while nothing can be recorded, so that no request waits for it."""
        self._context = context
        self._fail_waiting = fail_waiting
        self._outage = OutageLog()

    async def record(self, results: Sequence[BatchResult], wanted: Callable[[ActiveRun], bool]) -> Recorded:
        """Commit all results in one transaction; if that is not possible, each by itself.

        Waits while the database is away or the disk is full. Of runs that are not `wanted` any more nothing is tried
        by itself.
        """
        recorded = Recorded()
        if not results:
            return recorded
        stale = await self._commit(results)
        if stale is None:
            recorded.done += results
            return recorded
        recorded.stale += stale
        for one in results:
            if one.run.run_id not in stale and wanted(one.run):
                await self._record_alone(one, recorded, wanted)
        return recorded

    async def _record_alone(self, one: BatchResult, recorded: Recorded, wanted: Callable[[ActiveRun], bool]) -> None:
        stale = await self._commit([one])
        if stale is None:
            recorded.done.append(one)
            return
        recorded.stale += stale
        if stale or not wanted(one.run):
            return
        error = RuntimeError("what happened to the run could not be recorded")
        failed = failed_by(one.run, error, self._context.now())
        stale = await self._commit([failed])
        if stale is None:
            recorded.done.append(failed)
            return
        recorded.stale += stale
        if not stale:
            recorded.impossible.append(one.run.run_id)

    async def _commit(self, results: Sequence[BatchResult]) -> Sequence[str] | None:
        """None when all results are on disk; else none of them ever can be: ids of the runs that are not ours."""
        changes = [one.change for one in results]
        pauses = delays(_RETRY_FIRST_S, _RETRY_LONGEST_S)
        unsure = False
        while True:
            try:
                failpoint("commit.before")
                await self._context.database.write(run_changes.commit_changes, changes, self._context.owner)
                failpoint("commit.after")
                self._outage.over()
                return None
            except store.Stale as stale:
                if unsure and await self._context.read(run_changes.are_recorded, changes):
                    return None
                # With one server this cannot happen, and the log shows the fault.
                log.warning("%s", stale)
                return stale.run_ids if self._context.lease is not None else ()
            except store.DiskFailed as error:
                log.critical("%s", disk_failed(error, self._context.settings))
                self._fail_waiting(self._context.translated(error))
                # The process ends. Nothing more is recorded, so nothing more is done either.
                await asyncio.Event().wait()
            except _PASSING as error:
                unsure = unsure or isinstance(error, store.CommitUnknown)
                meaning = self._context.translated(error)
                self._outage.failing(meaning.code, meaning.message)
                self._fail_waiting(meaning)
                await asyncio.sleep(next(pauses))
            except Exception:
                log.exception("a change of %s cannot be recorded", ", ".join(one.run_id for one in changes[:10]))
                return ()
