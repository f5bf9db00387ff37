"""Settings of one platform: the document's second part."""

from __future__ import annotations

from typing import Any

from headrace.compiler.compiler_utils import InvalidTopologyException
from headrace.compiler.values import wire_value
from headrace.compiler.wiring import Wiring
from headrace.dsl.pipeline_channel import PipelineChannel
from headrace.dsl.pipeline_config import PipelineConfig
from headrace.dsl.pipeline_task import PipelineTask
from headrace.dsl.structures import IR
from headrace.dsl.tasks_group import TasksGroup


def pipeline_config_ir(config: PipelineConfig | None) -> IR:
    """The whole pipeline's settings."""
    if config is None:
        return {}
    ir: IR = {}
    if config.workspace is not None:
        workspace = config.workspace.get_workspace()
        kubernetes = workspace.get("kubernetes")
        if kubernetes is not None:
            workspace["kubernetes"] = wire_value(kubernetes, what="the workspace's claim")
        ir["workspace"] = workspace
    for name, seconds in (
        ("resourceTtlOnCompletion", config.ttl_seconds_after_finished),
        ("resourceTtlOnSuccess", config.ttl_seconds_after_success),
        ("resourceTtlOnFailure", config.ttl_seconds_after_failure),
        ("activeDeadlineSeconds", config.active_deadline_seconds),
    ):
        if seconds:
            ir[name] = seconds
    return {"platforms": {"kubernetes": {"pipelineConfig": ir}}} if ir else {}


def platform_settings(task: PipelineTask, wiring: Wiring, path: tuple[TasksGroup, ...]) -> dict[str, IR]:
    """A task's settings by platform, with channels written as seen from the task's position."""

    def written(value: Any) -> Any:
        if isinstance(value, PipelineChannel):
            return wiring.task_input(value, path)
        if isinstance(value, dict):
            return _rewired({key: written(item) for key, item in value.items()}, task, wiring, path)
        if isinstance(value, list | tuple):
            return [written(item) for item in value]
        return wire_value(value, what=f"a platform setting of task {task.name!r}")

    return {platform: written(settings) for platform, settings in task.platform_config.items()}


def _rewired(spec: IR, task: PipelineTask, wiring: Wiring, path: tuple[TasksGroup, ...]) -> IR:
    """References that were written for the top level, as seen from inside a group."""
    declared = wiring.group(path[-1]).inputs if len(path) > 1 else {}
    name = spec.get("componentInputParameter")
    if isinstance(name, str) and f"pipelinechannel--{name}" in declared:
        return {**spec, "componentInputParameter": f"pipelinechannel--{name}"}
    output = spec.get("taskOutputParameter")
    if isinstance(output, dict) and "producerTask" in output:
        producer = wiring.pipeline.tasks.get(output["producerTask"])
        if producer is None or producer.parent_task_group is not path[-1]:
            inside = f"pipelinechannel--{output['producerTask']}-{output.get('outputParameterKey')}"
            if inside not in declared:
                raise InvalidTopologyException(
                    f"A platform setting of task {task.name!r} names an output of {output['producerTask']!r} that does "
                    "not reach it.",
                    hint="put the channel itself (task.output) into the setting.",
                    location=task.location,
                )
            rest = {key: value for key, value in spec.items() if key != "taskOutputParameter"}
            return {**rest, "componentInputParameter": inside}
    return spec
