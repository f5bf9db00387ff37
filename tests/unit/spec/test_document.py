from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from headrace.spec.document import Document, SpecError, parse_document

SPEC: dict[str, Any] = {
    "pipelineInfo": {"name": "p", "displayName": "P", "description": "d"},
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "defaultPipelineRoot": "s3://root",
    "root": {
        "dag": {
            "tasks": {
                "t": {
                    "componentRef": {"name": "comp-t"},
                    "taskInfo": {"name": "T"},
                    "cachingOptions": {"enableCache": True, "cacheKey": "k"},
                    "inputs": {
                        "parameters": {
                            "a": {"runtimeValue": {"constant": 1.0}},
                            "b": {"componentInputParameter": "x", "parameterExpressionSelector": "s"},
                        },
                        "artifacts": {"m": {"componentInputArtifact": "am"}},
                    },
                    "dependentTasks": ["u"],
                    "triggerPolicy": {"condition": "true", "strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
                    "parameterIterator": {"itemInput": "i", "items": {"raw": "[1]"}},
                    "iteratorPolicy": {"parallelismLimit": 2.0},
                    "retryPolicy": {
                        "maxRetryCount": "3", "backoffDuration": "1.5s", "backoffFactor": 2.0,
                        "backoffMaxDuration": {"seconds": "60", "nanos": 500000000},
                    },
                },
                "u": {"componentRef": {"name": "comp-t"}},
            },
            "outputs": {
                "parameters": {
                    "one": {"valueFromParameter": {"producerSubtask": "t", "outputParameterKey": "o"}},
                    "any": {"valueFromOneof": {"parameterSelectors": [
                        {"producerSubtask": "t", "outputParameterKey": "o"},
                        {"producerSubtask": "u", "outputParameterKey": "o"},
                    ]}},
                },
                "artifacts": {"m": {"artifactSelectors": [{"producerSubtask": "t", "outputArtifactKey": "m"}]}},
            },
        },
        "inputDefinitions": {
            "parameters": {
                "x": {"parameterType": "STRING", "defaultValue": None, "isOptional": True, "literals": ["a"]},
                "n": {"parameterType": 2},
                "old": {"type": "DOUBLE"},
            },
            "artifacts": {"am": {"artifactType": {"schemaTitle": "system.Model"}, "isArtifactList": True}},
        },
    },
    "components": {"comp-t": {"executorLabel": "exec-t"}},
    "deploymentSpec": {
        "executors": {
            "exec-t": {
                "container": {
                    "image": "i", "command": ["c"], "args": ["a"], "env": [{"name": "N", "value": "v"}],
                    "resources": {"cpuLimit": 2.0, "memoryRequest": 1.5, "resourceMemoryLimit": "4Gi"},
                }
            },
            "exec-i": {"importer": {"artifactUri": {"constant": "s3://x"}, "typeSchema": {"schemaTitle": "T"}}},
        }
    },
}  # fmt: skip


def test_a_document_whole():
    document = parse_document(SPEC)
    assert (document.name, document.display_name, document.sdk_version) == ("p", "P", "kfp-2.17.0")
    assert document.root.dag is not None
    task = document.root.dag.tasks["t"]
    assert (task.display_name, task.component, task.after, task.cache, task.cache_key) == (
        "T", "comp-t", ("u",), True, "k",
    )  # fmt: skip
    assert (task.condition, task.runs_after_failure) == ("true", True)
    assert task.iterator is not None
    assert (task.iterator.raw, task.iterator.item_input, task.iterator.parallelism) == ("[1]", "i", 2)
    assert task.retry is not None
    assert (task.retry.max_count, task.retry.backoff_s, task.retry.backoff_max_s) == (3, 1.5, 60.5)
    assert (task.inputs.parameters["a"].constant, task.inputs.parameters["b"].selector) == (1.0, "s")
    outputs = document.root.dag.outputs
    assert (outputs.parameters["one"].one_of, outputs.parameters["any"].one_of) == (False, True)
    assert [s.task for s in outputs.parameters["any"].selectors] == ["t", "u"]


def test_interfaces():
    inputs = parse_document(SPEC).root.inputs
    assert (inputs.parameters["x"].default, inputs.parameters["x"].literals) == (None, ("a",))
    assert inputs.parameters["n"].default is msgspec.UNSET
    assert (inputs.parameters["n"].type, inputs.parameters["old"].type) == ("NUMBER_INTEGER", "NUMBER_DOUBLE")
    assert [name for name, one in inputs.parameters.items() if one.required] == ["n", "old"]
    assert inputs.artifacts["am"].is_list


def test_executors():
    executors = parse_document(SPEC).executors
    container = executors["exec-t"].container
    assert container is not None
    assert (container.command, container.args, container.env) == (("c",), ("a",), (("N", "v"),))
    assert container.resources == {"cpu_limit": "2", "memory_request": "1.5G", "memory_limit": "4Gi"}
    importer = executors["exec-i"].importer
    assert importer is not None
    assert importer.uri == "s3://x"


def test_snake_case_reads_the_same():
    assert parse_document(snake(SPEC)) == parse_document(SPEC)


OWN_NAMES = {"tasks", "parameters", "artifacts", "components", "executors"}


def snake(value: Any, own: bool = False) -> Any:
    """Field names in snake_case; the user's own names as they are."""
    if isinstance(value, dict):
        return {key if own else _snake(key): snake(item, key in OWN_NAMES and not own) for key, item in value.items()}
    return [snake(item) for item in value] if isinstance(value, list) else value


def _snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def test_unknown_fields_are_passed_over():
    spec = copy.deepcopy(SPEC)
    spec["invented"] = spec["root"]["invented"] = {"x": [1]}
    assert parse_document(spec) == parse_document(SPEC)


def test_kubernetes_settings_stay_as_they_are():
    settings = {"secretAsEnv": [{"secretName": "s"}]}
    platform = {
        "platforms": {
            "kubernetes": {
                "deploymentSpec": {"executors": {"exec-t": settings}},
                "pipelineConfig": {"workspace": {"size": "1Gi"}},
            },
            "other": {"x": 1},
        }
    }
    kubernetes = parse_document(SPEC, platform).kubernetes
    assert kubernetes.executors == {"exec-t": settings}
    assert kubernetes.pipeline_config == {"workspace": {"size": "1Gi"}}
    assert parse_document(SPEC, {}).kubernetes == parse_document(SPEC).kubernetes


T = ("root", "dag", "tasks", "t")

FAULTS: list[tuple[tuple[Any, ...], Any, str, str]] = [
    (("pipelineInfo",), None, "SPEC_NOT_A_PIPELINE", "pipelineInfo"),
    (("root",), [], "SPEC_NOT_A_PIPELINE", "root"),
    (("pipelineInfo", "name"), "", "SPEC_TYPE", "pipelineInfo.name"),
    (("pipelineInfo", "name"), 3, "SPEC_TYPE", "pipelineInfo.name"),
    (("components", "comp-t"), {}, "SPEC_COMPONENT", "components.comp-t"),
    (("components", "comp-t"), "x", "SPEC_TYPE", "components.comp-t"),
    (("components",), [1], "SPEC_TYPE", "components"),
    (("components", 3), {}, "SPEC_TYPE", "components"),
    ((*T, "componentRef"), None, "SPEC_MISSING", "root.dag.tasks.t.componentRef"),
    ((*T, "dependentTasks"), "u", "SPEC_TYPE", "root.dag.tasks.t.dependentTasks"),
    ((*T, "dependentTasks"), [1], "SPEC_TYPE", "root.dag.tasks.t.dependentTasks[0]"),
    ((*T, "cachingOptions", "enableCache"), "yes", "SPEC_TYPE", "root.dag.tasks.t.cachingOptions.enableCache"),
    ((*T, "triggerPolicy", "strategy"), "SOMETIMES", "SPEC_TYPE", "root.dag.tasks.t.triggerPolicy.strategy"),
    ((*T, "inputs", "parameters", "a"), {}, "SPEC_MISSING", "root.dag.tasks.t.inputs.parameters.a"),
    ((*T, "inputs", "artifacts", "m"), {}, "SPEC_MISSING", "root.dag.tasks.t.inputs.artifacts.m"),
    (
        (*T, "inputs", "parameters", "a"),
        {"runtimeValue": {"runtimeParameter": "x"}},
        "SPEC_UNSUPPORTED",
        "root.dag.tasks.t.inputs.parameters.a.runtimeValue.runtimeParameter",
    ),
    ((*T, "parameterIterator", "items"), {}, "SPEC_MISSING", "root.dag.tasks.t.parameterIterator.items"),
    ((*T, "iteratorPolicy", "parallelismLimit"), -1, "SPEC_TYPE", "root.dag.tasks.t.iteratorPolicy.parallelismLimit"),
    ((*T, "retryPolicy", "maxRetryCount"), 1.5, "SPEC_TYPE", "root.dag.tasks.t.retryPolicy.maxRetryCount"),
    ((*T, "retryPolicy", "maxRetryCount"), float("inf"), "SPEC_TYPE", "root.dag.tasks.t.retryPolicy.maxRetryCount"),
    ((*T, "retryPolicy", "maxRetryCount"), float("nan"), "SPEC_TYPE", "root.dag.tasks.t.retryPolicy.maxRetryCount"),
    ((*T, "retryPolicy", "backoffDuration"), "1h", "SPEC_TYPE", "root.dag.tasks.t.retryPolicy.backoffDuration"),
    (("root", "inputDefinitions", "parameters", "n"), {}, "SPEC_MISSING",
     "root.inputDefinitions.parameters.n.parameterType"),
    (("root", "inputDefinitions", "parameters", "n", "parameterType"), "INTEGER", "SPEC_TYPE",
     "root.inputDefinitions.parameters.n.parameterType"),
    (("root", "inputDefinitions", "parameters", "n", "parameterType"), 99, "SPEC_TYPE",
     "root.inputDefinitions.parameters.n.parameterType"),
    (("root", "dag", "outputs", "parameters", "one"), {}, "SPEC_MISSING", "root.dag.outputs.parameters.one"),
    (("deploymentSpec", "executors", "exec-t"), {}, "SPEC_MISSING", "deploymentSpec.executors.exec-t"),
    (("deploymentSpec", "executors", "exec-i", "importer", "artifactUri"), None, "SPEC_MISSING",
     "deploymentSpec.executors.exec-i.importer.artifactUri"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "code", "where"), FAULTS)
def test_a_fault_says_where_it_is(place: tuple[Any, ...], value: Any, code: str, where: str):
    spec = copy.deepcopy(SPEC)
    around = spec
    for step in place[:-1]:
        around = around[step]
    around[place[-1]] = value
    with pytest.raises(SpecError) as caught:
        parse_document(spec)
    assert (caught.value.code, caught.value.path) == (code, where)
    assert str(caught.value).startswith(where)


@pytest.mark.parametrize("nothing", [None, [], "text", 3])
def test_what_is_no_object_is_no_document(nothing: Any):
    with pytest.raises(SpecError, match="a pipeline document"):
        parse_document(nothing)


def test_long_values_are_cut_in_messages():
    with pytest.raises(SpecError) as caught:
        parse_document({**SPEC, "components": "x" * 10_000})
    assert len(str(caught.value)) < 200


def test_any_one_value_replaced_by_nonsense_is_read_or_refused_and_never_breaks():
    for place in places(SPEC):
        for nonsense in (None, 0, -1, 1e300, "x", True, [], [None], {}, {"a": None}):
            spec = replaced(SPEC, place, nonsense)
            try:
                assert isinstance(parse_document(spec), Document)
            except SpecError as error:
                assert error.code.startswith("SPEC_")


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in steps for place in places(item, (*at, key)))]


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[place[0]] = replaced(value[place[0]], place[1:], new)
    return copied
