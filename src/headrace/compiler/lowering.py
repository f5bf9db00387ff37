"""Compile a traced pipeline to its document, as plain dicts with the document's own keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from headrace.compiler.compiler_utils import InvalidTopologyException
from headrace.compiler.containers import container_ir, importer_ir, setting_inputs
from headrace.compiler.interfaces import define, interface_ir
from headrace.compiler.merging import merged_root, set_platform
from headrace.compiler.platforms import pipeline_config_ir, platform_settings
from headrace.compiler.unique_names import UniqueNames
from headrace.compiler.values import wire_value
from headrace.compiler.version import SDK_VERSION
from headrace.compiler.wiring import Surfaced, Wiring, refuse_artifact_text
from headrace.dsl.base_component import BaseComponent
from headrace.dsl.conditions import conjunction
from headrace.dsl.errors import DslError, DslValueError
from headrace.dsl.pipeline_channel import PipelineChannel, additional_input_name_for_pipeline_channel
from headrace.dsl.pipeline_config import PipelineConfig
from headrace.dsl.pipeline_context import Pipeline
from headrace.dsl.pipeline_task import PipelineTask
from headrace.dsl.placeholders import InputValuePlaceholder
from headrace.dsl.structures import IR, ComponentSpec, OutputSpec
from headrace.dsl.tasks_group import ExitHandler, ParallelFor, TasksGroup, _Branch
from headrace.dsl.text import channels_in, replace_tokens
from headrace.dsl.types.type_utils import InconsistentTypeException, fits, python_name

_PIPELINE_NAME = re.compile("[a-z0-9][a-z0-9-]{0,127}")
_COMPLETED = "ALL_UPSTREAM_TASKS_COMPLETED"


def lower_pipeline(traced: Pipeline, spec: ComponentSpec, outputs: Any, config: PipelineConfig | None) -> tuple[IR, IR]:
    """A traced pipeline as a pipeline spec and a platform spec."""
    return _Lowering(traced, spec, config).lowered(outputs)


def lower_component(component: BaseComponent) -> tuple[IR, IR]:
    """Compile a single component: a pipeline of one task with the same inputs and outputs."""
    from headrace.dsl.base_component import _pipeline_input

    spec = component.component_spec
    traced = Pipeline(spec.name)
    outside = Pipeline._current
    Pipeline._current = traced
    try:
        arguments = {name: _pipeline_input(spec, name) for name in spec.inputs}
        traced.inputs.update(arguments.values())
        task = PipelineTask(spec, dict(arguments))
    finally:
        Pipeline._current = outside
    task.enable_caching = True
    pipeline_spec, platform_spec = _Lowering(traced, spec, None, alone=True).lowered(dict(task.outputs))
    return pipeline_spec, platform_spec


def checked_name(name: str) -> str:
    if not _PIPELINE_NAME.fullmatch(name):
        raise DslValueError(
            f"Invalid pipeline name: {name!r}.",
            code="PIPELINE_NAME_INVALID",
            hint="@dsl.pipeline(name=...) with 1 to 128 lower-case letters, digits and dashes, the first no dash.",
        )
    return name


class _Lowering:
    """One pipeline's document while it is being written."""

    def __init__(
        self, traced: Pipeline, spec: ComponentSpec, config: PipelineConfig | None, *, alone: bool = False
    ) -> None:
        self.traced = traced
        self.spec = spec
        self.alone = alone
        self.wiring = Wiring(traced)
        self.executors: dict[str, IR] = {}
        self.components: dict[str, IR] = {}
        self.platforms: IR = pipeline_config_ir(config)
        self.document: IR = {
            "pipelineInfo": {"name": checked_name(traced.name)},
            "sdkVersion": SDK_VERSION,
            "schemaVersion": "2.1.0",
            "root": interface_ir(spec),
            "components": self.components,
            "deploymentSpec": {"executors": self.executors},
        }
        self._labels = UniqueNames(self.executors)
        self._component_names = UniqueNames(self.components)

    def lowered(self, outputs: Any) -> tuple[IR, IR]:
        returned = self._returned(outputs)
        self._dag(self.traced.root, self.document["root"])
        for group in self.traced.root.groups:
            if isinstance(group, ExitHandler):
                self._exit_task(group)
        self._root_outputs(returned)
        return self.document, self.platforms

    # Outputs of the pipeline

    def _returned(self, outputs: Any) -> dict[str, Surfaced]:
        found = _outputs_by_name(outputs)
        some_task = next(iter(self.traced.tasks.values()))
        surfaced = {}
        for name, channel in found.items():
            if not isinstance(channel, PipelineChannel):
                raise DslValueError(
                    f"Got unknown pipeline output, {channel!r}, of type {type(channel).__name__}.",
                    code="PIPELINE_OUTPUT_INVALID",
                    hint="return outputs of tasks: `return task.output`, or a NamedTuple of them.",
                    location=self.spec.location,
                )
            if channel.producer is None:
                raise DslValueError(
                    f"The pipeline returns {channel.described()}, which no task made.",
                    code="PIPELINE_OUTPUT_INVALID",
                    hint="return an output of a task.",
                    location=self.spec.location,
                )
            surfaced[name] = self.wiring.returned(channel, some_task)
        return surfaced

    def _root_outputs(self, returned: dict[str, Surfaced]) -> None:
        dag = self.document["root"]["dag"]
        for name, surfaced in returned.items():
            self._check_output(name, surfaced, single=len(returned) == 1)
            _add_output(dag, name, surfaced)
        for name in self.spec.outputs:
            if name not in returned:
                raise DslValueError(
                    f"Missing pipeline output: {name}.",
                    code="PIPELINE_OUTPUT_MISSING",
                    hint="return it from the pipeline function, or take it out of the annotation.",
                    location=self.spec.location,
                )

    def _check_output(self, name: str, surfaced: Surfaced, *, single: bool) -> None:
        expected: OutputSpec | None = self.spec.outputs.get(name)
        if expected is None:
            raise DslValueError(
                f"Pipeline or component output not defined: {name}. You may be missing a type annotation.",
                code="PIPELINE_OUTPUT_UNDECLARED",
                hint="annotate the pipeline function: `def my_pipeline(...) -> str:`.",
                location=self.spec.location,
            )
        if not fits(surfaced.type, expected.type):
            which = "" if single else f"{name!r} "
            raise InconsistentTypeException(
                f"Incompatible return type provided for output {which}of pipeline {self.spec.name!r}. Output of type "
                f"{python_name(surfaced.type)!r} cannot be surfaced as pipeline output type "
                f"{python_name(expected.type)!r}",
                hint="change the pipeline's return annotation, or return an output of that type.",
                location=self.spec.location,
            )

    # DAGs

    def _dag(self, group: TasksGroup, component: IR) -> None:
        """The tasks of a group: sub-groups first, then tasks, then what is inside the sub-groups."""
        path = self.wiring.path(group)
        tasks: dict[str, IR] = {}
        dag = component.setdefault("dag", {})
        dag["tasks"] = tasks
        inner: list[tuple[TasksGroup, IR]] = []
        for subgroup in group.groups:
            built = self._group_component(subgroup)
            inner.append((subgroup, built))
            self._add(tasks, subgroup.name, self._group_task(subgroup, path), built)
        for task in group.tasks:
            if task.name in tasks:
                raise DslValueError(
                    f"The task {task.name!r} has the name of a control-flow group.",
                    code="TASK_NAMED_LIKE_GROUP",
                    hint="rename the component.",
                    location=task.location,
                )
            entry = self._task(task, path)
            self._add(tasks, task.name, entry, self._component(task, path))
        for subgroup, built in inner:
            self._dag(subgroup, built)

    def _add(self, tasks: dict[str, IR], name: str, entry: IR, component: IR) -> None:
        key = self._component_names.unique(f"comp-{name}")
        entry["componentRef"] = {"name": key}
        self.components[key] = component
        tasks[name] = entry

    def _group_component(self, group: TasksGroup) -> IR:
        component: IR = {"dag": {}}
        wires = self.wiring.group(group)
        for name, channel in wires.inputs.items():
            kind = self.wiring.reference(channel, self.wiring.path(group)[:-1]).type
            definition = define(component, "inputDefinitions", name, kind)
            if self._may_be_left_out(channel):
                definition["isOptional"] = True
        for name, surfaced in wires.outputs.items():
            define(component, "outputDefinitions", name, surfaced.type)
            _add_output(component["dag"], name, surfaced)
        return component

    def _may_be_left_out(self, channel: PipelineChannel) -> bool:
        """Whether it is an input of the pipeline that may have no value, which KFP's SDK never says of a group's."""
        found = self.spec.inputs.get(channel.name) if channel in self.wiring.pipeline.inputs else None
        return found is not None and found.optional and found.default is None

    def _group_task(self, group: TasksGroup, path: tuple[TasksGroup, ...]) -> IR:
        entry: IR = {"taskInfo": {"name": group.display_name or group.name}}
        item = group.loop_argument if isinstance(group, ParallelFor) else None
        for name, channel in self.wiring.group(group).inputs.items():
            if channel is not item:
                self._set_input(entry, name, channel, path)
        self._depend(entry, group.name)
        if isinstance(group, ParallelFor):
            entry.update(self._iterator(group, path))
        elif isinstance(group, _Branch):
            try:
                entry["triggerPolicy"] = {"condition": conjunction(group.conditions)}
            except DslError as error:
                raise type(error)(error.message, code=error.code, hint=error.hint, location=group.location) from None
        return entry

    def _iterator(self, group: ParallelFor, path: tuple[TasksGroup, ...]) -> IR:
        item = group.loop_argument
        item_input = additional_input_name_for_pipeline_channel(item)
        policy: IR = (
            {"iteratorPolicy": {"parallelismLimit": group.parallelism_limit}} if group.parallelism_limit else {}
        )
        if item.source is None:
            return {"parameterIterator": {"items": {"raw": _raw_items(group)}, "itemInput": item_input}, **policy}
        at = self.wiring.reference(item.source, path)
        if at.is_artifact:
            return {"artifactIterator": {"items": {"inputArtifact": at.input_name}, "itemInput": item_input}, **policy}
        return {"parameterIterator": {"items": {"inputParameter": at.input_name}, "itemInput": item_input}, **policy}

    def _set_input(self, entry: IR, name: str, channel: PipelineChannel, path: tuple[TasksGroup, ...]) -> None:
        side = "artifacts" if self.wiring.reference(channel, path).is_artifact else "parameters"
        entry.setdefault("inputs", {}).setdefault(side, {})[name] = self.wiring.task_input(channel, path)

    def _depend(self, entry: IR, name: str) -> None:
        upstream = self.wiring.dependencies.get(name)
        if upstream:
            entry["dependentTasks"] = sorted(upstream)

    # Tasks

    def _task(self, task: PipelineTask, path: tuple[TasksGroup, ...]) -> IR:
        self._check_final_status(task)
        entry = self._task_entry(task, path)
        self._depend(entry, task.name)
        if task.ignores_upstream_failure:
            entry["triggerPolicy"] = {"strategy": _COMPLETED}
            self._give_final_status(task, entry)
        return entry

    def _task_entry(self, task: PipelineTask, path: tuple[TasksGroup, ...]) -> IR:
        caching: IR = {"enableCache": True} if task.enable_caching else {}
        if task.cache_key:
            caching["cacheKey"] = task.cache_key
        entry: IR = {"taskInfo": {"name": task.display_name or task.name}, "cachingOptions": caching}
        if task.retry_policy is not None:
            entry["retryPolicy"] = task.retry_policy.to_ir()
        for name, value in {**task.inputs, **setting_inputs(task)}.items():
            if isinstance(value, PipelineChannel):
                self._set_input(entry, name, value, path)
            else:
                filled = self._constant(task, entry, value, path)
                constant = wire_value(filled, what=f"input {name!r} of task {task.name!r}")
                entry.setdefault("inputs", {}).setdefault("parameters", {})[name] = {
                    "runtimeValue": {"constant": constant}
                }
        return entry

    def _constant(self, task: PipelineTask, entry: IR, value: Any, path: tuple[TasksGroup, ...]) -> Any:
        """A constant with the channels in it moved to inputs of their own."""

        def placeholder(channel: PipelineChannel) -> str:
            refuse_artifact_text(channel, task)
            name = self.wiring.reference(channel, path).input_name
            self._set_input(entry, name, channel, path)
            return str(InputValuePlaceholder(name))

        return _filled(value, placeholder) if next(channels_in(value), None) is not None else value

    def _check_final_status(self, task: PipelineTask) -> None:
        if self.alone or task.ignores_upstream_failure:
            return
        for name, spec in task.component_spec.inputs.items():
            if spec.is_final_status:
                raise DslValueError(
                    f"PipelineTaskFinalStatus can only be used in an exit task. Parameter {name} of a non exit task "
                    "has type PipelineTaskFinalStatus.",
                    code="FINAL_STATUS_OUTSIDE_EXIT",
                    hint="give the task to dsl.ExitHandler(...), or call .ignore_upstream_failure() on it.",
                    location=task.location,
                )

    def _give_final_status(self, task: PipelineTask, entry: IR) -> None:
        upstream = entry.get("dependentTasks", [])
        for name, spec in task.component_spec.inputs.items():
            if not spec.is_final_status:
                continue
            if len(upstream) != 1:
                raise InvalidTopologyException(
                    "Tasks that use '.ignore_upstream_failure()' and 'PipelineTaskFinalStatus' must have exactly one "
                    f"dependent upstream task within the same control flow scope. Got task {task.name!r} with "
                    f"{len(upstream)} dependent tasks: {upstream}.",
                    code="FINAL_STATUS_UPSTREAM",
                    location=task.location,
                )
            _final_status(entry, name, upstream[0])

    def _component(self, task: PipelineTask, path: tuple[TasksGroup, ...]) -> IR:
        """The task's component, its executor put into the document."""
        if task.graph is not None:
            return self._nested(task)
        label = self._labels.unique(f"exec-{task.name}")
        if task.importer_spec is not None:
            self.executors[label] = {"importer": importer_ir(task)}
        elif task.container_spec is not None:
            self.executors[label] = {"container": container_ir(task, self.wiring, path)}
            for platform, settings in platform_settings(task, self.wiring, path).items():
                set_platform(self.platforms, platform, label, settings)
        return {**interface_ir(task.component_spec), "executorLabel": label}

    def _nested(self, task: PipelineTask) -> IR:
        assert task.graph is not None
        if task.platform_config:
            raise DslValueError(
                "Platform-specific features can only be set on primitive components. Found platform-specific feature "
                f"set on the pipeline {task.name!r}.",
                code="PLATFORM_ON_PIPELINE",
                hint="set it on the tasks inside that pipeline.",
                location=task.location,
            )
        return merged_root(self.document, self.platforms, task.graph.pipeline_spec, task.graph.platform_spec)

    def _exit_task(self, handler: ExitHandler) -> None:
        task = handler.exit_task
        path = (self.traced.root,)
        entry = self._task_entry(task, path)
        entry["dependentTasks"] = [handler.name]
        entry["triggerPolicy"] = {"strategy": _COMPLETED}
        for name, spec in task.component_spec.inputs.items():
            if spec.is_final_status:
                _final_status(entry, name, handler.name)
        if task.importer_spec is not None:
            raise DslValueError(
                "An importer cannot be an exit task.", code="EXIT_TASK_IMPORTER", location=task.location
            )
        self._add(self.document["root"]["dag"]["tasks"], task.name, entry, self._component(task, path))


def _final_status(entry: IR, name: str, producer: str) -> None:
    entry.setdefault("inputs", {}).setdefault("parameters", {})[name] = {"taskFinalStatus": {"producerTask": producer}}


def _add_output(dag: IR, name: str, surfaced: Surfaced) -> None:
    side = "parameters" if "artifactSelectors" not in surfaced.to_ir() else "artifacts"
    dag.setdefault("outputs", {}).setdefault(side, {})[name] = surfaced.to_ir()


def _outputs_by_name(outputs: Any) -> dict[str, Any]:
    if outputs is None:
        return {}
    if isinstance(outputs, Mapping):  # `return task.outputs`, too
        return dict(outputs)
    if isinstance(outputs, tuple) and hasattr(outputs, "_asdict"):
        return dict(outputs._asdict())
    return {"Output": outputs}


def _filled(value: Any, placeholder: Any) -> Any:
    if isinstance(value, PipelineChannel):
        return placeholder(value)
    if isinstance(value, str):
        return replace_tokens(value, placeholder)
    if isinstance(value, dict):
        return {_filled(key, placeholder): _filled(item, placeholder) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(item, placeholder) for item in value]
    return value


def _raw_items(group: ParallelFor) -> str:
    items = group.loop_argument.items
    if next(channels_in(items), None) is not None:
        raise DslValueError(
            "The items of a loop are constants with pipeline values among them, which the document cannot hold.",
            code="LOOP_ITEMS_WITH_CHANNELS",
            hint="let a component build the list and loop over its output, or use the value inside the loop.",
            location=group.location,
        )
    try:
        return json.dumps(items, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DslValueError(
            f"The items of a loop cannot be written as JSON: {error}.",
            code="LOOP_ITEMS_INVALID",
            location=group.location,
        ) from error
