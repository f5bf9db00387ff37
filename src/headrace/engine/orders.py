"""Launch orders: all an executor needs for one attempt, from the document and the state."""

from __future__ import annotations

import re

from headrace.engine import facts, values
from headrace.engine.limits import task_timeout_s
from headrace.engine.model import (
    ArtifactType,
    AttemptId,
    ContainerSpec,
    ImporterSpec,
    Json,
    LaunchOrder,
    OutputSpec,
    RunState,
)
from headrace.engine.plan import Plan, TaskPlan
from headrace.spec.document import ArtifactSchema, Component, Container, Importer
from headrace.spec.quantities import QuantityError, read_bytes


def launch_order(plan: Plan, state: RunState, attempt: AttemptId) -> LaunchOrder:
    """The order for an attempt of this run; its execution must have been begun."""
    execution = state.executions[attempt.path]
    task = plan.task_at(attempt.path)
    known = facts.facts(plan, state, attempt.path, task.task.name)
    parameters = execution.inputs.parameters
    executor = task.executor
    container = executor.container if executor else None
    importer = executor.importer if executor else None
    kubernetes = plan.document.kubernetes.executors.get(task.component.executor or "", {})
    return LaunchOrder(
        attempt=attempt,
        task=task.task.name,
        component=task.component.name,
        container=_container(container, parameters, known) if container else None,
        importer=_importer(importer, parameters, known) if importer else None,
        inputs=execution.inputs,
        artifact_lists=frozenset(n for n, a in task.component.inputs.artifacts.items() if a.is_list),
        outputs=output_spec(task.component),
        timeout_s=task_timeout_s(kubernetes),
        kubernetes=kubernetes,
        artifact_prefix=_artifact_prefix(plan, state, attempt, task.task.name),
        workspace_bytes=_workspace_bytes(plan),
        facts=known,
    )


def _workspace_bytes(plan: Plan) -> int | None:
    """`pipelineConfig.workspace.size` in bytes; None where the pipeline has no workspace.

    The verifier refuses a size that is not a quantity. A run that was created before it did so has no limit.
    """
    workspace = plan.document.kubernetes.pipeline_config.get("workspace")
    size = workspace.get("size") if isinstance(workspace, dict) else None
    try:
        return read_bytes(size) if isinstance(size, str) else None
    except QuantityError:
        return None


_UNREADABLE = re.compile(r"[^\w.-]|^\.+$")


def _artifact_prefix(plan: Plan, state: RunState, attempt: AttemptId, task: str) -> str:
    """`<root>/<pipeline>/<run>/<task>/<unique>`, as KFP has it; the names are for people, the ids make it unique.

    Source: kubeflow/pipelines `backend/src/v2/driver`, whose last part is a random one. Ours follows from the attempt.
    """
    root = object_root(state.pipeline_root)
    if not root:
        return ""
    run = f"{root}/{readable(plan.document.name)}/{state.run_id}"
    return f"{run}/{readable(task)}/{attempt.execution_id}-{attempt.number}"


def object_root(pipeline_root: str) -> str:
    """The root if it is in an object store, else ""."""
    return pipeline_root if "://" in pipeline_root and not pipeline_root.startswith("file:") else ""


def readable(name: str) -> str:
    """A name as a part of a key, for people only."""
    return _UNREADABLE.sub("_", name) or "_"


def output_spec(component: Component) -> OutputSpec:
    """What a component declares it produces."""
    declared = component.outputs
    return OutputSpec(
        parameters={name: definition.type for name, definition in declared.parameters.items()},
        artifacts={name: artifact_type(definition.schema) for name, definition in declared.artifacts.items()},
        artifact_lists=frozenset(name for name, definition in declared.artifacts.items() if definition.is_list),
    )


def artifact_type(schema: ArtifactSchema) -> ArtifactType:
    """The type artifacts carry, from the document's schema."""
    return ArtifactType(
        schema_title=schema.schema_title or "system.Artifact", schema_version=schema.schema_version or "0.0.1"
    )


def container_of(task: TaskPlan) -> Container | None:
    """The container of a task as the document has it, placeholders and all."""
    return task.executor.container if task.executor else None


def _container(container: Container, parameters: dict[str, Json], known: dict[str, str]) -> ContainerSpec:
    resources = {key: str(facts.filled(text, parameters, known)) for key, text in container.resources.items()}
    return ContainerSpec(
        image=str(facts.filled(container.image, parameters, known)),
        command=container.command,
        args=container.args,
        env=dict(container.env),
        resources={key: text for key, text in resources.items() if text and text != "null"},
    )


def _importer(importer: Importer, parameters: dict[str, Json], known: dict[str, str]) -> ImporterSpec:
    uri = importer.uri if importer.uri_input is None else values.as_text(parameters.get(importer.uri_input, ""))
    return ImporterSpec(
        uri=str(facts.filled(uri or "", parameters, known)) if importer.uri_input is None else uri or "",
        type=artifact_type(importer.schema),
        metadata=_metadata(values.whole(importer.metadata), parameters, known),
        reimport=importer.reimport,
        download_to_workspace=importer.download_to_workspace,
    )


def _metadata(metadata: dict[str, Json], parameters: dict[str, Json], known: dict[str, str]) -> dict[str, Json]:
    """Metadata with placeholders replaced; in keys too, and a value that is one placeholder keeps its kind."""
    return {
        str(facts.filled(key, parameters, known)): facts.filled_whole(value, parameters, known)
        for key, value in metadata.items()
    }
