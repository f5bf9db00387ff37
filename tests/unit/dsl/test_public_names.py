"""Modules that code written for KFP imports by their full names."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import headrace.dsl
import headrace.kubernetes

kfp = pytest.importorskip("kfp")

#: KFP's modules that are its own inner works, or its tests.
INNER = frozenset({
    "kfp.kubernetes.common", "kfp.kubernetes.kubernetes_executor_config_pb2", "kfp.dsl.container_component_class",
    "kfp.dsl.container_component_artifact_channel", "kfp.dsl.executor", "kfp.dsl.executor_main", "kfp.dsl.kfp_config",
    "kfp.dsl.notebook_helpers", "kfp.dsl.notebook_component_decorator", "kfp.dsl.utils", "kfp.dsl.v1_modelbase",
    "kfp.dsl.v1_structures", "kfp.dsl.templates", "kfp.dsl.container_component_decorator",
})  # fmt: skip


def modules(package: str) -> list[str]:
    found = importlib.import_module(package)
    names = [f"{package}.{one.name}" for one in pkgutil.iter_modules(found.__path__)]
    return [name for name in names if not name.endswith("_test") and name not in INNER]


@pytest.mark.parametrize("name", [*modules("kfp.kubernetes"), *modules("kfp.dsl")])
def test_a_module_of_kfp_has_its_counterpart_with_its_functions(name: str) -> None:
    theirs = importlib.import_module(name)
    ours = importlib.import_module(name.replace("kfp", "headrace", 1))
    public = [
        key
        for key, value in vars(theirs).items()
        if not key.startswith("_") and getattr(value, "__module__", None) == name and hasattr(headrace.kubernetes, key)
    ]
    assert [key for key in public if not hasattr(ours, key)] == []


def test_an_input_called_self_is_given_by_keyword() -> None:
    @headrace.dsl.component
    def echo(self: str) -> str:
        return self

    @headrace.dsl.pipeline
    def pipe() -> None:
        echo(self="x")

    assert list(pipe.pipeline_spec.root.dag.tasks) == ["echo"]
