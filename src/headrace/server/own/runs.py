"""Runs, as our UI, CLI and client want them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import msgspec
from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.bodies import read_message
from headrace.server.errors import HttpError
from headrace.server.idempotency import idempotency_key
from headrace.server.listing import list_query, newest_first
from headrace.server.own.queries import MAX_DOCUMENT_BYTES, PAGING, count_asked
from headrace.server.routes import ApiCall, Query, Route
from headrace.server.sse import ServerEvent, event_response, sent_id
from headrace.service.access import Access, Resource, Verb
from headrace.service.service import NewMark, NewRun, Rerun
from headrace.service.views import run_summary
from headrace.store.records import Predicate
from headrace.wire import api
from headrace.wire.v2beta1 import Empty

#: Tasks of a run that are explained when no limit is given, and at most.
_EXPLAINED = 200
_MAX_EXPLAINED = 2000


async def list_runs(call: ApiCall) -> Response:
    """A page of runs, newest first."""
    query = newest_first(call.query)
    experiment_id = call.query.get("experiment_id") or None
    page = await call.session.list_runs(list_query(query, experiment_id=experiment_id, extra=_narrowed(call)))
    return json_answer(
        api.RunList(
            runs=[run_summary(record) for record in page.items],
            total_size=page.total_size,
            next_page_token=page.next_page_token,
        )
    )


async def create_run(call: ApiCall) -> Response:
    """A run from a document's text or an uploaded version."""
    body = await read_message(call, api.CreateRun)
    if (body.document is None) == (body.pipeline_id is None and body.pipeline_version_id is None):
        raise HttpError(
            400,
            "RUN_SOURCE",
            "A run is made from either a document or an uploaded one (pipeline_id, pipeline_version_id).",
        )
    record = await call.session.create_run(
        NewRun(
            display_name=body.display_name,
            document=body.document,
            pipeline_id=body.pipeline_id,
            pipeline_version_id=body.pipeline_version_id,
            experiment_id=body.experiment_id,
            experiment_name=body.experiment_name or "",
            parameters=body.parameters,
            caching=body.caching,
        ),
        key=idempotency_key(call),
    )
    return json_answer(run_summary(record), 201)


async def get_run(call: ApiCall) -> Response:
    """A run, its plan and its first executions."""
    return json_answer(await call.session.run_view(call.path["run_id"]))


async def list_executions(call: ApiCall) -> Response:
    """More executions of a run."""
    token = call.query.get("page_token", "")
    return json_answer(await call.session.execution_page(call.path["run_id"], token=token))


async def explain_run(call: ApiCall) -> Response:
    """Why a run is in its state."""
    limit = count_asked(call, "limit", usual=_EXPLAINED, most=_MAX_EXPLAINED)
    return json_answer(await call.session.explain_run(call.path["run_id"], limit=limit))


async def terminate_run(call: ApiCall) -> Response:
    """End a run early."""
    await call.session.terminate_run(call.path["run_id"])
    return json_answer(Empty())


async def retry_run(call: ApiCall) -> Response:
    """Try the failed parts of a finished run again."""
    await call.session.retry_run(call.path["run_id"])
    return json_answer(Empty())


async def get_document(call: ApiCall) -> Response:
    """The document a run was made from."""
    pipeline_spec, platform_spec = await call.session.get_run_document(call.path["run_id"])
    return json_answer(api.DocumentView(pipeline_spec=pipeline_spec, platform_spec=platform_spec))


async def rerun_run(call: ApiCall) -> Response:
    """A new run that takes over what need not run again."""
    body = await read_message(call, api.RerunRun)
    wanted = Rerun(
        again=tuple(body.from_),
        parameters=body.parameters,
        document=body.document,
        display_name=body.display_name,
        caching=body.caching,
    )
    return json_answer(
        run_summary(await call.session.rerun_run(call.path["run_id"], wanted, key=idempotency_key(call))), 201
    )


async def mark_execution(call: ApiCall) -> Response:
    """Decide what a task came to."""
    body = await read_message(call, api.MarkExecution)
    wanted = NewMark(
        state=body.state,
        parameters=body.parameters,
        artifacts={name: tuple(ids) for name, ids in body.artifacts.items()},
        note=body.note,
    )
    await call.session.mark_execution(call.path["run_id"], call.path["execution_id"], wanted)
    return json_answer(Empty())


async def pause_run(call: ApiCall) -> Response:
    """Begin nothing new; what runs goes on."""
    await call.session.pause_run(call.path["run_id"])
    return json_answer(Empty())


async def resume_run(call: ApiCall) -> Response:
    """Go on with what a pause held back."""
    await call.session.resume_run(call.path["run_id"])
    return json_answer(Empty())


async def archive_run(call: ApiCall) -> Response:
    """Put a run away; nothing is lost."""
    await call.session.set_run_archived(call.path["run_id"], True)
    return json_answer(Empty())


async def unarchive_run(call: ApiCall) -> Response:
    """Bring an archived run back."""
    await call.session.set_run_archived(call.path["run_id"], False)
    return json_answer(Empty())


async def delete_run(call: ApiCall) -> Response:
    """Delete a run and what it made."""
    await call.session.delete_run(call.path["run_id"])
    return json_answer(Empty())


async def watch_run(call: ApiCall) -> Response:
    """Changes of one run as they happen, until it is final."""
    run_id = call.path["run_id"]
    await call.session.get_run(run_id)
    after = sent_id(call.request.headers.get("last-event-id"), 0)
    return event_response(_run_changes(call, run_id, after), call.state.stopping)


async def watch_runs(call: ApiCall) -> Response:
    """Changes of any run as they happen."""
    return event_response(_list_changes(call), call.state.stopping)


async def _run_changes(call: ApiCall, run_id: str, after: int) -> AsyncIterator[ServerEvent]:
    async for change in call.session.watch_run(run_id, after_version=after):
        yield ServerEvent(event="change", data=msgspec.json.encode(change), id=str(change.version))
    yield ServerEvent(event="end", data=b"{}")


async def _list_changes(call: ApiCall) -> AsyncIterator[ServerEvent]:
    async for change in call.session.watch_runs():
        yield ServerEvent(event="runs", data=msgspec.json.encode(change))


def _narrowed(call: ApiCall) -> tuple[Predicate, ...]:
    """`state`, `storage_state` and `search` as predicates."""
    found: list[Predicate] = []
    if states := [word.strip().upper() for word in call.query.get("state", "").split(",") if word.strip()]:
        found.append(Predicate(key="state", operation="IN", value=states))
    if storage_state := call.query.get("storage_state", "").upper():
        found.append(Predicate(key="storage_state", operation="EQUALS", value=storage_state))
    if search := call.query.get("search", ""):
        found.append(Predicate(key="display_name", operation="IS_SUBSTRING", value=search[:256]))
    return tuple(found)


_RUN = "/api/runs/{run_id}"
_READ = Access(Resource.RUN, Verb.READ)
_UPDATE = Access(Resource.RUN, Verb.UPDATE)
_CONTROL = Access(Resource.RUN, Verb.CONTROL)
_route = partial(Route, tag="runs")

ROUTES = (
    _route(
        method="GET",
        path="/api/runs",
        handler=list_runs,
        access=Access(Resource.RUN, Verb.READ, "query"),
        summary="List runs, newest first.",
        answer=api.RunList,
        query=(
            *PAGING,
            Query(name="state", note="One state, or several with commas."),
            Query(name="storage_state", note="AVAILABLE or ARCHIVED; both when not given."),
            Query(name="experiment_id"),
            Query(name="search", note="Text within the display name."),
        ),
    ),
    _route(
        method="POST",
        path="/api/runs",
        handler=create_run,
        idempotent=True,
        access=Access(Resource.RUN, Verb.CREATE, "body"),
        summary="Create a run.",
        body=api.CreateRun,
        answer=api.RunSummary,
        max_body=MAX_DOCUMENT_BYTES,
    ),
    _route(
        method="GET",
        path=_RUN,
        handler=get_run,
        access=_READ,
        summary="A run, its plan and its first 1,000 executions.",
        answer=api.RunView,
    ),
    _route(
        method="GET",
        path=_RUN + "/executions",
        handler=list_executions,
        access=_READ,
        summary="More executions of a run, 1,000 at a time.",
        answer=api.ExecutionPage,
        query=(Query(name="page_token", note="The `next_page_token` of the run or of the page before."),),
    ),
    _route(
        method="DELETE",
        path=_RUN,
        handler=delete_run,
        access=Access(Resource.RUN, Verb.DELETE),
        summary="Delete a run.",
        answer=Empty,
    ),
    _route(
        method="GET",
        path=_RUN + "/explain",
        handler=explain_run,
        access=_READ,
        summary="Why a run is in its state, and each of its tasks.",
        answer=api.RunExplanation,
        query=(Query(name="limit", type="integer", note="Tasks at most, those that tell most first; 200."),),
    ),
    _route(
        method="POST",
        path=_RUN + "/terminate",
        handler=terminate_run,
        access=_CONTROL,
        summary="End a run early.",
        answer=Empty,
    ),
    _route(
        method="POST",
        path=_RUN + "/retry",
        handler=retry_run,
        access=_CONTROL,
        summary="Try the failed parts of a finished run again.",
        answer=Empty,
    ),
    _route(
        method="GET",
        path=_RUN + "/document",
        handler=get_document,
        access=_READ,
        summary="The document a run was made from.",
        answer=api.DocumentView,
    ),
    _route(
        method="POST",
        path=_RUN + "/rerun",
        handler=rerun_run,
        idempotent=True,
        access=Access(Resource.RUN, Verb.CREATE),
        summary="Make a new run that takes over what need not run again.",
        body=api.RerunRun,
        answer=api.RunSummary,
        max_body=MAX_DOCUMENT_BYTES,
    ),
    _route(
        method="POST",
        path=_RUN + "/executions/{execution_id}/mark",
        handler=mark_execution,
        access=_CONTROL,
        summary="Decide what a task came to: SUCCEEDED with these outputs, or SKIPPED.",
        body=api.MarkExecution,
        answer=Empty,
    ),
    _route(
        method="POST",
        path=_RUN + "/pause",
        handler=pause_run,
        access=_CONTROL,
        summary="Begin nothing new; what runs goes on.",
        answer=Empty,
    ),
    _route(
        method="POST",
        path=_RUN + "/resume",
        handler=resume_run,
        access=_CONTROL,
        summary="Go on with what a pause held back.",
        answer=Empty,
    ),
    _route(
        method="POST",
        path=_RUN + "/archive",
        handler=archive_run,
        access=_UPDATE,
        summary="Archive a run.",
        answer=Empty,
    ),
    _route(
        method="POST",
        path=_RUN + "/unarchive",
        handler=unarchive_run,
        access=_UPDATE,
        summary="Bring an archived run back.",
        answer=Empty,
    ),
    _route(
        method="GET",
        path=_RUN + "/events",
        handler=watch_run,
        access=_READ,
        summary="Changes of a run as they happen (events `change`, `end`; id = version).",
        answer="text/event-stream",
        event=api.RunChange,
    ),
    _route(
        method="GET",
        path="/api/events",
        handler=watch_runs,
        access=Access(Resource.RUN, Verb.READ, "query"),
        summary="Changes of any run as they happen (event `runs`).",
        answer="text/event-stream",
        event=api.ListChange,
    ),
)
