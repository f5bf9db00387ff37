"""Entries of the cache, listed and dropped."""

from __future__ import annotations

from headrace.service.context import Context
from headrace.service.errors import Invalid
from headrace.store import cache
from headrace.store.cache import CacheEntry, CacheFilter
from headrace.store.records import ListQuery
from headrace.wire import api
from headrace.wire.times import millis


async def list_view(context: Context, query: ListQuery) -> api.CacheList:
    """See `Session.list_cache`."""
    page = await context.read(cache.list_entries, query, context.keys.page_tokens)
    limit = context.settings.cache_max_age_s
    return api.CacheList(
        entries=[entry_view(entry, limit) for entry in page.items],
        total_size=page.total_size,
        next_page_token=page.next_page_token,
    )


def check_filter(which: CacheFilter, *, everything: bool) -> None:
    """Raises Invalid CACHE_FILTER_MISSING when nothing is said about which entries, and not `everything` either."""
    if which == CacheFilter() and not everything:
        raise Invalid(
            "Say which entries are to be dropped: pipeline_name, task, run_id, execution_ids or fingerprint; or "
            "everything, to drop them all.",
            code="CACHE_FILTER_MISSING",
        )


async def drop(context: Context, which: CacheFilter) -> int:
    """Forget these entries; how many there were."""
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
