"""The executor of a task: its container with settings, or its importer."""

from __future__ import annotations

import re
from typing import Any

from headrace.compiler.values import wire_value
from headrace.compiler.wiring import Wiring, refuse_artifact_text
from headrace.dsl.component_task_config import TaskConfigField
from headrace.dsl.errors import DslValueError
from headrace.dsl.pipeline_channel import PipelineChannel
from headrace.dsl.pipeline_task import PipelineTask
from headrace.dsl.placeholders import InputValuePlaceholder, command_text
from headrace.dsl.structures import IR, ResourceSpec
from headrace.dsl.tasks_group import TasksGroup
from headrace.dsl.text import channels_in, replace_tokens
from headrace.spec.quantities import read_quantity

_G = 10**9
_UNITS = {
    "E": 10**18, "Ei": 1 << 60, "P": 10**15, "Pi": 1 << 50, "T": 10**12, "Ti": 1 << 40, "G": _G, "Gi": 1 << 30,
    "M": 10**6, "Mi": 1 << 20, "K": 10**3, "Ki": 1 << 10,
}  # fmt: skip
#: The texts that KFP accepts. Others are read as Kubernetes reads them.
_MEMORY = re.compile(rf"([0-9]+)({'|'.join(_UNITS)}|)")
_KUBERNETES_FIELDS = (
    (("tolerations",), TaskConfigField.KUBERNETES_TOLERATIONS),
    (("nodeSelector",), TaskConfigField.KUBERNETES_NODE_SELECTOR),
    (("nodeAffinity", "podAffinity"), TaskConfigField.KUBERNETES_AFFINITY),
    (("pvcMount", "secretAsVolume", "configMapAsVolume"), TaskConfigField.KUBERNETES_VOLUMES),
)


def setting_inputs(task: PipelineTask) -> dict[str, Any]:
    """Settings that hold channels are inputs of the task too, by the setting's name."""
    container = task.container_spec
    if container is None:
        return {}
    found = {
        name: _as_text(value)
        for name, value in (vars(container.resources) if container.resources else {}).items()
        if _has_channel(value)
    }
    if _has_channel(container.image):
        found["base_image"] = _as_text(container.image)
    return found


def _has_channel(value: Any) -> bool:
    return next(channels_in(value), None) is not None


def _as_text(value: Any) -> str:
    return value.pattern if isinstance(value, PipelineChannel) else str(value)


def container_ir(task: PipelineTask, wiring: Wiring, path: tuple[TasksGroup, ...]) -> IR:
    """The container as the document writes it."""
    container = task.container_spec
    assert container is not None
    _check_passthroughs(task)

    def text(value: Any) -> str:
        def placeholder(channel: PipelineChannel) -> str:
            refuse_artifact_text(channel, task)
            return str(InputValuePlaceholder(wiring.reference(channel, path).input_name))

        return replace_tokens(_as_text(value), placeholder)

    ir: IR = {"image": text(container.image)}
    if container.command:
        ir["command"] = [command_text(element) for element in container.command]
    if container.args:
        ir["args"] = [command_text(element) for element in container.args]
    if container.env:
        ir["env"] = [_variable(name, value) for name, value in container.env.items()]
    if container.resources is not None:
        resources = _resources(container.resources, text)
        if resources:
            ir["resources"] = resources
    return ir


def _variable(name: str, value: Any) -> IR:
    text = command_text(value)
    return {"name": name, "value": text} if text else {"name": name}


def _resources(found: ResourceSpec, text: Any) -> IR:
    """Every constant also goes into the older numeric field, for older backends."""
    ir: IR = {}
    for value, name, number in (
        (found.cpu_request, "CpuRequest", _cpu),
        (found.cpu_limit, "CpuLimit", _cpu),
        (found.memory_request, "MemoryRequest", _memory),
        (found.memory_limit, "MemoryLimit", _memory),
    ):
        if value is None:
            continue
        ir[f"resource{name}"] = text(value)
        plain = 0.0 if _has_channel(value) else number(value)
        if plain:
            ir[name[0].lower() + name[1:]] = plain
    if found.accelerator_count is not None:
        ir["accelerator"] = _accelerator(found, text)
    return ir


def _accelerator(found: ResourceSpec, text: Any) -> IR:
    ir: IR = {"resourceCount": text(found.accelerator_count)}
    if not _has_channel(found.accelerator_count) and int(found.accelerator_count):
        ir["count"] = str(int(found.accelerator_count))
    if found.accelerator_type is not None:
        ir["resourceType"] = text(found.accelerator_type)
        if not _has_channel(found.accelerator_type):
            ir["type"] = str(found.accelerator_type)
    return ir


def _cpu(text: str) -> float:
    """Cores. Thousandths are divided as KFP divides them, for the same bytes in the document."""
    return float(text[:-1]) / 1000 if text.endswith("m") else read_quantity(text)


def _memory(text: str) -> float:
    """Gigabytes, multiplied and divided as KFP does, for the same bytes in the document."""
    found = _MEMORY.fullmatch(text)
    if found is None:
        return read_quantity(text) / _G
    amount, unit = float(found[1]), found[2]
    return amount if unit == "G" else amount * _UNITS[unit] / _G if unit else amount / _G


def _check_passthroughs(task: PipelineTask) -> None:
    """Refuse a setting that a component with `task_config_passthroughs` does not declare there."""
    allowed = {one.field for one in task.component_spec.task_config_passthroughs}
    if not allowed:
        return
    container = task.container_spec
    assert container is not None
    used: list[TaskConfigField] = []
    if container.resources is not None and any(value is not None for value in vars(container.resources).values()):
        used.append(TaskConfigField.RESOURCES)
    if container.env:
        used.append(TaskConfigField.ENV)
    kubernetes = task.platform_config.get("kubernetes") or {}
    used.extend(one for keys, one in _KUBERNETES_FIELDS if any(kubernetes.get(key) for key in keys))
    for one in used:
        if one not in allowed:
            raise DslValueError(
                f"Task '{task.name}' cannot handle resource type '{one.name}' based on the values in "
                "task_config_passthroughs",
                code="PASSTHROUGH_NOT_DECLARED",
                hint=f"add dsl.TaskConfigField.{one.name} to the component's task_config_passthroughs.",
                location=task.location,
            )


def importer_ir(task: PipelineTask) -> IR:
    """The importer as the document writes it."""
    importer = task.importer_spec
    assert importer is not None
    constant = not _has_channel(importer.artifact_uri)
    ir: IR = {
        "artifactUri": {"constant": str(importer.artifact_uri)} if constant else {"runtimeParameter": "uri"},
        "typeSchema": {"schemaTitle": importer.type.schema_title, "schemaVersion": importer.type.schema_version},
    }
    if importer.metadata:
        ir["metadata"] = wire_value(importer.metadata, what="the importer's metadata")
    if importer.reimport:
        ir["reimport"] = True
    if importer.download_to_workspace:
        ir["downloadToWorkspace"] = True
    return ir
