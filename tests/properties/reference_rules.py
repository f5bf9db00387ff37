"""The rules of the reference engine: inputs of tasks, items of loops, outputs of DAGs.

Nothing of the engine but its values is used here: the document is read as it stands, each rule is written down once
more in the plainest words, and conditions and selectors are not CEL but Python functions that the generator of random
documents keeps beside the CEL text. So a fault in how the engine resolves inputs, chooses or collects outputs shows as
a difference, and cannot hide by being in both.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from headrace.engine import conditions
from headrace.engine.model import Artifact, Bundle, Execution, Kind, State
from headrace.spec.document import Component, Dag, Document, Task

Json = Any
NOTHING = msgspec.UNSET
LISTS_TOO_LONG = 100_000


class Wrong(Exception):
    """The task cannot have what it asks for; `code` is the reason's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Undefined(Exception):
    """A condition or selector has no value."""


# --- conditions and selectors: CEL text -> the same in Python ----------------------------------


def _v(p: Mapping[str, Json], name: str = "v") -> Json:
    if name not in p:
        raise Undefined
    return p[name]


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Undefined
    return float(value)


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise Undefined
    return value


def _boolean(value: Json) -> bool:
    if not isinstance(value, bool):
        raise Undefined
    return value


def _score(artifacts: Mapping[str, tuple[Artifact, ...]]) -> float:
    if not artifacts.get("m"):
        raise Undefined
    if "score" not in artifacts["m"][0].metadata:
        raise Undefined
    return _number(artifacts["m"][0].metadata["score"])


#: Over (parameters, artifacts) of the task.
CONDITIONS: dict[str, Callable[[Mapping[str, Json], Mapping[str, tuple[Artifact, ...]]], Json]] = {
    "inputs.parameter_values['v'] == 'heads'": lambda p, a: _v(p) == "heads",
    "inputs.parameter_values['v'] != 'heads'": lambda p, a: _v(p) != "heads",
    "!(inputs.parameter_values['v'] == 'tails')": lambda p, a: _v(p) != "tails",
    "size(inputs.parameter_values['v']) == 5 ? true : inputs.parameter_values['v'] == 'none'": lambda p, a: (
        len(_text(_v(p))) == 5 or _v(p) == "none"
    ),
    # From here on (see PLAIN_CONDITIONS) they may fail. A text against a number always does.
    "inputs.parameter_values['v'] > 3": lambda p, a: _number(_v(p)) > 3,
    # What is false on one side is false, whatever the other side fails on.
    "inputs.parameter_values['n'] >= 2 && inputs.parameter_values['v'] != 'tails'": lambda p, a: (
        p.get("v", "") != "tails" and _number(_v(p, "n")) >= 2 and _v(p) != "tails"
    ),
    "inputs.parameter_values['n'] == null": lambda p, a: _v(p, "n") is None,
    "inputs.parameter_values['v']": lambda p, a: _boolean(_v(p)),
    "inputs.artifacts['m'].artifacts[0].metadata['score'] > 0.5": lambda p, a: _score(a) > 0.5,
}
#: So many of them, from the first, never fail on a text.
PLAIN_CONDITIONS = 4


def _loads(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        raise Undefined from None


def _field(value: Json, name: str) -> Json:
    if not isinstance(value, dict) or name not in value:
        raise Undefined
    return value[name]


def _first(value: Json) -> Json:
    if not isinstance(value, list) or not value:
        raise Undefined
    return value[0]


SELECTORS: dict[str, Callable[[Json], Json]] = {
    "string_value": lambda value: text_of(value),
    "parseJson(string_value)['a']": lambda value: _field(_loads(text_of(value)), "a"),
    "struct_value['a']": lambda value: _field(value, "a"),
    "list_value[0]": lambda value: _first(value),
}


def holds(condition: str, inputs: Bundle) -> bool:
    try:
        # Documents of others have conditions of their own; for those the engine's word is taken.
        known = CONDITIONS.get(condition)
        value = known(inputs.parameters, inputs.artifacts) if known else conditions.holds(condition, inputs)
    except (Undefined, conditions.ExpressionError):
        raise Wrong("CONDITION_ERROR") from None
    assert isinstance(value, bool)
    return value


def selected(selector: str, value: Json) -> Json:
    try:
        known = SELECTORS.get(selector)
        return known(value) if known else conditions.select(selector, value)
    except (Undefined, conditions.ExpressionError):
        raise Wrong("INPUT_SELECTOR") from None


# --- values ------------------------------------------------------------------------------------


def exact(value: Json) -> Json:
    """Whole doubles are integers: documents know only doubles."""
    if isinstance(value, float) and value == int(value):
        return int(value)
    if isinstance(value, list | tuple):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    return value


def text_of(value: Json) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(exact(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def typed(value: Json, kind: str) -> Json:
    """The value as a parameter of this type, or Wrong."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "STRING":
        return text_of(value)
    if kind == "NUMBER_INTEGER" and number and value == int(value):
        return int(value)
    if kind == "NUMBER_DOUBLE" and number:
        return float(value)
    if kind == "BOOLEAN" and isinstance(value, bool):
        return value
    if kind == "LIST" and isinstance(value, list | tuple):
        return list(value)
    if kind in ("STRUCT", "TASK_FINAL_STATUS", "TASK_CONFIG") and isinstance(value, dict):
        return value
    raise Wrong("INPUT_TYPE")


# --- inputs ------------------------------------------------------------------------------------

_INPUT = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


class Scope:
    """Where a task stands: the DAG execution it is in, its siblings, and what the run is called."""

    def __init__(self, document: Document, run: Any, everything: Mapping[str, Execution], parent: Execution) -> None:
        self.document, self.run, self.everything, self.parent = document, run, everything, parent

    def sibling(self, name: str) -> Execution:
        return self.everything[f"{self.parent.path}/{name}" if self.parent.path else name]

    def given(self) -> list[Bundle]:
        """An iteration knows its item, and all that its loop was given."""
        if self.parent.iteration is None:
            return [self.parent.inputs]
        return [self.parent.inputs, self.everything[self.parent.parent or ""].inputs]


def inputs_of(scope: Scope, task: Task, component: Component) -> Bundle:
    is_dag = component.dag is not None
    item = task.iterator.item_input if task.iterator else None
    found: dict[str, Json] = {}
    made_of_others = {n for n, s in task.inputs.parameters.items() if _INPUT.search(json.dumps(_plain(s.constant)))}
    sources = task.inputs.parameters
    for name in [*(n for n in sources if n not in made_of_others), *(n for n in sources if n in made_of_others)]:
        value = _given_value(scope, task, component, name, found)
        _put(found, name, value, component, is_dag)
    for name in component.inputs.parameters:
        if name not in sources and name != item:
            _put(found, name, NOTHING, component, is_dag)
    return Bundle(parameters=found, artifacts=_artifacts(scope, task, component, item))


def _plain(constant: Json) -> Json:
    return None if constant is NOTHING else constant


def _given_value(scope: Scope, task: Task, component: Component, name: str, found: Mapping[str, Json]) -> Json:
    source = task.inputs.parameters[name]
    value: Json = NOTHING
    if source.component_input is not None:
        for bundle in reversed(scope.given()):
            value = bundle.parameters.get(source.component_input, value)
    elif source.task_output is not None:
        value = scope.sibling(source.task_output.task).outputs.parameters.get(source.task_output.output, NOTHING)
    elif source.final_status_of is not None:
        value = status_of(scope, source.final_status_of)
    else:
        value = _filled(exact(source.constant), scope, task, {**dict.fromkeys(task.inputs.parameters), **found})
    if source.selector and value is not NOTHING and value is not None:
        value = selected(source.selector, value)
    definition = component.inputs.parameters.get(name)
    untyped_item = source.component_input is not None and "loop-item" in source.component_input
    if untyped_item and isinstance(value, str) and definition is not None and definition.type != "STRING":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _put(found: dict[str, Json], name: str, value: Json, component: Component, is_dag: bool) -> None:
    definition = component.inputs.parameters.get(name)
    if is_dag and name.startswith("pipelinechannel--") and (value is NOTHING or value is None):
        found[name] = None
        return
    if definition is None:
        if value is not NOTHING:
            found[name] = value
        return
    if value is NOTHING and definition.default is not NOTHING:
        value = exact(definition.default)
    if value is NOTHING:
        if definition.type == "TASK_CONFIG":
            found[name] = {}
        elif not definition.optional:
            raise Wrong("INPUT_MISSING")
        elif is_dag:
            found[name] = None
        return
    if value is None:
        if not definition.optional and definition.default is not None:
            raise Wrong("INPUT_NULL")
        found[name] = None
        return
    value = typed(value, definition.type)
    if definition.literals and not any(type(value) is bool and value is x or value == x for x in definition.literals):
        raise Wrong("INPUT_LITERAL")
    found[name] = value


def _filled(value: Json, scope: Scope, task: Task, others: Mapping[str, Json]) -> Json:
    """Placeholders in texts, at any depth. Only those that the generator writes."""
    if isinstance(value, list):
        return [_filled_inside(item, scope, task, others) for item in value]
    if isinstance(value, dict):
        return {key: _filled_inside(item, scope, task, others) for key, item in value.items()}
    if not isinstance(value, str) or "{{$" not in value:
        return value
    known = {
        "pipeline_job_name": scope.run.display_name,
        "pipeline_job_uuid": scope.run.run_id,
        "pipeline_job_resource_name": f"{scope.document.name}-{scope.run.run_id}",
        "pipeline_task_name": task.name,
    }

    def put_in(match: re.Match[str]) -> str:
        if match[1] in known:
            return str(known[match[1]])
        name = match[2]
        if name not in others:
            return match[0]
        return "" if others[name] is None else text_of(others[name])

    # All at once: what is put in is not looked at again.
    return re.sub(r"\{\{\$\.(?:(pipeline_\w+)|inputs\.parameters\['([^']+)'\])\}\}", put_in, value)


def _filled_inside(value: Json, scope: Scope, task: Task, others: Mapping[str, Json]) -> Json:
    """A text in a list or a dict that is one input's placeholder is that input's value, with its type."""
    whole = isinstance(value, str) and re.fullmatch(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}", value)
    return others[whole[1]] if whole and whole[1] in others else _filled(value, scope, task, others)


def status_of(scope: Scope, name: str) -> dict[str, Json]:
    """Without its error, which is worded by the engine."""
    return {
        "state": str(scope.sibling(name).state),
        "pipelineTaskName": name,
        "pipelineJobResourceName": f"{scope.document.name}-{scope.run.run_id}",
        "error": {},
    }


def _artifacts(scope: Scope, task: Task, component: Component, item: str | None) -> dict[str, tuple[Artifact, ...]]:
    found = {}
    for name in [*task.inputs.artifacts, *(n for n in component.inputs.artifacts if n not in task.inputs.artifacts)]:
        source, definition = task.inputs.artifacts.get(name), component.inputs.artifacts.get(name)
        if source is None and name == item:
            continue
        value: tuple[Artifact, ...] | None = None
        if source is not None and source.component_input is not None:
            for bundle in reversed(scope.given()):
                value = bundle.artifacts.get(source.component_input, value)
        elif source is not None and source.task_output is not None:
            value = scope.sibling(source.task_output.task).outputs.artifacts.get(source.task_output.output)
        if definition is not None:
            is_list = definition.is_list
            if value is None or (value == () and not is_list):
                if not definition.optional:
                    raise Wrong("INPUT_MISSING")
                value = None
            elif len(value) > 1 and not is_list:
                raise Wrong("INPUT_TYPE")
        if value is not None:
            found[name] = value
    return found


# --- loops -------------------------------------------------------------------------------------


def items_of(task: Task, inputs: Bundle) -> list[Any]:
    iterator = task.iterator
    assert iterator is not None
    if iterator.over == "artifact":
        return list(inputs.artifacts.get(iterator.input or "", ()))
    items = iterator.raw if iterator.raw is not None else inputs.parameters.get(iterator.input or "")
    if isinstance(items, str):
        try:
            items = json.loads(items)
        except ValueError:
            raise Wrong("LOOP_ITEMS") from None
    if not isinstance(items, list):
        raise Wrong("LOOP_ITEMS")
    if len(items) > LISTS_TOO_LONG:
        raise Wrong("LOOP_TOO_LONG")
    return items


def iteration_inputs(task: Task, component: Component, loop: Bundle, item: Any) -> Bundle:
    iterator = task.iterator
    assert iterator is not None
    parameters: dict[str, Json] = {}
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    if component.dag is None:
        # A container has no tasks below it that could look at the loop: it gets all but the list itself.
        parameters = {n: v for n, v in loop.parameters.items() if n != iterator.input}
        artifacts = {n: v for n, v in loop.artifacts.items() if n != iterator.input}
    name = iterator.item_input
    if not name:
        return Bundle(parameters=parameters, artifacts=artifacts)
    if isinstance(item, Artifact):
        artifacts[name] = (item,)
    else:
        definition = component.inputs.parameters.get(name)
        parameters[name] = item if definition is None or item is None else typed(item, definition.type)
    return Bundle(parameters=parameters, artifacts=artifacts)


# --- outputs -----------------------------------------------------------------------------------


def handed_out(dag: Dag, path: str, everything: Mapping[str, Execution]) -> Bundle:
    def chosen(output: Any, kind: str) -> Any:
        for selector in output.selectors:
            child = everything[f"{path}/{selector.task}" if path else selector.task]
            if output.one_of and child.state is not State.SUCCEEDED:
                continue
            made = getattr(child.outputs, kind)
            if selector.output in made:
                return made[selector.output]
        return NOTHING

    found = {kind: {n: chosen(o, kind) for n, o in getattr(dag.outputs, kind).items()} for kind in _KINDS}
    return Bundle(**{kind: {n: v for n, v in found[kind].items() if v is not NOTHING} for kind in _KINDS})


_KINDS = ("parameters", "artifacts")


def collected(component: Component, iterations: list[Execution]) -> Bundle:
    """In the order of the items; what an iteration did not give is left out."""
    parameters: dict[str, Json] = {name: [] for name in component.outputs.parameters}
    artifacts: dict[str, tuple[Artifact, ...]] = dict.fromkeys(component.outputs.artifacts, ())
    for iteration in sorted(iterations, key=lambda e: e.iteration or 0):
        for name in parameters:
            if name in iteration.outputs.parameters:
                parameters[name].append(iteration.outputs.parameters[name])
        for name in artifacts:
            artifacts[name] += iteration.outputs.artifacts.get(name, ())
    return Bundle(parameters=parameters, artifacts=artifacts)


# --- the same work ------------------------------------------------------------------------------


def sameness(document: Document, task: Task, execution: Execution) -> str:
    """Two executions would do the same if and only if this is the same text."""
    component = document.components[task.component]
    executor = document.executors[component.executor or ""].container
    assert executor is not None
    if task.cache_key:
        return f"{task.component}/{task.cache_key}"
    artifacts = {
        n: [(a.digest or a.uri, a.type.schema_title, a.type.schema_version, exact(a.metadata)) for a in many]
        for n, many in execution.inputs.artifacts.items()
    }
    parts = [
        [executor.image, executor.command, executor.args, executor.env],
        sorted((n, d.type) for n, d in component.outputs.parameters.items()),
        sorted((n, d.schema.schema_title, d.is_list) for n, d in component.outputs.artifacts.items()),
        exact(execution.inputs.parameters),
        artifacts,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def is_task(execution: Execution) -> bool:
    return execution.kind in (Kind.TASK, Kind.IMPORTER)
