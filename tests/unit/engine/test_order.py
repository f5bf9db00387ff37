"""What runs after what, in flat and nested DAGs."""

from __future__ import annotations

from headrace.engine.model import State
from properties.documents import const, given, group, leaf, made, out, param, pipeline
from scenario import Scenario, artifact


def test_tasks_run_when_all_they_depend_on_has_succeeded():
    run = Scenario(pipeline({"a": leaf(), "b": leaf(), "c": leaf(after=["a", "b"]), "d": leaf(after=["c"])}))
    assert run.starts() == ["launch a#1", "launch b#1"]
    assert run.runs("a") == []
    assert run.succeeds("a") == []
    assert run.succeeds("b") == ["launch c#1"]
    assert run.states() == {"a": "SUCCEEDED", "b": "SUCCEEDED", "c": "PENDING", "d": "PENDING"}
    assert run.succeeds("c") == ["launch d#1"]
    assert run.end is State.RUNNING
    assert run.succeeds("d") == []
    assert run.end is State.SUCCEEDED
    assert run.outstanding() == []


def test_wiring_makes_order_and_hands_values_on():
    take = leaf(takes={"x": "NUMBER_INTEGER", "y": "STRING"}, wires={"x": out("make"), "y": const("k")})
    run = Scenario(pipeline({"take": take, "make": leaf(gives={"Output": "NUMBER_INTEGER"})}))
    assert run.starts() == ["launch make#1"]
    assert run.succeeds("make", Output=7) == ["launch take#1"]
    assert run.gets("take") == {"x": 7, "y": "k"}


def test_artifacts_are_handed_on():
    take = leaf(takes_artifacts={"m": "system.Model"}, wires_artifacts={"m": made("make")})
    run = Scenario(pipeline({"make": leaf(makes=("model",)), "take": take}))
    run.starts()
    assert run.succeeds("make", model=artifact("one")) == ["launch take#1"]
    assert run["take"].inputs.artifacts == {"m": (artifact("one"),)}


def test_a_failure_lets_the_independent_go_on_and_skips_what_follows():
    run = Scenario(pipeline({"a": leaf(), "b": leaf(after=["a"]), "c": leaf(after=["b"]), "free": leaf()}))
    run.starts()
    assert run.fails("a") == []
    assert run.states() == {"a": "FAILED", "b": "SKIPPED", "c": "SKIPPED", "free": "PENDING"}
    assert (run.code("b"), run.code("c")) == ("UPSTREAM_FAILED", "UPSTREAM_FAILED")
    assert "a, which it depends on" in run.message("b")
    assert run.end is State.RUNNING
    run.succeeds("free")
    assert run.end is State.FAILED
    assert run.state.error is not None
    assert (run.state.error.code, run.state.error.details["path"]) == ("TASK_FAILED", "a")


def test_a_pipeline_without_tasks_succeeds():
    run = Scenario(pipeline({}))
    assert run.starts() == []
    assert run.end is State.SUCCEEDED


def test_a_nested_pipeline_takes_and_gives():
    inner = group(
        {"one": leaf(takes={"x": "NUMBER_INTEGER"}, wires={"x": param("n")}, gives={"Output": "STRING"}),
         "two": leaf(after=["one"])},
        takes={"n": "NUMBER_INTEGER"}, wires={"n": param("count")}, hands_out={"Output": ("one", "Output")},
    )  # fmt: skip
    last = leaf(takes={"s": "STRING"}, wires={"s": out("inner")})
    run = Scenario(pipeline({"inner": inner, "last": last}, takes={"count": "NUMBER_INTEGER"}), count=3)
    assert run.starts() == ["launch inner/one#1"]
    assert run.gets("inner/one") == {"x": 3}
    assert run.succeeds("inner/one", Output="done") == ["launch inner/two#1"]
    assert run["last"].state is State.PENDING  # Its input is there, the pipeline is not over.
    assert run.succeeds("inner/two") == ["launch last#1"]
    assert run.gets("last") == {"s": "done"}
    assert run.gives("inner") == {"Output": "done"}


def test_three_pipelines_deep():
    deep = group({"c": group({"x": leaf()})})
    run = Scenario(pipeline({"a": group({"b": deep})}))
    assert run.starts() == ["launch a/b/c/x#1"]
    run.succeeds("a/b/c/x")
    assert set(run.states().values()) == {"SUCCEEDED"}
    assert run.end is State.SUCCEEDED


def test_a_failure_inside_fails_the_pipelines_around_it_and_names_the_task_at_the_bottom():
    run = Scenario(pipeline({"a": group({"b": group({"x": leaf(), "y": leaf()})}), "after": leaf(after=["a"])}))
    run.starts()
    run.fails("a/b/x")
    assert run["a/b"].state is State.RUNNING  # y is under way.
    run.succeeds("a/b/y")
    assert run.states() == {
        "a": "FAILED", "a/b": "FAILED", "a/b/x": "FAILED", "a/b/y": "SUCCEEDED", "after": "SKIPPED",
    }  # fmt: skip
    assert run.state.error is not None and run.state.error.details["path"] == "a/b/x"


def test_an_artifact_given_to_a_pipeline_reaches_its_tasks():
    inner = group(
        {"x": leaf(takes_artifacts={"m": "system.Model"}, wires_artifacts={"m": given("data")})},
        takes_artifacts={"data": "system.Model"}, wires_artifacts={"data": made("make")},
    )  # fmt: skip
    run = Scenario(pipeline({"make": leaf(makes=("model",)), "inner": inner}))
    run.starts()
    assert run.succeeds("make", model=artifact("one")) == ["launch inner/x#1"]
    assert run["inner/x"].inputs.artifacts == {"m": (artifact("one"),)}


ONE_OF = {
    "heads": group({"x": leaf(gives={"Output": "STRING"}, makes=("model",))},
                   condition="inputs.parameter_values['v'] == 'heads'", takes={"v": "STRING"}, wires={"v": param("v")},
                   hands_out={"Output": ("x", "Output")}, hands_out_artifacts={"model": [("x", "model")]}),
    "tails": group({"y": leaf(gives={"Output": "STRING"}, makes=("model",))},
                   condition="!(inputs.parameter_values['v'] == 'heads')", takes={"v": "STRING"},
                   wires={"v": param("v")},
                   hands_out={"Output": ("y", "Output")}, hands_out_artifacts={"model": [("y", "model")]}),
}  # fmt: skip


def branches() -> Scenario:
    chosen = group(
        ONE_OF, takes={"v": "STRING"}, wires={"v": param("v")},
        hands_out={"Output": [("heads", "Output"), ("tails", "Output")]},
        hands_out_artifacts={"model": [("heads", "model"), ("tails", "model")]},
    )  # fmt: skip
    use = leaf(takes={"s": "STRING"}, wires={"s": out("chosen")}, takes_artifacts={"m": "system.Model"},
               wires_artifacts={"m": made("chosen")})  # fmt: skip
    return Scenario(pipeline({"chosen": chosen, "use": use}, takes={"v": "STRING"}), v="tails")


def test_one_of_hands_out_the_branch_that_ran():
    run = branches()
    assert run.starts() == ["launch chosen/tails/y#1"]
    assert run["chosen/heads"].state is State.SKIPPED
    assert run.succeeds("chosen/tails/y", Output="from tails", model=artifact("t")) == ["launch use#1"]
    assert run.gets("use") == {"s": "from tails"}
    assert run["use"].inputs.artifacts == {"m": (artifact("t"),)}


def test_one_of_never_hands_out_what_a_failed_branch_left():
    run = branches()
    run.starts()
    run.fails("chosen/tails/y")
    assert run.gives("chosen") == {}
    assert run["use"].state is State.SKIPPED
    assert run.end is State.FAILED


def test_one_of_hands_out_nothing_of_a_branch_that_failed_after_it_had_made_it():
    branch = group(
        {"x": leaf(gives={"Output": "STRING"}), "y": leaf(after=["x"])}, hands_out={"Output": ("x", "Output")}
    )
    chosen = group({"b": branch}, hands_out={"Output": [("b", "Output")]})
    run = Scenario(pipeline({"chosen": chosen}))
    run.starts()
    run.succeeds("chosen/b/x", Output="made")
    run.fails("chosen/b/y")
    assert (run.gives("chosen/b"), run.gives("chosen")) == ({"Output": "made"}, {})
