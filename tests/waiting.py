"""Waiting for facts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from headrace.store.records import RunRecord
from owned_service import Service


async def until_final(service: Service, run_id: str, *, limit_s: float = 20.0) -> RunRecord:
    """The run once it is final."""
    async with asyncio.timeout(limit_s):
        async for change in service.watch_run(run_id):
            last = change
    record = await service.get_run(run_id)
    assert record.state.final, last
    return record


async def until(fact: Callable[[], object], *, limit_s: float = 10.0) -> None:
    """Return as soon as `fact()` is true."""
    async with asyncio.timeout(limit_s):
        while not fact():
            await asyncio.sleep(0.005)
