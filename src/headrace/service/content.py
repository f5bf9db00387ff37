"""Artifact contents and logs: read in chunks, by id only."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence

from headrace.artifacts.port import NotStored
from headrace.engine.model import AttemptId, Execution, Kind
from headrace.service.context import Context
from headrace.service.errors import NotFound
from headrace.store import artifacts as rows
from headrace.store import runs as run_rows
from headrace.store.records import ArtifactRecord

log = logging.getLogger(__name__)


async def get_artifact(context: Context, artifact_id: str) -> ArtifactRecord:
    """Raises NotFound."""
    found = await context.read(rows.get_artifact, artifact_id)
    if found is None:
        raise NotFound(f"There is no artifact {artifact_id}.", artifact_id=artifact_id)
    return found


async def read_artifact(
    context: Context, artifact_id: str, *, offset: int, limit: int | None, member: str
) -> AsyncIterator[bytes]:
    """The content in chunks. Raises NotFound at the first step, also for content that is not in our store."""
    record = await get_artifact(context, artifact_id)
    try:
        async for chunk in context.artifacts.open_read(record.artifact.uri, offset=offset, limit=limit, member=member):
            yield chunk
    except NotStored as error:
        raise _no_content(record, error) from error


async def list_members(context: Context, artifact_id: str) -> tuple[tuple[str, int], ...]:
    """`(name, size_bytes)` of each file."""
    record = await get_artifact(context, artifact_id)
    try:
        members = await context.artifacts.members(record.artifact.uri)
    except NotStored as error:
        raise _no_content(record, error) from error
    return tuple((member.name, member.size_bytes) for member in members)


def _no_content(record: ArtifactRecord, error: NotStored) -> NotFound:
    return NotFound(
        f"The content of artifact {record.artifact.name!r} is not here: {error}",
        code="ARTIFACT_CONTENT_MISSING",
        artifact_id=record.artifact.artifact_id,
    )


async def delete_content(context: Context, gone: Sequence[ArtifactRecord]) -> None:
    """Remove the content of artifacts whose rows are gone. What fails is only logged: nobody can reach it any more."""
    for record in gone:
        uri = record.artifact.uri
        if record.run_id is None or not context.artifacts.owns(uri):
            continue
        try:
            await context.artifacts.delete(f"{record.run_id}/{record.execution_id}")
        except Exception:
            log.exception("the content of a deleted artifact could not be removed")


async def find_execution(context: Context, execution_id: str) -> tuple[str, Execution]:
    """`(run_id, execution)`. Raises NotFound."""
    found = await context.read(run_rows.find_execution, execution_id)
    if found is None:
        raise NotFound(f"There is no execution {execution_id}.", execution_id=execution_id)
    return found


async def _attempt(context: Context, execution_id: str, number: int) -> tuple[AttemptId, Execution]:
    run_id, execution = await find_execution(context, execution_id)
    if not any(attempt.number == number for attempt in execution.attempts):
        raise NotFound(f"Execution {execution_id} has no attempt {number}.", execution_id=execution_id, attempt=number)
    return AttemptId(run_id=run_id, path=execution.path, number=number), execution


async def log_size(context: Context, execution_id: str, number: int) -> int:
    """Bytes of the attempt's log so far."""
    attempt, execution = await _attempt(context, execution_id, number)
    if execution.kind is Kind.IMPORTER:
        return 0
    return await context.executor.log_size(attempt)


async def read_log(
    context: Context, execution_id: str, number: int, *, offset: int, limit: int | None, follow: bool
) -> AsyncIterator[bytes]:
    """The attempt's log from byte `offset`."""
    attempt, execution = await _attempt(context, execution_id, number)
    if execution.kind is Kind.IMPORTER:
        return
    left = limit
    async for chunk in context.executor.logs(attempt, offset=offset, follow=follow):
        if left is not None:
            chunk = chunk[:left]
            left -= len(chunk)
        if chunk:
            yield chunk
        if left == 0:
            return
