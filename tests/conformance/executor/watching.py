"""Reads an executor's reports in the background and waits for facts, never for a duration."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from headrace.engine.model import AttemptId
from headrace.executors.local.executor import LocalExecutor
from headrace.executors.port import FINAL, AnyReport, Started

#: No fact takes so long to come true, not even here.
PATIENCE_S = 60
R = TypeVar("R")


class Watch:
    """Everything an executor has said so far."""

    def __init__(self, executor: LocalExecutor) -> None:
        self.executor = executor
        self.seen: list[AnyReport] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for report in self.executor.reports():
            async with self._news:
                self.seen.append(report)
                self._news.notify_all()

    def of(self, attempt: AttemptId) -> list[AnyReport]:
        """What was said of one attempt."""
        return [report for report in self.seen if report.attempt == attempt]

    async def until(self, attempt: AttemptId, kind: type[R] | tuple[type, ...], *, after: int = 0) -> R:
        """The first report of that kind about the attempt, beyond the first `after` of all."""
        found: list[AnyReport] = []

        def there() -> bool:
            found[:] = [r for r in self.seen[after:] if r.attempt == attempt and isinstance(r, kind)]
            return bool(found)

        async with self._news:
            await asyncio.wait_for(self._news.wait_for(there), PATIENCE_S)
        return found[0]  # type: ignore[return-value]

    async def end_of(self, attempt: AttemptId, *, after: int = 0) -> AnyReport:
        """How the attempt ended."""
        return await self.until(attempt, FINAL, after=after)

    async def start_of(self, attempt: AttemptId) -> Started:
        """That it is running."""
        return await self.until(attempt, Started)

    async def close(self) -> None:
        """Close the executor and stop reading."""
        await self.executor.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
