"""What a task gets: defaults, nulls, types, constants with placeholders."""

from __future__ import annotations

import pytest

from headrace.engine.model import State
from properties.documents import const, given, group, leaf, made, out, param, pipeline
from scenario import Scenario, artifact

OPTIONAL = {"isOptional": True}


def task_with(definition: object, wire: object | None = None) -> Scenario:
    task = leaf(takes={"v": definition}, wires={"v": wire} if wire else {})
    run = Scenario(pipeline({"t": task}))
    run.starts()
    return run


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"parameterType": "STRING", "defaultValue": "d"}, {"v": "d"}),
        ({"parameterType": "NUMBER_INTEGER", "defaultValue": 3.0}, {"v": 3}),
        ({"parameterType": "LIST", "defaultValue": [1.0, 2.5]}, {"v": [1, 2.5]}),
        ({"parameterType": "STRING", "defaultValue": None}, {"v": None}),
        ({"parameterType": "STRING", **OPTIONAL}, {}),
        ({"parameterType": "STRING", "defaultValue": "d", **OPTIONAL}, {"v": "d"}),
        ({"parameterType": "TASK_CONFIG"}, {"v": {}}),
    ],
)
def test_what_is_not_given_has_its_default(definition: dict, expected: dict):
    run = task_with(definition)
    assert run.outstanding() == ["launch t#1"]
    assert run.gets("t") == expected


def test_what_is_not_given_and_has_no_default_fails_the_task():
    run = task_with("STRING")
    assert (run["t"].state, run.code("t"), run.end) == (State.FAILED, "INPUT_MISSING", State.FAILED)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("NUMBER_INTEGER", 3.0, 3),
        ("NUMBER_DOUBLE", 3, 3.0),
        ("BOOLEAN", True, True),
        ("LIST", [1.0, {"a": 2.0}], [1, {"a": 2}]),
        ("STRUCT", {"a": 1.0}, {"a": 1}),
        ("STRING", "text", "text"),
        ("STRING", 3.0, "3"),
        ("STRING", True, "true"),
        ("STRING", {"b": 1, "a": [1.0]}, '{"a":[1],"b":1}'),
    ],
)
def test_constants_fit_the_declared_type(kind: str, value: object, expected: object):
    run = task_with(kind, const(value))
    got = run.gets("t")["v"]
    assert (got, type(got)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("NUMBER_INTEGER", 3.5),
        ("NUMBER_INTEGER", "3"),
        ("NUMBER_INTEGER", True),
        ("NUMBER_DOUBLE", "x"),
        ("NUMBER_DOUBLE", float("nan")),
        ("NUMBER_DOUBLE", 10**400),
        ("BOOLEAN", 1),
        ("LIST", {"a": 1}),
        ("STRUCT", [1]),
    ],
)
def test_what_does_not_fit_fails_the_task_and_says_what_came(kind: str, value: object):
    run = task_with(kind, const(value))
    assert (run["t"].state, run.code("t")) == (State.FAILED, "INPUT_TYPE")
    assert run.message("t").startswith("Input v of t must be")
    assert run["t"].reason.details == {"input": "v", "expected": kind}


def test_null_for_what_is_not_optional():
    assert task_with("STRING", const(None)).code("t") == "INPUT_NULL"
    assert task_with({"parameterType": "STRING", **OPTIONAL}, const(None)).gets("t") == {"v": None}


def test_literals():
    definition = {"parameterType": "STRING", "literals": ["a", "b"]}
    assert task_with(definition, const("b")).gets("t") == {"v": "b"}
    run = task_with(definition, const("c"))
    assert run.code("t") == "INPUT_LITERAL"
    assert "one of 'a', 'b'" in run.message("t")


def test_an_output_of_the_wrong_type_fails_the_task_that_takes_it():
    take = leaf(takes={"v": "NUMBER_INTEGER"}, wires={"v": out("a")})
    run = Scenario(pipeline({"a": leaf(gives={"Output": "NUMBER_INTEGER"}), "take": take}))
    run.starts()
    assert run.succeeds("a", Output="no number") == []
    assert run.code("take") == "INPUT_TYPE"


def test_an_output_that_was_not_given():
    take = leaf(takes={"v": "STRING"}, wires={"v": out("a")})
    maybe = leaf(takes={"v": {"parameterType": "STRING", **OPTIONAL}}, wires={"v": out("a")})
    run = Scenario(pipeline({"a": leaf(gives={"Output": "STRING"}), "take": take, "maybe": maybe}))
    run.starts()
    assert run.succeeds("a") == ["launch maybe#1"]
    assert (run.code("take"), run.gets("maybe")) == ("INPUT_MISSING", {})


def test_an_output_nested_too_deep():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    run = Scenario(
        pipeline({"a": leaf(gives={"Output": "LIST"}), "b": leaf(takes={"v": "STRING"}, wires={"v": out("a")})})
    )
    run.starts()
    run.succeeds("a", Output=deep)
    assert run.code("b") == "INPUT_TYPE"


def test_an_optional_argument_that_was_left_out_is_null_inside():
    inner = group(
        {"x": leaf(takes={"v": {"parameterType": "STRING", **OPTIONAL}}, wires={"v": param("v")})},
        takes={"v": {"parameterType": "STRING", **OPTIONAL}},
    )
    run = Scenario(pipeline({"inner": inner}))
    run.starts()
    assert (run.gets("inner"), run.gets("inner/x")) == ({"v": None}, {"v": None})


def test_placeholders_in_constants():
    task = leaf(
        takes={"v": "STRING", "n": "NUMBER_INTEGER", "all": "STRUCT"},
        wires={
            "n": param("count"),
            "v": const("{{$.pipeline_job_name}}: {{$.inputs.parameters['n']}} of {{$.pipeline_task_name}}"),
            "all": const(
                {"list": ["{{$.inputs.parameters['n']}}"], "{{$.pipeline_job_name}}": "{{$.pipeline_job_uuid}}"}
            ),
        },
    )
    run = Scenario(pipeline({"t": task}, takes={"count": "NUMBER_INTEGER"}), count=3)
    run.starts()
    assert run.gets("t") == {"n": 3, "v": "my run: 3 of t", "all": {"list": [3], "my run": "r"}}


@pytest.mark.parametrize("kind", ["STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN", "LIST", "STRUCT"])
def test_a_whole_placeholder_inside_a_constant_keeps_its_type_at_any_depth(kind: str):
    value = {
        "STRING": "3", "NUMBER_INTEGER": 2**60 + 1, "NUMBER_DOUBLE": 0.5, "BOOLEAN": False, "LIST": [None], "STRUCT": {}
    }[kind]  # fmt: skip
    whole = "{{$.inputs.parameters['n']}}"
    task = leaf(
        takes={"v": "LIST", "n": kind}, wires={"n": param("given"), "v": const([whole, {"a": [[whole], f"<{whole}>"]}])}
    )
    run = Scenario(pipeline({"t": task}, takes={"given": kind}), given=value)
    run.starts()
    found = run.gets("t")["v"]
    assert found[:1] + found[1]["a"][0] == [value, value]
    assert isinstance(found[1]["a"][1], str)


def test_an_input_that_was_left_out_is_null_inside_a_constant():
    task = leaf(
        takes={"v": "LIST", "n": {"parameterType": "STRING", **OPTIONAL}},
        wires={"n": param("given"), "v": const(["{{$.inputs.parameters['n']}}"])},
    )
    run = Scenario(pipeline({"t": task}, takes={"given": {"parameterType": "STRING", **OPTIONAL}}))
    run.starts()
    assert run.gets("t")["v"] == [None]


def test_placeholders_in_defaults():
    text = "{{$.pipeline_task_name}} of {{$.pipeline_job_name}}"
    task = leaf(takes={"v": {"parameterType": "STRING", "defaultValue": text}, "w": "STRING"}, wires={"w": param("x")})
    default = {"parameterType": "STRING", "defaultValue": "{{$.pipeline_job_uuid}} {{$.pipeline_task_name}}"}
    run = Scenario(pipeline({"t": task}, takes={"x": default}))
    run.starts()
    assert run.gets("t") == {"v": "t of my run", "w": "r {{$.pipeline_task_name}}"}


@pytest.mark.parametrize("name", ["pipelinechannel--x", "x"])
def test_only_inputs_that_the_compiler_has_made_for_a_group_take_what_was_left_out(name: str):
    optional = {"parameterType": "STRING", **OPTIONAL}
    inner = group({"t": leaf(takes={"v": optional}, wires={"v": param(name)})}, takes={name: "STRING"},
                  wires={name: param("given")})  # fmt: skip
    run = Scenario(pipeline({"g": inner}, takes={"given": optional}))
    run.starts()
    if name == "x":
        assert run.code("g") == "INPUT_NULL"
    else:
        assert run.gets("g/t") == {"v": None}


@pytest.mark.parametrize("name", ["pipelinechannel--x", "x"])
def test_an_optional_artifact_that_was_left_out_passes_into_a_group(name: str):
    kind = {"artifactType": {"schemaTitle": "system.Artifact"}}
    optional = {**kind, **OPTIONAL}
    task = leaf(takes_artifacts={"v": optional}, wires_artifacts={"v": given(name)})
    inner = group({"t": task}, takes_artifacts={name: kind}, wires_artifacts={name: given("a")})
    run = Scenario(pipeline({"o": group({"g": inner}, takes_artifacts={"a": optional})}))
    run.starts()
    if name == "x":
        assert run.code("o/g") == "INPUT_MISSING"
    else:
        assert run.outstanding() == ["launch o/g/t#1"]


def test_a_value_cannot_smuggle_in_a_placeholder():
    task = leaf(takes={"v": "STRING", "n": "STRING"},
                wires={"n": param("text"), "v": const("<{{$.inputs.parameters['n']}}>")})  # fmt: skip
    run = Scenario(pipeline({"t": task}, takes={"text": "STRING"}), text="{{$.pipeline_job_uuid}}")
    run.starts()
    assert run.gets("t") == {"n": "{{$.pipeline_job_uuid}}", "v": "<{{$.pipeline_job_uuid}}>"}


# --- artifacts ---------------------------------------------------------------------------------


def test_a_missing_artifact_fails_the_task_unless_it_is_optional():
    must = leaf(takes_artifacts={"m": "system.Model"}, wires_artifacts={"m": made("make")})
    may = leaf(takes_artifacts={"m": {"artifactType": {"schemaTitle": "system.Model"}, **OPTIONAL}},
               wires_artifacts={"m": made("make")})  # fmt: skip
    run = Scenario(pipeline({"make": leaf(makes=("model",)), "must": must, "may": may}))
    run.starts()
    assert run.succeeds("make") == ["launch may#1"]
    assert run.code("must") == "INPUT_MISSING"
    assert run["may"].inputs.artifacts == {}


def test_an_artifact_that_nobody_wired():
    run = Scenario(pipeline({"t": leaf(takes_artifacts={"m": "system.Model"})}))
    assert run.starts() == []
    assert run.code("t") == "INPUT_MISSING"


def test_one_artifact_where_a_list_comes():
    loop = group({"x": leaf(makes=("model",))}, loop="[1, 2]", takes={"item": "NUMBER_INTEGER"},
                 hands_out_artifacts={"model": [("x", "model")]})  # fmt: skip
    one = leaf(takes_artifacts={"m": "system.Model"}, wires_artifacts={"m": made("loop")})
    run = Scenario(pipeline({"loop": loop, "one": one}))
    run.starts()
    run.succeeds("loop[0]/x", model=artifact("a"))
    run.succeeds("loop[1]/x", model=artifact("b"))
    assert run.code("one") == "INPUT_TYPE"
    assert "gets 2" in run.message("one")


def test_an_executor_that_nobody_runs():
    run = Scenario(pipeline({"t": leaf(executor={"customJob": {"x": 1}}), "after": leaf(after=["t"])}))
    assert run.starts() == []
    assert (run.code("t"), run.end) == ("EXECUTOR_UNSUPPORTED", State.FAILED)
