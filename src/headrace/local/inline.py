"""Runs Python components in this very process, on the thread that called, so that a debugger stops in them.

Everything else (containers, components known only from a document) goes to the ordinary executor.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Set
from typing import Any

from headrace.attempt.artifact_access import ArtifactAccess
from headrace.attempt.executor_input import shown_root
from headrace.attempt.fetch import Fetched, fetch
from headrace.attempt.order import LaunchOrder
from headrace.attempt.python_task import python_entry
from headrace.attempt.refusal import Refusal
from headrace.attempt.result import ResultFailed
from headrace.attempt.ship import MAX_PARAMETER_BYTES, ship
from headrace.dsl.base_component import FUNCTIONS
from headrace.engine.model import AttemptId, Json, Reason
from headrace.executors.local.attempt_dir import AttemptDir, AttemptDirs
from headrace.executors.log_store import LogStore
from headrace.executors.port import AnyReport, Executor, Failed, Started, Stopped, Succeeded
from headrace.local.calling import call_function
from headrace.runtime.problems import Problem, safe_text
from headrace.spec.settings import without_effect


class InlineExecutor:
    """See `Executor`. Orders wait in `work` until the calling thread takes them."""

    def __init__(
        self,
        others: Executor,
        dirs: AttemptDirs,
        artifacts: ArtifactAccess,
        work: queue.SimpleQueue[LaunchOrder | None],
    ) -> None:
        self._others = others
        self._dirs = dirs
        self._artifacts = artifacts
        self._own: set[AttemptId] = set()
        self._loop = asyncio.get_running_loop()
        self._reports: asyncio.Queue[AnyReport] = asyncio.Queue()
        #: Orders that the thread which called the component takes.
        self.work = work
        #: The last exception of a user's function, to be the cause of the error that the caller sees.
        self.raised: BaseException | None = None

    @property
    def domain(self) -> str:
        """See Executor."""
        return self._others.domain

    @property
    def logs(self) -> LogStore:
        """See Executor. What a function prints in this process goes to this process's own output."""
        return self._others.logs

    async def launch(self, order: LaunchOrder) -> None:
        """See Executor."""
        if order.attempt in self._own:
            return
        if function_of(order) is None:
            await self._others.launch(order)
            return
        self._own.add(order.attempt)
        self.work.put(order)

    async def surroundings(self, order: LaunchOrder) -> dict[str, str]:
        """See Executor: this very process."""
        return {"python": sys.version}

    def without_effect(self, settings: Mapping[str, Json]) -> tuple[str, ...]:
        """See Executor."""
        return without_effect(settings)

    async def stop(self, attempt: AttemptId) -> None:
        """See Executor. A function that has begun cannot be stopped; its end is reported."""
        if attempt in self._own:
            self._reports.put_nowait(Stopped(attempt=attempt, at=time.time()))
        else:
            await self._others.stop(attempt)

    async def settle(self, attempt: AttemptId) -> None:
        """See Executor."""
        if attempt not in self._own:
            await self._others.settle(attempt)

    async def keep_only(self, attempts: Set[AttemptId], *, within: Set[str] | None = None) -> None:
        """See Executor."""
        await self._others.keep_only(attempts, within=within)

    async def live(self) -> Set[AttemptId]:
        """See Executor."""
        return await self._others.live()

    async def hand_over(self, run_id: str) -> None:
        """See Executor."""
        await self._others.hand_over(run_id)

    async def reports(self) -> AsyncIterator[AnyReport]:
        """See Executor."""
        pump = asyncio.create_task(self._pump())
        try:
            while True:
                yield await self._reports.get()
        finally:
            pump.cancel()

    async def _pump(self) -> None:
        async for report in self._others.reports():
            self._reports.put_nowait(report)

    async def delete_run(self, run_id: str) -> None:
        """See Executor."""
        await self._others.delete_run(run_id)

    async def close(self) -> None:
        """See Executor."""
        await self._others.close()

    def perform(self, order: LaunchOrder) -> None:
        """Run one order on this thread."""
        self._say(Started(attempt=order.attempt, at=time.time()))
        self._say(self._outcome(order))

    def _say(self, report: AnyReport) -> None:
        self._loop.call_soon_threadsafe(self._reports.put_nowait, report)

    def _outcome(self, order: LaunchOrder) -> AnyReport:
        attempt_dir = self._dirs.of(order.attempt)
        attempt_dir.make()
        try:
            function = function_of(order)
            assert function is not None
            fetching = fetch(order, attempt_dir, self._artifacts)
            fetched = asyncio.run_coroutine_threadsafe(fetching, self._loop).result()
            attempt_dir.log_problems(fetched.inputs)
            outputs = str(attempt_dir.outputs)
            call_function(function, fetched.document, {"uri": shown_root(order, outputs), "path": outputs})
            return self._ship(order, attempt_dir, fetched)
        except Refusal as refusal:
            return _failed(order, refusal.reason)
        except Problem as problem:
            return _failed(order, Reason(code=problem.code, message=problem.message, details=problem.details))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.raised = error
            print(f"[{order.task}] {type(error).__name__}: {safe_text(error)}", file=sys.stderr)
            return _failed(
                order, Reason(code="USER_EXCEPTION", message=f"{type(error).__name__}: {safe_text(error)}")
            )  # fmt: skip

    def _ship(self, order: LaunchOrder, attempt_dir: AttemptDir, fetched: Fetched) -> AnyReport:
        result = ship(
            fetched.order,
            attempt_dir,
            self._artifacts,
            inputs_seen_at=fetched.seen,
            max_parameter_bytes=MAX_PARAMETER_BYTES,
        )
        if isinstance(result, ResultFailed):
            return _failed(order, result.error)
        return Succeeded(
            attempt=order.attempt, at=time.time(), parameters=result.parameters, artifacts=result.artifacts
        )


def function_of(order: LaunchOrder) -> Callable[..., Any] | None:
    """The function with the source of the order, if this process has defined it."""
    entry = python_entry(order)
    return None if entry is None else FUNCTIONS.get((entry.source, entry.function))


def _failed(order: LaunchOrder, reason: Reason) -> Failed:
    return Failed(attempt=order.attempt, at=time.time(), error=reason)
