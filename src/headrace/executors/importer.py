"""Importers: an artifact that exists somewhere becomes one of ours. Needs no process, and any server can do it.

Nothing is fetched, looked at or copied: the URI is registered, and tasks that want the content get it when they start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from pathlib import Path

from headrace.attempt.executor_input import local_path
from headrace.attempt.order import LaunchOrder
from headrace.attempt.result import ProducedArtifact
from headrace.attempt.workspace import IN_WORKSPACE
from headrace.engine.model import Artifact, AttemptId, Json, Reason
from headrace.executors.log_store import LiveLog, LogStore
from headrace.executors.port import AnyReport, Failed, Started, Stopped, Succeeded

log = logging.getLogger(__name__)

#: The domain of importers. Every server has it, so that each can go on with the importers of another.
ANYWHERE = "anywhere"
#: The one output of an importer, by KFP's naming.
_OUTPUT = "artifact"
#: Pseudo file systems: what is read there is the server's own state, not data.
_NEVER = (Path("/proc"), Path("/sys"), Path("/dev"))


class ImporterExecutor:
    """See `Executor`. Attempts leave nothing behind, so after a restart one that is launched again begins again."""

    domain = ANYWHERE

    def __init__(
        self,
        home: Path,
        roots: Sequence[Path],
        find_equal: Callable[[ProducedArtifact, LaunchOrder], Awaitable[Artifact | None]],
    ) -> None:
        """`home`: the data directory, of which only artifacts are imported. `roots`: directories below which files are.

        `find_equal(artifact, order)` answers the newest recorded artifact with the same URI, type and metadata in runs
        of the order's pipeline in its namespace.
        """
        self._home = home
        self._roots = roots
        self._find_equal = find_equal
        self.logs: LogStore = _NoLogs()
        self._tasks: dict[AttemptId, asyncio.Task[None]] = {}
        #: How attempts ended that are not settled.
        self._ends: dict[AttemptId, AnyReport] = {}
        self._reports: asyncio.Queue[AnyReport | None] = asyncio.Queue()

    async def launch(self, order: LaunchOrder) -> None:
        """See Executor."""
        attempt = order.attempt
        if (end := self._ends.get(attempt)) is not None:
            self._reports.put_nowait(end)
            return
        self._reports.put_nowait(Started(attempt=attempt, at=time.time()))
        if attempt not in self._tasks:
            self._tasks[attempt] = asyncio.create_task(self._work(order))

    async def surroundings(self, order: LaunchOrder) -> Mapping[str, str]:
        """See Executor."""
        return {}

    def without_effect(self, settings: Mapping[str, Json]) -> tuple[str, ...]:
        """See Executor. Importers have no settings."""
        return ()

    async def stop(self, attempt: AttemptId) -> None:
        """See Executor."""
        if (task := self._tasks.pop(attempt, None)) is not None:
            task.cancel()
        self._end(self._ends.get(attempt) or Stopped(attempt=attempt, at=time.time()))

    async def settle(self, attempt: AttemptId) -> None:
        """See Executor."""
        self._ends.pop(attempt, None)

    async def keep_only(self, attempts: Set[AttemptId], *, within: Set[str] | None = None) -> None:
        """See Executor."""
        for attempt in self._live():
            if attempt not in attempts and (within is None or attempt.run_id in within):
                self._discard(attempt)

    async def live(self) -> Set[AttemptId]:
        """See Executor."""
        return set(self._live())

    async def hand_over(self, run_id: str) -> None:
        """See Executor. The other server begins its importers again."""
        for attempt in self._live():
            if attempt.run_id == run_id:
                self._discard(attempt)

    async def delete_run(self, run_id: str) -> None:
        """See Executor."""
        await self.hand_over(run_id)

    async def reports(self) -> AsyncIterator[AnyReport]:
        """See Executor."""
        for attempt in self._tasks:
            self._reports.put_nowait(Started(attempt=attempt, at=time.time()))
        for end in self._ends.values():
            self._reports.put_nowait(end)
        while (report := await self._reports.get()) is not None:
            yield report

    async def close(self) -> None:
        """See Executor."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._reports.put_nowait(None)

    def _live(self) -> list[AttemptId]:
        return [*self._tasks, *self._ends]

    def _discard(self, attempt: AttemptId) -> None:
        if (task := self._tasks.pop(attempt, None)) is not None:
            task.cancel()
        self._ends.pop(attempt, None)

    def _end(self, report: AnyReport) -> None:
        self._ends[report.attempt] = report
        self._reports.put_nowait(report)

    async def _work(self, order: LaunchOrder) -> None:
        try:
            end = await self._import(order)
        except Exception as error:
            log.exception("importer %s failed", order.attempt)
            message = f"The attempt could not be started: {type(error).__name__}: {error}"
            end = _failed(order.attempt, Reason(code="LAUNCH_FAILED", message=message))
        self._tasks.pop(order.attempt, None)
        self._end(end)

    async def _import(self, order: LaunchOrder) -> AnyReport:
        importer, attempt = order.importer, order.attempt
        assert importer is not None, "an importer's order says what to import"
        refusal = await asyncio.to_thread(self._refusal, importer.uri)
        if refusal is not None:
            return _failed(attempt, refusal)
        name = next(iter(order.outputs.artifacts), _OUTPUT)
        metadata = {**importer.metadata, **({IN_WORKSPACE: True} if importer.download_to_workspace else {})}
        artifact = ProducedArtifact(name=name, type=importer.type, uri=importer.uri, metadata=metadata)
        known = None if importer.reimport else await self._find_equal(artifact, order)
        if known is not None:
            return Succeeded(attempt=attempt, at=time.time(), recorded={name: (known,)})
        return Succeeded(attempt=attempt, at=time.time(), artifacts={name: (artifact,)})

    def _refusal(self, uri: str) -> Reason | None:
        """Why this may not be imported. Blocks."""
        if not uri.strip():
            return _refused(uri, "The importer has no URI: its input is empty.")
        path = local_path(uri)
        if path is None:
            return None
        if "\0" in path or not os.path.isabs(path):  # noqa: PTH117
            return _refused(uri, f"{uri!r} is not an absolute path.")
        # Links are followed before it is decided, so that none leads out of what is allowed.
        real = Path(os.path.realpath(path))
        home = Path(os.path.realpath(self._home))
        if real.is_relative_to(home):
            if real.is_relative_to(home / "artifacts") and real != home / "artifacts":
                return None if os.path.lexists(real) else _not_found(uri)
            return _refused(uri, f"{uri!r} lies in the data directory, of which only artifacts can be imported.")
        if any(real.is_relative_to(never) for never in _NEVER) or not any(
            real.is_relative_to(os.path.realpath(root)) for root in self._roots
        ):
            allowed = ", ".join(str(root) for root in self._roots) or "no directory"
            return _refused(uri, f"{uri!r} may not be imported; files may be from {allowed} (setting import_roots).")
        return None if os.path.lexists(real) else _not_found(uri)


class _NoLogs:
    """See LogStore. An importer prints nothing."""

    async def size(self, attempt: AttemptId) -> int:
        """See LogStore."""
        return 0

    async def read(self, attempt: AttemptId, *, offset: int, limit: int) -> bytes:
        """See LogStore."""
        return b""

    def live_log(self, attempt: AttemptId) -> LiveLog | None:
        """See LogStore."""
        return None


def _failed(attempt: AttemptId, reason: Reason) -> Failed:
    return Failed(attempt=attempt, at=time.time(), error=reason, retryable=False)


def _not_found(uri: str) -> Reason:
    message = (
        f"There is nothing at {uri!r} on this machine. Correct the URI, or make the file before the pipeline runs."
    )
    return Reason(code="IMPORT_NOT_FOUND", message=message, details={"uri": uri})


def _refused(uri: str, message: str) -> Reason:
    return Reason(code="IMPORT_REFUSED", message=message, details={"uri": uri})
