"""Time to live: working files, logs and workspace of runs that ended a while ago, removed when the document says so.

KFP hands `ttl_seconds_after_…` to Argo, which deletes the workflow with its pods; the run's record, its artifacts and
what the cache knows stay. So it is here: what goes is what lies in attempts' directories and in the workspace.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from headrace.service.context import Context
from headrace.service.loop import RunLoop
from headrace.store import run_expiry

log = logging.getLogger(__name__)

#: Looks at least this often: another server may have ended a run, or the clock may have been set.
_LOOK_S = 300.0


class Expiry:
    """Removes what has expired, as long as it runs."""

    def __init__(self, context: Context, loop: RunLoop) -> None:
        self._context = context
        self._loop = loop
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with what expired while the server was not running."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._loop.expiring.clear()
            try:
                wait = await self._clear()
            except Exception:
                log.exception("what has expired could not be removed, trying again later")
                wait = _LOOK_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._loop.expiring.wait()

    async def _clear(self) -> float:
        """Remove what has expired by now; seconds until there is more."""
        for run_id in await self._context.read(run_expiry.expired_runs, self._context.now()):
            async with self._context.clearing:
                # A retry may have taken it up again meanwhile.
                if self._loop.active(run_id) is None:
                    await self._context.executor.delete_run(run_id)
                    await self._context.write(run_expiry.clear_expiry, [run_id])
        due = await self._context.read(run_expiry.next_expiry)
        return _LOOK_S if due is None else min(max(due - self._context.now(), 0.0), _LOOK_S)
