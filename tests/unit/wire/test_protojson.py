"""JSON as protobuf maps it, and times."""

from __future__ import annotations

import kfp_server_api
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.wire import times
from headrace.wire import v2beta1 as wire
from headrace.wire.protojson import WireError, parse, snake_case

FREE = {"pipelineInfo": {"displayName": "kept as it is"}, "root": {"x_y": 1, "xY": None}}


def test_both_cases_are_read_and_free_json_is_left_alone() -> None:
    snake = (
        b'{"display_name": "a", "pipeline_spec": %b, "runtime_config": {"pipeline_root": "r", "parameters": {"aB": 1}}}'
    )
    camel = b'{"displayName": "a", "pipelineSpec": %b, "runtimeConfig": {"pipelineRoot": "r", "parameters": {"aB": 1}}}'
    expected = wire.Run(
        display_name="a",
        pipeline_spec=FREE,
        runtime_config=wire.RuntimeConfig(pipeline_root="r", parameters={"aB": 1}),
    )
    spec = msgspec.json.encode(FREE)
    assert parse(wire.Run, snake % spec) == parse(wire.Run, camel % spec) == expected


def test_null_means_absent_and_nothing_means_empty() -> None:
    assert parse(wire.Pipeline, b'{"name": null, "tags": null}') == parse(wire.Pipeline, b"") == wire.Pipeline()
    assert parse(wire.Pipeline, b'{"tags": {}}').tags == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"runtimeConfig": {"parameter": {}}}', '"parameter" at `$.runtimeConfig`'),
        (b'{"stateHistory": [{"state": "RUNNING"}, {"when": 1}]}', '"when" at `$.stateHistory[1]`'),
        (b'{"runtime_config": []}', "object"),
        (b'{"runtime_config": 1}', "`$.runtime_config`"),
        (b'{"run_id": "a", "runId": "b"}', "twice"),
        (b'{"run_id": 1}', "run_id"),
        (b"{", "not JSON"),
    ],
)
def test_what_does_not_fit_is_named(body: bytes, said: str) -> None:
    with pytest.raises(WireError) as caught:
        parse(wire.Run, body)
    assert said in str(caught.value) or said == "object"


def test_empty_fields_are_not_sent() -> None:
    assert msgspec.json.encode(wire.Run(run_id="x", created_at=times.EPOCH)) == (
        b'{"run_id":"x","created_at":"1970-01-01T00:00:00Z"}'
    )


@pytest.mark.parametrize(
    "message",
    [
        wire.Experiment,
        wire.ExperimentList,
        wire.Pipeline,
        wire.PipelineList,
        wire.PipelineVersion,
        wire.PipelineVersionList,
        wire.Run,
        wire.RunList,
        wire.RuntimeConfig,
        wire.RuntimeStatus,
        wire.RunDetails,
        wire.PipelineTaskDetail,
        wire.PipelineVersionReference,
    ],
)
def test_fields_are_those_of_kfp_own_models(message: type[wire.Message]) -> None:
    theirs = {
        wire.ExperimentList: "V2beta1ListExperimentsResponse",
        wire.PipelineList: "V2beta1ListPipelinesResponse",
        wire.PipelineVersionList: "V2beta1ListPipelineVersionsResponse",
        wire.RunList: "V2beta1ListRunsResponse",
    }.get(message, f"V2beta1{message.__name__}")
    model = getattr(kfp_server_api, theirs)
    assert set(message.__struct_fields__) == set(model.attribute_map.values())


@given(st.floats(0, 4e9))
def test_times_go_there_and_back(at: float) -> None:
    assert abs(times.parse(times.millis(at)) - at) < 0.0011
    assert times.seconds(at).timestamp() == int(at)


def test_time_texts() -> None:
    assert times.millis(1.5) == "1970-01-01T00:00:01.500Z"
    assert times.optional_millis(None) is None and times.optional_seconds(None) is None
    assert times.seconds(None) == times.EPOCH
    assert times.parse("1970-01-01T00:01:00") == times.parse("1970-01-01T02:01:00+02:00") == 60.0


def test_names() -> None:
    assert snake_case("pipelineVersionId") == "pipeline_version_id" == snake_case("pipeline_version_id")
