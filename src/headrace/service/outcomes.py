"""What executors report, as events; and the rows an outcome brings along: artifacts, lineage, cache entries."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, assert_never

from headrace.attempt.result import ProducedArtifact
from headrace.engine.model import (
    AnyEvent,
    Artifact,
    AttemptFailed,
    AttemptId,
    AttemptLost,
    AttemptStarted,
    AttemptStopped,
    AttemptSucceeded,
    AttemptWaiting,
    Bundle,
    Execution,
    Reason,
    Reusable,
    RunState,
    execution_id,
)
from headrace.executors import port
from headrace.store.artifacts import ArtifactEdge
from headrace.store.records import ArtifactRecord
from headrace.wire.plain_text import plain_text, plain_value

_ARTIFACTS = uuid.UUID("b6a3c0f2-5a57-4a3b-9d0c-2f6c2f7a6d11")


def to_event(report: port.AnyReport) -> AnyEvent:
    """A report as the engine's event; artifacts get their ids here."""
    at, attempt = report.at, report.attempt
    match report:
        case port.Waiting():
            return AttemptWaiting(at=at, attempt=attempt, reason=_plain(report.reason))
        case port.Started():
            return AttemptStarted(at=at, attempt=attempt)
        case port.Succeeded():
            return AttemptSucceeded(at=at, attempt=attempt, outputs=_outputs(report), surroundings=report.surroundings)
        case port.Failed():
            return AttemptFailed(at=at, attempt=attempt, error=_plain(report.error), retryable=report.retryable)
        case port.Lost():
            return AttemptLost(at=at, attempt=attempt, error=_plain(report.error))
        case port.Stopped():
            return AttemptStopped(at=at, attempt=attempt)
        case _:
            assert_never(report)


def _plain(reason: Reason) -> Reason:
    """The reason without control characters: its words may be those of the component, or of a tool."""
    message, details = plain_text(reason.message), plain_value(reason.details)
    if message == reason.message and details == reason.details:
        return reason
    return Reason(code=reason.code, message=message, details=details)


def _outputs(report: port.Succeeded) -> Bundle:
    artifacts = {
        name: tuple(_artifact(report.attempt, name, made, position) for position, made in enumerate(many))
        for name, many in report.artifacts.items()
    }
    return Bundle(parameters=report.parameters, artifacts={**artifacts, **report.recorded})


def _artifact(attempt: AttemptId, name: str, made: ProducedArtifact, position: int) -> Artifact:
    return Artifact(
        artifact_id=artifact_id(attempt, name, position),
        name=made.name,
        type=made.type,
        uri=made.uri,
        metadata=made.metadata,
        digest=made.digest,
        size_bytes=made.size_bytes,
        not_written=made.not_written,
    )


def artifact_id(attempt: AttemptId, name: str, position: int) -> str:
    """The same report twice gives the same id. It cannot be guessed without the id of the run."""
    return str(uuid.uuid5(_ARTIFACTS, f"{attempt.run_id}/{attempt.path}/{attempt.number}/{name}/{position}"))


def contents(report: port.AnyReport) -> dict[str, ProducedArtifact]:
    """What was reported of each artifact, by its id."""
    if not isinstance(report, port.Succeeded):
        return {}
    return {
        artifact_id(report.attempt, name, position): made
        for name, many in report.artifacts.items()
        for position, made in enumerate(many)
    }


def made_by(
    run: RunState, execution: Execution, at: float, reported: Mapping[str, ProducedArtifact]
) -> Iterator[ArtifactRecord]:
    """Rows for what an execution made. One that reused others' outputs names them too: those rows are there already."""
    for artifact in _each(execution.outputs.artifacts):
        made = reported.get(artifact.artifact_id)
        yield ArtifactRecord(
            artifact=artifact,
            run_id=run.run_id,
            execution_id=execution_id(run.run_id, execution.path),
            namespace=run.namespace,
            created_by=run.created_by,
            created_at=at,
            is_directory=made is not None and made.is_directory,
            owned=made is not None and made.owned,
        )


def edges(run_id: str, execution: Execution) -> Iterator[ArtifactEdge]:
    """Lineage of an execution."""
    yield from _edges(run_id, execution.path, "INPUT", execution.inputs)
    yield from _edges(run_id, execution.path, "OUTPUT", execution.outputs)


def held(run_id: str, reuse: Mapping[str, Reusable]) -> Iterator[ArtifactEdge]:
    """Edges that keep artifacts of an earlier run until this run has taken them over, also if that run is deleted."""
    for path, left in reuse.items():
        yield from _edges(run_id, path, "REUSE", left.outputs)


def _edges(
    run_id: str, path: str, direction: Literal["INPUT", "OUTPUT", "REUSE"], bundle: Bundle
) -> Iterator[ArtifactEdge]:
    for name, many in bundle.artifacts.items():
        for position, artifact in enumerate(many):
            yield ArtifactEdge(
                run_id=run_id,
                execution_id=execution_id(run_id, path),
                direction=direction,
                name=name,
                position=position,
                artifact_id=artifact.artifact_id,
            )


def _each(artifacts: Mapping[str, Iterable[Artifact]]) -> Iterator[Artifact]:
    for many in artifacts.values():
        yield from many
