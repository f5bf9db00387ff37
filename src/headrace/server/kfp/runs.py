"""Runs, as KFP has them."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.bodies import read_message
from headrace.server.documents import from_inline, inline
from headrace.server.errors import FailedPrecondition, HttpError
from headrace.server.idempotency import idempotency_key
from headrace.server.kfp import views
from headrace.server.kfp.names import checked_name
from headrace.server.kfp.routing import LIST_QUERY, MAX_DOCUMENT_BYTES, PREFIX, kfp_route
from headrace.server.listing import list_query
from headrace.server.routes import ApiCall, Query
from headrace.service.access import Access, Resource, Verb
from headrace.service.errors import Conflict
from headrace.service.service import NewRun
from headrace.store.records import RunRecord
from headrace.wire import v2beta1 as wire


async def create_run(call: ApiCall) -> Response:
    """A run from a document in the body or from an uploaded version."""
    body = await read_message(call, wire.Run)
    if body.plugins_output:
        raise HttpError(409, "PLUGINS_OUTPUT_GIVEN", "plugins_output is written by the server only.")
    new = _new_run(body, body.experiment_id or call.query.get("experiment_id", ""))
    record = await call.session.create_run(new, key=idempotency_key(call))
    document = None if new.pipeline_spec is None else inline(new.pipeline_spec, new.platform_spec)
    return json_answer(views.run(record, document=document))


async def get_run(call: ApiCall) -> Response:
    """One run with its executions."""
    run_id = call.path["run_id"]
    record = await call.session.get_run(run_id)
    executions = await call.session.get_executions(run_id)
    tasks = views.tasks(run_id, executions)
    return json_answer(views.run(record, document=await _document(call, record), tasks=tasks))


async def list_runs(call: ApiCall) -> Response:
    """A page of runs, without their documents and executions."""
    experiment_id = call.query.get("experiment_id") or None
    page = await call.session.list_runs(list_query(call.query, experiment_id=experiment_id))
    return json_answer(
        wire.RunList(
            runs=[views.run(record) for record in page.items],
            total_size=page.total_size,
            next_page_token=page.next_page_token,
        )
    )


async def terminate_run(call: ApiCall) -> Response:
    """End a run early."""
    try:
        await call.session.terminate_run(call.path["run_id"])
    except Conflict as error:
        raise FailedPrecondition(error) from error
    return json_answer(wire.Empty())


async def retry_run(call: ApiCall) -> Response:
    """Try the failed parts of a finished run again."""
    await call.session.retry_run(call.path["run_id"])
    return json_answer(wire.Empty())


async def archive_run(call: ApiCall) -> Response:
    """Archive a run; one that runs goes on."""
    await call.session.set_run_archived(call.path["run_id"], True)
    return json_answer(wire.Empty())


async def unarchive_run(call: ApiCall) -> Response:
    """Bring an archived run back."""
    try:
        await call.session.set_run_archived(call.path["run_id"], False)
    except Conflict as error:
        raise FailedPrecondition(error) from error
    return json_answer(wire.Empty())


async def delete_run(call: ApiCall) -> Response:
    """Delete a run and what it made."""
    await call.session.delete_run(call.path["run_id"])
    return json_answer(wire.Empty())


async def read_artifact(call: ApiCall) -> Response:
    """KFP's v1-style artifact reading, which needs what no v2 run has."""
    raise HttpError(
        501,
        "NOT_IMPLEMENTED",
        "Reading an artifact by node is for v1 runs. Use `/api/artifacts/{artifact_id}/link` of this server.",
    )


def _new_run(body: wire.Run, experiment_id: str) -> NewRun:
    reference = body.pipeline_version_reference
    if (body.pipeline_spec is None) == (reference is None):
        raise HttpError(
            400,
            "RUN_SOURCE",
            "A run is made from either a document (pipeline_spec) or an uploaded one (pipeline_version_reference).",
        )
    pipeline_spec, platform_spec = None, None
    if body.pipeline_spec is not None:
        pipeline_spec, platform_spec = from_inline(body.pipeline_spec)
    config = body.runtime_config or wire.RuntimeConfig()
    return NewRun(
        display_name=checked_name(body.display_name, "run", 256),
        description=body.description,
        pipeline_spec=pipeline_spec,
        platform_spec=platform_spec,
        pipeline_id=(reference and reference.pipeline_id) or None,
        pipeline_version_id=(reference and reference.pipeline_version_id) or None,
        experiment_id=experiment_id or None,
        parameters=config.parameters,
        pipeline_root=config.pipeline_root,
        service_account=body.service_account,
        recurring_run_id=body.recurring_run_id or None,
        artifacts_may_be_missing=True,
    )


async def _document(call: ApiCall, record: RunRecord) -> dict[str, wire.Json] | None:
    if record.pipeline_version_id is not None:
        return None
    return inline(*await call.session.get_run_document(record.run_id))


_PATH = f"{PREFIX}/runs"
_RUN = _PATH + "/{run_id}"
_route = partial(kfp_route, tag="RunService")
_EXPERIMENT = Query(name="experiment_id")

ROUTES = (
    _route(
        method="POST",
        path=_PATH,
        handler=create_run,
        idempotent=True,
        access=Access(Resource.RUN, Verb.CREATE, "body"),
        summary="Create a run.",
        body=wire.Run,
        answer=wire.Run,
        query=(_EXPERIMENT,),
        max_body=MAX_DOCUMENT_BYTES,
    ),
    _route(
        method="GET",
        path=_PATH,
        handler=list_runs,
        access=Access(Resource.RUN, Verb.READ, "query"),
        summary="List runs.",
        answer=wire.RunList,
        query=(*LIST_QUERY, _EXPERIMENT),
    ),
    _route(
        method="GET",
        path=_RUN,
        handler=get_run,
        access=Access(Resource.RUN, Verb.READ),
        summary="Get a run with its executions.",
        answer=wire.Run,
    ),
    _route(
        method="DELETE",
        path=_RUN,
        handler=delete_run,
        access=Access(Resource.RUN, Verb.DELETE),
        summary="Delete a run.",
        answer=wire.Empty,
    ),
    _route(
        method="POST",
        path=_RUN + ":terminate",
        handler=terminate_run,
        access=Access(Resource.RUN, Verb.CONTROL),
        summary="End a run early.",
        answer=wire.Empty,
    ),
    _route(
        method="POST",
        path=_RUN + ":retry",
        handler=retry_run,
        access=Access(Resource.RUN, Verb.CONTROL),
        summary="Try the failed parts of a finished run again.",
        answer=wire.Empty,
    ),
    _route(
        method="POST",
        path=_RUN + ":archive",
        handler=archive_run,
        access=Access(Resource.RUN, Verb.UPDATE),
        summary="Archive a run.",
        answer=wire.Empty,
    ),
    _route(
        method="POST",
        path=_RUN + ":unarchive",
        handler=unarchive_run,
        access=Access(Resource.RUN, Verb.UPDATE),
        summary="Bring an archived run back.",
        answer=wire.Empty,
    ),
    _route(
        method="GET",
        path=_RUN + "/nodes/{node_id}/artifacts/{artifact_name}:read",
        handler=read_artifact,
        access=Access(Resource.CONTENT, Verb.READ),
        summary="Not implemented: for v1 runs only.",
        answer=wire.Status,
    ),
)
