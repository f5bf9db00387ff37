from __future__ import annotations

import sys

import pytest

from headrace import engine
from headrace.engine.model import Kind
from headrace.spec.document import SpecError, parse_document
from properties.documents import group, leaf, out, param, pipeline, spec_of
from scenario import Scenario


def refused(spec: dict) -> SpecError:
    with pytest.raises(SpecError) as caught:
        engine.plan(parse_document(spec))
    return caught.value


def test_tasks_come_after_all_they_depend_on():
    take = leaf(after=["z"], takes={"v": "STRING"}, wires={"v": out("m")})
    plan = engine.plan(pipeline({"a": take, "m": leaf(after=["z"]), "z": leaf()}))
    assert list(plan.root.tasks) == ["z", "m", "a"]
    assert plan.root.tasks["a"].dependencies == ("z", "m")
    assert plan.root.tasks["z"].dependents == ("a", "m")
    assert plan.root.roots == ("z",)


def test_places_are_found_whatever_the_iteration():
    loop = group({"x": leaf()}, loop="[1]", takes={"item": "NUMBER_INTEGER"})
    plan = engine.plan(pipeline({"a": group({"loop": loop})}))
    assert engine.node_path("a/loop[12]/x") == "a/loop/x"
    assert plan.task_at("a/loop[12]/x") is plan.task_at("a/loop/x")
    assert (plan.task_at("a/loop").kind, plan.task_at("a/loop").body) == (Kind.LOOP, Kind.DAG)
    for nowhere in ("b", "a/loop/x/y", ""):
        with pytest.raises(KeyError):
            plan.task_at(nowhere)


def test_tasks_that_wait_for_each_other():
    error = refused(spec_of({"a": leaf(after=["b"]), "b": leaf(after=["a"]), "free": leaf()}))
    assert (error.code, error.path) == ("SPEC_CYCLE", "root.dag.tasks")
    assert "a, b" in error.message


def test_a_task_that_waits_for_itself():
    assert refused(spec_of({"a": leaf(after=["a"])})).code == "SPEC_CYCLE"


@pytest.mark.parametrize(
    "task", [leaf(after=["zz"]), leaf(takes={"v": "STRING"}, wires={"v": out("zz")})], ids=["after", "wire"]
)
def test_a_task_that_is_not_there(task: dict):
    error = refused(spec_of({"a": task}))
    assert (error.code, error.path) == ("SPEC_REFERENCE", "root.dag.tasks.a")
    assert "zz" in error.message


def test_a_component_and_an_executor_that_are_not_there():
    spec = spec_of({"a": leaf()})
    spec["root"]["dag"]["tasks"]["a"]["componentRef"]["name"] = "comp-zz"
    assert (refused(spec).code, refused(spec).path) == ("SPEC_REFERENCE", "root.dag.tasks.a.componentRef.name")
    spec = spec_of({"a": leaf()})
    spec["deploymentSpec"]["executors"] = {}
    assert (refused(spec).code, refused(spec).path) == ("SPEC_REFERENCE", "components.comp-0-a.executorLabel")


def test_an_output_of_a_task_that_is_not_there():
    error = refused(spec_of({"g": group({"a": leaf()}, hands_out={"Output": ("zz", "Output")})}))
    assert (error.code, error.path) == ("SPEC_REFERENCE", "components.comp-0-g.dag.outputs.parameters.Output")


def test_a_component_that_contains_itself():
    spec = spec_of({"g": group({"a": leaf()})})
    spec["components"]["comp-0-g"]["dag"]["tasks"]["a"]["componentRef"]["name"] = "comp-0-g"
    assert refused(spec).code == "SPEC_RECURSION"


def nested(depth: int) -> dict:
    tasks = {"x": leaf()}
    for _ in range(depth):
        tasks = {"g": group(tasks)}
    return spec_of(tasks)


def test_nesting_has_a_limit():
    engine.plan(parse_document(nested(engine.MAX_DEPTH - 1)))
    assert refused(nested(engine.MAX_DEPTH)).code == "SPEC_TOO_DEEP"


def test_a_component_used_at_two_depths_counts_at_the_deeper():
    spec = nested(engine.MAX_DEPTH - 1)
    spec["root"]["dag"]["tasks"]["again"] = {"componentRef": {"name": "comp-0-g"}}
    engine.plan(parse_document(spec))
    spec["components"]["comp-wrap"] = {"dag": {"tasks": {"w": {"componentRef": {"name": "comp-0-g"}}}}}
    spec["root"]["dag"]["tasks"]["deeper"] = {"componentRef": {"name": "comp-wrap"}}
    assert refused(spec).code == "SPEC_TOO_DEEP"


def test_a_document_has_a_limited_size_though_it_is_short(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules["headrace.engine.plan"], "MAX_EXECUTIONS", 500)
    spec = spec_of({"x": leaf()})
    below = "comp-0-x"
    for level in range(4):  # Each level holds the one below ten times.
        tasks = {f"t{i}": {"componentRef": {"name": below}} for i in range(10)}
        below = f"comp-level-{level}"
        spec["components"][below] = {"dag": {"tasks": tasks}}
    spec["root"]["dag"]["tasks"]["x"]["componentRef"]["name"] = below
    assert refused(spec).code == "SPEC_TOO_LARGE"


@pytest.mark.parametrize("name", ["a/b", "a[0]", "", "a\nb"])
def test_names_that_would_not_make_paths(name: str):
    assert refused(spec_of({name: leaf()})).code == "SPEC_NAME"


def test_a_root_that_is_no_dag():
    spec = spec_of({"a": leaf()})
    spec["root"] = {"executorLabel": "exec-0-a"}
    assert refused(spec).code == "SPEC_ROOT"


def test_a_plan_is_made_once_for_each_component():
    spec = spec_of({"g": group({"a": leaf()}), "h": leaf()})
    spec["root"]["dag"]["tasks"]["h"]["componentRef"]["name"] = "comp-0-g"
    plan = engine.plan(parse_document(spec))
    assert plan.task_at("g").dag is plan.task_at("h").dag


# --- the graph ---------------------------------------------------------------------------------


def test_the_graph_is_told_as_the_author_wrote_it():
    loop = group({"x": leaf()}, loop="[1]", takes={"item": "NUMBER_INTEGER"})
    inner = group({"y": leaf(after=["z"], always=True), "z": leaf()}, condition="inputs.parameter_values['v'] == 'a'",
                  takes={"v": "STRING"}, wires={"v": param("v")})  # fmt: skip
    plan = engine.plan(pipeline({"loop": loop, "inner": inner, "solo": leaf(loop="[1]")}, takes={"v": "STRING"}))
    nodes = {node.name: node for node in engine.graph(plan)}
    assert (nodes["loop"].kind, nodes["loop"].group) == ("LOOP", "for-loop")
    assert (nodes["inner"].kind, nodes["inner"].group) == ("DAG", "condition")
    assert nodes["inner"].condition == "inputs.parameter_values['v'] == 'a'"
    assert (nodes["solo"].group, nodes["solo"].image) == ("for-loop", "python:3.11")
    below = {node.name: node for node in nodes["inner"].children}
    assert (below["y"].depends_on, below["y"].runs_after_failure) == (["z"], True)


def test_a_run_is_drawn_before_it_starts():
    run = Scenario(pipeline({"a": leaf(), "b": leaf(after=["a"])}))
    assert [(node.name, node.depends_on) for node in engine.graph(run.plan)] == [("a", []), ("b", ["a"])]
