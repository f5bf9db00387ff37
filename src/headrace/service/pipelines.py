"""Pipelines and their versions."""

from __future__ import annotations

from headrace.service.context import Context, new_id
from headrace.service.errors import AlreadyExists, Conflict, NotFound
from headrace.service.naming import check_length, check_name, check_tags
from headrace.service.requests import NewVersion
from headrace.store import errors as store
from headrace.store import pipelines as rows
from headrace.store.database import Connection
from headrace.store.documents import EncodedDocument
from headrace.store.records import ListQuery, Page, PipelineRecord, VersionRecord


async def create(
    context: Context,
    *,
    name: str,
    display_name: str,
    description: str,
    namespace: str,
    tags: dict[str, str],
    version: NewVersion | None,
    created_by: str,
) -> PipelineRecord:
    """A pipeline, and its first version if one is given, both or neither."""
    check_name("pipeline", name)
    check_length("pipeline", display_name)
    check_tags(tags)
    record = PipelineRecord(
        pipeline_id=new_id(),
        name=name,
        display_name=display_name or name,
        description=description,
        namespace=namespace,
        tags=tags,
        created_at=context.now(),
        created_by=created_by,
    )
    first = None if version is None else await _version(context, record, version, record.created_at)
    try:
        await context.write(_insert, record, first)
    except store.Duplicate as error:
        raise AlreadyExists(
            f"There is a pipeline named {name!r} already; upload a new version of it, or choose another name.",
            name=name,
        ) from error
    return record


def _insert(conn: Connection, record: PipelineRecord, version: tuple[VersionRecord, EncodedDocument] | None) -> None:
    rows.insert_pipeline(conn, record)
    if version is not None:
        rows.insert_version(conn, *version)


async def _version(
    context: Context, pipeline: PipelineRecord, new: NewVersion, at: float
) -> tuple[VersionRecord, EncodedDocument]:
    check_name("pipeline version", new.name)
    check_length("pipeline version", new.display_name)
    check_tags(new.tags)
    document = (await context.plans.of_document(new)).new
    assert document is not None
    record = VersionRecord(
        pipeline_version_id=new_id(),
        pipeline_id=pipeline.pipeline_id,
        namespace=pipeline.namespace,
        name=new.name,
        display_name=new.display_name or new.name,
        description=new.description,
        code_source_url=new.code_source_url,
        tags=new.tags,
        created_at=at,
        created_by=new.created_by,
        pipeline_spec=document.pipeline_spec,
        platform_spec=document.platform_spec,
    )
    return record, document.encoded


async def create_version(context: Context, pipeline_id: str, new: NewVersion) -> VersionRecord:
    """Raises NotFound, AlreadyExists, and Invalid for a document that cannot be right."""
    record, document = await _version(context, await get(context, pipeline_id), new, context.now())
    try:
        await context.write(rows.insert_version, record, document)
    except store.Duplicate as error:
        # The name is taken, or the pipeline was deleted just now.
        await get(context, pipeline_id)
        raise AlreadyExists(
            f"The pipeline has a version named {new.name!r} already; choose another name.", name=new.name
        ) from error
    return record


async def get(context: Context, pipeline_id: str) -> PipelineRecord:
    """Raises NotFound."""
    return _found(await context.read(rows.get_pipeline, pipeline_id), pipeline_id)


async def find(context: Context, name: str, namespace: str) -> PipelineRecord:
    """By name. Raises NotFound."""
    found = await context.read(rows.find_pipeline, name, namespace)
    if found is None:
        raise no_such_name(name)
    return found


def no_such_name(name: str) -> NotFound:
    """What is said of a name that no pipeline has."""
    return NotFound(f"There is no pipeline named {name!r}.", name=name)


async def list_page(context: Context, query: ListQuery) -> Page[PipelineRecord]:
    """One page."""
    return await context.read(rows.list_pipelines, query, context.keys.page_tokens)


async def update(
    context: Context, pipeline_id: str, *, display_name: str | None, tags: dict[str, str] | None
) -> PipelineRecord:
    """None leaves as it is; an empty map of tags removes them all."""
    _check_update("pipeline", display_name, tags)
    changed = await context.write(rows.update_pipeline, pipeline_id, display_name=display_name, new_tags=tags)
    return _found(changed, pipeline_id)


def _check_update(noun: str, display_name: str | None, tags: dict[str, str] | None) -> None:
    if display_name is not None:
        check_name(noun, display_name)
    check_tags(tags or {})


async def delete(context: Context, pipeline_id: str, *, cascade: bool) -> None:
    """Raises Conflict PIPELINE_HAS_VERSIONS unless `cascade`."""
    await get(context, pipeline_id)
    left = await context.write(_delete, pipeline_id, cascade)
    if left:
        raise Conflict(
            f"The pipeline has {left} versions; delete them first, or delete with cascade.",
            code="PIPELINE_HAS_VERSIONS",
            versions=left,
        )


def _delete(conn: Connection, pipeline_id: str, cascade: bool) -> int:
    left = 0 if cascade else rows.count_versions(conn, pipeline_id)
    if not left:
        rows.delete_pipeline(conn, pipeline_id)
    return left


async def get_version(context: Context, pipeline_version_id: str) -> VersionRecord:
    """Raises NotFound."""
    return _found_version(await context.read(rows.get_version, pipeline_version_id), pipeline_version_id)


async def list_versions(context: Context, pipeline_id: str, query: ListQuery) -> Page[VersionRecord]:
    """One page."""
    await get(context, pipeline_id)
    return await context.read(rows.list_versions, pipeline_id, query, context.keys.page_tokens)


async def update_version(
    context: Context, pipeline_version_id: str, *, display_name: str | None, tags: dict[str, str] | None
) -> VersionRecord:
    """As for pipelines."""
    _check_update("pipeline version", display_name, tags)
    changed = await context.write(rows.update_version, pipeline_version_id, display_name=display_name, new_tags=tags)
    return _found_version(changed, pipeline_version_id)


async def delete_version(context: Context, pipeline_version_id: str) -> None:
    """Runs made from it keep their document. Raises NotFound."""
    await get_version(context, pipeline_version_id)
    await context.write(rows.delete_version, pipeline_version_id)


def _found(record: PipelineRecord | None, pipeline_id: str) -> PipelineRecord:
    if record is None:
        raise NotFound(f"There is no pipeline {pipeline_id}.", pipeline_id=pipeline_id)
    return record


def _found_version(record: VersionRecord | None, pipeline_version_id: str) -> VersionRecord:
    if record is None:
        message = f"There is no pipeline version {pipeline_version_id}."
        raise NotFound(message, pipeline_version_id=pipeline_version_id)
    return record
