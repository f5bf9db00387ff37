"""The cache: what it holds, and how it is made to forget."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.bodies import read_message
from headrace.server.listing import list_query, newest_first
from headrace.server.own.queries import PAGING
from headrace.server.routes import ApiCall, Query, Route
from headrace.service.access import Access, Resource, Verb
from headrace.store.cache import CacheFilter
from headrace.store.records import Predicate
from headrace.wire import api

_NARROWING = ("pipeline_name", "task", "run_id", "fingerprint")


async def list_cache(call: ApiCall) -> Response:
    """A page of entries, newest first."""
    query = newest_first(call.query)
    narrowed = tuple(
        Predicate(key=key, operation="EQUALS", value=call.query[key]) for key in _NARROWING if call.query.get(key)
    )
    return json_answer(await call.session.list_cache(list_query(query, extra=narrowed)))


async def drop_cache(call: ApiCall) -> Response:
    """Forget entries; the outputs they led to stay."""
    body = await read_message(call, api.DropCache)
    which = CacheFilter(
        pipeline_name=body.pipeline_name,
        task=body.task,
        run_id=body.run_id,
        fingerprint=body.fingerprint,
        execution_ids=None if body.execution_ids is None else tuple(body.execution_ids),
    )
    return json_answer(api.Dropped(dropped=await call.session.drop_cache(which, everything=body.everything)))


_route = partial(Route, tag="cache")

ROUTES = (
    _route(
        method="GET",
        path="/api/cache",
        handler=list_cache,
        access=Access(Resource.CACHE, Verb.READ, "query"),
        summary="List the cache's entries, newest first.",
        answer=api.CacheList,
        query=(
            *PAGING,
            Query(name="pipeline_name", note="Only entries of runs of this pipeline."),
            Query(name="task", note="Only entries of the task at this path (without iterations)."),
            Query(name="run_id", note="Only entries that this run wrote."),
            Query(name="fingerprint", note="Only this entry."),
        ),
    ),
    _route(
        method="POST",
        path="/api/cache/drop",
        handler=drop_cache,
        access=Access(Resource.CACHE, Verb.DELETE, "query"),
        summary="Forget entries of the cache; the outputs they led to stay.",
        body=api.DropCache,
        answer=api.Dropped,
    ),
)
