"""Where the task's pod may run: node selectors, affinities, tolerations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.dsl.errors import DslTypeError, DslValueError
from headrace.dsl.pipeline_channel import PipelineChannel
from headrace.dsl.pipeline_task import PipelineTask
from headrace.kubernetes import settings
from headrace.kubernetes.settings import IR, Object

_NODE_OPERATORS = frozenset(("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))
_POD_OPERATORS = _NODE_OPERATORS - {"Gt", "Lt"}
_NODE_AFFINITY_FIELDS = frozenset(
    ("preferredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution")
)
_POD_AFFINITY_FIELDS = frozenset(
    ("labelSelector", "matchLabelKeys", "mismatchLabelKeys", "namespaceSelector", "namespaces", "topologyKey")
)
_POD_AFFINITY_NEEDED = frozenset(("topologyKey",))


def add_node_selector(task: PipelineTask, label_key: str, label_value: str) -> PipelineTask:
    """The node must have this label."""
    settings.constants(label_key=label_key, label_value=label_value)
    settings.of(task).setdefault("nodeSelector", {}).setdefault("labels", {})[label_key] = label_value
    return task


def add_node_selector_json(task: PipelineTask, node_selector_json: Object) -> PipelineTask:
    """The node must have these labels; goes before `add_node_selector`."""
    value = settings.parameter(_object(node_selector_json, "node selector"), what="node selector")
    settings.of(task).setdefault("nodeSelector", {})["nodeSelectorJson"] = value
    return task


def add_node_affinity(
    task: PipelineTask,
    match_expressions: Sequence[Mapping[str, Any]] | None = None,
    match_fields: Sequence[Mapping[str, Any]] | None = None,
    weight: int | None = None,
) -> PipelineTask:
    """Nodes the pod must run on, or with a weight (1 to 100) would rather run on."""
    settings.constants(match_expressions=match_expressions, match_fields=match_fields)
    entry = settings.without(
        matchExpressions=_requirements(match_expressions, "match_expression", _NODE_OPERATORS),
        matchFields=_requirements(match_fields, "match_field", _NODE_OPERATORS),
        weight=_weight(weight),
    )
    return settings.append(task, "nodeAffinity", entry)


def add_node_affinity_json(task: PipelineTask, node_affinity_json: Object) -> PipelineTask:
    """The pod's node affinity as Kubernetes writes it; the last one given counts."""
    value = _object(node_affinity_json, "node affinity")
    _check_fields(value, _NODE_AFFINITY_FIELDS, frozenset(), "V1NodeAffinity")
    config = settings.of(task)
    others = [term for term in config.get("nodeAffinity", []) if "nodeAffinityJson" not in term]
    config["nodeAffinity"] = [*others, {"nodeAffinityJson": settings.parameter(value, what="node affinity")}]
    return task


def add_pod_affinity(
    task: PipelineTask,
    match_pod_expressions: Sequence[Mapping[str, Any]] | None = None,
    match_pod_labels: Mapping[str, str] | None = None,
    topology_key: str | None = None,
    namespaces: Sequence[str] | None = None,
    match_namespace_expressions: Sequence[Mapping[str, Any]] | None = None,
    match_namespace_labels: Mapping[str, str] | None = None,
    weight: int | None = None,
    anti: bool | None = None,
) -> PipelineTask:
    """Pods the task's pod must run near (`anti`: away from), or with a weight (1 to 100) would rather."""
    settings.constants(
        match_pod_expressions=match_pod_expressions, match_namespace_expressions=match_namespace_expressions
    )
    entry = settings.without(
        matchPodExpressions=_requirements(match_pod_expressions, "match_pod_expression", _POD_OPERATORS),
        matchPodLabels=dict(match_pod_labels or {}),
        topologyKey=topology_key,
        namespaces=list(namespaces or ()),
        matchNamespaceExpressions=_requirements(
            match_namespace_expressions, "match_namespace_expression", _POD_OPERATORS
        ),
        matchNamespaceLabels=dict(match_namespace_labels or {}),
        weight=_weight(weight),
        anti=anti,
    )
    return settings.append(task, "podAffinity", entry)


def add_pod_affinity_json(task: PipelineTask, pod_affinity_json: Object, anti: bool | None = None) -> PipelineTask:
    """A pod affinity term as Kubernetes writes it; the last one given counts, and the last `anti` one."""
    value = _object(pod_affinity_json, "pod affinity")
    _check_fields(value, _POD_AFFINITY_FIELDS, _POD_AFFINITY_NEEDED, "V1PodAffinityTerm")
    config = settings.of(task)
    others = [
        term
        for term in config.get("podAffinity", [])
        if "podAffinityJson" not in term or bool(term.get("anti")) != bool(anti)
    ]
    term = {"podAffinityJson": settings.parameter(value, what="pod affinity"), **settings.without(anti=anti)}
    config["podAffinity"] = [*others, term]
    return task


def add_toleration(
    task: PipelineTask,
    key: str | None = None,
    operator: str | None = None,
    value: str | None = None,
    effect: str | None = None,
    toleration_seconds: int | None = None,
) -> PipelineTask:
    """A taint of nodes that the pod puts up with."""
    settings.constants(key=key, operator=operator, value=value, effect=effect)
    seconds = None if toleration_seconds is None else str(int(toleration_seconds))
    entry = settings.without(key=key, operator=operator, value=value, effect=effect, tolerationSeconds=seconds)
    return settings.append(task, "tolerations", entry)


def add_toleration_json(
    task: PipelineTask, toleration_json: PipelineChannel | list[dict[str, Any]] | dict[str, Any]
) -> PipelineTask:
    """Tolerations as an object, a list of them, or a parameter that holds either."""
    if isinstance(toleration_json, PipelineChannel):
        value = settings.parameter(toleration_json, what="toleration")
        return settings.append(task, "tolerations", {"tolerationJson": value})
    if not isinstance(toleration_json, list | dict):
        raise DslTypeError("toleration_json must be a dict, list, or input parameter.", code="SETTING_TYPE")
    for given in toleration_json if isinstance(toleration_json, list) else [toleration_json]:
        seconds = given.get("toleration_seconds", given.get("tolerationSeconds"))
        add_toleration(
            task, given.get("key"), given.get("operator"), given.get("value"), given.get("effect"), seconds
        )  # fmt: skip
    return task


def _object(value: Object, what: str) -> Object:
    if isinstance(value, dict | PipelineChannel):
        return value
    raise DslTypeError(
        f"The {what} must be a dict or a parameter of the pipeline, not {type(value).__name__}.", code="SETTING_TYPE"
    )


def _weight(weight: int | None) -> int | None:
    if weight is not None and not 1 <= weight <= 100:
        raise DslValueError(f"weight must be between 1 and 100, got {weight}.", code="AFFINITY_WEIGHT_INVALID")
    return weight


def _requirements(given: Sequence[Mapping[str, Any]] | None, what: str, operators: frozenset[str]) -> list[IR]:
    return [_requirement(one, what, operators) for one in given or ()]


def _requirement(given: Mapping[str, Any], what: str, operators: frozenset[str]) -> IR:
    key, operator = given.get("key"), given.get("operator")
    if not key:
        raise DslValueError(f"Each {what} must have a non-empty 'key'.", code="AFFINITY_INVALID")
    if operator not in operators:
        raise DslValueError(
            f"Invalid operator {operator!r} for key {key!r} in {what}. Must be one of {sorted(operators)}.",
            code="AFFINITY_INVALID",
        )
    return settings.without(key=key, operator=operator, values=list(given.get("values", ())))


def _check_fields(value: Object, known: frozenset[str], needed: frozenset[str], what: str) -> None:
    """The outermost fields, in Kubernetes' spelling or in Python's."""
    if isinstance(value, PipelineChannel):
        return
    given = {re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name) for name in value}
    wrong = sorted(given - known)
    if wrong:
        raise DslValueError(
            f"Invalid {what} JSON: unknown fields {wrong}. Known: {sorted(known)}.", code="AFFINITY_INVALID"
        )
    if needed - given:
        raise DslValueError(f"Invalid {what} JSON: {sorted(needed - given)} missing.", code="AFFINITY_INVALID")
