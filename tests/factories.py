"""Valid things in one word: a test names only what it is about."""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.engine.model import Artifact, ArtifactType
from headrace.wire.api import (
    ArtifactView,
    AttemptView,
    BundleView,
    ExecutionView,
    GraphNode,
    ReasonView,
    RunChange,
    RunSummary,
    RunView,
)

RUN_ID = "0b9d2f60-4f6c-4e05-9c51-3f6a6f1d0a01"
AT = "2026-11-23T12:00:00.000Z"
LATER = "2026-11-23T12:00:03.500Z"


def _with(value: Any, changes: dict[str, Any]) -> Any:
    return msgspec.structs.replace(value, **changes)


def an_artifact(**changes: Any) -> Artifact:
    """An artifact as tasks hand it on."""
    one = Artifact(
        artifact_id="6d6d1b7e-8b1e-4f57-9a0d-6d7a7b1f0001",
        name="model",
        type=ArtifactType(schema_title="system.Model"),
        uri="file:///data/model",
    )
    return _with(one, changes)


def an_artifact_view(**changes: Any) -> ArtifactView:
    """An artifact as the API shows it."""
    one = ArtifactView(
        artifact_id="6d6d1b7e-8b1e-4f57-9a0d-6d7a7b1f0001",
        name="model",
        type="system.Model",
        uri="file:///data/model",
        metadata={},
        digest="",
        size_bytes=1234,
    )
    return _with(one, changes)


def a_reason(code: str = "USER_EXCEPTION", message: str = "ValueError: no") -> ReasonView:
    """Why something failed."""
    return ReasonView(code=code, message=message)


def a_run(**changes: Any) -> RunSummary:
    """A run as lists show it: succeeded, one task."""
    one = RunSummary(
        run_id=RUN_ID,
        display_name="hello",
        state="SUCCEEDED",
        storage_state="AVAILABLE",
        experiment_id="11111111-4f6c-4e05-9c51-3f6a6f1d0a01",
        experiment_name="Default",
        pipeline_name="hello",
        created_at=AT,
        started_at=AT,
        finished_at=LATER,
        task_counts={"SUCCEEDED": 1},
        version=3,
    )
    return _with(one, changes)


def an_attempt(number: int = 1, **changes: Any) -> AttemptView:
    """An attempt that is running."""
    return _with(AttemptView(number=number, state="RUNNING", started_at=AT), changes)


def an_execution(path: str = "greet", **changes: Any) -> ExecutionView:
    """A task's execution, pending and never started."""
    one = ExecutionView(
        execution_id=f"execution of {path}",
        path=path,
        node="/".join(part.partition("[")[0] for part in path.split("/")),
        task=path.rpartition("/")[2].partition("[")[0],
        kind="TASK",
        state="PENDING",
        parent=path.rpartition("/")[0],
    )
    return _with(one, changes)


def a_node(name: str = "greet", **changes: Any) -> GraphNode:
    """A task of the plan."""
    return _with(GraphNode(name=name, display_name=name, kind="TASK", component=f"comp-{name}"), changes)


def a_run_view(*graph: GraphNode, **changes: Any) -> RunView:
    """A run, whole."""
    one = RunView(run=a_run(), parameters={}, graph=list(graph), executions=[], outputs=BundleView())
    return _with(one, changes)


def a_change(*executions: ExecutionView, **changes: Any) -> RunChange:
    """Something happened to these."""
    return _with(RunChange(version=1, run=a_run(), executions=list(executions)), changes)
