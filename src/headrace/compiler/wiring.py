"""How values reach tasks: which group declares which input and output, and which task waits for which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from headrace.compiler.compiler_utils import InvalidTopologyException
from headrace.dsl.conditions import ConditionExpression as ConditionValue
from headrace.dsl.errors import DslTypeError, DslValueError
from headrace.dsl.for_loop import Collected, LoopArgumentVariable, _LoopItem
from headrace.dsl.pipeline_channel import OneOfMixin, PipelineChannel, additional_input_name_for_pipeline_channel
from headrace.dsl.pipeline_context import Pipeline
from headrace.dsl.pipeline_task import PipelineTask
from headrace.dsl.structures import IR
from headrace.dsl.tasks_group import ExitHandler, ParallelFor, TasksGroup, TasksGroupType, _Branch
from headrace.dsl.types.type_utils import ArtifactType, ValueType

Node: TypeAlias = PipelineTask | TasksGroup
_ILLEGAL = "Illegal task dependency across DSL context managers."


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A channel as seen from one DAG: which sibling or outer input it comes from, under which name."""

    #: Unique name; an input injected for it is called after this.
    full_name: str
    type: ValueType
    #: The sibling task or group that produces it, and its output there; None for a value from outside the DAG.
    producer: Node | None = None
    key: str = ""
    #: The CEL that selects a part of the value, for members of loop items.
    expression: str | None = None

    @property
    def input_name(self) -> str:
        return additional_input_name_for_pipeline_channel(self.full_name)

    @property
    def is_artifact(self) -> bool:
        return isinstance(self.type, ArtifactType)


@dataclass(frozen=True, kw_only=True, slots=True)
class Surfaced:
    """An output of a group: from one of its tasks or groups, or from the one of several that ran."""

    type: ValueType
    selectors: tuple[tuple[str, str], ...]
    one_of: bool = False

    def to_ir(self) -> IR:
        if isinstance(self.type, ArtifactType):
            return {
                "artifactSelectors": [
                    {"producerSubtask": task, "outputArtifactKey": key} for task, key in self.selectors
                ]
            }
        parameters = [{"producerSubtask": task, "outputParameterKey": key} for task, key in self.selectors]
        if self.one_of:
            return {"valueFromOneof": {"parameterSelectors": parameters}}
        return {"valueFromParameter": parameters[0]}


@dataclass(slots=True)
class GroupWiring:
    """What a group declares: inputs from around it, and the outputs that its tasks make available outside of it."""

    inputs: dict[str, PipelineChannel] = field(default_factory=dict)
    outputs: dict[str, Surfaced] = field(default_factory=dict)


class Wiring:
    """All wires of one pipeline. Everything is reached by index; nothing is searched."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._paths: dict[TasksGroup, tuple[TasksGroup, ...]] = {}
        self._groups: dict[TasksGroup, GroupWiring] = {}
        self.dependencies: dict[str, set[str]] = {}
        self._passed: set[tuple[int, int]] = set()
        self._visit(pipeline.root, (), ())
        for task in pipeline.tasks.values():
            if task.is_exit_handler:
                self._check_exit_task(task)
        self._check_cycles()

    def _check_cycles(self) -> None:
        """Remove tasks that wait for nothing, then tasks that wait only for those, and so on: none may remain."""
        waiting = {name: set(upstream) for name, upstream in self.dependencies.items()}
        followers: dict[str, list[str]] = {}
        for name, upstream in waiting.items():
            for one in upstream:
                followers.setdefault(one, []).append(name)
        free = [name for name in followers if name not in waiting]
        while free:
            done = free.pop()
            for name in followers.get(done, ()):
                waiting[name].discard(done)
                if not waiting[name]:
                    del waiting[name]
                    free.append(name)
        if waiting:
            names = sorted(waiting)
            task = next((self.pipeline.tasks[name] for name in names if name in self.pipeline.tasks), None)
            raise InvalidTopologyException(
                f"These tasks wait for each other, so none of them can begin: {', '.join(names)}.",
                code="DEPENDENCY_CYCLE",
                hint="take out one of the .after(...) calls.",
                location=task.location if task is not None else None,
            )

    def group(self, group: TasksGroup) -> GroupWiring:
        return self._groups.setdefault(group, GroupWiring())

    def path(self, group: TasksGroup) -> tuple[TasksGroup, ...]:
        return self._paths[group]

    def _visit(self, group: TasksGroup, above: tuple[TasksGroup, ...], inherited: tuple[PipelineChannel, ...]) -> None:
        path = (*above, group)
        self._paths[group] = path
        held = inherited
        if isinstance(group, _Branch):
            held = (*inherited, *self._condition_channels(group, above))
        if isinstance(group, ParallelFor):
            self._loop_items(group, above)
        for inner in group.groups:
            self._visit(inner, path, held)
        if group.tasks:
            for channel in held:
                self._inherit(channel, group, path)
        for task in group.tasks:
            self._task(task, path)

    # Which task needs which value

    def _task(self, task: PipelineTask, path: tuple[TasksGroup, ...]) -> None:
        for channel in task.channel_inputs:
            self.bring(channel, path, task)
        for upstream in task.after_dependencies:
            self._after(task, upstream, path)

    def _condition_channels(self, group: _Branch, above: tuple[TasksGroup, ...]) -> tuple[PipelineChannel, ...]:
        """Declared by the branch itself; everything outside is made available in the group around it."""
        found = tuple(dict.fromkeys(_primitive_channels(group.conditions)))
        for channel in found:
            self.bring(channel, above, group)
            declared = self.group(group).inputs
            declared.setdefault(
                additional_input_name_for_pipeline_channel(self.reference(channel, above).full_name), channel
            )
        return found

    def _loop_items(self, group: ParallelFor, above: tuple[TasksGroup, ...]) -> None:
        declared = self.group(group).inputs
        item = group.loop_argument
        if item.source is not None:
            self.bring(item.source, above, group)
            name = self.reference(item.source, above).full_name
            declared.setdefault(additional_input_name_for_pipeline_channel(name), item.source)
        declared.setdefault(additional_input_name_for_pipeline_channel(item), item)

    def _inherit(self, channel: PipelineChannel, group: TasksGroup, path: tuple[TasksGroup, ...]) -> None:
        """As KFP does, a condition's channels enter every group below it that has tasks."""
        if isinstance(channel, LoopArgumentVariable) and channel.loop_argument.source is None:
            return  # a member of a constant item is taken where it is used
        self._pass_down(channel, self._until_namesake(channel, path))

    def _until_namesake(self, channel: PipelineChannel, path: tuple[TasksGroup, ...]) -> tuple[TasksGroup, ...]:
        """KFP's documents do not pass such a channel beyond a loop whose item's name has the channel's in it."""
        for depth, group in enumerate(path):
            if not isinstance(group, ParallelFor) or len(channel.chain()) > 1:
                continue
            if channel.full_name in group.loop_argument.full_name:
                return path[: depth + 1]
        return path

    def bring(self, channel: PipelineChannel, path: tuple[TasksGroup, ...], consumer: Node) -> None:
        """Make a channel available in the DAG at the end of `path`, for `consumer` in it."""
        source = channel.chain()[-1]
        if isinstance(source, Collected):
            self._collect(source, path, consumer)
        elif channel.producer is not None:
            self._from_task(channel, path, consumer)
        elif not isinstance(source, _LoopItem):
            self._check_ours(source, consumer)
        self._check_loops(channel, path, consumer)
        if isinstance(channel, OneOfMixin):
            self._surface_one_of(channel)
        self._pass_down(channel, path)

    def _check_ours(self, channel: PipelineChannel, consumer: Node) -> None:
        if channel not in self.pipeline.inputs:
            raise InvalidTopologyException(
                f"{consumer.name!r} uses {channel.described()}, which belongs to another pipeline.",
                code="FOREIGN_INPUT",
                hint="give this pipeline an input of its own and pass the value when it is called.",
                location=consumer.location,
            )

    def _check_loops(self, channel: PipelineChannel, path: tuple[TasksGroup, ...], consumer: Node) -> None:
        for part in channel.chain():
            if isinstance(part, _LoopItem) and part.loop not in path:
                raise InvalidTopologyException(
                    f"{_ILLEGAL} {consumer.name!r} uses {part.described()} outside of its loop.",
                    code="LOOP_ITEM_OUTSIDE_LOOP",
                    hint="use the item inside `with dsl.ParallelFor(...)`; outputs of tasks in the loop are gathered "
                    "with dsl.Collected(task.output).",
                    location=consumer.location,
                )

    def _from_task(self, channel: PipelineChannel, path: tuple[TasksGroup, ...], consumer: Node) -> None:
        producer = channel.producer
        assert producer is not None
        home = self._home(producer, consumer)
        if home not in path:
            raise self._cross_dag(producer, home, path, consumer)
        self._depend(path, self.path(home), producer.name, consumer)

    def _home(self, producer: Node, consumer: Node) -> TasksGroup:
        home = producer.parent_task_group
        foreign = home is None or (
            isinstance(producer, PipelineTask) and self.pipeline.tasks.get(producer.name) is not producer
        )
        if foreign and isinstance(producer, PipelineTask) and producer.is_exit_handler:
            raise InvalidTopologyException(
                f"{consumer.name!r} depends on the exit task {producer.name!r}, which runs after everything else.",
                code="DEPENDS_ON_EXIT_TASK",
                location=consumer.location,
            )
        if foreign or home is None or (home not in self._paths and home.path[0] is not self.pipeline.root):
            raise InvalidTopologyException(
                f"{consumer.name!r} uses an output of {producer.name!r}, a task of another pipeline.",
                code="FOREIGN_TASK",
                hint="return the output from that pipeline and use it as a component here.",
                location=consumer.location,
            )
        self._paths.setdefault(home, home.path)
        return home

    def _cross_dag(
        self, producer: Node, home: TasksGroup, path: tuple[TasksGroup, ...], consumer: Node
    ) -> InvalidTopologyException:
        group = self.path(home)[_common(self.path(home), path)]
        loop = isinstance(group, ParallelFor)
        hint = (
            "gather the outputs of a loop with dsl.Collected(task.output)."
            if loop
            else "move the consumer into the same block, or join branches with dsl.OneOf(...)."
        )
        return InvalidTopologyException(
            f"{_ILLEGAL} A downstream task cannot depend on an upstream task within a dsl.{_shown(group)} context "
            f"unless the downstream is within that context too"
            f"{' or the outputs are gathered with dsl.Collected' if loop else ''}. "
            f"Found task {consumer.name} which depends on upstream task {producer.name} within an uncommon "
            f"dsl.{_shown(group)} context.",
            hint=hint,
            location=consumer.location,
        )

    def _after(self, task: PipelineTask, upstream: Node, path: tuple[TasksGroup, ...]) -> None:
        home = self._home(upstream, task)
        outer = self.path(home)
        common = _common(outer, path)
        if isinstance(upstream, TasksGroup) and upstream in path:
            raise InvalidTopologyException(
                f"Task {task.name!r} is inside {upstream.name!r} and cannot wait for it.",
                code="AFTER_OWN_GROUP",
                location=task.location,
            )
        group = outer[common] if common < len(outer) else None
        if isinstance(group, _Branch | ExitHandler):
            raise InvalidTopologyException(
                f"{_ILLEGAL} A downstream task cannot depend on an upstream task within a dsl.{_shown(group)} context "
                f"unless the downstream is within that context too. Found task {task.name} which depends on upstream "
                f"task {upstream.name} within an uncommon dsl.{_shown(group)} context.",
                location=task.location,
            )
        self._depend(path, outer[:common], (group or upstream).name, task)

    def _depend(
        self, path: tuple[TasksGroup, ...], home: tuple[TasksGroup, ...], upstream: str, consumer: Node
    ) -> None:
        """Only siblings wait for each other: the sibling of the producer that contains the consumer does."""
        downstream = path[len(home)] if len(path) > len(home) else consumer
        if downstream.name != upstream:
            self.dependencies.setdefault(downstream.name, set()).add(upstream)

    def _pass_down(self, channel: PipelineChannel, path: tuple[TasksGroup, ...]) -> None:
        """Declare the channel, or what it comes from, as an input of every group between its producer and here."""
        if (id(channel), id(path[-1])) in self._passed:
            return
        self._passed.add((id(channel), id(path[-1])))
        chain = channel.chain()
        position = len(chain) - 1
        first = self._first_group(chain[-1], path)
        for depth in range(first, len(path)):
            group = path[depth]
            inside = self._item_position(group, chain)
            # A loop over a member of a constant item declares that member itself, and (as in KFP) nothing more.
            if inside is None or not isinstance(chain[-1], _LoopItem):
                name = self.reference(chain[position], path[:depth]).input_name
                self.group(group).inputs.setdefault(name, chain[position])
            position = position if inside is None else inside

    def _item_position(self, group: TasksGroup, chain: tuple[PipelineChannel, ...]) -> int | None:
        """The position of a loop's own item in a chain; None if it is not in it."""
        if not isinstance(group, ParallelFor):
            return None
        return next((at for at, one in enumerate(chain) if one is group.loop_argument), None)

    def _first_group(self, source: PipelineChannel, path: tuple[TasksGroup, ...]) -> int:
        """Depth of the first group that has to declare an input for the source."""
        if isinstance(source, _LoopItem):  # of a constant list: known inside its loop
            return path.index(source.loop) + 1 if source.loop in path else len(path)
        if source.producer is None:
            return 1
        if isinstance(source, Collected):
            return _common(self.path(self._home(source.producer, source.producer)), path)
        return len(self.path(self._home(source.producer, source.producer)))

    # Outputs of groups

    def _collect(self, channel: Collected, path: tuple[TasksGroup, ...], consumer: Node) -> None:
        producer = channel.producer
        assert producer is not None
        outer = self.path(self._home(producer, consumer))
        common = _common(outer, path)
        between = outer[common:]
        self._check_collected(between, producer, consumer)
        self._depend(path, outer[:common], between[0].name, consumer)
        self._surface(channel, producer, between)

    def _check_collected(self, between: tuple[TasksGroup, ...], producer: Node, consumer: Node) -> None:
        if not any(isinstance(group, ParallelFor) for group in between):
            raise InvalidTopologyException(
                "dsl.Collected can only be used to fan-in outputs produced by a task within a dsl.ParallelFor context "
                f"to a task outside of the dsl.ParallelFor context. Producer task {producer.name} is either not in a "
                f"dsl.ParallelFor context or is only in one that also contains consumer task {consumer.name}.",
                location=consumer.location,
            )
        if not isinstance(between[0], ParallelFor):
            raise InvalidTopologyException(
                f"{_ILLEGAL} When using dsl.Collected, the dsl.ParallelFor cannot be nested within a "
                f"dsl.{_shown(between[0])} context unless the consumer task is too. Task {consumer.name} consumes from "
                f"{producer.name} within a dsl.{_shown(between[0])} context.",
                location=consumer.location,
            )

    def _surface(self, channel: Collected, producer: Node, groups: tuple[TasksGroup, ...]) -> None:
        name = additional_input_name_for_pipeline_channel(channel.output)
        source, key = producer.name, channel.name
        for group in reversed(groups):
            self.group(group).outputs[name] = Surfaced(type=channel.type, selectors=((source, key),))
            source, key = group.name, name

    def _surface_one_of(self, channel: OneOfMixin) -> None:
        chain = channel.producer
        self.group(chain).outputs[channel.name] = Surfaced(
            type=channel.type, selectors=tuple(self._branch_output(one, chain) for one in channel.channels), one_of=True
        )

    def _branch_output(self, channel: PipelineChannel, chain: TasksGroup) -> tuple[str, str]:
        producer = channel.producer
        assert producer is not None
        name = additional_input_name_for_pipeline_channel(channel)
        source, key = producer.name, channel.name
        home = producer.parent_task_group
        assert home is not None
        groups = self._paths.get(home, home.path)
        for group in reversed(groups[groups.index(chain) + 1 :] if chain in groups else ()):
            self.group(group).outputs[name] = Surfaced(type=channel.type, selectors=((source, key),))
            source, key = group.name, name
        return source, key

    def returned(self, channel: PipelineChannel, place_of: Node) -> Surfaced:
        """A pipeline's output, from a task, chain or loop on its top level."""
        root = self.pipeline.root
        producer = channel.producer
        assert producer is not None
        if isinstance(producer, PipelineTask) and self._is_own_exit_task(producer):
            return Surfaced(type=channel.type, selectors=((producer.name, channel.name),))
        home = self._home(producer, place_of)
        if isinstance(channel, Collected):
            between = self.path(home)[1:]
            self._check_collected_return(between, producer)
            self._surface(channel, producer, between)
            name = additional_input_name_for_pipeline_channel(channel.output)
            return Surfaced(type=channel.type, selectors=((between[0].name, name),))
        if home is not root:
            raise InvalidTopologyException(
                "Pipeline outputs may only be returned from the top level of the pipeline function scope. Got pipeline "
                f"output from within the control flow group dsl.{_shown(home)}.",
                code="OUTPUT_FROM_GROUP",
                hint="join branches with dsl.OneOf(...), gather loops with dsl.Collected(...).",
                location=producer.location,
            )
        if isinstance(channel, OneOfMixin):
            self._surface_one_of(channel)
        return Surfaced(type=channel.type, selectors=((producer.name, channel.name),))

    def _is_own_exit_task(self, task: PipelineTask) -> bool:
        return task.is_exit_handler and self.pipeline.tasks.get(task.name) is task

    def _check_collected_return(self, between: tuple[TasksGroup, ...], producer: Node) -> None:
        if not any(isinstance(group, ParallelFor) for group in between):
            raise InvalidTopologyException(
                f"dsl.Collected was returned for an output of {producer.name!r}, which is in no loop.",
                hint="return the output itself.",
                location=producer.location,
            )

    # What a DAG sees

    def reference(self, channel: PipelineChannel, path: tuple[TasksGroup, ...]) -> Reference:
        """A channel as the DAG at the end of `path` refers to it."""
        if isinstance(channel, LoopArgumentVariable):
            return Reference(full_name=channel.full_name, type=channel.type, expression=channel.expression)
        if isinstance(channel, Collected):
            return self._collected_reference(channel, path)
        producer = channel.producer if not isinstance(channel, _LoopItem) else None
        if producer is not None and producer.parent_task_group is not path[-1]:
            producer = None
        return Reference(
            full_name=self._full_name(channel, path), type=channel.type, producer=producer, key=channel.name
        )

    def _full_name(self, channel: PipelineChannel, path: tuple[TasksGroup, ...]) -> str:
        return channel.full_name

    def _collected_reference(self, channel: Collected, path: tuple[TasksGroup, ...]) -> Reference:
        assert channel.producer is not None
        outer = self.path(self._home(channel.producer, channel.producer))
        group = outer[min(_common(outer, path), len(outer) - 1)]
        key = additional_input_name_for_pipeline_channel(channel.output)
        sibling = group if group.parent_task_group is path[-1] else None
        return Reference(full_name=f"{group.name}-{key}", type=channel.type, producer=sibling, key=key)

    def task_input(self, channel: PipelineChannel, path: tuple[TasksGroup, ...]) -> IR:
        """An entry of a task's inputs: where the value comes from."""
        at = self.reference(channel, path)
        kind = "Artifact" if at.is_artifact else "Parameter"
        if at.producer is not None:
            return {f"taskOutput{kind}": {"producerTask": at.producer.name, f"output{kind}Key": at.key}}
        inside = channel.loop_argument if isinstance(channel, LoopArgumentVariable) else channel
        name = self.reference(inside, path).full_name
        if len(path) > 1:
            name = additional_input_name_for_pipeline_channel(name)
        entry: IR = {f"componentInput{kind}": name}
        if at.expression is not None:
            entry["parameterExpressionSelector"] = at.expression
        return entry

    def _check_exit_task(self, task: PipelineTask) -> None:
        if task.after_dependencies:
            raise DslValueError(
                f"The exit task {task.name!r} cannot wait for other tasks.",
                code="EXIT_TASK_DEPENDS",
                location=task.location,
            )


def _common(one: tuple[TasksGroup, ...], other: tuple[TasksGroup, ...]) -> int:
    """How many groups two paths share."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left is not right:
            break
        count += 1
    return count


def _shown(group: TasksGroup) -> str:
    return "If/Elif/Else" if group.group_type is TasksGroupType.CONDITION_BRANCHES else type(group).__name__


def _primitive_channels(conditions: tuple[ConditionValue, ...]) -> Iterator[PipelineChannel]:
    for condition in conditions:
        yield from condition.channels()


def refuse_artifact_text(channel: PipelineChannel, task: PipelineTask) -> None:
    if isinstance(channel.type, ArtifactType):
        raise DslTypeError(
            f"{channel.described()} is an artifact and cannot be put into a text.",
            code="ARTIFACT_IN_TEXT",
            hint="give it to an input of its own; in the component, use .path or .uri.",
            location=task.location,
        )
