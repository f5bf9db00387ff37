"""Launch orders: all an executor needs for one attempt, from the document and the state."""

from __future__ import annotations

import re

from headrace.engine import facts, values
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
        timeout_s=_timeout(kubernetes),
        kubernetes=kubernetes,
        artifact_prefix=_artifact_prefix(plan, state, attempt, task.task.name),
        facts=known,
    )


_UNREADABLE = re.compile(r"[^\w.-]|^\.+$")


def _artifact_prefix(plan: Plan, state: RunState, attempt: AttemptId, task: str) -> str:
    """`<root>/<pipeline>/<run>/<task>/<unique>`, as KFP has it; the names are for people, the ids make it unique.

    Source: kubeflow/pipelines `backend/src/v2/driver`, whose last part is a random one. Ours follows from the attempt.
    """
    if "://" not in state.pipeline_root or state.pipeline_root.startswith("file:"):
        return ""
    names = (_UNREADABLE.sub("_", name) or "_" for name in (plan.document.name, task))
    pipeline, task = names
    return f"{state.pipeline_root}/{pipeline}/{state.run_id}/{task}/{attempt.execution_id}-{attempt.number}"


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


def _timeout(kubernetes: dict[str, Json]) -> float | None:
    value = kubernetes.get("activeDeadlineSeconds", kubernetes.get("active_deadline_seconds"))
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return float(value)
