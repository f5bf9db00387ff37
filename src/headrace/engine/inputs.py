"""The inputs of a task, resolved from what is recorded of the run."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headrace.engine import facts, values
from headrace.engine.conditions import select
from headrace.engine.expressions import ExpressionError
from headrace.engine.model import Artifact, Bundle, Execution, Json, Reason, RunState, State
from headrace.engine.plan import Lookup, Plan, TaskPlan, child_path
from headrace.spec.document import INJECTED, ArtifactDefinition, ArtifactSource, ParameterDefinition, ParameterSource

#: Stands for "no value", where None is a value.
ABSENT = msgspec.UNSET

#: google.rpc.Code numbers, which `PipelineTaskFinalStatus.error_code` holds.
_CANCELLED, _UNKNOWN, _DEADLINE_EXCEEDED = 1, 2, 4


class Fault(Exception):
    """The task cannot begin, for this reason; the engine makes it FAILED."""

    def __init__(self, code: str, message: str, **details: Json) -> None:
        super().__init__(message)
        self.reason = Reason(code=code, message=message, details=details)


class Scope:
    """Where a task's inputs come from: the DAG execution it is in, and its siblings."""

    def __init__(self, plan: Plan, state: RunState, executions: Lookup, parent: str) -> None:
        self.plan = plan
        self.state = state
        self.executions = executions
        self.parent = parent
        self.given = self._given(executions[parent])

    def _given(self, parent: Execution) -> tuple[Bundle, ...]:
        """The DAG's own inputs; an iteration holds only its item, the loop the rest."""
        if parent.iteration is None or parent.parent is None:
            return (parent.inputs,)
        return (parent.inputs, self.executions[parent.parent].inputs)

    def sibling(self, name: str) -> Execution:
        return self.executions[child_path(self.parent, name)]

    def parameter(self, name: str) -> Json:
        for bundle in self.given:
            if name in bundle.parameters:
                return bundle.parameters[name]
        return ABSENT

    def artifacts(self, name: str) -> tuple[Artifact, ...] | None:
        for bundle in self.given:
            if name in bundle.artifacts:
                return bundle.artifacts[name]
        return None


def resolve(scope: Scope, task: TaskPlan, path: str) -> Bundle:
    """All inputs of a task, checked against what its component declares; raises Fault."""
    try:
        return Bundle(parameters=_parameters(scope, task, path), artifacts=_artifacts(scope, task))
    except RecursionError:
        raise Fault("INPUT_TYPE", f"An input of {task.task.name} is nested too deep.") from None


def _parameters(scope: Scope, task: TaskPlan, path: str) -> dict[str, Json]:
    sources = task.task.inputs.parameters
    declared = task.component.inputs.parameters
    found: dict[str, Json] = {}
    later = []

    def known() -> dict[str, str]:
        return facts.facts(scope.plan, scope.state, path, task.task.name)

    def keep(name: str, value: Json) -> None:
        _keep(found, name, value, declared.get(name), task, known)

    for name, source in sources.items():
        if source.constant is not ABSENT and facts.parameters_named(source.constant):
            later.append(name)  # It is made from the other inputs.
        else:
            value = _untyped_item(_value(scope, task, path, name, source, {}), source, declared.get(name))
            keep(name, value)
    for name in later:
        others = {**dict.fromkeys(sources), **found}  # An input that was left out is filled in as an empty text.
        keep(name, _value(scope, task, path, name, sources[name], others))
    item = task.iterator.item_input if task.iterator else None
    for name in declared:
        if name not in sources and name != item:
            keep(name, ABSENT)
    return found


def _untyped_item(value: Json, source: ParameterSource, definition: ParameterDefinition | None) -> Json:
    """A loop item whose type the compiler could not know.

    The compiler declares such items STRING, so that numbers enter a group as JSON text. A component that declares a
    number, a list and so on gets the value itself, as authors expect of `ParallelFor(numbers)` with `numbers: list`.
    """
    if not isinstance(value, str) or definition is None or definition.type == "STRING":
        return value
    if source.component_input is None or "loop-item" not in source.component_input:
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value


def _keep(
    found: dict[str, Json],
    name: str,
    value: Json,
    definition: ParameterDefinition | None,
    task: TaskPlan,
    known: Callable[[], dict[str, str]],
) -> None:
    if (value is None or value is ABSENT) and _is_made_for_a_group(name, task):
        checked: Json = None
    else:
        checked = value if definition is None else declared_value(name, value, definition, task.task.name, known)
    if checked is ABSENT and definition is not None and task.dag is not None:
        checked = None  # Inside a DAG, an optional input that was left out is null, as for the root.
    if checked is not ABSENT:
        found[name] = checked


def _is_made_for_a_group(name: str, task: TaskPlan) -> bool:
    """Whether the compiler has made this input, to pass a value into a group (a branch, a loop, an exit handler).

    No author has declared it, so it is for the task inside to say whether it can do without a value. KFP's compiler
    does not mark such inputs as optional.
    """
    return task.dag is not None and name.startswith(INJECTED)


def declared_value(
    name: str, value: Json, definition: ParameterDefinition, task: str, known: Callable[[], dict[str, str]]
) -> Json:
    """The value as the component declares it: default, null, type, literals; raises Fault.

    `known` gives the facts that placeholders in a default may name.
    """
    if value is ABSENT and definition.default is not ABSENT:
        value = facts.filled_default(definition.default, known)
    if value is ABSENT:
        return _left_out(name, definition, task)
    if value is None:
        if definition.optional or definition.default is None:
            return None
        raise Fault("INPUT_NULL", f"Input {name} of {task} is null, but it is not optional.", input=name)
    try:
        fitted = values.fit(value, definition.type)
    except values.Mismatch as mismatch:
        raise Fault(
            "INPUT_TYPE",
            f"Input {name} of {task} must be {mismatch.expected}, but it is {mismatch.got}.",
            input=name,
            expected=definition.type,
        ) from None
    if definition.literals and not any(values.same(fitted, literal) for literal in definition.literals):
        allowed = ", ".join(values.shown(literal) for literal in definition.literals)
        raise Fault(
            "INPUT_LITERAL",
            f"Input {name} of {task} must be one of {allowed}, but it is {values.shown(fitted)}.",
            input=name,
        )
    return fitted


def _left_out(name: str, definition: ParameterDefinition, task: str) -> Json:
    if definition.type == "TASK_CONFIG":
        return {}
    if definition.optional:
        return ABSENT
    raise Fault("INPUT_MISSING", f"Input {name} of {task} has no value: nothing produced it.", input=name)


def _value(
    scope: Scope, task: TaskPlan, path: str, name: str, source: ParameterSource, others: dict[str, Json]
) -> Json:
    value = _raw_value(scope, task, path, source, others)
    if not source.selector or value is ABSENT or value is None:
        return value
    try:
        return select(source.selector, value)
    except ExpressionError as error:
        raise Fault(
            "INPUT_SELECTOR",
            f"Input {name} of {task.task.name}: `{source.selector}` fails on {values.shown(value)}: {error}.",
            input=name,
        ) from None


def _raw_value(scope: Scope, task: TaskPlan, path: str, source: ParameterSource, others: dict[str, Json]) -> Json:
    if source.component_input is not None:
        return scope.parameter(source.component_input)
    if source.task_output is not None:
        outputs = scope.sibling(source.task_output.task).outputs.parameters
        return outputs.get(source.task_output.output, ABSENT)
    if source.final_status_of is not None:
        return final_status(scope, source.final_status_of)
    known = facts.facts(scope.plan, scope.state, path, task.task.name) if "{{$" in str(source.constant) else {}
    return facts.filled(values.whole(source.constant), others, known)


def _artifacts(scope: Scope, task: TaskPlan) -> dict[str, tuple[Artifact, ...]]:
    found = {}
    declared = task.component.inputs.artifacts
    sources = task.task.inputs.artifacts
    item = task.iterator.item_input if task.iterator else None
    for name, source in sources.items():
        value = _checked(name, _raw_artifacts(scope, source), declared.get(name), task)
        if value is not None:
            found[name] = value
    for name, definition in declared.items():
        if name not in sources and name != item:
            _checked(name, None, definition, task)
    return found


def _raw_artifacts(scope: Scope, source: ArtifactSource) -> tuple[Artifact, ...] | None:
    if source.component_input is not None:
        return scope.artifacts(source.component_input)
    if source.task_output is not None:
        return scope.sibling(source.task_output.task).outputs.artifacts.get(source.task_output.output)
    return None


def _checked(
    name: str, value: tuple[Artifact, ...] | None, definition: ArtifactDefinition | None, task: TaskPlan
) -> tuple[Artifact, ...] | None:
    if definition is None:
        return value
    own = task.task.name
    if value is None or (not value and not definition.is_list):
        if definition.optional or _is_made_for_a_group(name, task):
            return None
        raise Fault("INPUT_MISSING", f"Input artifact {name} of {own} is missing: nothing produced it.", input=name)
    if len(value) > 1 and not definition.is_list:
        raise Fault(
            "INPUT_TYPE", f"Input artifact {name} of {own} takes one artifact, but it gets {len(value)}.", input=name
        )
    return value


def final_status(scope: Scope, name: str) -> dict[str, Json]:
    """`PipelineTaskFinalStatus` of a sibling.

    The state is a word of the API (SUCCEEDED, FAILED, CANCELED, SKIPPED), as KFP documents it; its backend
    gives the words of its metadata store (COMPLETE, CACHED) instead, which no user's test expects.
    """
    producer = scope.sibling(name)
    return {
        "state": str(producer.state),
        "pipelineTaskName": name,
        "pipelineJobResourceName": facts.resource_name(scope.plan, scope.state),
        "error": _status_error(producer),
    }


def _status_error(producer: Execution) -> dict[str, Json]:
    if producer.state is State.SUCCEEDED or producer.reason is None:
        return {}
    if producer.state is State.CANCELED:
        code = _CANCELLED
    else:
        code = _DEADLINE_EXCEEDED if producer.reason.code == "TIMEOUT" else _UNKNOWN
    return {"code": code, "message": producer.reason.message, "reason": producer.reason.code}
