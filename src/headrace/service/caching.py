"""The cache, asked: a hit or a miss for each execution that may reuse earlier outputs."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from headrace.engine.model import AnyEvent, CacheHit, CacheMissed, RunState
from headrace.service.active import ActiveRun, cache_key
from headrace.service.context import Context
from headrace.store import cache

log = logging.getLogger(__name__)


async def look_up(context: Context, wanted: Sequence[tuple[ActiveRun, RunState, str]]) -> list[tuple[str, AnyEvent]]:
    """An answer for each of them; whatever goes wrong is a miss."""
    found: Sequence[cache.Found] = [None] * len(wanted)
    if context.settings.caching:
        try:
            keys = [cache_key(run, state, path) for run, state, path in wanted]
            found = await context.database.read(cache.look_up, keys)
        except Exception:
            log.exception("the cache could not be asked")
    at = context.now()
    return [(run.run_id, _event(path, entry, at)) for (run, _, path), entry in zip(wanted, found, strict=True)]


def _event(path: str, entry: cache.Found, at: float) -> AnyEvent:
    if entry is None:
        return CacheMissed(at=at, path=path)
    return CacheHit(at=at, path=path, outputs=entry.outputs, cached_from=entry.execution_id)
