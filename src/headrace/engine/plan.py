"""The plan: a document compiled into what the engine asks of it again and again.

Plans are shared by component, not copied by place: a component used in a thousand
tasks is planned once. Plans hold no cycles, so the garbage collector need not look at them (`gc=False`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

import msgspec

from headrace.engine.expressions import is_plain
from headrace.engine.model import ArtifactType, Execution, Kind
from headrace.spec.document import (
    ArtifactSchema,
    Component,
    Container,
    Dag,
    Document,
    ExecutorDefinition,
    Iteration,
    SpecError,
    Task,
)

#: How deep DAGs and loops may nest.
MAX_DEPTH = 50
#: How many executions one run may have.
MAX_EXECUTIONS = 200_000
#: How many items one loop may have.
MAX_LOOP_ITEMS = 100_000


class Lookup(Protocol):
    """Executions by path: the state's map, or the one `advance` is changing."""

    def __getitem__(self, path: str, /) -> Execution: ...


_NAME = re.compile(r"^[^/\[\]\x00-\x1f]{1,200}$")
_ITERATION = re.compile(r"\[\d+\]")


class TaskPlan(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """One task in its DAG."""

    task: Task
    component: Component
    #: What the task is or, of a loop, what one iteration is: TASK, IMPORTER or DAG.
    body: Kind
    #: The component's DAG, when `body` is DAG.
    dag: DagPlan | None = None
    executor: ExecutorDefinition | None = None
    #: Siblings that must be final before this one, in the document's order.
    dependencies: tuple[str, ...] = ()
    #: Siblings that wait for this one.
    dependents: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What the execution of the whole task is."""
        return Kind.LOOP if self.task.iterator else self.body

    @property
    def iterator(self) -> Iteration | None:
        """How it loops, if it does."""
        return self.task.iterator

    @property
    def container(self) -> Container | None:
        """Its container as the document has it, placeholders not replaced."""
        return self.executor.container if self.executor else None


class DagPlan(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """One component's DAG."""

    component: Component
    dag: Dag
    #: In an order in which each comes after all it depends on.
    tasks: Mapping[str, TaskPlan]
    #: Names of tasks that depend on nothing.
    roots: tuple[str, ...]
    #: Levels of nesting, itself included; executions its tree has at least.
    depth: int
    size: int
    #: Whether it, or a DAG inside it, has a loop: then its size says little about how many executions it will have.
    has_loops: bool
    #: Whether it, or a DAG inside it, has a condition or a selector that may take long.
    has_costly_expressions: bool


class Plan(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """A whole document, compiled."""

    document: Document
    root: DagPlan

    def task_at(self, path: str) -> TaskPlan:
        """The task at an execution path (iterations are ignored); the path must be of this plan and not the root's."""
        dag: DagPlan | None = self.root
        found: TaskPlan | None = None
        for name in node_path(path).split("/"):
            if dag is None:
                raise KeyError(path)
            found = dag.tasks[name]
            dag = found.dag
        if found is None:
            raise KeyError(path)
        return found

    def dag_at(self, path: str) -> DagPlan:
        """The DAG whose tasks are the children of the execution at `path`."""
        if path == "":
            return self.root
        dag = self.task_at(path).dag
        if dag is None:
            raise KeyError(path)
        return dag


def node_path(path: str) -> str:
    """An execution path without its iterations: its place in the graph."""
    return _ITERATION.sub("", path) if "[" in path else path


def child_path(parent: str, name: str) -> str:
    """Path of a task in the DAG execution at `parent`."""
    return f"{parent}/{name}" if parent else name


def iteration_path(loop: str, number: int) -> str:
    """Path of one iteration of the loop execution at `loop`."""
    return f"{loop}[{number}]"


def plan(document: Document) -> Plan:
    """Compile a document; raises SpecError when its references, order or size cannot be right."""
    if document.root.dag is None:
        raise SpecError("root.executorLabel", "the root must be a DAG.", code="SPEC_ROOT")
    return Plan(document=document, root=_Planner(document).dag(document.root, "root", ()))


class _Planner:
    """Plans each component's DAG once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.dags: dict[str, DagPlan] = {}

    def dag(self, component: Component, where: str, above: tuple[str, ...]) -> DagPlan:
        if component.name in above:
            raise SpecError(where, f"component {component.name} contains itself.", code="SPEC_RECURSION")
        if len(above) >= MAX_DEPTH:
            raise SpecError(where, f"DAGs are nested more than {MAX_DEPTH} deep.", code="SPEC_TOO_DEEP")
        known = self.dags.get(component.name)
        if known is None:
            known = self.dags[component.name] = self._make(component, where, above)
        if known.depth + len(above) > MAX_DEPTH:
            raise SpecError(where, f"DAGs are nested more than {MAX_DEPTH} deep.", code="SPEC_TOO_DEEP")
        return known

    def _make(self, component: Component, where: str, above: tuple[str, ...]) -> DagPlan:
        dag = component.dag
        assert dag is not None
        dependencies = {name: _dependencies(task, dag, f"{where}.dag.tasks.{name}") for name, task in dag.tasks.items()}
        dependents: dict[str, list[str]] = {name: [] for name in dag.tasks}
        for name, upstream in dependencies.items():
            for other in upstream:
                dependents[other].append(name)
        tasks = {
            name: self._task(
                dag.tasks[name], f"{where}.dag.tasks.{name}", (*above, component.name), dependencies[name],
                dependents[name],
            )
            for name in _ordered(dependencies, where)
        }  # fmt: skip
        _check_selectors(dag, where)
        below = [task.dag for task in tasks.values() if task.dag]
        size = len(tasks) + sum(d.size for d in below)
        if size > MAX_EXECUTIONS:
            raise SpecError(where, f"the pipeline has more than {MAX_EXECUTIONS} tasks.", code="SPEC_TOO_LARGE")
        return DagPlan(
            component=component,
            dag=dag,
            tasks=MappingProxyType(tasks),
            roots=tuple(name for name, task in tasks.items() if not task.dependencies),
            depth=1 + max((d.depth for d in below), default=0),
            size=size,
            has_loops=any(task.iterator or (task.dag and task.dag.has_loops) for task in tasks.values()),
            has_costly_expressions=any(
                _is_costly(task.task) or (task.dag is not None and task.dag.has_costly_expressions)
                for task in tasks.values()
            ),
        )

    def _task(
        self, task: Task, where: str, above: tuple[str, ...], dependencies: tuple[str, ...], dependents: Iterable[str]
    ) -> TaskPlan:
        component = self.document.components.get(task.component)
        if component is None:
            raise SpecError(
                f"{where}.componentRef.name", f"there is no component {task.component}.", code="SPEC_REFERENCE"
            )
        executor = self._executor(component)
        dag = self.dag(component, f"components.{component.name}", above) if component.dag else None
        importer = executor is not None and executor.importer is not None
        return TaskPlan(
            task=task,
            component=component,
            body=Kind.DAG if dag else Kind.IMPORTER if importer else Kind.TASK,
            dag=dag,
            executor=executor,
            dependencies=dependencies,
            dependents=tuple(dependents),
        )

    def _executor(self, component: Component) -> ExecutorDefinition | None:
        if component.executor is None:
            return None
        executor = self.document.executors.get(component.executor)
        if executor is None:
            raise SpecError(
                f"components.{component.name}.executorLabel",
                f"there is no executor {component.executor} in deploymentSpec.",
                code="SPEC_REFERENCE",
            )
        return executor


def _is_costly(task: Task) -> bool:
    selectors = [source.selector for source in task.inputs.parameters.values() if source.selector]
    return not all(is_plain(one) for one in [*selectors, task.condition])


def _dependencies(task: Task, dag: Dag, where: str) -> tuple[str, ...]:
    """All siblings a task waits for: `dependentTasks`, producers of its inputs, tasks whose status it wants."""
    if _NAME.match(task.name) is None:
        raise SpecError(where, "a task's name must not be empty nor hold '/', '[' or ']'.", code="SPEC_NAME")
    named = dict.fromkeys(task.after)
    for parameter in task.inputs.parameters.values():
        if parameter.task_output:
            named[parameter.task_output.task] = None
        if parameter.final_status_of:
            named[parameter.final_status_of] = None
    for artifact in task.inputs.artifacts.values():
        if artifact.task_output:
            named[artifact.task_output.task] = None
    for name in named:
        if name not in dag.tasks:
            raise SpecError(where, f"there is no task {name} beside {task.name}.", code="SPEC_REFERENCE")
    return tuple(named)


def _check_selectors(dag: Dag, where: str) -> None:
    for kind, outputs in (("parameters", dag.outputs.parameters), ("artifacts", dag.outputs.artifacts)):
        for name, output in outputs.items():
            for selector in output.selectors:
                if selector.task not in dag.tasks:
                    raise SpecError(
                        f"{where}.dag.outputs.{kind}.{name}",
                        f"there is no task {selector.task}.",
                        code="SPEC_REFERENCE",
                    )


def _ordered(dependencies: Mapping[str, tuple[str, ...]], where: str) -> list[str]:
    """Names in an order in which each comes after all it depends on."""
    missing = {name: len(upstream) for name, upstream in dependencies.items()}
    dependents: dict[str, list[str]] = {}
    for name, upstream in dependencies.items():
        for other in upstream:
            dependents.setdefault(other, []).append(name)
    ready = [name for name, count in missing.items() if count == 0]
    for name in ready:
        for other in dependents.get(name, ()):
            missing[other] -= 1
            if missing[other] == 0:
                ready.append(other)
    if len(ready) < len(missing):
        circle = ", ".join(sorted(set(missing) - set(ready))[:10])
        raise SpecError(f"{where}.dag.tasks", f"these tasks wait for each other: {circle}.", code="SPEC_CYCLE")
    return ready


def artifact_type(schema: ArtifactSchema) -> ArtifactType:
    """The type that artifacts carry, from the document's schema."""
    return ArtifactType(
        schema_title=schema.schema_title or "system.Artifact", schema_version=schema.schema_version or "0.0.1"
    )
