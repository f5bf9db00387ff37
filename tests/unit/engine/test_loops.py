from __future__ import annotations

import json
import sys

import pytest

from headrace.engine.model import Kind, State
from headrace.spec.document import Document
from properties.documents import const, given, group, leaf, made, out, param, pipeline
from scenario import Scenario, artifact

ITEM = {"item": "NUMBER_INTEGER"}


def body(**extra: object) -> dict:
    """One task that takes the item of its loop and gives a text."""
    return {"x": leaf(takes=ITEM, wires={"item": param("item")}, gives={"Output": "STRING"}, **extra)}


def test_a_loop_runs_its_body_once_for_each_item():
    run = Scenario(pipeline({"loop": group(body(), loop="[7, 8]", takes=ITEM), "after": leaf(after=["loop"])}))
    assert run.starts() == ["launch loop[0]/x#1", "launch loop[1]/x#1"]
    assert (run["loop"].kind, run["loop"].iteration_count, run["loop[1]"].iteration) == (Kind.LOOP, 2, 1)
    assert (run.gets("loop[0]/x"), run.gets("loop[1]/x")) == ({"item": 7}, {"item": 8})
    assert run.succeeds("loop[1]/x", Output="b") == []
    assert run.succeeds("loop[0]/x", Output="a") == ["launch after#1"]
    assert run["loop"].state is State.SUCCEEDED


def test_a_loop_over_nothing_succeeds_at_once():
    run = Scenario(pipeline({"loop": group(body(), loop="[]", takes=ITEM), "after": leaf(after=["loop"])}))
    assert run.starts() == ["launch after#1"]
    assert (run["loop"].state, run["loop"].iteration_count) == (State.SUCCEEDED, 0)


def test_parallelism_limits_the_iterations_under_way_and_keeps_their_order():
    run = Scenario(pipeline({"loop": group(body(), loop="[1, 2, 3, 4, 5]", takes=ITEM, parallelism=2)}))
    assert run.starts() == ["launch loop[0]/x#1", "launch loop[1]/x#1"]
    assert run.succeeds("loop[1]/x", Output="") == ["launch loop[2]/x#1"]
    assert run.fails("loop[0]/x") == ["launch loop[3]/x#1"]  # A failure stops no other iteration.
    run.succeeds("loop[2]/x", Output="")
    run.succeeds("loop[3]/x", Output="")
    run.succeeds("loop[4]/x", Output="")
    assert run.end is State.FAILED


def test_a_retry_that_waits_keeps_its_iterations_place():
    run = Scenario(pipeline({"loop": group(body(retry=(1, 10)), loop="[1, 2]", takes=ITEM, parallelism=1)}))
    run.starts()
    assert run.fails("loop[0]/x") == []
    assert run.outstanding() == []
    assert run.is_woken(10.0) == ["launch loop[0]/x#2"]
    assert run.succeeds("loop[0]/x", Output="") == ["launch loop[1]/x#1"]


def test_a_loop_over_an_output():
    make = leaf(gives={"Output": "LIST"})
    loop = group(body(), loop="items", takes={**ITEM, "items": "LIST"}, wires={"items": out("make")})
    run = Scenario(pipeline({"make": make, "loop": loop}))
    run.starts()
    assert run.succeeds("make", Output=[4, 5]) == ["launch loop[0]/x#1", "launch loop[1]/x#1"]
    assert run.gets("loop[1]/x") == {"item": 5}


def test_items_that_are_the_json_text_of_a_list():
    loop = group(body(), loop="items", takes={**ITEM, "items": "STRING"}, wires={"items": param("text")})
    run = Scenario(pipeline({"loop": loop}, takes={"text": "STRING"}), text="[4, 5]")
    assert run.starts() == ["launch loop[0]/x#1", "launch loop[1]/x#1"]


@pytest.mark.parametrize(("text", "code"), [("no json", "LOOP_ITEMS"), ('{"a": 1}', "LOOP_ITEMS")])
def test_items_that_are_no_list_fail_the_loop(text: str, code: str):
    loop = group(body(), loop="items", takes={**ITEM, "items": "STRING"}, wires={"items": param("text")})
    run = Scenario(pipeline({"loop": loop}, takes={"text": "STRING"}), text=text)
    assert run.starts() == []
    assert (run.code("loop"), run.end) == (code, State.FAILED)


def test_an_item_of_another_type_fails_its_iteration_only():
    run = Scenario(pipeline({"loop": group(body(), loop='["one", 2]', takes=ITEM)}))
    assert run.starts() == ["launch loop[1]/x#1"]
    assert (run["loop[0]"].state, run.code("loop[0]")) == (State.FAILED, "INPUT_TYPE")
    run.succeeds("loop[1]/x", Output="")
    assert run.end is State.FAILED


def test_the_body_sees_the_loops_other_inputs():
    task = leaf(takes={"p": "STRING", **ITEM}, wires={"p": param("phrase"), "item": param("item")})
    loop = group({"x": task}, loop="[1]", takes={**ITEM, "phrase": "STRING"}, wires={"phrase": param("phrase")})
    run = Scenario(pipeline({"loop": loop}, takes={"phrase": "STRING"}), phrase="hello")
    run.starts()
    assert run.gets("loop[0]/x") == {"p": "hello", "item": 1}


def test_parts_of_items_are_taken_by_a_selector():
    item = {"item": "STRUCT"}
    task = leaf(
        takes={"a": "NUMBER_INTEGER", "b": "STRING"},
        wires={"a": param("item", 'parseJson(string_value)["a"]'), "b": param("item", 'parseJson(string_value)["b"]')},
    )
    run = Scenario(pipeline({"loop": group({"x": task}, loop='[{"a": 1, "b": "x"}, {"a": 2}]', takes=item)}))
    assert run.starts() == ["launch loop[0]/x#1"]
    assert run.gets("loop[0]/x") == {"a": 1, "b": "x"}
    assert (run["loop[1]/x"].state, run.code("loop[1]/x")) == (State.FAILED, "INPUT_SELECTOR")


def test_an_iterator_on_a_container():
    task = leaf(takes={**ITEM, "p": "STRING"}, wires={"p": const("k")}, loop="[1, 2]", gives={"Output": "STRING"})
    run = Scenario(pipeline({"t": task}))
    assert run.starts() == ["launch t[0]#1", "launch t[1]#1"]
    assert (run["t"].kind, run["t[1]"].kind) == (Kind.LOOP, Kind.TASK)
    assert run.gets("t[1]") == {"p": "k", "item": 2}
    run.succeeds("t[1]", Output="b")
    run.succeeds("t[0]", Output="a")
    assert run.gives("t") == {"Output": ["a", "b"]}


def test_an_iteration_of_a_container_holds_its_item_and_not_the_list():
    task = leaf(takes={**ITEM, "items": "LIST", "p": "STRING"}, wires={"items": const([1.0, 2.0]), "p": const("k")},
                loop="items")  # fmt: skip
    run = Scenario(pipeline({"t": task}))
    run.starts()
    assert run.gets("t[1]") == {"p": "k", "item": 2}


def test_a_loop_over_artifacts():
    inner = leaf(takes_artifacts={"m": "system.Model"}, wires_artifacts={"m": given("item")})
    many = {"artifactType": {"schemaTitle": "system.Model"}, "isArtifactList": True}
    loop = group({"x": inner}, loop_artifacts="models", takes_artifacts={"models": many, "item": "system.Model"},
                 wires_artifacts={"models": made("make")})  # fmt: skip
    make = leaf(makes=("model",), takes=ITEM, loop="[1, 2]")
    run = Scenario(pipeline({"make": make, "loop": loop}))
    run.starts()
    run.succeeds("make[0]", model=artifact("one"))
    assert run.succeeds("make[1]", model=artifact("two")) == ["launch loop[0]/x#1", "launch loop[1]/x#1"]
    assert run["loop[1]/x"].inputs.artifacts == {"m": (artifact("two"),)}


def test_nested_loops_and_outer_items():
    x = leaf(takes={"i": "NUMBER_INTEGER", "j": "NUMBER_INTEGER"}, wires={"i": param("outer"), "j": param("item")})
    inner = group({"x": x}, loop="[1, 2]", takes={**ITEM, "outer": "NUMBER_INTEGER"}, wires={"outer": param("item")})
    run = Scenario(pipeline({"out": group({"in": inner}, loop="[10, 20]", takes=ITEM)}))
    assert run.starts() == [f"launch out[{i}]/in[{j}]/x#1" for i in (0, 1) for j in (0, 1)]
    assert run.gets("out[1]/in[0]/x") == {"i": 20, "j": 1}


# --- collected -------------------------------------------------------------------------------


def test_collected_outputs_come_in_the_order_of_the_items():
    loop = group(body(), loop="[1, 2, 3]", takes=ITEM, hands_out={"Output": ("x", "Output")})
    take = leaf(takes={"all": "LIST"}, wires={"all": out("loop")})
    run = Scenario(pipeline({"loop": loop, "take": take}))
    run.starts()
    run.succeeds("loop[2]/x", Output="c")
    run.succeeds("loop[0]/x", Output="a")
    assert run.succeeds("loop[1]/x", Output="b") == ["launch take#1"]
    assert run.gets("take") == {"all": ["a", "b", "c"]}


def test_collected_artifacts():
    x = {"x": leaf(makes=("model",))}
    loop = group(x, loop="[1, 2]", takes=ITEM, hands_out_artifacts={"models": [("x", "model")]})
    many = {"artifactType": {"schemaTitle": "system.Model"}, "isArtifactList": True}
    take = leaf(takes_artifacts={"all": many}, wires_artifacts={"all": made("loop", "models")})
    run = Scenario(pipeline({"loop": loop, "take": take}))
    run.starts()
    run.succeeds("loop[1]/x", model=artifact("two"))
    run.succeeds("loop[0]/x", model=artifact("one"))
    assert run["take"].inputs.artifacts == {"all": (artifact("one"), artifact("two"))}


def test_an_iteration_whose_branch_was_skipped_has_no_entry():
    branch = group(
        {"y": leaf(gives={"Output": "STRING"})}, condition="inputs.parameter_values['v'] > 1", takes={"v": ITEM["item"]},
        wires={"v": param("item")}, hands_out={"Output": ("y", "Output")},
    )  # fmt: skip
    loop = group({"b": branch}, loop="[1, 2, 3]", takes=ITEM, hands_out={"Output": ("b", "Output")})
    run = Scenario(pipeline({"loop": loop, "take": leaf(takes={"all": "LIST"}, wires={"all": out("loop")})}))
    assert run.starts() == ["launch loop[1]/b/y#1", "launch loop[2]/b/y#1"]
    run.succeeds("loop[2]/b/y", Output="three")
    run.succeeds("loop[1]/b/y", Output="two")
    assert run.gets("take") == {"all": ["two", "three"]}


def test_nested_loops_collect_lists_of_lists():
    inner = group(body(), loop="[1, 2]", takes=ITEM, hands_out={"Output": ("x", "Output")})
    outer = group({"in": inner}, loop="[1, 2]", takes=ITEM, hands_out={"Output": ("in", "Output")})
    run = Scenario(pipeline({"out": outer, "take": leaf(takes={"all": "LIST"}, wires={"all": out("out")})}))
    run.starts()
    for i in (0, 1):
        for j in (0, 1):
            run.succeeds(f"out[{i}]/in[{j}]/x", Output=f"{i}{j}")
    assert run.gets("take") == {"all": [["00", "01"], ["10", "11"]]}


def test_a_loop_over_nothing_collects_an_empty_list():
    loop = group(body(), loop="[]", takes=ITEM, hands_out={"Output": ("x", "Output")})
    run = Scenario(pipeline({"loop": loop, "take": leaf(takes={"all": "LIST"}, wires={"all": out("loop")})}))
    assert run.starts() == ["launch take#1"]
    assert run.gets("take") == {"all": []}


# --- limits ----------------------------------------------------------------------------------


def test_a_loop_of_too_many_items_fails_before_it_makes_any(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("headrace.engine.loops.MAX_LOOP_ITEMS", 3)
    run = Scenario(pipeline({"loop": group(body(), loop="[1, 2, 3, 4]", takes=ITEM)}))
    assert run.starts() == []
    assert (run.code("loop"), run.states()) == ("LOOP_TOO_LONG", {"loop": "FAILED"})


def test_a_run_of_too_many_executions_fails_where_it_would_exceed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules["headrace.engine.groups"], "MAX_EXECUTIONS", 5)
    run = Scenario(pipeline({"loop": group(body(), loop="[1, 2, 3, 4]", takes=ITEM)}))
    assert run.starts() == []
    assert (run.code("loop"), run.end) == ("RUN_TOO_LARGE", State.FAILED)


HUNDRED = list(range(100))


def nested(second_loop: str, **fields: object) -> Document:
    """Three loops of a hundred items, one in the other; the one in the middle is over the pipeline's list, or not."""
    third = group(body(), loop=json.dumps(HUNDRED), takes=ITEM)
    second = group({"third": third}, takes={"inner": "LIST", **ITEM}, loop="inner", wires={"inner": param("all")})
    if second_loop == "written":
        second = group({"third": third}, loop=json.dumps(HUNDRED), takes=ITEM)
    first = group({"second": {**second, **fields}}, takes={"all": "LIST", **ITEM}, loop=json.dumps(HUNDRED))
    return pipeline({"first": {**first, "wires": {"all": param("all")}}}, takes={"all": "LIST"})


@pytest.mark.parametrize("second_loop", ["written", "over an argument"])
def test_a_run_that_would_be_too_large_fails_before_any_of_it_is_made(second_loop: str):
    run = Scenario(nested(second_loop), all=HUNDRED)
    assert run.starts() == []
    assert (run.code("first"), run.end, run.states()) == ("RUN_TOO_LARGE", State.FAILED, {"first": "FAILED"})
    reason = run["first"].reason
    assert reason is not None
    # One for the root, the loop itself, then 100 × (1 + 1 + 100 × (1 + 1 + 100 × (1 + 1))).
    assert reason.details["executions"] == 2 + 100 * (2 + 100 * (2 + 100 * 2))


def test_what_is_behind_a_condition_is_not_counted_before_it_begins():
    run = Scenario(nested("written", condition="1 == 2"), all=HUNDRED)
    run.starts()
    assert run.end is State.SUCCEEDED
    assert run["first[0]/second"].state is State.SKIPPED


# --- what is handed out when something did not happen ----------------------------------------------


def test_a_loop_with_a_failed_iteration_hands_out_the_others_to_who_ignores_the_failure():
    each = group({"x": leaf(gives={"Output": "STRING"})}, loop="[1, 2, 3]", hands_out={"Output": ("x", "Output")})
    best = leaf(after=["each"], always=True, takes={"all": "LIST"}, wires={"all": out("each")})
    run = Scenario(pipeline({"each": each, "best": best}))
    run.starts()
    run.succeeds("each[0]/x", Output="a")
    run.fails("each[1]/x")
    run.succeeds("each[2]/x", Output="c")
    assert (run["each"].state, run.gets("best")) == (State.FAILED, {"all": ["a", "c"]})


def test_a_retry_collects_what_is_old_and_new():
    each = group({"x": leaf(gives={"Output": "STRING"})}, loop="[1, 2]", hands_out={"Output": ("x", "Output")})
    best = leaf(takes={"all": "LIST"}, wires={"all": out("each")}, after=["each"])
    run = Scenario(pipeline({"inner": group({"each": each, "best": best})}))
    run.starts()
    run.succeeds("inner/each[0]/x", Output="old")
    run.fails("inner/each[1]/x")
    assert run.is_retried() == ["launch inner/each[1]/x#2"]
    run.succeeds("inner/each[1]/x", Output="new")
    assert run.gets("inner/best") == {"all": ["old", "new"]}
    run.succeeds("inner/best")
    assert run.end is State.SUCCEEDED


def one_of(*conditions: str, reads: dict) -> Scenario:
    branches = {
        f"branch-{i}": group(
            {"x": leaf(gives={"Output": "STRING"}, makes=("model",))}, condition=condition,
            hands_out={"Output": ("x", "Output")}, hands_out_artifacts={"model": [("x", "model")]},
        )
        for i, condition in enumerate(conditions)
    }  # fmt: skip
    chosen = group(
        branches, hands_out={"Output": [(name, "Output") for name in branches]},
        hands_out_artifacts={"model": [(name, "model") for name in branches]},
    )  # fmt: skip
    run = Scenario(pipeline({"chosen": chosen, "reads": leaf(after=["chosen"], **reads)}))
    run.starts()
    return run


_READS = {
    "takes": {"s": "STRING"}, "wires": {"s": out("chosen")}, "takes_artifacts": {"m": "system.Model"},
    "wires_artifacts": {"m": made("chosen")},
}  # fmt: skip


def test_one_of_takes_parameter_and_artifact_of_the_branch_that_was_taken():
    run = one_of("1 == 2", "1 == 1", reads=_READS)
    assert run.succeeds("chosen/branch-1/x", model=artifact("second"), Output="second") == ["launch reads#1"]
    assert (run.gets("reads"), run["reads"].inputs.artifacts) == ({"s": "second"}, {"m": (artifact("second"),)})


def test_one_of_nothing_is_no_value():
    run = one_of("1 == 2", "1 == 3", reads=_READS)
    assert (run["chosen"].state, run.code("reads"), run.end) == (State.SUCCEEDED, "INPUT_MISSING", State.FAILED)
    optional = {"takes": {"s": {"parameterType": "STRING", "defaultValue": "none"}}, "wires": {"s": out("chosen")}}
    run = one_of("1 == 2", reads=optional)
    assert run.gets("reads") == {"s": "none"}


def test_a_loop_over_collected_artifacts():
    each = group({"x": leaf(makes=("model",))}, loop="[1, 2]", hands_out_artifacts={"models": [("x", "model")]})
    over = group(
        {"y": leaf(takes_artifacts={"m": "system.Model"}, wires_artifacts={"m": given("item")})},
        loop_artifacts="models", wires_artifacts={"models": made("each", "models")}, after=["each"],
        takes_artifacts={
            "models": {"artifactType": {"schemaTitle": "system.Model"}, "isArtifactList": True}, "item": "system.Model",
        },
    )  # fmt: skip
    run = Scenario(pipeline({"each": each, "over": over}))
    run.starts()
    run.succeeds("each[0]/x", model=artifact("a"))
    assert run.succeeds("each[1]/x", model=artifact("b")) == ["launch over[0]/y#1", "launch over[1]/y#1"]
    assert run["over[1]/y"].inputs.artifacts == {"m": (artifact("b"),)}


def test_parallelism_holds_after_a_retry_and_after_a_pause():
    run = Scenario(pipeline({"each": group({"x": leaf()}, loop="[1, 2, 3, 4]", parallelism=2)}))
    run.starts()
    run.fails("each[0]/x")
    run.is_paused()
    run.fails("each[1]/x")
    assert run.is_resumed() == ["launch each[3]/x#1"]
    run.fails("each[2]/x")
    run.fails("each[3]/x")
    assert run.is_retried() == ["launch each[0]/x#2", "launch each[1]/x#2"]
    assert run.succeeds("each[0]/x") == ["launch each[2]/x#2"]
