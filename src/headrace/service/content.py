"""Artifact contents and logs: read in chunks, by id only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

from headrace.artifacts.port import ArtifactError, Corrupt, NotConfigured, NotStored
from headrace.attempt.derive import run_prefix
from headrace.engine.model import AttemptId, Execution, RunState
from headrace.executors.log_store import follow_log
from headrace.service.context import Context
from headrace.service.errors import Conflict, NotFound, ServiceError, Unavailable
from headrace.store import artifacts as rows
from headrace.store import runs as run_rows
from headrace.store.records import ArtifactRecord

log = logging.getLogger(__name__)

#: Between two looks at a log that another server writes.
_FOLLOW_S = 0.3


async def get_artifact(context: Context, artifact_id: str) -> ArtifactRecord:
    """Raises NotFound."""
    found = await context.read(rows.get_artifact, artifact_id)
    if found is None:
        raise NotFound(f"There is no artifact {artifact_id}.", artifact_id=artifact_id)
    return found


async def read_artifact(
    context: Context, artifact_id: str, *, offset: int, limit: int | None, member: str
) -> AsyncIterator[bytes]:
    """The content in chunks. Raises NotFound at the first step, also for content that is not in our store.

    All of it is checked on its way: content that was altered raises Conflict before its end.
    """
    record = await get_artifact(context, artifact_id)
    artifact = record.artifact
    try:
        async for chunk in context.artifacts.open_read(
            artifact.uri, offset=offset, limit=limit, member=member, digest=artifact.digest
        ):
            yield chunk
    except ArtifactError as error:
        raise _no_content(record, error) from error


async def list_members(context: Context, artifact_id: str) -> tuple[tuple[str, int], ...]:
    """`(name, size_bytes)` of each file."""
    record = await get_artifact(context, artifact_id)
    try:
        members = await context.artifacts.members(record.artifact.uri)
    except ArtifactError as error:
        raise _no_content(record, error) from error
    return tuple((member.name, member.size_bytes) for member in members)


async def find_content(context: Context, artifact_id: str, member: str) -> tuple[ArtifactRecord, int]:
    """`(artifact, size_bytes)`. Raises NotFound MEMBER_NOT_FOUND when the artifact has no such file."""
    record = await get_artifact(context, artifact_id)
    members = dict(await list_members(context, artifact_id))
    if member not in members:
        what = "This artifact has no such file" if member else "Say which file of this directory you want (member)"
        message = f"{what}; GET /api/artifacts/{{artifact_id}}/members lists them."
        raise NotFound(message, code="MEMBER_NOT_FOUND")
    return record, members[member]


def _no_content(record: ArtifactRecord, error: ArtifactError) -> ServiceError:
    message = f"The content of artifact {record.artifact.name!r} cannot be shown: {error}"
    artifact_id = record.artifact.artifact_id
    if isinstance(error, NotStored | NotConfigured):
        return NotFound(message, code="ARTIFACT_CONTENT_MISSING", artifact_id=artifact_id)
    if isinstance(error, Corrupt):
        return Conflict(message, code="ARTIFACT_CORRUPT", artifact_id=artifact_id)
    return Unavailable(message, code=error.code, artifact_id=artifact_id)


async def delete_content(context: Context, gone: Sequence[ArtifactRecord]) -> None:
    """Remove the content of artifacts whose rows are gone, if it was theirs.

    What fails is only logged: no request can reach it any more.
    """
    for record in gone:
        if not record.owned:
            continue
        try:
            await context.artifacts.delete(record.artifact.uri)
        except Exception:
            log.exception("the content of a deleted artifact could not be removed")


async def delete_leftovers(context: Context, state: RunState, pipeline_name: str) -> None:
    """Remove what attempts of a deleted run have put into the store without any record of it."""
    try:
        await context.artifacts.delete(run_prefix(state, pipeline_name))
    except Exception:
        log.exception("what the deleted run %s has left in the artifact store could not be removed", state.run_id)


async def find_execution(context: Context, execution_id: str) -> tuple[str, Execution]:
    """`(run_id, execution)`. Raises NotFound."""
    found = await context.read(run_rows.find_execution, execution_id)
    if found is None:
        raise NotFound(f"There is no execution {execution_id}.", execution_id=execution_id)
    return found


async def _attempt(context: Context, execution_id: str, number: int) -> AttemptId:
    run_id, execution = await find_execution(context, execution_id)
    if not any(attempt.number == number for attempt in execution.attempts):
        raise NotFound(f"Execution {execution_id} has no attempt {number}.", execution_id=execution_id, attempt=number)
    return AttemptId(run_id=run_id, path=execution.path, number=number)


async def latest_attempt(context: Context, execution_id: str) -> int:
    """Its number. Raises NotFound NO_ATTEMPT when there is none yet."""
    _, execution = await find_execution(context, execution_id)
    if not execution.attempts:
        raise NotFound("This execution has not been started, so it has no log.", code="NO_ATTEMPT")
    return execution.attempts[-1].number


async def log_size(context: Context, execution_id: str, number: int) -> int:
    """Bytes of the attempt's log so far."""
    attempt = await _attempt(context, execution_id, number)
    return await context.executor.logs.size(attempt)


async def read_log(
    context: Context, execution_id: str, number: int, *, offset: int, limit: int | None, follow: bool
) -> AsyncIterator[bytes]:
    """The attempt's log from byte `offset`."""
    attempt = await _attempt(context, execution_id, number)
    left = limit
    async for chunk in _log(context, attempt, offset, follow):
        if left is not None:
            chunk = chunk[:left]
            left -= len(chunk)
        if chunk:
            yield chunk
        if left == 0:
            return


async def _log(context: Context, attempt: AttemptId, offset: int, follow: bool) -> AsyncIterator[bytes]:
    """As the executor has it. Of an attempt that another server cares for, only the record says when it has ended."""
    while True:
        over = not follow or context.lease is None or await _has_ended(context, attempt)
        async for chunk in follow_log(context.executor.logs, attempt, offset=offset, follow=follow):
            offset += len(chunk)
            yield chunk
        if over:
            return
        await asyncio.sleep(_FOLLOW_S)


async def _has_ended(context: Context, attempt: AttemptId) -> bool:
    found = await context.read(run_rows.find_execution, attempt.execution_id)
    return found is None or all(one.state.final for one in found[1].attempts if one.number == attempt.number)
