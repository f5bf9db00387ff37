"""Records as the shapes of our own API."""

from __future__ import annotations

from headrace.engine.model import Reason
from headrace.store.records import ArtifactRecord, RunRecord
from headrace.wire import api
from headrace.wire.times import millis, optional_millis


def run_summary(record: RunRecord) -> api.RunSummary:
    """A run as lists show it."""
    return api.RunSummary(
        run_id=record.run_id,
        display_name=record.display_name,
        state=record.state.value,
        storage_state="ARCHIVED" if record.archived else "AVAILABLE",
        experiment_id=record.experiment_id,
        experiment_name=record.experiment_name,
        pipeline_name=record.pipeline_name,
        pipeline_id=record.pipeline_id,
        pipeline_version_id=record.pipeline_version_id,
        created_at=millis(record.created_at),
        started_at=optional_millis(record.started_at),
        finished_at=optional_millis(record.finished_at),
        error=reason(record.error),
        task_counts={state.value: count for state, count in record.task_counts.items()},
        version=record.version,
    )


def reason(given: Reason | None) -> api.ReasonView | None:
    """Why something waits, failed or was skipped."""
    if given is None:
        return None
    return api.ReasonView(code=given.code, message=given.message, details=given.details)


def artifact(record: ArtifactRecord) -> api.ArtifactView:
    """An artifact, without its content."""
    value = record.artifact
    return api.ArtifactView(
        artifact_id=value.artifact_id,
        name=value.name,
        type=value.type.schema_title,
        uri=value.uri,
        metadata=value.metadata,
        digest=value.digest,
        size_bytes=value.size_bytes,
        created_at=millis(record.created_at),
        execution_id=record.execution_id,
        run_id=record.run_id,
        is_directory=record.is_directory,
    )
