"""A nested pipeline: its components and executors are copied into the outer document, under free names."""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping
from typing import Any

from headrace.compiler.unique_names import UniqueNames
from headrace.dsl.structures import IR


def merged_root(outer: IR, outer_platforms: IR, graph: IR, graph_platforms: IR) -> IR:
    """Copy a pipeline's parts into the outer document. Returns its root, as a component of that document.

    Names that are free stay; the others are all renamed in one step, so that no renaming affects another one.
    """
    executors: dict[str, IR] = outer["deploymentSpec"]["executors"]
    inner_executors: dict[str, IR] = graph.get("deploymentSpec", {}).get("executors", {})
    labels = _renamed(inner_executors, executors)
    for label, executor in inner_executors.items():
        executors[labels[label]] = executor
    _merge_platforms(outer_platforms, graph_platforms, labels)
    components: dict[str, IR] = outer["components"]
    inner_components: dict[str, IR] = graph.get("components", {})
    names = _renamed(inner_components, components)
    for name, component in inner_components.items():
        components[names[name]] = _rewired(component, names, labels)
    return _rewired(graph["root"], names, labels)


def _renamed(inner: Mapping[str, Any], outer: Container[str]) -> dict[str, str]:
    names = {name: name for name in inner if name not in outer}
    taken = _Either(outer, names)
    unique = UniqueNames(taken)
    for name in inner:
        if name not in names:
            names[name] = unique.unique(name)
            taken.add(names[name])
    return names


class _Either:
    def __init__(self, outer: Container[str], inner: Container[str]) -> None:
        self._outer, self._inner, self._added = outer, inner, set[str]()

    def add(self, name: str) -> None:
        self._added.add(name)

    def __contains__(self, name: object) -> bool:
        return name in self._outer or name in self._inner or name in self._added


def _rewired(component: IR, names: dict[str, str], labels: dict[str, str]) -> IR:
    """A copy with references renamed; parts that stay as they are are shared."""
    changed = dict(component)
    if "executorLabel" in component:
        changed["executorLabel"] = labels[component["executorLabel"]]
    if "dag" in component:
        tasks = {
            name: {**task, "componentRef": {"name": names[task["componentRef"]["name"]]}}
            for name, task in component["dag"].get("tasks", {}).items()
        }
        changed["dag"] = {**component["dag"], "tasks": tasks}
    return changed


def _merge_platforms(outer: IR, inner: IR, labels: dict[str, str]) -> None:
    for platform, config in inner.get("platforms", {}).items():
        for label, settings in config.get("deploymentSpec", {}).get("executors", {}).items():
            set_platform(outer, platform, labels.get(label, label), settings)


def set_platform(platforms: IR, platform: str, label: str, settings: IR) -> None:
    """One executor's settings on one platform."""
    spec = platforms.setdefault("platforms", {}).setdefault(platform, {}).setdefault("deploymentSpec", {})
    spec.setdefault("executors", {}).setdefault(label, {}).update(copy.deepcopy(settings))
