"""A server as bare as can be: launches the orders it is given, says what it hears, and is killed by the test."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from headrace.artifacts.local import LocalStore
from headrace.attempt.order import LaunchOrder
from headrace.executors.local.assemble import make_executor


async def main(home: Path, orders: Path, kind: str) -> None:
    store = LocalStore(home / "artifacts")
    executor = make_executor(
        home, artifacts=store, max_parallel=2, containers_only=kind == "container", warm_starts=kind == "warm"
    )
    for order in msgspec.json.decode(orders.read_bytes(), type=list[LaunchOrder]):
        await executor.launch(order)
    async for report in executor.reports():
        if type(report).__name__ != "Waiting":
            print(type(report).__name__, report.attempt.path, flush=True)


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
