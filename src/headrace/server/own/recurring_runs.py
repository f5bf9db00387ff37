"""Recurring runs, as our CLI and client want them: cron of five fields in a time zone, edited, explained."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.bodies import read_message
from headrace.server.errors import HttpError
from headrace.server.listing import list_query, newest_first
from headrace.server.own.queries import MAX_DOCUMENT_BYTES, PAGING, count_asked
from headrace.server.routes import ApiCall, Query, Route
from headrace.service.access import Access, Resource, Verb
from headrace.service.requests import NewRecurringRun, RecurringRunEdit
from headrace.service.tick_views import recurring_run_view, stored_timetable
from headrace.store.records import Predicate, StoredTimetable
from headrace.wire import recurring_runs as wire
from headrace.wire.times import millis
from headrace.wire.v2beta1 import Empty

#: Ticks that are shown when no number is given, and at most.
_PAST, _MOST_PAST = 20, 1000
_COMING, _MOST_COMING = 5, 100


async def list_recurring_runs(call: ApiCall) -> Response:
    """A page of recurring runs, newest first."""
    query = newest_first(call.query)
    search = call.query.get("search", "")
    extra = (Predicate(key="display_name", operation="IS_SUBSTRING", value=search[:256]),) if search else ()
    experiment_id = call.query.get("experiment_id") or None
    page = await call.session.list_recurring_runs(list_query(query, experiment_id=experiment_id, extra=extra))
    return json_answer(
        wire.RecurringRunPage(
            recurring_runs=[recurring_run_view(record) for record in page.items],
            total_size=page.total_size,
            next_page_token=page.next_page_token,
        )
    )


async def create_recurring_run(call: ApiCall) -> Response:
    """A recurring run from a document's text, a version, or a pipeline."""
    body = await read_message(call, wire.CreateRecurringRun)
    if (body.document is None) == (body.pipeline_id is None and body.pipeline_version_id is None):
        raise HttpError(
            400,
            "RUN_SOURCE",
            "A recurring run is made from either a document or an uploaded one (pipeline_id, pipeline_version_id).",
        )
    record = await call.session.create_recurring_run(
        NewRecurringRun(
            display_name=body.display_name,
            description=body.description,
            document=body.document,
            pipeline_id=body.pipeline_id,
            pipeline_version_id=body.pipeline_version_id,
            experiment_id=body.experiment_id,
            experiment_name=body.experiment_name or "",
            parameters=body.parameters,
            timetable=_stored(body.timetable),
            max_concurrency=body.max_concurrency,
            at_limit=body.at_limit,
            enabled=body.enabled,
        )
    )
    return json_answer(recurring_run_view(record), 201)


async def get_recurring_run(call: ApiCall) -> Response:
    """One recurring run."""
    return json_answer(recurring_run_view(await call.session.get_recurring_run(_id(call))))


async def edit_recurring_run(call: ApiCall) -> Response:
    """Change it in place: its id, its runs and its history stay."""
    body = await read_message(call, wire.EditRecurringRun)
    record = await call.session.edit_recurring_run(
        _id(call),
        RecurringRunEdit(
            display_name=body.display_name,
            description=body.description,
            pipeline_version_id=body.pipeline_version_id,
            parameters=body.parameters,
            timetable=None if body.timetable is None else _stored(body.timetable),
            max_concurrency=body.max_concurrency,
            at_limit=body.at_limit,
            enabled=body.enabled,
        ),
    )
    return json_answer(recurring_run_view(record))


async def delete_recurring_run(call: ApiCall) -> Response:
    """Delete it; its runs stay."""
    await call.session.delete_recurring_run(_id(call))
    return json_answer(Empty())


async def list_ticks(call: ApiCall) -> Response:
    """What came of its ticks, and which ones come."""
    past = count_asked(call, "past", usual=_PAST, most=_MOST_PAST)
    coming = count_asked(call, "coming", usual=_COMING, most=_MOST_COMING)
    return json_answer(await call.session.tick_list(_id(call), past=past, coming=coming))


async def preview(call: ApiCall) -> Response:
    """When a timetable would be due."""
    body = await read_message(call, wire.PreviewTimetable)
    times = await call.session.preview_timetable(_stored(body.timetable), body.count)
    return json_answer(wire.Preview(times=[millis(one) for one in times]))


def _id(call: ApiCall) -> str:
    return call.path["recurring_run_id"]


def _stored(view: wire.TimetableView) -> StoredTimetable:
    if view.cron is None and view.interval_s is None:
        raise HttpError(400, "TRIGGER_MISSING", "Say when it is due: give `cron` or `interval_s` in `timetable`.")
    try:
        return stored_timetable(view)
    except (ValueError, OverflowError):
        raise HttpError(
            400, "TIME_INVALID", "`start` and `end` must be times such as 2026-06-01T09:00:00Z in `timetable`."
        ) from None


_PATH = "/api/recurring-runs"
_ONE = _PATH + "/{recurring_run_id}"
_READ = Access(Resource.RECURRING_RUN, Verb.READ)
_route = partial(Route, tag="recurring runs")

ROUTES = (
    _route(
        method="GET",
        path=_PATH,
        handler=list_recurring_runs,
        access=Access(Resource.RECURRING_RUN, Verb.READ, "query"),
        summary="List recurring runs, newest first.",
        answer=wire.RecurringRunPage,
        query=(
            *PAGING,
            Query(name="experiment_id", note="Only those of this experiment."),
            Query(name="search", note="Text in the name."),
        ),
    ),
    _route(
        method="POST",
        path=_PATH,
        handler=create_recurring_run,
        access=Access(Resource.RECURRING_RUN, Verb.CREATE, "body"),
        summary="Create a recurring run.",
        body=wire.CreateRecurringRun,
        answer=wire.RecurringRunView,
        max_body=MAX_DOCUMENT_BYTES,
    ),
    _route(
        method="POST",
        path=_PATH + "/preview",
        handler=preview,
        access=Access(Resource.RECURRING_RUN, Verb.READ, "query"),
        summary="When a timetable would be due; nothing is made.",
        body=wire.PreviewTimetable,
        answer=wire.Preview,
    ),
    _route(
        method="GET",
        path=_ONE,
        handler=get_recurring_run,
        access=_READ,
        summary="Get a recurring run.",
        answer=wire.RecurringRunView,
    ),
    _route(
        method="PATCH",
        path=_ONE,
        handler=edit_recurring_run,
        access=Access(Resource.RECURRING_RUN, Verb.UPDATE),
        summary="Change a recurring run in place, from its next tick on.",
        body=wire.EditRecurringRun,
        answer=wire.RecurringRunView,
    ),
    _route(
        method="DELETE",
        path=_ONE,
        handler=delete_recurring_run,
        access=Access(Resource.RECURRING_RUN, Verb.DELETE),
        summary="Delete a recurring run; its runs stay.",
        answer=Empty,
    ),
    _route(
        method="GET",
        path=_ONE + "/ticks",
        handler=list_ticks,
        access=_READ,
        summary="What came of a recurring run's ticks, and which ones come.",
        answer=wire.TickList,
        query=(
            Query(name="past", type="integer", note="Past ticks at most; 20."),
            Query(name="coming", type="integer", note="Coming ticks at most; 5."),
        ),
    ),
)
