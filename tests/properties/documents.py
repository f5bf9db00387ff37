"""Pipeline documents in a few words."""

from __future__ import annotations

from typing import Any

from headrace.spec.document import Document, parse_document

Json = Any


def const(value: Json) -> Json:
    return {"runtimeValue": {"constant": value}}


def param(name: str, selector: str = "") -> Json:
    source = {"componentInputParameter": name}
    return {**source, "parameterExpressionSelector": selector} if selector else source


def out(task: str, output: str = "Output", selector: str = "") -> Json:
    source = {"taskOutputParameter": {"producerTask": task, "outputParameterKey": output}}
    return {**source, "parameterExpressionSelector": selector} if selector else source


def status(task: str) -> Json:
    return {"taskFinalStatus": {"producerTask": task}}


def given(name: str) -> Json:
    return {"componentInputArtifact": name}


def made(task: str, output: str = "model") -> Json:
    return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": output}}


def leaf(*, gives: dict[str, str] | None = None, makes: tuple[str, ...] = (), **task: Json) -> dict[str, Json]:
    """A container task (or another executor's, by `executor`). `takes` declares inputs, `wires` binds them."""
    return {"leaf": True, "gives": gives or {}, "makes": makes, **task}


def group(tasks: dict[str, Json], **task: Json) -> dict[str, Json]:
    """A nested DAG. `hands_out` maps an output to (task, key) or, for OneOf, a list of such."""
    return {"tasks": tasks, **task}


def pipeline(tasks: dict[str, Json], *, takes: dict[str, Json] | None = None, hands_out: Json = None) -> Document:
    return parse_document(spec_of(tasks, takes=takes, hands_out=hands_out))


def spec_of(tasks: dict[str, Json], *, takes: dict[str, Json] | None = None, hands_out: Json = None) -> dict[str, Json]:
    spec: dict[str, Json] = {
        "pipelineInfo": {"name": "p"},
        "components": {},
        "deploymentSpec": {"executors": {}},
        "schemaVersion": "2.1.0",
    }
    spec["root"] = _dag(spec, group(tasks, takes=takes or {}, hands_out=hands_out or {}))
    return spec


def _dag(spec: Json, node: Json) -> Json:
    outputs = {name: _selectors(chosen) for name, chosen in node.get("hands_out", {}).items()}
    artifacts = {
        name: {"artifactSelectors": [{"producerSubtask": t, "outputArtifactKey": k} for t, k in chosen]}
        for name, chosen in node.get("hands_out_artifacts", {}).items()
    }
    return {
        "inputDefinitions": _inputs(node),
        "outputDefinitions": {
            "parameters": {name: {"parameterType": node.get("kinds", {}).get(name, "STRING")} for name in outputs},
            "artifacts": {name: {"artifactType": {"schemaTitle": "system.Model"}} for name in artifacts},
        },
        "dag": {
            "tasks": {name: _task(spec, name, child) for name, child in node["tasks"].items()},
            "outputs": {"parameters": outputs, "artifacts": artifacts},
        },
    }


def _selectors(chosen: Json) -> Json:
    if isinstance(chosen, tuple):
        return {"valueFromParameter": {"producerSubtask": chosen[0], "outputParameterKey": chosen[1]}}
    selectors = [{"producerSubtask": t, "outputParameterKey": k} for t, k in chosen]
    return {"valueFromOneof": {"parameterSelectors": selectors}}


def _inputs(node: Json) -> Json:
    parameters = {n: d if isinstance(d, dict) else {"parameterType": d} for n, d in node.get("takes", {}).items()}
    artifacts = {
        n: d if isinstance(d, dict) else {"artifactType": {"schemaTitle": d}}
        for n, d in node.get("takes_artifacts", {}).items()
    }
    return {"parameters": parameters, "artifacts": artifacts}


def _task(spec: Json, name: str, node: Json) -> Json:
    component = f"comp-{len(spec['components'])}-{name}"
    spec["components"][component] = {}
    spec["components"][component] = _leaf(spec, component, node) if node.get("leaf") else _dag(spec, node)
    task: dict[str, Json] = {
        "componentRef": {"name": component},
        "taskInfo": {"name": name},
        "dependentTasks": list(node.get("after", ())),
        "inputs": {"parameters": node.get("wires", {}), "artifacts": node.get("wires_artifacts", {})},
        "cachingOptions": {"enableCache": True, "cacheKey": node.get("cache_key", "")} if node.get("cache") else {},
        "triggerPolicy": {},
    }
    if node.get("condition"):
        task["triggerPolicy"]["condition"] = node["condition"]
    if node.get("always"):
        task["triggerPolicy"]["strategy"] = "ALL_UPSTREAM_TASKS_COMPLETED"
    if node.get("retry"):
        count, backoff, factor, most = (*node["retry"], 2.0, 3600)[:4]
        task["retryPolicy"] = {
            "maxRetryCount": float(count),
            "backoffDuration": f"{backoff}s",
            "backoffFactor": factor,
            "backoffMaxDuration": f"{most}s",
        }
    if "loop" in node:
        items = {"raw": node["loop"]} if node["loop"].startswith("[") else {"inputParameter": node["loop"]}
        task["parameterIterator"] = {"items": items, "itemInput": node.get("item", "item")}
        task["iteratorPolicy"] = {"parallelismLimit": float(node.get("parallelism", 0))}
    if "loop_artifacts" in node:
        items = {"inputArtifact": node["loop_artifacts"]}
        task["artifactIterator"] = {"items": items, "itemInput": node.get("item", "item")}
        task["iteratorPolicy"] = {"parallelismLimit": float(node.get("parallelism", 0))}
    return task


def _leaf(spec: Json, component: str, node: Json) -> Json:
    label = component.replace("comp-", "exec-")
    container = {"image": "python:3.11", "command": ["run"], "args": ["{{$}}"], **node.get("container", {})}
    spec["deploymentSpec"]["executors"][label] = node.get("executor", {"container": container})
    return {
        "executorLabel": label,
        "inputDefinitions": _inputs(node),
        "outputDefinitions": {
            "parameters": {n: {"parameterType": t} for n, t in node["gives"].items()},
            "artifacts": {n: {"artifactType": {"schemaTitle": "system.Model"}} for n in node["makes"]},
        },
    }
