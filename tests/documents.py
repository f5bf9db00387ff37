"""Pipeline documents, written by hand: small ones, each with one thing to show."""

from __future__ import annotations

from typing import Any


def component(
    label: str,
    *,
    inputs: dict[str, str] | None = None,
    artifacts_in: dict[str, str] | None = None,
    outputs: dict[str, str] | None = None,
    artifacts: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A container component; parameters as name -> type, artifacts as name -> schema title."""
    found: dict[str, Any] = {"executorLabel": label}
    if inputs or artifacts_in:
        found["inputDefinitions"] = _interface(inputs, artifacts_in)
    if outputs or artifacts:
        found["outputDefinitions"] = _interface(outputs, artifacts)
    return found


def _interface(parameters: dict[str, str] | None, artifacts: dict[str, str] | None) -> dict[str, Any]:
    return {
        "parameters": {n: {"parameterType": t} for n, t in (parameters or {}).items()},
        "artifacts": {
            n: {"artifactType": {"schemaTitle": t, "schemaVersion": "0.0.1"}} for n, t in (artifacts or {}).items()
        },
    }


def task(
    name: str, component: str, *, after: list[str] | None = None, cache: bool = False, **fields: Any
) -> dict[str, Any]:
    """A task of a DAG."""
    return {
        "taskInfo": {"name": name},
        "componentRef": {"name": component},
        "dependentTasks": after or [],
        "cachingOptions": {"enableCache": cache},
    } | fields


def document(
    tasks: dict[str, Any],
    components: dict[str, Any],
    *,
    name: str = "a-pipeline",
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    executors: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A whole document; executors not given are a container that does nothing."""
    labels = [c["executorLabel"] for c in components.values() if "executorLabel" in c]
    container = {"container": {"image": "python:3.11", "command": ["true"]}}
    root: dict[str, Any] = {"dag": {"tasks": tasks}}
    if inputs:
        root["inputDefinitions"] = {"parameters": inputs}
    if outputs:
        root["dag"]["outputs"], root["outputDefinitions"] = outputs["from"], outputs["declared"]
    return {
        "pipelineInfo": {"name": name},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
        "components": components,
        "deploymentSpec": {"executors": dict.fromkeys(labels, container) | (executors or {})},
        "root": root,
    }


def one_task(*, name: str = "a-pipeline", cache: bool = False) -> dict[str, Any]:
    """One task `work` with a parameter `x` (default "a"), a text output and a model."""
    return document(
        {
            "work": task(
                "work", "comp-work", cache=cache, inputs={"parameters": {"x": {"componentInputParameter": "x"}}}
            )
        },
        {
            "comp-work": component(
                "exec-work", inputs={"x": "STRING"}, outputs={"text": "STRING"}, artifacts={"model": "system.Model"}
            )
        },
        name=name,
        inputs={"x": {"parameterType": "STRING", "defaultValue": "a"}},
    )


def chain(length: int) -> dict[str, Any]:
    """Tasks `t0`, `t1`, … one after the other."""
    tasks = {f"t{n}": task(f"t{n}", "comp-t", after=[f"t{n - 1}"] if n else []) for n in range(length)}
    return document(tasks, {"comp-t": component("exec-t", outputs={"n": "NUMBER_INTEGER"})})


def fan(width: int, *, artifacts: bool = False) -> dict[str, Any]:
    """Tasks `t0`, `t1`, … all at once."""
    made = {"out": "system.Dataset"} if artifacts else None
    tasks = {f"t{n}": task(f"t{n}", "comp-t") for n in range(width)}
    return document(tasks, {"comp-t": component("exec-t", outputs={"n": "NUMBER_INTEGER"}, artifacts=made)})


def with_retry(count: int) -> dict[str, Any]:
    """One task that is tried again at once."""
    return document(
        {"work": task("work", "comp-work", retryPolicy={"maxRetryCount": count, "backoffDuration": "0.01s"})},
        {"comp-work": component("exec-work")},
    )


def with_exit_task() -> dict[str, Any]:
    """`work`, then `report` whatever became of it."""
    strategy = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    return document(
        {
            "work": task("work", "comp-work"),
            "report": task("report", "comp-work", after=["work"], triggerPolicy=strategy),
        },
        {"comp-work": component("exec-work")},
    )


def loop(items: str = "[1, 2, 3]", *, cache: bool = False) -> dict[str, Any]:
    """A loop `for` over three numbers, with `work` in it, then `last`."""
    given = {"parameters": {"x": {"componentInputParameter": "item"}}}
    body = {
        "dag": {
            "tasks": {"work": task("work", "comp-work", cache=cache, inputs=given)},
        },
        "inputDefinitions": {"parameters": {"item": {"parameterType": "NUMBER_INTEGER"}}},
    }
    iterator = {"itemInput": "item", "items": {"raw": items}}
    return document(
        {"for": task("for", "comp-for", parameterIterator=iterator), "last": task("last", "comp-last", after=["for"])},
        {
            "comp-for": body,
            "comp-work": component("exec-work", inputs={"x": "NUMBER_INTEGER"}),
            "comp-last": component("exec-last"),
        },
    )


def importer(*, reimport: bool = False) -> dict[str, Any]:
    """An importer, and a task that reads what it imported."""
    artifact = {
        "inputs": {
            "artifacts": {"data": {"taskOutputArtifact": {"producerTask": "get", "outputArtifactKey": "artifact"}}}
        }
    }
    return document(
        {"get": task("get", "comp-get"), "use": task("use", "comp-use", after=["get"], **artifact)},
        {
            "comp-get": component("exec-get", artifacts={"artifact": "system.Dataset"}),
            "comp-use": component("exec-use", artifacts_in={"data": "system.Dataset"}),
        },
        executors={
            "exec-get": {
                "importer": {
                    "artifactUri": {"constant": "gs://bucket/data.csv"},
                    "typeSchema": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"},
                    "metadata": {"rows": 3},
                    "reimport": reimport,
                }
            }
        },
    )
