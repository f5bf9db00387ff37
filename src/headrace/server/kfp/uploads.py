"""Uploads of pipeline documents: multipart, as files or archives. Errors have a shape of their own here, as in KFP."""

from __future__ import annotations

from functools import partial
from pathlib import PurePosixPath

import msgspec
from starlette.responses import Response

from headrace.server.answers import json_answer
from headrace.server.bodies import Upload, read_upload
from headrace.server.errors import HttpError
from headrace.server.kfp import views
from headrace.server.kfp.names import checked_name, checked_tags
from headrace.server.kfp.routing import MAX_DOCUMENT_BYTES, PREFIX, kfp_route
from headrace.server.routes import ApiCall, Query
from headrace.service.access import Access, Resource, Verb
from headrace.service.service import NewVersion
from headrace.wire import v2beta1 as wire


async def upload_pipeline(call: ApiCall) -> Response:
    """A new pipeline and its first version, both under the same name."""
    upload = await read_upload(call)
    version = _version(call, upload, 128)
    record = await call.session.create_pipeline(
        name=version.name,
        display_name=version.display_name,
        description=version.description,
        tags=version.tags,
        version=version,
    )
    return json_answer(views.pipeline(record))


async def upload_pipeline_version(call: ApiCall) -> Response:
    """A new version of a pipeline."""
    pipeline_id = call.query.get("pipelineid", "")
    if not pipeline_id:
        raise HttpError(400, "PIPELINE_ID_MISSING", "Say which pipeline this is a version of (pipelineid).")
    upload = await read_upload(call)
    version = _version(call, upload, 127)
    return json_answer(views.version(await call.session.create_version(pipeline_id, version)))


def _version(call: ApiCall, upload: Upload, name_limit: int) -> NewVersion:
    query = call.query
    display_name = query.get("display_name", "")
    name = query.get("name", "") or display_name or PurePosixPath(upload.filename.replace("\\", "/")).name
    checked_name(name, "pipeline", name_limit)
    return NewVersion(
        name=name,
        display_name=display_name or name,
        description=query.get("description", ""),
        code_source_url=query.get("code_source_url", ""),
        tags=_tags(query.get("tags", "")),
        document=upload.content,
    )


def _tags(text: str) -> dict[str, str]:
    try:
        return checked_tags(msgspec.json.decode(text) if text else {})
    except msgspec.DecodeError as error:
        raise HttpError(400, "TAGS_INVALID", f"The tags are not JSON: {error}") from error


_QUERY = (
    Query(name="name"),
    Query(name="display_name"),
    Query(name="description"),
    Query(name="tags", note="JSON object of texts."),
    Query(name="code_source_url"),
)
_route = partial(
    kfp_route,
    method="POST",
    upload=True,
    errors="upload",
    tag="PipelineUploadService",
    # The document, and what multipart puts around it.
    max_body=MAX_DOCUMENT_BYTES + 65_536,
)

ROUTES = (
    _route(
        path=f"{PREFIX}/pipelines/upload",
        handler=upload_pipeline,
        access=Access(Resource.PIPELINE, Verb.CREATE, "body"),
        summary="Upload a new pipeline.",
        answer=wire.Pipeline,
        query=(*_QUERY, Query(name="namespace", note="Ignored.")),
    ),
    _route(
        path=f"{PREFIX}/pipelines/upload_version",
        handler=upload_pipeline_version,
        access=Access(Resource.PIPELINE, Verb.CREATE),
        summary="Upload a new version of a pipeline.",
        answer=wire.PipelineVersion,
        query=(*_QUERY, Query(name="pipelineid", note="The pipeline.")),
    ),
)
