"""Pipelines and their versions, as KFP has them."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.bodies import read_message
from headrace.server.documents import from_inline
from headrace.server.errors import FailedPrecondition, HttpError
from headrace.server.kfp import views
from headrace.server.kfp.names import checked_name, checked_tags
from headrace.server.kfp.routing import LIST_QUERY, MAX_DOCUMENT_BYTES, PREFIX, kfp_route
from headrace.server.listing import list_query
from headrace.server.routes import ApiCall, Query
from headrace.service.access import Access, Resource, Verb
from headrace.service.errors import Conflict
from headrace.service.service import NewVersion
from headrace.store.records import PipelineRecord
from headrace.wire import v2beta1 as wire


async def create_pipeline(call: ApiCall) -> Response:
    """A pipeline without a version."""
    body = await read_message(call, wire.Pipeline)
    return json_answer(views.pipeline(await _create(call, body, None)))


async def create_pipeline_and_version(call: ApiCall) -> Response:
    """A pipeline with its first version."""
    body = await read_message(call, wire.CreatePipelineAndVersion)
    named = body.pipeline_version.name or body.pipeline_version.display_name
    fallback = body.pipeline.name or body.pipeline.display_name
    version = _new_version(body.pipeline_version, named or fallback)
    return json_answer(views.pipeline(await _create(call, body.pipeline, version)))


async def list_pipelines(call: ApiCall) -> Response:
    """A page of pipelines."""
    page = await call.session.list_pipelines(list_query(call.query))
    return json_answer(
        wire.PipelineList(
            pipelines=[views.pipeline(record) for record in page.items],
            total_size=page.total_size,
            next_page_token=page.next_page_token,
        )
    )


async def get_pipeline(call: ApiCall) -> Response:
    """One pipeline."""
    return json_answer(views.pipeline(await call.session.get_pipeline(call.path["pipeline_id"])))


async def get_pipeline_by_name(call: ApiCall) -> Response:
    """One pipeline, by its name."""
    return json_answer(views.pipeline(await call.session.get_pipeline_by_name(call.path["name"])))


async def update_pipeline(call: ApiCall) -> Response:
    """Change the display name or the tags; what is not given stays."""
    body = await read_message(call, wire.Pipeline)
    name, tags = _changes(body, "pipeline", 128)
    return json_answer(
        views.pipeline(await call.session.update_pipeline(call.path["pipeline_id"], display_name=name, tags=tags))
    )


async def delete_pipeline(call: ApiCall) -> Response:
    """Delete a pipeline; one with versions only when asked to cascade."""
    cascade = call.query.get("cascade", "").lower() in ("true", "1")
    try:
        await call.session.delete_pipeline(call.path["pipeline_id"], cascade=cascade)
    except Conflict as error:
        raise FailedPrecondition(error) from error
    return json_answer(wire.Empty())


async def create_version(call: ApiCall) -> Response:
    """A version from a document in the body, or from one that is fetched."""
    body = await read_message(call, wire.PipelineVersion)
    version = _new_version(body, body.name or body.display_name)
    return json_answer(views.version(await call.session.create_version(call.path["pipeline_id"], version)))


async def list_versions(call: ApiCall) -> Response:
    """A page of a pipeline's versions."""
    page = await call.session.list_versions(call.path["pipeline_id"], list_query(call.query))
    return json_answer(
        wire.PipelineVersionList(
            pipeline_versions=[views.version(record) for record in page.items],
            total_size=page.total_size,
            next_page_token=page.next_page_token,
        )
    )


async def get_version(call: ApiCall) -> Response:
    """One version."""
    return json_answer(views.version(await call.session.get_version(_version(call))))


async def update_version(call: ApiCall) -> Response:
    """Change the display name or the tags; what is not given stays."""
    body = await read_message(call, wire.PipelineVersion)
    name, tags = _changes(body, "pipeline version", 127)
    record = await call.session.update_version(_version(call), display_name=name, tags=tags)
    return json_answer(views.version(record))


async def delete_version(call: ApiCall) -> Response:
    """Delete a version."""
    await call.session.delete_version(_version(call))
    return json_answer(wire.Empty())


def _version(call: ApiCall) -> str:
    """The version's id in the path. As KFP does, it is taken whatever pipeline stands before it."""
    return call.path["pipeline_version_id"]


async def _create(call: ApiCall, body: wire.Pipeline, version: NewVersion | None) -> PipelineRecord:
    name = checked_name(body.name or body.display_name, "pipeline", 128)
    return await call.session.create_pipeline(
        name=name,
        display_name=body.display_name or name,
        description=body.description,
        tags=checked_tags(body.tags or {}),
        version=version,
    )


def _new_version(body: wire.PipelineVersion, name: str) -> NewVersion:
    url = body.package_url.pipeline_url if body.package_url else ""
    if (body.pipeline_spec is None) == (not url):
        raise HttpError(
            400, "DOCUMENT_MISSING", "Send either the document, as pipeline_spec or as an upload, or its package_url."
        )
    pipeline_spec, platform_spec = (None, None) if body.pipeline_spec is None else from_inline(body.pipeline_spec)
    return NewVersion(
        name=checked_name(name, "pipeline version", 127),
        display_name=body.display_name or name,
        description=body.description,
        code_source_url=body.code_source_url,
        tags=checked_tags(body.tags or {}),
        pipeline_spec=pipeline_spec,
        platform_spec=platform_spec,
        package_url=url,
    )


def _changes(
    body: wire.Pipeline | wire.PipelineVersion, noun: str, limit: int
) -> tuple[str | None, dict[str, str] | None]:
    name = checked_name(body.display_name, noun, limit) if body.display_name else None
    return name, None if body.tags is None else checked_tags(body.tags)


_PATH = f"{PREFIX}/pipelines"
_VERSIONS = _PATH + "/{pipeline_id}/versions"
_VERSION = _VERSIONS + "/{pipeline_version_id}"
_route = partial(kfp_route, tag="PipelineService")

ROUTES = (
    _route(
        method="POST",
        path=_PATH,
        handler=create_pipeline,
        access=Access(Resource.PIPELINE, Verb.CREATE, "body"),
        summary="Create a pipeline without a version.",
        body=wire.Pipeline,
        answer=wire.Pipeline,
    ),
    _route(
        method="POST",
        path=_PATH + "/create",
        handler=create_pipeline_and_version,
        access=Access(Resource.PIPELINE, Verb.CREATE, "body"),
        summary="Create a pipeline and its first version.",
        body=wire.CreatePipelineAndVersion,
        answer=wire.Pipeline,
        max_body=MAX_DOCUMENT_BYTES,
    ),
    _route(
        method="GET",
        path=_PATH,
        handler=list_pipelines,
        access=Access(Resource.PIPELINE, Verb.READ, "query"),
        summary="List pipelines.",
        answer=wire.PipelineList,
        query=LIST_QUERY,
    ),
    _route(
        method="GET",
        path=_PATH + "/names/{name}",
        handler=get_pipeline_by_name,
        access=Access(Resource.PIPELINE, Verb.READ, "query"),
        summary="Get a pipeline by its name.",
        answer=wire.Pipeline,
    ),
    _route(
        method="GET",
        path=_PATH + "/{pipeline_id}",
        handler=get_pipeline,
        access=Access(Resource.PIPELINE, Verb.READ),
        summary="Get a pipeline.",
        answer=wire.Pipeline,
    ),
    _route(
        method="PATCH",
        path=_PATH + "/{pipeline_id}",
        handler=update_pipeline,
        access=Access(Resource.PIPELINE, Verb.UPDATE),
        summary="Change a pipeline's display name or tags.",
        body=wire.Pipeline,
        answer=wire.Pipeline,
    ),
    _route(
        method="DELETE",
        path=_PATH + "/{pipeline_id}",
        handler=delete_pipeline,
        access=Access(Resource.PIPELINE, Verb.DELETE),
        summary="Delete a pipeline.",
        answer=wire.Empty,
        query=(Query(name="cascade", type="boolean", note="Delete its versions too."),),
    ),
    _route(
        method="POST",
        path=_VERSIONS,
        handler=create_version,
        access=Access(Resource.PIPELINE, Verb.CREATE),
        summary="Create a version from a document in the body.",
        body=wire.PipelineVersion,
        answer=wire.PipelineVersion,
        max_body=MAX_DOCUMENT_BYTES,
    ),
    _route(
        method="GET",
        path=_VERSIONS,
        handler=list_versions,
        access=Access(Resource.PIPELINE, Verb.READ),
        summary="List the versions of a pipeline.",
        answer=wire.PipelineVersionList,
        query=LIST_QUERY,
    ),
    _route(
        method="GET",
        path=_VERSION,
        handler=get_version,
        access=Access(Resource.PIPELINE, Verb.READ),
        summary="Get a version with its document.",
        answer=wire.PipelineVersion,
    ),
    _route(
        method="PATCH",
        path=_VERSION,
        handler=update_version,
        access=Access(Resource.PIPELINE, Verb.UPDATE),
        summary="Change a version's display name or tags.",
        body=wire.PipelineVersion,
        answer=wire.PipelineVersion,
    ),
    _route(
        method="DELETE",
        path=_VERSION,
        handler=delete_version,
        access=Access(Resource.PIPELINE, Verb.DELETE),
        summary="Delete a version.",
        answer=wire.Empty,
    ),
)
