"""A server in a process of its own that ends when no run is active: `headrace run --no-wait` starts it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path

from headrace.cli.connection import settings_for
from headrace.engine.model import State
from headrace.server.collector import shorten_collections
from headrace.server.serve import Running, running
from headrace.service.access import owner
from headrace.service.settings import Settings
from headrace.store.records import ListQuery, Predicate

#: Seconds that it stays without an active run: for its first run to arrive, and for users who look at the UI.
_IDLE_S = 10.0
_LOOK_S = 0.5
_ACTIVE = Predicate(key="state", operation="IN", value=[state.value for state in State if not state.final])


async def serve_until_idle(settings: Settings) -> None:
    """Serve until no run has been active for some seconds."""
    async with running(settings, port=0, command="headrace run --no-wait") as (server, task):
        shorten_collections()
        idle_since = time.monotonic()
        while not task.done() and time.monotonic() - idle_since < _IDLE_S:
            if await _active(server):
                idle_since = time.monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(task), _LOOK_S)


async def _active(server: Running) -> bool:
    page = await server.service.for_caller(owner()).list_runs(ListQuery(page_size=1, predicates=(_ACTIVE,)))
    return page.total_size > 0


def main() -> None:
    """`python -m headrace.cli.background HOME MAX_PARALLEL`."""
    asyncio.run(serve_until_idle(settings_for(Path(sys.argv[1]), int(sys.argv[2]))))


if __name__ == "__main__":
    main()
