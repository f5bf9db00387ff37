"""Several executors behind one port: each attempt goes to the executor that its order names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Set

from headrace.attempt.codes import Code
from headrace.attempt.order import LaunchOrder
from headrace.engine.model import AttemptId, Json, Reason
from headrace.executors.log_store import LiveLog, LogStore
from headrace.executors.port import AnyReport, Executor, Failed


class ExecutorRouter:
    """See `Executor`. It keeps no state that matters: an attempt that it does not know is looked for in `live`."""

    def __init__(self, executors: Mapping[str, Executor], *, default: str) -> None:
        """`executors` by the names that orders use; `default` is the name of the one for orders that name none."""
        if default not in executors:
            raise ValueError(f"there is no executor {default!r} to be the default")
        self._executors = dict(executors)
        self._default = default
        #: Name of the executor of each attempt that was launched here and is not settled.
        self._names: dict[AttemptId, str] = {}
        self._reports: asyncio.Queue[AnyReport | Exception | None] = asyncio.Queue()
        self.logs: LogStore = _RoutedLogs(self)

    @property
    def domain(self) -> str:
        """The domain of the default executor; see `domains` and `domain_of`."""
        return self._executors[self._default].domain

    @property
    def domains(self) -> frozenset[str]:
        """The domains of all its executors: the attempts in them can be reached from this server."""
        return frozenset(executor.domain for executor in self._executors.values())

    def domain_of(self, order: LaunchOrder) -> str:
        """The domain of the executor that would run this; "" when there is none of that name."""
        executor = self._executors.get(order.executor or self._default)
        return "" if executor is None else executor.domain

    async def launch(self, order: LaunchOrder) -> None:
        """See Executor."""
        name = order.executor or self._default
        executor = self._executors.get(name)
        if executor is None:
            self._reports.put_nowait(_missing(order, self._executors))
            return
        self._names[order.attempt] = name
        await executor.launch(order)

    async def surroundings(self, order: LaunchOrder) -> Mapping[str, str]:
        """See Executor."""
        executor = self._executors.get(order.executor or self._default)
        return {} if executor is None else await executor.surroundings(order)

    def without_effect(self, settings: Mapping[str, Json]) -> tuple[str, ...]:
        """See Executor: what the default executor says, which runs the tasks that have settings."""
        return self._executors[self._default].without_effect(settings)

    async def stop(self, attempt: AttemptId) -> None:
        """See Executor."""
        await (await self._of(attempt)).stop(attempt)

    async def settle(self, attempt: AttemptId) -> None:
        """See Executor."""
        executor = await self._of(attempt)
        self._names.pop(attempt, None)
        await executor.settle(attempt)

    async def keep_only(self, attempts: Set[AttemptId], *, within: Set[str] | None = None) -> None:
        """See Executor."""
        await self._all(lambda executor: executor.keep_only(attempts, within=within))
        unwanted = [one for one in self._names if one not in attempts and (within is None or one.run_id in within)]
        for attempt in unwanted:
            del self._names[attempt]

    async def live(self) -> Set[AttemptId]:
        """See Executor."""
        found: set[AttemptId] = set()
        for executor in self._executors.values():
            found |= await executor.live()
        return found

    async def hand_over(self, run_id: str) -> None:
        """See Executor."""
        await self._all(lambda executor: executor.hand_over(run_id))
        self._forget_names(run_id)

    async def delete_run(self, run_id: str) -> None:
        """See Executor."""
        await self._all(lambda executor: executor.delete_run(run_id))
        self._forget_names(run_id)

    async def reports(self) -> AsyncIterator[AnyReport]:
        """See Executor. When the reports of one executor break off, all do: the next reader begins with all of them."""
        pumps = [asyncio.create_task(self._pump(name)) for name in self._executors]
        try:
            while (report := await self._reports.get()) is not None:
                if isinstance(report, Exception):
                    raise report
                yield report
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def close(self) -> None:
        """See Executor."""
        await self._all(lambda executor: executor.close())
        self._reports.put_nowait(None)

    def executor_of(self, attempt: AttemptId) -> Executor | None:
        """The executor to which this attempt was passed, if it is not settled."""
        name = self._names.get(attempt)
        return None if name is None else self._executors[name]

    def executors(self) -> Iterable[Executor]:
        """All of them."""
        return self._executors.values()

    async def _pump(self, name: str) -> None:
        try:
            async for report in self._executors[name].reports():
                # Also of attempts that an earlier server has launched.
                self._names.setdefault(report.attempt, name)
                self._reports.put_nowait(report)
        except Exception as error:
            self._reports.put_nowait(error)

    async def _of(self, attempt: AttemptId) -> Executor:
        if (known := self.executor_of(attempt)) is not None:
            return known
        for executor in self._executors.values():
            if attempt in await executor.live():
                return executor
        return self._executors[self._default]

    async def _all(self, action: Callable[[Executor], Awaitable[None]]) -> None:
        for executor in self._executors.values():
            await action(executor)

    def _forget_names(self, run_id: str) -> None:
        for attempt in [one for one in self._names if one.run_id == run_id]:
            del self._names[attempt]


class _RoutedLogs:
    """See LogStore. An attempt that is settled has its log in one of the stores."""

    def __init__(self, router: ExecutorRouter) -> None:
        self._router = router

    async def size(self, attempt: AttemptId) -> int:
        """See LogStore."""
        return await (await self._of(attempt)).size(attempt)

    async def read(self, attempt: AttemptId, *, offset: int, limit: int) -> bytes:
        """See LogStore."""
        return await (await self._of(attempt)).read(attempt, offset=offset, limit=limit)

    def live_log(self, attempt: AttemptId) -> LiveLog | None:
        """See LogStore."""
        executor = self._router.executor_of(attempt)
        return None if executor is None else executor.logs.live_log(attempt)

    async def _of(self, attempt: AttemptId) -> LogStore:
        known = self._router.executor_of(attempt)
        if known is not None:
            return known.logs
        stores = [executor.logs for executor in self._router.executors()]
        for store in stores:
            if await store.size(attempt):
                return store
        return stores[0]


def _missing(order: LaunchOrder, executors: Iterable[str]) -> Failed:
    message = (
        f"The task is to be run by the executor {order.executor!r}, and this server has {', '.join(sorted(executors))}."
    )
    error = Reason(code=Code.EXECUTOR_MISSING, message=message, details={"executor": order.executor})
    return Failed(attempt=order.attempt, at=time.time(), error=error, retryable=False)
