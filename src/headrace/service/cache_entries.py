"""Entries of the cache, listed and dropped."""

from __future__ import annotations

from headrace.service.context import Context
from headrace.service.errors import Invalid
from headrace.store import cache
from headrace.store.cache import CacheEntry, CacheFilter
from headrace.store.records import ListQuery, Page
from headrace.wire import api
from headrace.wire.times import millis


async def list_page(context: Context, query: ListQuery) -> Page[CacheEntry]:
    """See `Service.list_cache`."""
    return await context.read(cache.list_entries, query, context.data_dir.secret)


async def drop(context: Context, which: CacheFilter, *, everything: bool = False) -> int:
    """See `Service.drop_cache`."""
    if which == CacheFilter() and not everything:
        raise Invalid(
            "Say which entries are to be dropped: pipeline_name, task, run_id, execution_ids or fingerprint; or "
            "everything, to drop them all.",
            code="CACHE_FILTER_MISSING",
        )
    return await context.write(cache.drop_entries, which)


def entry_view(entry: CacheEntry, max_age_s: float | None) -> api.CacheEntryView:
    """An entry, without its outputs."""
    return api.CacheEntryView(
        fingerprint=entry.key.fingerprint,
        pipeline_name=entry.key.pipeline_name,
        task=entry.task,
        run_id=entry.run_id,
        execution_id=entry.execution_id,
        created_at=millis(entry.created_at),
        expires_at=None if max_age_s is None else millis(entry.created_at + max_age_s),
        parts=entry.parts,
    )
