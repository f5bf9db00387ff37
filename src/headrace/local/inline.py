"""Runs Python components in this very process, on the thread that called, so that a debugger stops in them.

Everything else (containers, components known only from a document) goes to the ordinary executor.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import time
from collections.abc import AsyncIterator, Callable, Set
from typing import Any

from headrace.dsl.base_component import FUNCTIONS
from headrace.engine.model import AttemptId, LaunchOrder, Reason
from headrace.executors.executor_input import executor_input, make_output_directories
from headrace.executors.inputs import hand_inputs
from headrace.executors.outputs import Porter, Reader
from headrace.executors.places import Place, Places
from headrace.executors.port import AnyReport, Executor, Failed, Started, Stopped, Succeeded
from headrace.executors.python import python_entry
from headrace.executors.refusal import Refusal
from headrace.executors.workspace import make_workspace, uses_workspace, with_workspace
from headrace.local.calling import call_function
from headrace.runtime.problems import Problem, safe_text

_MAX_PARAMETER_BYTES = 1 << 20


class InlineExecutor:
    """See `Executor`. Orders wait in `work` until the calling thread takes them."""

    def __init__(
        self, others: Executor, places: Places, porter: Porter, work: queue.SimpleQueue[LaunchOrder | None]
    ) -> None:
        self._others = others
        self._places = places
        self._porter = porter
        self._own: set[AttemptId] = set()
        self._loop = asyncio.get_running_loop()
        self._reports: asyncio.Queue[AnyReport] = asyncio.Queue()
        #: Taken by the thread that called the component.
        self.work = work
        #: The last exception of a user's function, to be the cause of the error that the caller sees.
        self.raised: BaseException | None = None

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

    async def let_go(self, run_id: str) -> None:
        """See Executor."""
        await self._others.let_go(run_id)

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

    async def logs(self, attempt: AttemptId, *, offset: int = 0, follow: bool = False) -> AsyncIterator[bytes]:
        """See Executor. What a function prints in this process goes to this process's own output."""
        if attempt not in self._own:
            async for chunk in self._others.logs(attempt, offset=offset, follow=follow):
                yield chunk

    async def log_size(self, attempt: AttemptId) -> int:
        """See Executor."""
        return 0 if attempt in self._own else await self._others.log_size(attempt)

    async def forget(self, run_id: str) -> None:
        """See Executor."""
        await self._others.forget(run_id)

    async def close(self) -> None:
        """See Executor."""
        await self._others.close()

    def perform(self, order: LaunchOrder) -> None:
        """Run one order on the present thread."""
        self._say(Started(attempt=order.attempt, at=time.time()))
        self._say(self._outcome(order))

    def _say(self, report: AnyReport) -> None:
        self._loop.call_soon_threadsafe(self._reports.put_nowait, report)

    def _outcome(self, order: LaunchOrder) -> AnyReport:
        place = self._places.of(order.attempt)
        place.make()
        make_output_directories(order, place)
        try:
            function = function_of(order)
            assert function is not None
            handing = hand_inputs(order, place, self._porter, lambda _: None)
            asyncio.run_coroutine_threadsafe(handing, self._loop).result()
            if uses_workspace(order):
                order = with_workspace(order, str(make_workspace(place.workspace)))
            call_function(function, executor_input(order, place.outputs, handed=place.handed))
            return self._read(order, place)
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

    def _read(self, order: LaunchOrder, place: Place) -> Succeeded:
        reader = Reader(
            order=order, place=place, porter=self._porter, max_parameter_bytes=_MAX_PARAMETER_BYTES,
            seen_as=str(place.outputs), handed=place.handed,
        )  # fmt: skip
        outputs = reader.read(must_answer=True)
        return Succeeded(
            attempt=order.attempt, at=time.time(), parameters=outputs.parameters, artifacts=outputs.artifacts
        )


def function_of(order: LaunchOrder) -> Callable[..., Any] | None:
    """The function whose source the order carries, where this process has defined it."""
    entry = python_entry(order)
    return None if entry is None else FUNCTIONS.get((entry.source, entry.function))


def _failed(order: LaunchOrder, reason: Reason) -> Failed:
    return Failed(attempt=order.attempt, at=time.time(), error=reason)
