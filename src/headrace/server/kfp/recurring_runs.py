"""Recurring runs, as KFP has them."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.bodies import read_message
from headrace.server.documents import from_inline, inline
from headrace.server.errors import HttpError
from headrace.server.kfp import views
from headrace.server.kfp.names import checked_name
from headrace.server.kfp.routing import LIST_QUERY, MAX_DOCUMENT_BYTES, PREFIX, kfp_route
from headrace.server.listing import list_query
from headrace.server.routes import ApiCall, Query
from headrace.service.access import Access, Resource, Verb
from headrace.service.requests import NewRecurringRun
from headrace.store.records import RecurringRunRecord, StoredTimetable
from headrace.wire import v2beta1 as wire
from headrace.wire.times import parse as parse_time

#: Not said counts as disabled, as in KFP.
_MODES = {"": False, "MODE_UNSPECIFIED": False, "DISABLE": False, "ENABLE": True, "0": False, "1": True, "2": False}


async def create_recurring_run(call: ApiCall) -> Response:
    """A recurring run from a document in the body, from a pipeline or from an uploaded version."""
    body = await read_message(call, wire.RecurringRun)
    record = await call.session.create_recurring_run(_new(body, call.query.get("experiment_id", "")))
    document = None if body.pipeline_spec is None else inline(*from_inline(body.pipeline_spec))
    return json_answer(views.recurring_run(record, document=document))


async def get_recurring_run(call: ApiCall) -> Response:
    """One recurring run."""
    recurring_run_id = call.path["recurring_run_id"]
    record = await call.session.get_recurring_run(recurring_run_id)
    return json_answer(views.recurring_run(record, document=await _document(call, record)))


async def list_recurring_runs(call: ApiCall) -> Response:
    """A page of recurring runs, without their documents."""
    experiment_id = call.query.get("experiment_id") or None
    page = await call.session.list_recurring_runs(list_query(call.query, experiment_id=experiment_id))
    return json_answer(
        wire.RecurringRunList(
            recurring_runs=[views.recurring_run(record) for record in page.items],
            total_size=page.total_size,
            next_page_token=page.next_page_token,
        )
    )


async def enable_recurring_run(call: ApiCall) -> Response:
    """Let it make runs."""
    await call.session.set_recurring_run_enabled(call.path["recurring_run_id"], True)
    return json_answer(wire.Empty())


async def disable_recurring_run(call: ApiCall) -> Response:
    """Let it make no more runs; those that it has made go on."""
    await call.session.set_recurring_run_enabled(call.path["recurring_run_id"], False)
    return json_answer(wire.Empty())


async def delete_recurring_run(call: ApiCall) -> Response:
    """Delete it; its runs stay."""
    await call.session.delete_recurring_run(call.path["recurring_run_id"])
    return json_answer(wire.Empty())


def _new(body: wire.RecurringRun, experiment_id: str) -> NewRecurringRun:
    reference = body.pipeline_version_reference
    version_id = (reference and reference.pipeline_version_id) or body.pipeline_version_id or None
    pipeline_id = (reference and reference.pipeline_id) or None
    if (body.pipeline_spec is None) == (not version_id and not pipeline_id):
        raise HttpError(
            400,
            "RUN_SOURCE",
            "A recurring run is made from either a document (pipeline_spec) or an uploaded one "
            "(pipeline_version_reference).",
        )
    pipeline_spec, platform_spec = None, None
    if body.pipeline_spec is not None:
        pipeline_spec, platform_spec = from_inline(body.pipeline_spec)
    config = body.runtime_config or wire.RuntimeConfig()
    return NewRecurringRun(
        display_name=checked_name(body.display_name, "recurring run", 256),
        description=body.description,
        pipeline_spec=pipeline_spec,
        platform_spec=platform_spec,
        pipeline_id=pipeline_id,
        pipeline_version_id=version_id,
        experiment_id=body.experiment_id or experiment_id or None,
        parameters=config.parameters,
        pipeline_root=config.pipeline_root,
        service_account=body.service_account,
        timetable=_timetable(body.trigger or wire.Trigger(), no_catchup=body.no_catchup),
        max_concurrency=_number(body.max_concurrency, "max_concurrency", "MAX_CONCURRENCY_INVALID"),
        enabled=_mode(body.mode),
    )


def _timetable(trigger: wire.Trigger, *, no_catchup: bool) -> StoredTimetable:
    cron, periodic = trigger.cron_schedule, trigger.periodic_schedule
    if cron is not None and periodic is not None:
        raise HttpError(
            400, "TRIGGER_AMBIGUOUS", "Give either a cron_schedule or a periodic_schedule in `trigger`, not both."
        )
    given = cron or periodic
    return StoredTimetable(
        cron=None if cron is None else cron.cron,
        interval_s=None
        if periodic is None
        else _number(periodic.interval_second, "interval_second", "INTERVAL_INVALID"),
        start=None if given is None else _time(given.start_time, "start_time"),
        end=None if given is None else _time(given.end_time, "end_time"),
        catch_up="latest" if no_catchup else "all",
    )


def _time(text: str | None, field: str) -> float | None:
    if not text:
        return None
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise HttpError(
            400, "TIME_INVALID", f"{field} must be a time such as 2026-06-01T09:00:00Z, not {text[:60]!r}."
        ) from None


def _number(given: str | int, field: str, code: str) -> int:
    text = str(given)
    try:
        return int(text or "0") if len(text) < 20 else -1
    except ValueError:
        raise HttpError(400, code, f"{field} must be a whole number, not {text[:40]!r}.") from None


def _mode(given: str | int) -> bool:
    text = str(given)
    if text not in _MODES:
        raise HttpError(400, "MODE_UNKNOWN", f"mode must be ENABLE or DISABLE, not {text[:40]!r}.")
    return _MODES[text]


async def _document(call: ApiCall, record: RecurringRunRecord) -> dict[str, wire.Json] | None:
    if record.document is None:
        return None
    found = await call.session.get_recurring_run_document(record.recurring_run_id)
    return None if found is None else inline(*found)


_PATH = f"{PREFIX}/recurringruns"
_ONE = _PATH + "/{recurring_run_id}"
_route = partial(kfp_route, tag="RecurringRunService")
_EXPERIMENT = Query(name="experiment_id")

ROUTES = (
    _route(
        method="POST",
        path=_PATH,
        handler=create_recurring_run,
        access=Access(Resource.RECURRING_RUN, Verb.CREATE, "body"),
        summary="Create a recurring run.",
        body=wire.RecurringRun,
        answer=wire.RecurringRun,
        query=(_EXPERIMENT,),
        max_body=MAX_DOCUMENT_BYTES,
    ),
    _route(
        method="GET",
        path=_PATH,
        handler=list_recurring_runs,
        access=Access(Resource.RECURRING_RUN, Verb.READ, "query"),
        summary="List recurring runs.",
        answer=wire.RecurringRunList,
        query=(*LIST_QUERY, _EXPERIMENT),
    ),
    _route(
        method="GET",
        path=_ONE,
        handler=get_recurring_run,
        access=Access(Resource.RECURRING_RUN, Verb.READ),
        summary="Get a recurring run.",
        answer=wire.RecurringRun,
    ),
    _route(
        method="DELETE",
        path=_ONE,
        handler=delete_recurring_run,
        access=Access(Resource.RECURRING_RUN, Verb.DELETE),
        summary="Delete a recurring run; its runs stay.",
        answer=wire.Empty,
    ),
    _route(
        method="POST",
        path=_ONE + ":enable",
        handler=enable_recurring_run,
        access=Access(Resource.RECURRING_RUN, Verb.UPDATE),
        summary="Let a recurring run make runs.",
        answer=wire.Empty,
    ),
    _route(
        method="POST",
        path=_ONE + ":disable",
        handler=disable_recurring_run,
        access=Access(Resource.RECURRING_RUN, Verb.UPDATE),
        summary="Let a recurring run make no more runs.",
        answer=wire.Empty,
    ),
)
