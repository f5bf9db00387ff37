"""Derives a launch order from the document and the state of the run."""

from __future__ import annotations

import re
from urllib.parse import quote

from headrace.attempt.order import IMPORTER, ContainerOrder, DeclaredOutputs, ImporterOrder, LaunchOrder, is_remote
from headrace.attempt.platform import resolve_settings
from headrace.engine import facts, values
from headrace.engine.inputs import Scope
from headrace.engine.limits import task_timeout_s
from headrace.engine.model import AttemptId, Json, RunState
from headrace.engine.plan import Plan, artifact_type
from headrace.spec.document import Component, Container, Importer
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
    settings = plan.document.kubernetes.executors.get(task.component.executor or "", {})
    if settings and execution.parent is not None:
        scope = Scope(plan, state, state.executions, execution.parent)
        settings = resolve_settings(settings, scope, parameters, known)
    return LaunchOrder(
        attempt=attempt,
        task=task.task.name,
        component=task.component.name,
        container=_container(container, parameters, known) if container else None,
        importer=_importer(importer, parameters, known) if importer else None,
        executor=IMPORTER if importer else "",
        inputs=execution.inputs,
        artifact_lists=frozenset(n for n, a in task.component.inputs.artifacts.items() if a.is_list),
        outputs=declared_outputs(task.component),
        timeout_s=task_timeout_s(settings),
        kubernetes=settings,
        artifact_prefix=_artifact_prefix(plan, state, attempt, task.task.name),
        workspace_bytes=_workspace_bytes(plan),
        facts=known,
        run_name=state.display_name,
        pipeline_name=plan.document.name,
        namespace=state.namespace,
        service_account=state.service_account,
        created_by=state.created_by,
        sources=plan.document.sources.get(task.component.executor or "", ()),
        labels=_labels(plan, attempt, task.task.name),
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
    """In an object store `<root>/<pipeline>/<run>/<task>/<unique>`, as KFP has it: the names are for people.

    Source: kubeflow/pipelines `backend/src/v2/driver`, whose last part is a random one. Ours follows from the attempt.
    In a directory of the server it is `<root>/<run>/<execution>/<attempt>`.
    """
    run = run_prefix(state, plan.document.name)
    if is_remote(run):
        return f"{run}/{readable(task)}/{attempt.execution_id}-{attempt.number}"
    return f"{run}/{attempt.execution_id}/{attempt.number}"


def run_prefix(state: RunState, pipeline_name: str) -> str:
    """Begins the keys of all that attempts of the run put into the artifact store, and of nothing else."""
    root = state.pipeline_root
    if is_remote(root):
        return f"{root}/{readable(pipeline_name)}/{state.run_id}"
    return f"file://{quote(root)}/{state.run_id}"


def readable(name: str) -> str:
    """A name as a part of a key, for people only."""
    return _UNREADABLE.sub("_", name) or "_"


_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_.-]+")


def label_value(text: str) -> str:
    """The text as the value of a Kubernetes label: at most 63 of `A-Za-z0-9_.-`, a letter or digit at both ends.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set.
    """
    return _NOT_IN_LABELS.sub("-", text).lstrip("_.-")[:63].rstrip("_.-")


def _labels(plan: Plan, attempt: AttemptId, task: str) -> dict[str, str]:
    return {
        "headrace.dev/run": label_value(attempt.run_id),
        "headrace.dev/pipeline": label_value(plan.document.name),
        "headrace.dev/task": label_value(task),
        "headrace.dev/execution": attempt.execution_id,
        "headrace.dev/attempt": str(attempt.number),
    }


def declared_outputs(component: Component) -> DeclaredOutputs:
    """What a component declares it produces."""
    declared = component.outputs
    return DeclaredOutputs(
        parameters={name: definition.type for name, definition in declared.parameters.items()},
        artifacts={name: artifact_type(definition.schema) for name, definition in declared.artifacts.items()},
        artifact_lists=frozenset(name for name, definition in declared.artifacts.items() if definition.is_list),
    )


def _container(container: Container, parameters: dict[str, Json], known: dict[str, str]) -> ContainerOrder:
    resources = {key: str(facts.filled(text, parameters, known)) for key, text in container.resources.items()}
    return ContainerOrder(
        image=str(facts.filled(container.image, parameters, known)),
        command=container.command,
        args=container.args,
        env=dict(container.env),
        resources={key: text for key, text in resources.items() if text and text != "null"},
    )


def _importer(importer: Importer, parameters: dict[str, Json], known: dict[str, str]) -> ImporterOrder:
    uri = importer.uri if importer.uri_input is None else values.as_text(parameters.get(importer.uri_input, ""))
    return ImporterOrder(
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
