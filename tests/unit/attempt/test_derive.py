"""Launch orders: all that an executor is told."""

from __future__ import annotations

import pytest

from headrace import engine
from headrace.attempt.order import ContainerOrder
from headrace.engine.model import ArtifactType, Kind, execution_id
from headrace.spec.document import Document, parse_document
from properties.documents import const, leaf, made, out, param, pipeline, spec_of
from scenario import Scenario, artifact


def test_a_container_order():
    container = {
        "image": "registry/{{$.inputs.parameters['tag']}}",
        "command": ["sh", "-c"],
        "args": ["--x", "{{$.inputs.parameters['tag']}}"],
        "env": [{"name": "A", "value": "{{$.pipeline_job_uuid}}"}],
        "resources": {"resourceCpuLimit": "2", "resourceMemoryLimit": "{{$.inputs.parameters['memory']}}",
                      "accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"}},
    }  # fmt: skip
    task = leaf(
        container=container, takes={"tag": "STRING", "memory": "STRING"},
        wires={"tag": const("v1"), "memory": const("4Gi")}, gives={"Output": "NUMBER_INTEGER"}, makes=("model",),
    )  # fmt: skip
    run = Scenario(pipeline({"t": task}))
    run.starts()
    order = run.order("t")
    # Command, arguments and environment are the executor's to resolve: it knows the paths.
    assert order.container == ContainerOrder(
        image="registry/v1", command=("sh", "-c"), args=("--x", "{{$.inputs.parameters['tag']}}"),
        env={"A": "{{$.pipeline_job_uuid}}"},
        resources={"cpu_limit": "2", "memory_limit": "4Gi", "accelerator_type": "nvidia.com/gpu",
                   "accelerator_count": "1"},
    )  # fmt: skip
    assert (order.task, order.component, order.importer) == ("t", "comp-0-t", None)
    assert order.inputs.parameters == {"tag": "v1", "memory": "4Gi"}
    assert order.outputs.parameters == {"Output": "NUMBER_INTEGER"}
    assert order.outputs.artifacts == {"model": ArtifactType(schema_title="system.Model", schema_version="0.0.1")}


def test_the_facts_texts_may_name():
    run = Scenario(pipeline({"t": leaf()}))
    run.starts()
    assert run.order("t").facts == {
        "pipeline_job_name": "my run", "pipeline_job_resource_name": "p-r", "pipeline_job_uuid": "r",
        "pipeline_task_name": "t", "pipeline_task_uuid": execution_id("r", "t"),
        "pipeline_job_create_time_utc": "1970-01-01T00:00:00Z",
        "pipeline_job_schedule_time_utc": "1970-01-01T00:00:00Z",
    }  # fmt: skip


def test_a_list_of_artifacts_is_said_to_be_one():
    many = {"artifactType": {"schemaTitle": "system.Model"}, "isArtifactList": True}
    loop = leaf(makes=("model",), loop="[1]", takes={"item": "NUMBER_INTEGER"})
    take = leaf(takes_artifacts={"all": many}, wires_artifacts={"all": made("loop")})
    run = Scenario(pipeline({"loop": loop, "take": take}))
    run.starts()
    run.succeeds("loop[0]", model=artifact("one"))
    assert run.order("take").artifact_lists == frozenset({"all"})


def importer(uri: dict, metadata: dict | None = None, **task: object) -> Document:
    executor = {"importer": {"artifactUri": uri, "typeSchema": {"schemaTitle": "system.Dataset"},
                             "metadata": metadata or {}, "reimport": True}}  # fmt: skip
    tasks = {"i": leaf(executor=executor, makes=("artifact",), **task)}
    return pipeline(tasks, takes={"where": {"parameterType": "STRING", "defaultValue": "s3://given"}})


def test_an_importer_of_a_constant():
    run = Scenario(importer({"constant": "s3://bucket/data"}, {"rows": 3.0, "of": {"a": 1.0}}))
    assert run.starts() == ["launch i#1"]
    assert run["i"].kind is Kind.IMPORTER
    spec = run.order("i").importer
    assert spec is not None
    assert (spec.uri, spec.reimport, spec.metadata) == ("s3://bucket/data", True, {"rows": 3, "of": {"a": 1}})
    assert spec.type.schema_title == "system.Dataset"


def test_an_importer_of_an_input_with_metadata_from_inputs():
    run = Scenario(
        importer(
            {"runtimeParameter": "uri"},
            {
                "whole": "{{$.inputs.parameters['n']}}",
                "{{$.inputs.parameters['uri']}}": "n={{$.inputs.parameters['n']}}",
            },
            takes={"uri": "STRING", "n": "NUMBER_INTEGER"},
            wires={"uri": param("where"), "n": const(3.0)},
        )
    )
    run.starts()
    spec = run.order("i").importer
    assert spec is not None
    assert (spec.uri, spec.metadata) == ("s3://given", {"whole": 3, "s3://given": "n=3"})


def test_an_importer_never_asks_the_cache():
    assert Scenario(importer({"constant": "s3://x"}, cache=True)).starts() == ["launch i#1"]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(30, 30.0), ("45", 45.0), (0, None), (-1, None), (True, None), ("x", None), (None, None)]
)
def test_kubernetes_settings_and_the_deadline(seconds: object, expected: float | None):
    settings = {"activeDeadlineSeconds": seconds, "nodeSelector": {"labels": {"a": "b"}}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-0-t": settings}}}}}
    run = Scenario(parse_document(spec_of({"t": leaf()}), platform))
    run.starts()
    order = run.order("t")
    assert (order.timeout_s, order.kubernetes) == (expected, settings)


def test_an_order_is_the_same_however_often_it_is_asked_for():
    run = Scenario(pipeline({"t": leaf()}))
    run.starts()
    first = run.order("t")
    run.survives_a_restart()
    assert run.order("t") == first
    assert engine.outstanding(run.plan, run.state)
