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
    """Run the task only on nodes that have this label.

    Args:
        task: A task of a component with a container.
        label_key: The label, such as `kubernetes.io/arch`.
        label_value: Its value.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.

    Example:
        >>> from headrace import dsl, kubernetes
        >>> @dsl.component
        ... def work():
        ...     print("working")
        >>> @dsl.pipeline
        ... def example():
        ...     kubernetes.add_node_selector(work(), "kubernetes.io/arch", "arm64")
    """
    settings.constants(label_key=label_key, label_value=label_value)
    settings.of(task).setdefault("nodeSelector", {}).setdefault("labels", {})[label_key] = label_value
    return task


def add_node_selector_json(task: PipelineTask, node_selector_json: Object) -> PipelineTask:
    """Run the task only on nodes that have all of these labels.

    It replaces what `add_node_selector` says, and an earlier call.

    Args:
        task: A task of a component with a container.
        node_selector_json: Labels with their values, or a dict parameter of the pipeline.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
    """
    value = settings.parameter(_object(node_selector_json, "node selector"), what="node selector")
    settings.of(task).setdefault("nodeSelector", {})["nodeSelectorJson"] = value
    return task


def add_node_affinity(
    task: PipelineTask,
    match_expressions: Sequence[Mapping[str, Any]] | None = None,
    match_fields: Sequence[Mapping[str, Any]] | None = None,
    weight: int | None = None,
) -> PipelineTask:
    """Say on which nodes the task must run, or should run.

    Args:
        task: A task of a component with a container.
        match_expressions: Conditions on labels of the node: dicts with `key`, `operator` (`In`, `NotIn`, `Exists`,
            `DoesNotExist`, `Gt`, `Lt`) and `values`. Default: none.
        match_fields: The same for fields of the node, such as `metadata.name`. Default: none.
        weight: 1 to 100: how much such a node is preferred. Default: None: the task must run on such a node.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
        DslValueError: A condition has no key or an unknown operator (`AFFINITY_INVALID`), or the weight is not
            between 1 and 100 (`AFFINITY_WEIGHT_INVALID`).

    Example:
        >>> from headrace import dsl, kubernetes
        >>> @dsl.component
        ... def work():
        ...     print("working")
        >>> @dsl.pipeline
        ... def example():
        ...     fast = [{"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}]
        ...     kubernetes.add_node_affinity(work(), match_expressions=fast, weight=50)
    """
    settings.constants(match_expressions=match_expressions, match_fields=match_fields)
    entry = settings.without(
        matchExpressions=_requirements(match_expressions, "match_expression", _NODE_OPERATORS),
        matchFields=_requirements(match_fields, "match_field", _NODE_OPERATORS),
        weight=_weight(weight),
    )
    return settings.append(task, "nodeAffinity", entry)


def add_node_affinity_json(task: PipelineTask, node_affinity_json: Object) -> PipelineTask:
    """Set the node affinity as Kubernetes writes it. A later call replaces an earlier one.

    Args:
        task: A task of a component with a container.
        node_affinity_json: `Affinity.nodeAffinity`, or a dict parameter of the pipeline.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
        DslValueError: It has a field that Kubernetes does not know (`AFFINITY_INVALID`).
    """
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
    """Say near which pods (or away from which pods) the task must run, or should run.

    Args:
        task: A task of a component with a container.
        match_pod_expressions: Conditions on labels of the other pods: dicts with `key`, `operator` (`In`, `NotIn`,
            `Exists`, `DoesNotExist`) and `values`. Default: none.
        match_pod_labels: Labels that the other pods have. Default: none.
        topology_key: What "near" means: nodes with the same value of this label, such as `kubernetes.io/hostname`.
            Kubernetes requires it. Default: none is written.
        namespaces: Namespaces of the other pods. Default: the task's own.
        match_namespace_expressions: Conditions on labels of the namespaces, as for pods. Default: none.
        match_namespace_labels: Labels that the namespaces have. Default: none.
        weight: 1 to 100: how much such a node is preferred. Default: None: the task must run on such a node.
        anti: Whether to stay away from these pods. Default: None: stay near them.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
        DslValueError: A condition has no key or an unknown operator (`AFFINITY_INVALID`), or the weight is not
            between 1 and 100 (`AFFINITY_WEIGHT_INVALID`).
    """
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
    """Set a pod affinity term as Kubernetes writes it. A later call with the same `anti` replaces it.

    Args:
        task: A task of a component with a container.
        pod_affinity_json: A `PodAffinityTerm`, or a dict parameter of the pipeline.
        anti: Whether to stay away from these pods. Default: None: stay near them.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
        DslValueError: It has a field that Kubernetes does not know, or no `topologyKey` (`AFFINITY_INVALID`).
    """
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
    """Let the task run on nodes with a taint.

    Args:
        task: A task of a component with a container.
        key: The taint's key. Default: None: every taint.
        operator: `Equal` or `Exists`. Default: `Equal`.
        value: The taint's value, for `Equal`. Default: none.
        effect: `NoSchedule`, `PreferNoSchedule` or `NoExecute`. Default: every effect.
        toleration_seconds: How long the pod stays on a node that gets the taint, in seconds; for `NoExecute`.
            Default: without limit.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.

    Example:
        >>> from headrace import dsl, kubernetes
        >>> @dsl.component
        ... def work():
        ...     print("working")
        >>> @dsl.pipeline
        ... def example():
        ...     kubernetes.add_toleration(work(), key="gpu", operator="Exists", effect="NoSchedule")
    """
    settings.constants(key=key, operator=operator, value=value, effect=effect)
    seconds = None if toleration_seconds is None else str(int(toleration_seconds))
    entry = settings.without(key=key, operator=operator, value=value, effect=effect, tolerationSeconds=seconds)
    return settings.append(task, "tolerations", entry)


def add_toleration_json(
    task: PipelineTask, toleration_json: PipelineChannel | list[dict[str, Any]] | dict[str, Any]
) -> PipelineTask:
    """Let the task run on nodes with taints, as Kubernetes writes tolerations.

    Args:
        task: A task of a component with a container.
        toleration_json: A toleration, a list of them, or a parameter of the pipeline that is one of the two.

    Returns:
        The task.

    Raises:
        DslTypeError: The task has no container of its own (`NOT_A_CONTAINER_TASK`), or a value has the wrong type.
    """
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
