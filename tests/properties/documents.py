"""Pipeline documents in a few words, and random ones."""

from __future__ import annotations

from random import Random
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
    """A container task. `takes` declares inputs (name -> type or whole definition), `wires` binds them."""
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
            "parameters": {name: {"parameterType": "STRING"} for name in outputs},
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
        "cachingOptions": {"enableCache": True} if node.get("cache") else {},
        "triggerPolicy": {},
    }
    if node.get("condition"):
        task["triggerPolicy"]["condition"] = node["condition"]
    if node.get("always"):
        task["triggerPolicy"]["strategy"] = "ALL_UPSTREAM_TASKS_COMPLETED"
    if node.get("retry"):
        count, backoff = node["retry"]
        task["retryPolicy"] = {
            "maxRetryCount": float(count),
            "backoffDuration": f"{backoff}s",
            "backoffFactor": 2.0,
            "backoffMaxDuration": "3600s",
        }
    if "loop" in node:
        items = {"raw": node["loop"]} if node["loop"].startswith("[") else {"inputParameter": node["loop"]}
        task["parameterIterator"] = {"items": items, "itemInput": node.get("item", "item")}
        task["iteratorPolicy"] = {"parallelismLimit": float(node.get("parallelism", 0))}
    if "loop_artifacts" in node:
        items = {"inputArtifact": node["loop_artifacts"]}
        task["artifactIterator"] = {"items": items, "itemInput": node.get("item", "item")}
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


# --- random ones -----------------------------------------------------------------------------

CONDITIONS = (
    "inputs.parameter_values['v'] == 'heads'",
    "inputs.parameter_values['v'] != 'heads'",
    "inputs.parameter_values['v'] > 3",  # A text against a number: fails when evaluated.
)


def random_document(rng: Random) -> Document:
    budget = [rng.choice((3, 6, 12, 20))]
    tasks = _random_tasks(rng, budget, depth=0, inside=())
    return pipeline(tasks, takes={"flag": {"parameterType": "STRING", "defaultValue": "heads"}})


def _random_tasks(rng: Random, budget: list[int], depth: int, inside: tuple[str, ...]) -> dict[str, Json]:
    tasks: dict[str, Json] = {}
    for i in range(rng.randint(0 if depth else 1, 5)):
        if budget[0] <= 0 and tasks:
            break
        budget[0] -= 1
        tasks[f"t{i}"] = _random_task(rng, budget, depth, list(tasks), inside)
    return tasks


def _random_task(rng: Random, budget: list[int], depth: int, earlier: list[str], inside: tuple[str, ...]) -> Json:
    after = [name for name in earlier if rng.random() < 0.4]
    node: dict[str, Json] = {"after": after, "always": rng.random() < 0.2, "takes": {"v": "STRING"}}
    node["wires"] = {"v": _random_source(rng, after, inside)}
    if rng.random() < 0.25:
        node["condition"] = rng.choice(CONDITIONS)
    if rng.random() < 0.3:
        node["retry"] = (rng.randint(1, 2), rng.choice((0, 5)))
    if node["always"] and after and rng.random() < 0.7:
        node["takes"] = {**node["takes"], "s": "TASK_FINAL_STATUS"}
        node["wires"]["s"] = status(rng.choice(after))
    if node["always"]:
        # What an exit task takes from others may be missing.
        node["takes"]["v"] = {"parameterType": "STRING", "isOptional": True, "defaultValue": "none"}
    looped = rng.random() < 0.3
    if looped:
        _random_loop(rng, node)
    if depth >= 3 or rng.random() < 0.6:
        return leaf(gives={"Output": "STRING"}, cache=rng.random() < 0.2, **node)
    tasks = _random_tasks(rng, budget, depth + 1, ("v",))
    hands_out = {}
    producers = [name for name, t in tasks.items() if not t.get("loop")]
    if producers:
        chosen = [(name, "Output") for name in producers]
        hands_out = {"Output": chosen if rng.random() < 0.3 else rng.choice(chosen)}
    return group(tasks, hands_out=hands_out, **node)


def _random_source(rng: Random, after: list[str], inside: tuple[str, ...]) -> Json:
    if after and rng.random() < 0.4:
        return out(rng.choice(after))
    if rng.random() < 0.5:
        return param(rng.choice(inside) if inside else "flag")
    return const(rng.choice(("heads", "tails", "{{$.pipeline_job_name}}", "x {{$.inputs.parameters['v']}}")))


def _random_loop(rng: Random, node: Json) -> None:
    count = rng.choice((0, 1, 2, 3, 5))
    node["takes"] = {**node["takes"], "item": {"parameterType": "NUMBER_INTEGER", "isOptional": True}}
    node["parallelism"] = rng.choice((0, 0, 1, 2))
    node["item"] = "item"
    if rng.random() < 0.5:
        node["loop"] = str(list(range(count)))
        return
    node["takes"]["items"] = "LIST"
    node["wires"]["items"] = const([float(n) for n in range(count)])
    node["loop"] = "items"
