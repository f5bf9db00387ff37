"""Settings of a platform reach the executor with their values filled in; labels are what Kubernetes accepts."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.attempt.derive import label_value, launch_order
from headrace.attempt.order import LaunchOrder
from headrace.engine.model import AttemptId
from headrace.spec.document import parse_document
from properties.documents import const, leaf, out, param, spec_of
from scenario import Scenario

TAKES = {"claim": {"parameterType": "STRING", "defaultValue": "data"}, "left": {"parameterType": "NUMBER_INTEGER"}}


def order_with(settings: dict[str, Any], **parameters: Any) -> LaunchOrder:
    """The order of a task with these settings, after its neighbour `first` gave `name` as its output."""
    tasks = {
        "first": leaf(gives={"name": "STRING"}),
        "t": leaf(takes={"mine": "STRING", "go": "STRING"}, wires={"mine": const("own"), "go": out("first", "name")}),
    }
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-1-t": settings}}}}}
    run = Scenario(parse_document(spec_of(tasks, takes=TAKES), platform), left=3, **parameters)
    run.state = msgspec.structs.replace(run.state, namespace="team-a", service_account="runner", created_by="ann")
    run.starts()
    run.succeeds("first", name="made-here")
    return launch_order(run.plan, run.state, AttemptId(run_id="r", path="t", number=1))


@pytest.mark.parametrize(
    ("written", "reached"),
    [
        (param("claim"), const("data")),
        (param("left"), const(3)),
        (out("first", "name"), const("made-here")),
        (const("{{$.inputs.parameters['mine']}}-x"), const("own-x")),
        (const({"a": [1, None]}), const({"a": [1, None]})),
        ({**param("claim"), "mountPath": "/d"}, {"mountPath": "/d", "constant": "data"}),
        ({**out("first", "name"), "mountPath": "/d"}, {"mountPath": "/d", "constant": "made-here"}),
        (param("absent"), param("absent")),
        (out("first", "absent"), out("first", "absent")),
        (out("nowhere", "name"), out("nowhere", "name")),
    ],
)
def test_values_from_the_pipeline_are_filled_in(written, reached):
    order = order_with({"pvcMount": [{"pvcNameParameter": written}], "imagePullPolicy": "Always"})
    assert order.kubernetes == {"pvcMount": [{"pvcNameParameter": reached}], "imagePullPolicy": "Always"}


def test_an_argument_wins_over_a_default():
    order = order_with({"x": param("claim")}, claim="given")
    assert order.kubernetes == {"x": const("given")}


def test_the_facts_of_the_run():
    order = order_with({})
    assert (order.namespace, order.service_account, order.created_by) == ("team-a", "runner", "ann")
    assert (order.run_name, order.pipeline_name, order.executor) == ("my run", "p", "")
    assert order.labels["headrace.dev/execution"] == order.attempt.execution_id
    assert (order.labels["headrace.dev/task"], order.labels["headrace.dev/attempt"]) == ("t", "1")


@given(st.text(max_size=200))
@example("a" * 62 + "..b")
@example("_-.")
def test_a_label_is_what_kubernetes_accepts(text):
    value = label_value(text)
    assert re.fullmatch(r"|[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9_.-]{0,61}[A-Za-z0-9]", value), value
    if re.fullmatch(r"[A-Za-z0-9]{1,63}", text):
        assert value == text
