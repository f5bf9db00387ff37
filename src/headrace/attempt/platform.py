"""Fills in the settings of a platform: what they take from the pipeline's inputs or from outputs of other tasks.

Source of the shapes: `kubernetes_platform/proto/kubernetes_executor_config.proto` of kubeflow/pipelines. A value there
is an `InputParameterSpec`, as an input of a task is.
"""

from __future__ import annotations

from headrace.engine import facts
from headrace.engine.inputs import ABSENT, Scope
from headrace.engine.model import Json

_INPUT, _OUTPUT = "componentInputParameter", "taskOutputParameter"


def resolve_settings(
    settings: dict[str, Json], scope: Scope, parameters: dict[str, Json], known: dict[str, str]
) -> dict[str, Json]:
    """The settings with every value that is known filled in.

    A value `{"componentInputParameter": name}` is an input of the DAG around the task, `{"taskOutputParameter": …}` an
    output of a task beside it; each becomes `{"runtimeValue": {"constant": value}}`. A source that stands among other
    fields, as backends before KFP 2.15 have it, becomes the field `constant`. Placeholders in texts are replaced by
    the task's own inputs. A source without a value (a task that was skipped) stays as it is.
    """
    filled: dict[str, Json] = _resolved(settings, scope, parameters, known)
    return filled


def _resolved(value: Json, scope: Scope, parameters: dict[str, Json], known: dict[str, str]) -> Json:
    match value:
        case dict():
            source = {key: value[key] for key in (_INPUT, _OUTPUT) if key in value}
            rest = {key: _resolved(item, scope, parameters, known) for key, item in value.items() if key not in source}
            found = _value(source, scope) if source else ABSENT
            if found is ABSENT:
                return {**source, **rest}
            return {**rest, "constant": found} if rest else {"runtimeValue": {"constant": found}}
        case list() | tuple():
            return [_resolved(item, scope, parameters, known) for item in value]
        case str():
            return facts.filled(value, parameters, known)
        case _:
            return value


def _value(source: dict[str, Json], scope: Scope) -> Json:
    name = source.get(_INPUT)
    if isinstance(name, str):
        return scope.parameter(name)
    wanted = source.get(_OUTPUT)
    if not isinstance(wanted, dict):
        return ABSENT
    try:
        producer = scope.sibling(str(wanted.get("producerTask")))
    except KeyError:
        return ABSENT
    return producer.outputs.parameters.get(str(wanted.get("outputParameterKey")), ABSENT)
