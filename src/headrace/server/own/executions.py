"""Executions: all there is to know of one, and its logs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import msgspec
from starlette.responses import Response, StreamingResponse

from headrace.server.answers import json_answer
from headrace.server.errors import HttpError
from headrace.server.routes import ApiCall, Query, Route
from headrace.server.sse import ServerEvent, TextFrom, event_response, gathered, sent_id
from headrace.service.access import Access, Resource, Verb
from headrace.wire import api

#: Sent at once when no limit is given, and at most.
_DEFAULT_LOG_BYTES = 1 << 20
_MAX_LOG_BYTES = 64 << 20


async def get_execution(call: ApiCall) -> Response:
    """All there is to know of one execution."""
    return json_answer(await call.session.execution_detail(call.path["execution_id"]))


async def explain_execution(call: ApiCall) -> Response:
    """Why an execution is in its state."""
    return json_answer(await call.session.explain_execution(call.path["execution_id"]))


async def read_log(call: ApiCall) -> Response:
    """Part of an attempt's log, as it is on disk."""
    execution_id, attempt = call.path["execution_id"], await _attempt(call)
    size = await call.session.log_size(execution_id, attempt)
    offset = _from(_number(call, "offset", 0, least=-size), size)
    limit = min(_number(call, "limit", _DEFAULT_LOG_BYTES), _MAX_LOG_BYTES)
    sent = max(0, min(limit, size - offset))
    headers = {"x-log-offset": str(offset + sent), "x-log-size": str(size), "cache-control": "no-store"}
    if sent == 0:
        return Response(b"", 200, headers, "text/plain; charset=utf-8")
    body = call.session.read_log(execution_id, attempt, offset=offset, limit=sent)
    return StreamingResponse(body, 200, headers, "text/plain; charset=utf-8")


async def stream_log(call: ApiCall) -> Response:
    """An attempt's log as it is written, until the attempt has ended."""
    execution_id, attempt = call.path["execution_id"], await _attempt(call)
    size = await call.session.log_size(execution_id, attempt)
    asked = _from(_number(call, "offset", 0, least=-size), size)
    offset = sent_id(call.request.headers.get("last-event-id"), asked)
    return event_response(_log_events(call, execution_id, attempt, offset), call.state.stopping)


async def _log_events(call: ApiCall, execution_id: str, attempt: int, offset: int) -> AsyncIterator[ServerEvent]:
    text = TextFrom(offset)
    async for batch in gathered(call.session.read_log(execution_id, attempt, offset=offset, follow=True)):
        if piece := text.feed(batch):
            yield _log_event(text.offset, piece)
    if rest := text.feed(b"", final=True):
        yield _log_event(text.offset, rest)
    yield ServerEvent(event="end", data=b"{}")


def _log_event(offset: int, text: str) -> ServerEvent:
    data = msgspec.json.encode(api.LogChunk(offset=offset, text=text))
    return ServerEvent(event="log", data=data, id=str(offset))


async def _attempt(call: ApiCall) -> int:
    """The attempt asked for; without one the latest."""
    if call.query.get("attempt"):
        return _number(call, "attempt", 1, least=1)
    return await call.session.latest_attempt(call.path["execution_id"])


def _number(call: ApiCall, name: str, otherwise: int, *, least: int = 0) -> int:
    text = call.query.get(name, "")
    try:
        value = int(text) if text else otherwise
    except ValueError:
        value = None
    if value is None or len(text) > 18:
        raise HttpError(400, "QUERY_INVALID", f"{name} must be a whole number, not {text[:40]!r}.")
    if value < least and not (name == "offset" and value < 0):
        raise HttpError(400, "QUERY_INVALID", f"{name} must be at least {least}.")
    return max(value, least)


def _from(offset: int, size: int) -> int:
    """A negative offset counts from the end."""
    return size + offset if offset < 0 else offset


_ONE = "/api/executions/{execution_id}"
_READ = Access(Resource.RUN, Verb.READ)
_READ_LOG = Access(Resource.LOG, Verb.READ)
_ATTEMPT = Query(name="attempt", type="integer", note="From 1; the latest when not given.")
_OFFSET = Query(name="offset", type="integer", note="First byte; negative: counted from the present end.")
_route = partial(Route, tag="executions", method="GET")

ROUTES = (
    _route(
        path=_ONE,
        handler=get_execution,
        access=_READ,
        summary="All there is to know of one execution.",
        answer=api.ExecutionDetail,
    ),
    _route(
        path=_ONE + "/explain",
        handler=explain_execution,
        access=_READ,
        summary="Why an execution is in its state.",
        answer=api.Explanation,
    ),
    _route(
        path=_ONE + "/logs",
        handler=read_log,
        access=_READ_LOG,
        summary="Part of an attempt's log (headers X-Log-Offset, X-Log-Size).",
        answer="text/plain",
        query=(_ATTEMPT, _OFFSET, Query(name="limit", type="integer", note="Bytes; 1 MiB when not given.")),
    ),
    _route(
        path=_ONE + "/logs/stream",
        handler=stream_log,
        access=_READ_LOG,
        summary="An attempt's log as it is written (events `log`, `end`; id = byte after the chunk).",
        answer="text/event-stream",
        event=api.LogChunk,
        query=(_ATTEMPT, _OFFSET),
    ),
)
