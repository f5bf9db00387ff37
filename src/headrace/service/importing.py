"""Importers: an artifact that exists somewhere becomes one of ours. The service does it itself, without a process."""

from __future__ import annotations

from headrace.engine.model import (
    AnyEvent,
    Artifact,
    AttemptStarted,
    AttemptSucceeded,
    Bundle,
    LaunchOrder,
)
from headrace.service.context import Context
from headrace.service.outcomes import artifact_id
from headrace.store.artifacts import find_equal_artifact

#: The one output of an importer, by KFP's naming.
OUTPUT = "artifact"


async def import_artifact(context: Context, order: LaunchOrder) -> tuple[AnyEvent, ...]:
    """What the importer's attempt did: its URI is not looked at, only registered, as in KFP."""
    importer, attempt = order.importer, order.attempt
    assert importer is not None, "an importer's order says what to import"
    name = next(iter(order.outputs.artifacts), OUTPUT)
    artifact = Artifact(
        artifact_id=artifact_id(attempt, name, 0),
        name=name,
        type=importer.type,
        uri=importer.uri,
        metadata=importer.metadata,
    )
    if not importer.reimport:
        known = await context.read(find_equal_artifact, artifact)
        artifact = artifact if known is None else known
    outputs = Bundle(artifacts={name: (artifact,)})
    return (
        AttemptStarted(at=context.now(), attempt=attempt),
        AttemptSucceeded(at=context.now(), attempt=attempt, outputs=outputs),
    )
