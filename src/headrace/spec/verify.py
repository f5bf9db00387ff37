"""Find everything that is wrong with a pipeline document: references, types, wiring, conditions, leftovers.

One pass over the document; nothing is evaluated. A document with `errors` cannot run; `warnings` are probably mistakes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import reprlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from headrace.spec.bootstrap import recognise
from headrace.spec.document import (
    INJECTED,
    ArtifactDefinition,
    ArtifactSchema,
    Component,
    Container,
    Dag,
    DagOutput,
    Document,
    Interface,
    ParameterDefinition,
    ParameterSource,
    SpecError,
    Task,
    TaskOutput,
    parse_document,
    type_word,
)
from headrace.spec.placeholders import FACTS, Placeholder, find, find_in_command
from headrace.spec.quantities import QuantityError, read_bytes

Json: TypeAlias = Any

#: A pipeline that unfolds to more executions than this, loops counted once, is refused.
MAX_TASKS: Final = 1_000_000
#: At most so many faults are reported: the first ones matter, and a document can have a million.
MAX_FINDINGS: Final = 200
#: Tasks of one executor that are checked; further ones are assumed to be the same.
_USERS_LOOKED_AT: Final = 100
_LITERALS_LOOKED_AT: Final = 1000
#: Nested pipelines and groups within each other.
MAX_NESTING: Final = 100

_PIPELINE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_NAME: Final = re.compile(r"[^/\\\x00-\x1f\x7f]{1,253}")
#: A channel that a compiler forgot to replace: KFP's pattern, and ours.
_LEFTOVER: Final = re.compile("\\{\\{channel:|[\ue0d0\ue0d1]")
#: Inputs that KFP's setters add to a task though its component does not declare them.
_SETTER_INPUTS: Final = re.compile(
    r"(?:base_image|(?:cpu|memory)_(?:request|limit)|accelerator_(?:type|count|limit))\Z"
)
_CONDITION_NAME: Final = re.compile(r"inputs\.(parameter_values|artifacts)\[(?:'([^'\\]*)'|\"([^\"\\]*)\")\]")
_CONDITION_TOKEN: Final = re.compile(r"""'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+"|['"()\[\]{}]""")
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}
#: Filled in by the engine, not by a source.
_GIVEN_BY_ENGINE: Final = frozenset(("TASK_FINAL_STATUS", "TASK_CONFIG"))


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One fault."""

    #: Stable UPPER_SNAKE code.
    code: str
    #: Where in the document: `root.dag.tasks.train.inputs.parameters.x`; "" for the whole.
    path: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def verify(pipeline_spec: dict[str, Json], platform_spec: dict[str, Json] | None = None) -> list[Finding]:
    """All faults of a document of plain objects; an empty list if there are none."""
    try:
        return verify_document(parse_document(pipeline_spec, platform_spec))
    except SpecError as error:
        return [Finding(code=error.code, path=error.path, message=error.message)]
    except RecursionError:
        return [Finding(code="TOO_DEEP", path="", message="The document is nested too deep to be read.")]


def verify_document(document: Document) -> list[Finding]:
    """All faults of a document."""
    return _Verifier(document).run()


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """The faults with which the document cannot run."""
    return [finding for finding in findings if finding.severity == "error"]


def _listed(names: Collection[str]) -> str:
    known = sorted(names) if len(names) <= 1000 else itertools.islice(names, 10)
    shown = ", ".join(repr(name) for name in itertools.islice(known, 10)) or "none"
    return shown + (f" and {len(names) - 10} more" if len(names) > 10 else "")


class _Enough(Exception):
    """The maximum number of faults is reached."""


class _Use(msgspec.Struct, frozen=True, kw_only=True):
    """A task, and its path in the document."""

    parent: Component
    task: Task
    path: str


class _Verifier:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: list[Finding] = []
        self._uses: dict[str, list[_Use]] = defaultdict(list)
        self._needs: dict[str, tuple[str, ...]] = {}
        self._components = {"": document.root, **document.components}

    def run(self) -> list[Finding]:
        with contextlib.suppress(_Enough):
            self._check_all()
        return self._found

    def _check_all(self) -> None:
        self._check_head()
        for key, component in self._components.items():
            self._check_component(component, f"components.{key}" if key else "root")
        self._check_nesting()
        self._check_executors()
        self._check_platform()

    def _error(self, code: str, path: str, message: str) -> None:
        self._report(Finding(code=code, path=path, message=message))

    def _warning(self, code: str, path: str, message: str) -> None:
        self._report(Finding(code=code, path=path, message=message, severity="warning"))

    def _report(self, finding: Finding) -> None:
        if len(self._found) >= MAX_FINDINGS:
            raise _Enough
        self._found.append(finding)

    # --- the whole ---------------------------------------------------------------------------

    def _check_head(self) -> None:
        document = self._document
        if not _PIPELINE_NAME.fullmatch(document.name):
            self._error(
                "NAME_INVALID",
                "pipelineInfo.name",
                f"{document.name!r} is not a pipeline name: use up to 128 of a-z, 0-9 and '-', not beginning with '-'.",
            )
        if not document.schema_version:
            self._warning("SCHEMA_VERSION_MISSING", "schemaVersion", "is missing; 2.1.0 is what compilers write.")
        elif not re.match(r"2\.\d", document.schema_version):
            self._error("SCHEMA_VERSION_UNSUPPORTED", "schemaVersion", f"{document.schema_version!r} is not 2.x.")
        if document.root.dag is None:
            self._error("ROOT_NOT_A_DAG", "root", "must have a `dag`.")
        self._check_leftover(document.display_name, "pipelineInfo.displayName")

    def _check_nesting(self) -> None:
        """No component within itself, and no more executions than the limit."""
        size: dict[str, int] = {}
        depth: dict[str, int] = {}
        entered: set[str] = set()
        stack = [(key, False) for key in self._components]
        while stack:
            key, done = stack.pop()
            dag = self._components[key].dag
            parts = [t.component for t in dag.tasks.values() if t.component in self._components] if dag else []
            if done:
                entered.discard(key)
                size[key] = 1 + sum(size.get(part, 0) for part in parts)
                depth[key] = 1 + max((depth.get(part, 0) for part in parts), default=0)
            elif key not in size and key not in entered:
                entered.add(key)
                stack.append((key, True))
                for part in dict.fromkeys(parts):
                    if part in entered:
                        self._error("COMPONENT_CYCLE", f"components.{part}", "contains itself.")
                        return
                    if part not in size:
                        stack.append((part, False))
        if size.get("", 0) > MAX_TASKS:
            self._error("TOO_MANY_TASKS", "root", f"The pipeline unfolds to {size['']} tasks; at most {MAX_TASKS} run.")
        if depth.get("", 0) > MAX_NESTING:
            self._error("NESTED_TOO_DEEP", "root", f"Groups are nested {depth['']} deep; at most {MAX_NESTING} run.")

    def _check_leftover(self, text: str, path: str) -> None:
        if _LEFTOVER.search(text):
            self._error(
                "CHANNEL_LEFT_OVER",
                path,
                "holds the text of a pipeline channel that the compiler did not wire. Pass the value to the "
                "component as an input of its own.",
            )

    # --- components --------------------------------------------------------------------------

    def _check_component(self, component: Component, path: str) -> None:
        self._check_name(component.name, path)
        self._check_interface(component.inputs, f"{path}.inputDefinitions")
        self._check_interface(component.outputs, f"{path}.outputDefinitions")
        if component.executor is not None and component.executor not in self._document.executors:
            self._error(
                "EXECUTOR_UNKNOWN",
                f"{path}.executorLabel",
                f"There is no executor {component.executor!r} in deploymentSpec; there are: "
                f"{_listed(self._document.executors)}.",
            )
        if component.dag is not None:
            self._check_dag(component, component.dag, f"{path}.dag")

    def _check_name(self, name: str, path: str) -> None:
        if not _NAME.fullmatch(name):
            self._error(
                "NAME_INVALID", path, f"{name!r} is not a name: use no slashes, no control characters, 1 to 253."
            )

    def _check_interface(self, interface: Interface, path: str) -> None:
        for name in interface.artifacts:
            self._check_name(name, f"{path}.artifacts.{name}")
            if name in interface.parameters:
                self._error("NAME_TWICE", f"{path}.artifacts.{name}", "is a parameter's name, too.")
        for name, definition in interface.parameters.items():
            self._check_name(name, f"{path}.parameters.{name}")
            if definition.default is not msgspec.UNSET and definition.default is not None:
                self._check_value(definition.default, definition, f"{path}.parameters.{name}.defaultValue")

    def _check_value(self, value: Json, definition: ParameterDefinition, path: str) -> None:
        if not fits(value, definition.type):
            self._error("VALUE_TYPE", path, f"{_shown(value)} is no {type_word(definition.type)}.")
        elif definition.literals and value not in definition.literals[:_LITERALS_LOOKED_AT]:
            if len(definition.literals) > _LITERALS_LOOKED_AT:
                return
            allowed = ", ".join(_shown(literal) for literal in definition.literals[:20])
            self._error("VALUE_NOT_ALLOWED", path, f"{_shown(value)} is not one of: {allowed}.")

    # --- DAGs --------------------------------------------------------------------------------

    def _check_dag(self, parent: Component, dag: Dag, path: str) -> None:
        for name, task in dag.tasks.items():
            use = _Use(parent=parent, task=task, path=f"{path}.tasks.{name}")
            self._check_name(name, use.path)
            component = self._document.components.get(task.component)
            if component is None:
                self._error(
                    "COMPONENT_UNKNOWN",
                    f"{use.path}.componentRef.name",
                    f"There is no component {task.component!r}; there are: {_listed(self._document.components)}.",
                )
                continue
            self._uses[task.component].append(use)
            self._check_task(use, dag, component)
        self._check_order(dag, path)
        self._check_outputs(parent, dag, path)

    def _check_task(self, use: _Use, dag: Dag, component: Component) -> None:
        task = use.task
        self._check_leftover(task.display_name, f"{use.path}.taskInfo.name")
        for name in task.after:
            if name not in dag.tasks:
                self._unknown_task(name, dag, f"{use.path}.dependentTasks")
        for name, source in task.inputs.parameters.items():
            self._check_parameter(use, dag, component, name, source)
        for name, artifact in task.inputs.artifacts.items():
            place = f"{use.path}.inputs.artifacts.{name}"
            given = self._artifact_given(use, dag, artifact.component_input, artifact.task_output, place)
            wanted = component.inputs.artifacts.get(name)
            if wanted is None:
                self._undeclared(name, component, place)
            elif given is not None:
                self._check_artifact_types(given, wanted, place, in_loop=_loops_over(task, name))
        self._check_required(use, component)
        self._check_iterator(use, component)
        self._check_condition(use, component)

    def _unknown_task(self, name: str, dag: Dag, path: str) -> None:
        self._error("TASK_UNKNOWN", path, f"There is no task {name!r} beside it; there are: {_listed(dag.tasks)}.")

    def _undeclared(self, name: str, component: Component, path: str) -> None:
        if name.startswith(INJECTED) or _SETTER_INPUTS.match(name):
            return
        declared = [*component.inputs.parameters, *component.inputs.artifacts]
        self._warning(
            "INPUT_UNDECLARED", path, f"{component.name} declares no such input; it declares: {_listed(declared)}."
        )

    def _check_parameter(
        self, use: _Use, dag: Dag, component: Component, name: str, source: ParameterSource
    ) -> None:  # fmt: skip
        place = f"{use.path}.inputs.parameters.{name}"
        wanted = component.inputs.parameters.get(name)
        if wanted is None:
            self._undeclared(name, component, place)
        if source.constant is not msgspec.UNSET:
            self._check_constant(use, source.constant, wanted, f"{place}.runtimeValue.constant")
            return
        given = self._parameter_given(use, dag, source, place)
        if source.selector:
            self._check_balance(source.selector, f"{place}.parameterExpressionSelector", "SELECTOR_INVALID")
        elif wanted is not None and given is not None and not _is_loop_item(source):
            self._check_parameter_types(given, wanted.type, place)

    def _check_constant(self, use: _Use, value: Json, wanted: ParameterDefinition | None, path: str) -> None:
        texts = list(_texts(value))
        for text in texts:
            self._check_leftover(text, path)
            for placeholder in find(text):
                self._check_constant_placeholder(use, placeholder, path)
        filled_in = any("{{$" in text for text in texts)
        if wanted is not None and value is not None and not filled_in:
            self._check_value(value, wanted, path)

    def _check_constant_placeholder(self, use: _Use, placeholder: Placeholder, path: str) -> None:
        match placeholder.steps:
            case ("inputs", "parameters", name):
                if name not in use.task.inputs.parameters:
                    self._error(
                        "PLACEHOLDER_UNKNOWN",
                        path,
                        f"{placeholder.text}: the task has no such input; it has: "
                        f"{_listed(use.task.inputs.parameters)}.",
                    )
            case (fact,) if fact in FACTS:
                pass
            case ():
                pass
            case _:
                self._warning("PLACEHOLDER_UNKNOWN", path, f"{placeholder.text} stands for nothing known.")

    def _parameter_given(self, use: _Use, dag: Dag, source: ParameterSource, path: str) -> str | None:
        """The type of the source's value; None if it is wrong (which is reported) or unknown."""
        if source.final_status_of is not None:
            if source.final_status_of not in dag.tasks:
                self._unknown_task(source.final_status_of, dag, f"{path}.taskFinalStatus.producerTask")
            return "TASK_FINAL_STATUS"
        if source.component_input is not None:
            declared = use.parent.inputs.parameters.get(source.component_input)
            if declared is None:
                self._unknown_input(use.parent, source.component_input, f"{path}.componentInputParameter")
            return declared.type if declared else None
        if source.task_output is None:
            return None
        interface = self._outputs_of(dag, source.task_output, f"{path}.taskOutputParameter")
        if interface is None:
            return None
        output = interface.parameters.get(source.task_output.output)
        if output is None:
            self._unknown_output(source.task_output, interface.parameters, f"{path}.taskOutputParameter")
        return output.type if output else None

    def _artifact_given(
        self, use: _Use, dag: Dag, component_input: str | None, task_output: TaskOutput | None, path: str
    ) -> ArtifactDefinition | None:
        if component_input is not None:
            declared = use.parent.inputs.artifacts.get(component_input)
            if declared is None:
                self._unknown_input(use.parent, component_input, f"{path}.componentInputArtifact")
            return declared
        if task_output is None:
            return None
        interface = self._outputs_of(dag, task_output, f"{path}.taskOutputArtifact")
        if interface is None:
            return None
        output = interface.artifacts.get(task_output.output)
        if output is None:
            self._unknown_output(task_output, interface.artifacts, f"{path}.taskOutputArtifact")
        return output

    def _outputs_of(self, dag: Dag, wanted: TaskOutput, path: str) -> Interface | None:
        producer = dag.tasks.get(wanted.task)
        if producer is None:
            self._unknown_task(wanted.task, dag, path)
            return None
        component = self._document.components.get(producer.component)
        return component.outputs if component else None

    def _unknown_input(self, parent: Component, name: str, path: str) -> None:
        declared = [*parent.inputs.parameters, *parent.inputs.artifacts]
        self._error(
            "INPUT_UNKNOWN",
            path,
            f"{parent.name} has no such input {name!r}; it has: {_listed(declared)}.",
        )

    def _unknown_output(self, wanted: TaskOutput, known: Mapping[str, object], path: str) -> None:
        self._error(
            "OUTPUT_UNKNOWN", path, f"Task {wanted.task!r} has no output {wanted.output!r}; it has: {_listed(known)}."
        )

    def _check_parameter_types(self, given: str, wanted: str, path: str) -> None:
        if given == wanted or {given, wanted} <= {"TASK_FINAL_STATUS", "STRUCT"}:
            return
        if (given, wanted) == ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
            return
        message = f"{type_word(given)} is passed where {type_word(wanted)} is wanted."
        if (given, wanted) == ("NUMBER_DOUBLE", "NUMBER_INTEGER"):
            self._warning("TYPE_MISMATCH", path, message)
        else:
            self._error("TYPE_MISMATCH", path, message)

    def _check_artifact_types(
        self, given: ArtifactDefinition, wanted: ArtifactDefinition, path: str, *, in_loop: bool = False
    ) -> None:
        if given.is_list != wanted.is_list and not in_loop:
            kinds = ("one artifact", "a list of artifacts")
            self._error(
                "TYPE_MISMATCH", path, f"It is given {kinds[given.is_list]} where {kinds[wanted.is_list]} is wanted."
            )
        if not _same_schema(given.schema, wanted.schema):
            self._error(
                "TYPE_MISMATCH",
                path,
                f"A {given.schema.schema_title} is passed where a {wanted.schema.schema_title} is wanted.",
            )

    def _check_required(self, use: _Use, component: Component) -> None:
        item = use.task.iterator.item_input if use.task.iterator else None
        given = use.task.inputs
        for name in self._needed(component):
            if name != item and name not in given.parameters and name not in given.artifacts:
                self._error(
                    "INPUT_MISSING", f"{use.path}.inputs", f"{component.name} needs {name!r}, which is not given."
                )

    def _needed(self, component: Component) -> tuple[str, ...]:
        """The inputs that every task of the component must get."""
        if component.name not in self._needs:
            parameters = component.inputs.parameters.items()
            artifacts = component.inputs.artifacts.items()
            self._needs[component.name] = (
                *(name for name, wanted in parameters if wanted.required and wanted.type not in _GIVEN_BY_ENGINE),
                *(name for name, artifact in artifacts if not artifact.optional),
            )
        return self._needs[component.name]

    def _check_iterator(self, use: _Use, component: Component) -> None:
        iterator = use.task.iterator
        if iterator is None:
            return
        kind = "Parameter" if iterator.over == "parameter" else "Artifact"
        path = f"{use.path}.{iterator.over}Iterator"
        over_parameters = iterator.over == "parameter"
        declared: Mapping[str, object] = component.inputs.parameters if over_parameters else component.inputs.artifacts
        given: Mapping[str, object] = use.task.inputs.parameters if over_parameters else use.task.inputs.artifacts
        if iterator.item_input not in declared:
            self._error("INPUT_UNKNOWN", f"{path}.itemInput", f"{component.name} has no input {iterator.item_input!r}.")
        if iterator.raw is not None:
            self._check_items(iterator.raw, f"{path}.items.raw")
        elif iterator.input not in given:
            self._error(
                "INPUT_UNKNOWN",
                f"{path}.items.input{kind}",
                f"The task has no input {iterator.input!r}; it has: {_listed(given)}.",
            )
        elif over_parameters and iterator.input in component.inputs.parameters:
            wanted = component.inputs.parameters[iterator.input].type
            if wanted not in ("LIST", "STRING", "STRUCT"):
                self._error("TYPE_MISMATCH", f"{path}.items", f"A {wanted} cannot be looped over.")

    def _check_items(self, raw: str, path: str) -> None:
        self._check_leftover(raw, path)
        try:
            items = json.loads(raw)
        except (ValueError, RecursionError):
            self._error("ITEMS_INVALID", path, "is not JSON.")
            return
        if not isinstance(items, list):
            self._error("ITEMS_INVALID", path, f"must be a JSON list, got {_shown(items)}.")

    # --- conditions --------------------------------------------------------------------------

    def _check_condition(self, use: _Use, component: Component) -> None:
        text = use.task.condition
        if not text:
            return
        path = f"{use.path}.triggerPolicy.condition"
        self._check_leftover(text, path)
        if not self._check_balance(text, path, "CONDITION_INVALID"):
            return
        given = use.task.inputs
        for match in _CONDITION_NAME.finditer(_without_quoted(text)):
            name = match[2] if match[2] is not None else match[3]
            known: Collection[str] = given.parameters if match[1] == "parameter_values" else given.artifacts
            if name not in known and name not in component.inputs.parameters:
                self._error("INPUT_UNKNOWN", path, f"The task has no input {name!r}; it has: {_listed(known)}.")

    def _check_balance(self, text: str, path: str, code: str) -> bool:
        """Quotes and brackets are balanced."""
        opened: list[str] = []
        for match in _CONDITION_TOKEN.finditer(text):
            mark = match[0]
            if mark in ("'", '"'):
                self._error(code, path, f"A quote ({mark}) is not closed in: {_shown(text)}")
                return False
            if mark in "([{":
                opened.append(mark)
            elif mark in _PAIRS and (not opened or opened.pop() != _PAIRS[mark]):
                self._error(code, path, f"{mark!r} closes nothing in: {_shown(text)}")
                return False
        if opened:
            self._error(code, path, f"{opened[-1]!r} is not closed in: {_shown(text)}")
        return not opened

    # --- order and outputs -------------------------------------------------------------------

    def _check_order(self, dag: Dag, path: str) -> None:
        """No task waits for itself."""
        waits = {name: {other for other in _upstream(task) if other in dag.tasks} for name, task in dag.tasks.items()}
        followers: dict[str, list[str]] = defaultdict(list)
        for name, others in waits.items():
            for other in others:
                followers[other].append(name)
        ready = [name for name, others in waits.items() if not others]
        left = {name: len(others) for name, others in waits.items()}
        while ready:
            for follower in followers[ready.pop()]:
                left[follower] -= 1
                if not left[follower]:
                    ready.append(follower)
        circle = [name for name, count in left.items() if count]
        if circle:
            self._error("TASK_CYCLE", f"{path}.tasks", f"These tasks wait for each other: {_listed(circle)}.")

    def _check_outputs(self, parent: Component, dag: Dag, path: str) -> None:
        for name, output in dag.outputs.parameters.items():
            place = f"{path}.outputs.parameters.{name}"
            wanted = parent.outputs.parameters.get(name)
            if wanted is None:
                self._undeclared_output(name, parent, place)
            for interface, selector in self._selected(dag, output, place):
                given = interface.parameters.get(selector.output)
                if given is None:
                    self._unknown_output(selector, interface.parameters, place)
                # A list may be collected from iterations, each of which produces one item.
                elif wanted is not None and wanted.type != "LIST":
                    self._check_parameter_types(given.type, wanted.type, place)
        for name, output in dag.outputs.artifacts.items():
            place = f"{path}.outputs.artifacts.{name}"
            expected = parent.outputs.artifacts.get(name)
            if expected is None:
                self._undeclared_output(name, parent, place)
            for interface, selector in self._selected(dag, output, place):
                artifact = interface.artifacts.get(selector.output)
                if artifact is None:
                    self._unknown_output(selector, interface.artifacts, place)
                elif expected is not None:
                    self._check_artifact_types(artifact, expected, place, in_loop=expected.is_list)
        given_out = {*dag.outputs.parameters, *dag.outputs.artifacts}
        for name in (*parent.outputs.parameters, *parent.outputs.artifacts):
            if name not in given_out:
                self._error("OUTPUT_MISSING", f"{path}.outputs", f"Nothing gives the declared output {name!r}.")

    def _undeclared_output(self, name: str, parent: Component, path: str) -> None:
        declared = [*parent.outputs.parameters, *parent.outputs.artifacts]
        self._error(
            "OUTPUT_UNDECLARED", path, f"{parent.name} declares no such output; it declares: {_listed(declared)}."
        )

    def _selected(self, dag: Dag, output: DagOutput, path: str) -> Iterator[tuple[Interface, TaskOutput]]:
        if not output.selectors:
            self._error("OUTPUT_MISSING", path, "has no source.")
        for selector in output.selectors:
            interface = self._outputs_of(dag, selector, path)
            if interface is not None:
                yield interface, selector

    # --- executors ---------------------------------------------------------------------------

    def _check_executors(self) -> None:
        users: dict[str, list[Component]] = defaultdict(list)
        for component in self._document.components.values():
            if component.executor is not None:
                users[component.executor].append(component)
        for label, executor in self._document.executors.items():
            path = f"deploymentSpec.executors.{label}"
            self._check_name(label, path)
            if executor.unsupported is not None:
                self._warning("EXECUTOR_UNSUPPORTED", f"{path}.{executor.unsupported}", "is run by no server.")
            if executor.container is not None:
                self._check_container(executor.container, users[label], f"{path}.container")
            if executor.importer is not None and executor.importer.uri_input is not None:
                for component in users[label]:
                    if executor.importer.uri_input not in component.inputs.parameters:
                        self._unknown_input(component, executor.importer.uri_input, f"{path}.importer.artifactUri")

    def _check_container(self, container: Container, users: list[Component], path: str) -> None:
        if not container.image:
            self._error("IMAGE_MISSING", f"{path}.image", "is missing.")
        texts = [("image", container.image), *((f"env.{name}", value) for name, value in container.env)]
        texts += [(f"resources.{name}", value) for name, value in container.resources.items()]
        for place, text in texts:
            self._check_leftover(text, f"{path}.{place}")
        entry = recognise(container.command, container.args)
        command = container.command if entry is None else container.command[:-1]
        for part, items in (("command", command), ("args", container.args)):
            for index, item in enumerate(items):
                place = f"{path}.{part}[{index}]"
                self._check_leftover(item, place)
                if "{{$" in item or '"IfPresent"' in item:
                    self._check_placeholders(find_in_command(item), users, place)
        for place, text in texts:
            # Placeholders in the environment are not replaced.
            if not place.startswith("env."):
                self._check_placeholders(find(text), users, f"{path}.{place}")

    def _check_placeholders(self, found: Iterable[Placeholder], users: list[Component], path: str) -> None:
        for placeholder in found:
            for component in users[:_USERS_LOOKED_AT]:
                if not self._check_placeholder(placeholder, component, path):
                    break

    def _check_placeholder(self, placeholder: Placeholder, component: Component, path: str) -> bool:
        match placeholder.steps:
            case ("inputs", "parameters", name):
                known = name in component.inputs.parameters or self._passed(component, name)
            case ("inputs", "artifacts", name, *_):
                known = name in component.inputs.artifacts or self._passed(component, name)
            case ("inputs", "any", name):
                known = name in component.inputs.parameters or name in component.inputs.artifacts
            case ("outputs", "parameters", name, *_):
                known = name in component.outputs.parameters
            case ("outputs", "artifacts", name, *_):
                known = name in component.outputs.artifacts
            case () | ("outputs", "output_file") | ("outputMetadataUri",):
                return True
            case (fact,) if fact in FACTS:
                return True
            case _:
                self._warning("PLACEHOLDER_UNKNOWN", path, f"{placeholder.text} stands for nothing known.")
                return False
        if not known:
            side = component.inputs if placeholder.steps[0] == "inputs" else component.outputs
            declared = _listed([*side.parameters, *side.artifacts])
            self._error(
                "PLACEHOLDER_UNKNOWN",
                path,
                f"{placeholder.text}: {component.name} has no such {placeholder.steps[0][:-1]}; it has: {declared}.",
            )
        return known

    def _passed(self, component: Component, name: str) -> bool:
        """True when every task of the component passes an input that it does not declare."""
        uses = self._uses[component.name]
        return all(
            name in use.task.inputs.parameters or name in use.task.inputs.artifacts for use in uses[:_USERS_LOOKED_AT]
        )

    # --- platform ----------------------------------------------------------------------------

    def _check_platform(self) -> None:
        self._check_workspace()
        users: dict[str, list[_Use]] = defaultdict(list)
        for key, uses in self._uses.items():
            executor = self._document.components[key].executor
            if executor is not None:
                users[executor].extend(uses)
        for label, config in self._document.kubernetes.executors.items():
            path = f"platforms.kubernetes.deploymentSpec.executors.{label}"
            if label not in self._document.executors:
                self._error(
                    "EXECUTOR_UNKNOWN",
                    path,
                    f"The pipeline has no such executor; it has: {_listed(self._document.executors)}.",
                )
                continue
            for place, source in _platform_sources(config, path):
                for use in users[label][:_USERS_LOOKED_AT]:
                    self._check_platform_source(source, use, place)

    def _check_workspace(self) -> None:
        workspace = self._document.kubernetes.pipeline_config.get("workspace")
        size = workspace.get("size") if isinstance(workspace, Mapping) else None
        if size is None:
            return
        try:
            read_bytes(size if isinstance(size, str) else "")
        except QuantityError:
            self._error(
                "WORKSPACE_SIZE_INVALID",
                "platforms.kubernetes.pipelineConfig.workspace.size",
                f"{size!r} is not a Kubernetes quantity of bytes; write for instance 10Gi or 500Mi.",
            )

    def _check_platform_source(self, source: Mapping[str, Json], use: _Use, path: str) -> None:
        name = source.get("componentInputParameter")
        if isinstance(name, str) and name not in use.parent.inputs.parameters:
            self._unknown_input(use.parent, name, f"{path}.componentInputParameter")
        output = source.get("taskOutputParameter")
        if isinstance(output, Mapping) and use.parent.dag is not None:
            wanted = TaskOutput(task=str(output.get("producerTask")), output=str(output.get("outputParameterKey")))
            interface = self._outputs_of(use.parent.dag, wanted, f"{path}.taskOutputParameter")
            if interface is not None and wanted.output not in interface.parameters:
                self._unknown_output(wanted, interface.parameters, f"{path}.taskOutputParameter")


# --- values ----------------------------------------------------------------------------------


def fits(value: Json, kind: str) -> bool:
    """True when a value is one of the parameter type; null fits none, and a whole double is an integer."""
    match kind:
        case "STRING":
            return isinstance(value, str)
        case "BOOLEAN":
            return isinstance(value, bool)
        case "NUMBER_DOUBLE":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "NUMBER_INTEGER":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
        case "LIST":
            return isinstance(value, list | tuple)
        case _:
            return isinstance(value, Mapping)


#: Only a few members are checked, so that a large or deep value costs no more than a small one.
_GLANCE: Final = reprlib.Repr()
_GLANCE.maxstring = _GLANCE.maxother = _GLANCE.maxlong = 80
_GLANCE.maxlevel = 3


def _shown(value: Json) -> str:
    text = value if isinstance(value, str) else _GLANCE.repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _texts(value: Json) -> Iterator[str]:
    stack = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            stack.extend(part.keys())
            stack.extend(part.values())
        elif isinstance(part, list | tuple):
            stack.extend(part)


def _same_schema(given: ArtifactSchema, wanted: ArtifactSchema) -> bool:
    titles = {given.schema_title, wanted.schema_title}
    return len(titles) == 1 or "" in titles or "system.Artifact" in titles


def _loops_over(task: Task, name: str) -> bool:
    return task.iterator is not None and task.iterator.input == name


def _is_loop_item(source: ParameterSource) -> bool:
    """Items of loops have the type a compiler guessed, or STRING."""
    name = source.component_input or ""
    return "-loop-item" in name or "loop-item-param-" in name or "-subvar-" in name


def _upstream(task: Task) -> set[str]:
    found = {*task.after}
    for source in task.inputs.parameters.values():
        if source.task_output is not None:
            found.add(source.task_output.task)
        if source.final_status_of is not None:
            found.add(source.final_status_of)
    for artifact in task.inputs.artifacts.values():
        if artifact.task_output is not None:
            found.add(artifact.task_output.task)
    return found


def _without_quoted(text: str) -> str:
    """The condition with every quoted text emptied, except for indexes, so that no value looks like a name."""
    out: list[str] = []
    end = 0
    for match in _CONDITION_TOKEN.finditer(text):
        if len(match[0]) > 1 and text[match.start() - 1 : match.start()] != "[":
            out.append(text[end : match.start()] + "''")
            end = match.end()
    return "".join(out) + text[end:]


def _platform_sources(config: Mapping[str, Json], path: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """The paths of a platform's settings that take their value from the pipeline."""
    stack: list[tuple[str, Json]] = [(path, config)]
    while stack:
        place, part = stack.pop()
        if isinstance(part, Mapping):
            if "componentInputParameter" in part or "taskOutputParameter" in part:
                yield place, part
            stack.extend((f"{place}.{key}", value) for key, value in part.items())
        elif isinstance(part, list):
            stack.extend((f"{place}[{index}]", value) for index, value in enumerate(part))
