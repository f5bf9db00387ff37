"""Runs made from earlier ones: what runs again, what is taken over, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.engine.model import State, execution_id
from headrace.engine.rerun import InvalidRerun
from properties.documents import const, group, leaf, made, out, param, pipeline
from scenario import Scenario, artifact

MODEL = {"makes": ("model",)}


def training(**changes: Any):
    """load -> train(lr) -> test, and other, which depends on nothing."""
    tasks = {
        "load": leaf(gives={"rows": "NUMBER_INTEGER"}, **MODEL),
        "train": leaf(
            gives={"Output": "STRING"}, **MODEL, takes={"lr": "NUMBER_DOUBLE", "rows": "NUMBER_INTEGER"},
            wires={"lr": param("lr"), "rows": out("load", "rows")},
            takes_artifacts={"data": "system.Model"}, wires_artifacts={"data": made("load")}, after=["load"],
        ),
        "test": leaf(gives={"Output": "STRING"}, wires={"s": out("train")}, takes={"s": "STRING"}, after=["train"]),
        "other": leaf(gives={"Output": "STRING"}),
    }  # fmt: skip
    return pipeline(tasks | changes, takes={"lr": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.1}})


def trained() -> Scenario:
    run = Scenario(training())
    run.starts()
    run.succeeds("load", model=artifact("data"), rows=5)
    run.succeeds("other", Output="x")
    run.succeeds("train", model=artifact("trained"), Output="good")
    run.succeeds("test", Output="ok")
    assert run.end is State.SUCCEEDED
    return run


# --- what runs again ---------------------------------------------------------------------------


def test_the_chosen_task_and_what_depends_on_it_run_and_the_rest_is_taken_over():
    first = trained()
    second = first.again("train", lr=0.5)
    assert second.begun == ["launch train#1"]
    for path in ("load", "other"):
        assert second[path].reused_from == execution_id("r", path)
        assert (second[path].outputs, second[path].attempts) == (first[path].outputs, ())
    assert second.gets("train") == {"lr": 0.5, "rows": 5}
    assert second["train"].inputs.artifacts["data"] == first["load"].outputs.artifacts["model"]
    second.succeeds("train", model=artifact("new"), Output="better")
    second.succeeds("test", Output="ok")
    assert second.end is State.SUCCEEDED
    assert second["test"].reused_from is None


@pytest.mark.parametrize(
    ("chosen", "reused"), [("load", {"other"}), ("train", {"load", "other"}), ("test", {"load", "train", "other"})]
)
def test_the_plan_has_only_what_may_be_reused(chosen: str, reused: set[str]):
    """It is stored with the run, and later servers trust it."""
    plan = trained().again(chosen).reuse_plan
    assert plan is not None
    assert set(plan.reuse) == reused


def test_a_run_made_from_another_survives_a_restart_and_replays():
    second = trained().again("train")
    second.survives_a_restart()
    second.succeeds("train", Output="better")
    second.survives_a_restart()


def test_without_a_choice_what_had_not_succeeded_runs():
    first = Scenario(training())
    first.starts()
    first.succeeds("load", model=artifact("data"), rows=5)
    first.fails("other")
    first.fails("train")
    second = first.again()
    assert second.begun == ["launch other#1", "launch train#1"]
    assert second["load"].reused_from


def test_with_everything_done_and_nothing_chosen_there_is_nothing_to_do():
    with pytest.raises(InvalidRerun) as caught:
        trained().again()
    assert [fault.code for fault in caught.value.faults] == ["RERUN_NOTHING"]


def test_what_is_taken_over_though_its_argument_changed_says_so():
    document = pipeline(
        {
            "load": leaf(gives={"n": "NUMBER_INTEGER"}, takes={"lr": "NUMBER_DOUBLE"}, wires={"lr": param("lr")}),
            "train": leaf(wires={"n": out("load", "n")}, takes={"n": "NUMBER_INTEGER"}, after=["load"]),
        },
        takes={"lr": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.1}},
    )
    first = Scenario(document)
    first.starts()
    first.succeeds("load", n=1)
    first.succeeds("train")
    second = first.again("train", lr=0.5)
    assert (second["load"].reused_from, second.gets("load")) == (execution_id("r", "load"), {"lr": 0.1})
    assert second.code("load") == "REUSED_OUTDATED"
    assert "its input lr was 0.1 and would be 0.5" in second.message("load")
    assert first.again("train").code("load") == ""


def test_a_retry_of_a_run_made_from_another_keeps_what_was_taken_over():
    second = trained().again("train")
    second.fails("train")
    assert second.end is State.FAILED
    assert second.is_retried() == ["launch train#2"]
    assert second["load"].reused_from


@pytest.mark.parametrize(("wanted", "caching", "asks"), [("a", None, False), ("", None, True), ("a", True, True)])
def test_named_tasks_run_and_are_not_looked_up_in_the_cache(wanted: str, caching: bool | None, asks: bool):
    first = Scenario(pipeline({"a": leaf(cache=True), "b": leaf(cache=True, after=["a"])}))
    first.starts()
    first.misses("a")
    first.fails("a")
    second = first.again(*[wanted] if wanted else [], caching=caching)
    assert second.begun == (["look up a"] if asks else ["launch a#1"])


# --- groups ------------------------------------------------------------------------------------


def nested(**changes: Any):
    body = {"fit": leaf(gives={"Output": "STRING"}), "score": leaf(gives={"Output": "STRING"}, after=["fit"])}
    inner = group(body | changes, hands_out={"Output": ("score", "Output")})
    after = leaf(wires={"s": out("inner")}, takes={"s": "STRING"}, after=["inner"])
    return pipeline({"inner": inner, "beside": group({"x": leaf(gives={"Output": "STRING"})}), "after": after})


def test_from_a_task_inside_a_pipeline():
    first = Scenario(nested())
    first.starts()
    for path in ("inner/fit", "beside/x", "inner/score", "after"):
        first.succeeds(path, Output="o")
    second = first.again("inner/score")
    assert second.begun == ["launch inner/score#1"]
    assert second["inner/fit"].reused_from and second["beside"].reused_from and second["beside/x"].reused_from
    assert second.succeeds("inner/score", Output="new") == ["launch after#1"]
    assert second["inner"].reused_from is None
    # A bare name is enough where no other task has it; a group's takes all that is in it.
    assert first.again("score").begun == second.begun
    assert first.again("inner").begun == ["launch inner/fit#1"]


def looped(items: str = "[1, 2, 3]", **loop: Any):
    body = {
        "fit": leaf(gives={"Output": "STRING"}, takes={"i": "NUMBER_INTEGER"}, wires={"i": param("item")}),
        "score": leaf(gives={"Output": "STRING"}, after=["fit"]),
    }
    each = group(body, loop=items, takes={"item": "NUMBER_INTEGER"}, hands_out={"Output": ("score", "Output")}, **loop)
    best = leaf(takes={"all": "LIST"}, wires={"all": out("each")}, after=["each"])
    return pipeline({"each": each, "best": best})


def looped_to_the_end(document: Any = None) -> Scenario:
    run = Scenario(document or looped())
    run.starts()
    for i in range(3):
        run.succeeds(f"each[{i}]/fit", Output=f"fit {i}")
        run.succeeds(f"each[{i}]/score", Output=f"score {i}")
    run.succeeds("best")
    return run


def test_from_a_task_of_one_iteration_and_of_all():
    first = looped_to_the_end()
    one = first.again("each[1]/score")
    assert one.begun == ["launch each[1]/score#1"]
    assert one["each[0]"].reused_from and one["each[1]/fit"].reused_from and not one["each[1]"].reused_from
    assert one.succeeds("each[1]/score", Output="new") == ["launch best#1"]
    assert one.gets("best") == {"all": ["score 0", "new", "score 2"]}
    every = first.again("each/score")
    assert every.begun == [f"launch each[{i}]/score#1" for i in range(3)]
    assert first.again("best").begun == ["launch best#1"]
    assert first.again("each[2]").begun == ["launch each[2]/fit#1"]


def test_an_iteration_is_taken_over_only_for_the_same_item():
    first = looped_to_the_end()
    second = first.again("best", document=looped("[1, 7, 3, 4]"))
    assert second.begun == ["launch each[1]/fit#1", "launch each[3]/fit#1"]
    assert second["each[0]"].reused_from and second["each[2]"].reused_from
    assert second["each"].reused_from is None
    fewer = first.again("best", document=looped("[1, 2]"))
    assert fewer.begun == ["launch best#1"]
    assert fewer["each"].reused_from is None
    assert fewer.gets("best") == {"all": ["score 0", "score 1"]}


def test_taken_over_iterations_take_no_place_of_those_that_run():
    first = looped_to_the_end()
    second = first.again("each[0]/fit", "each[2]/fit", document=looped(parallelism=1))
    assert second.begun == ["launch each[0]/fit#1"]
    second.succeeds("each[0]/fit", Output="new")
    assert second.succeeds("each[0]/score", Output="new") == ["launch each[2]/fit#1"]
    assert second["each[1]"].reused_from


def test_a_branch_that_turns_otherwise_takes_nothing_over_behind_it():
    heads, tails = (f"inputs.parameter_values['side'] {word} 'heads'" for word in ("==", "!="))

    def branch(condition: str):
        return group(
            {"x": leaf(gives={"Output": "STRING"})}, condition=condition, takes={"side": "STRING"},
            wires={"side": param("side")}, hands_out={"Output": ("x", "Output")},
        )  # fmt: skip

    branches = group(
        {"yes": branch(heads), "no": branch(tails)}, takes={"side": "STRING"}, wires={"side": param("side")},
        hands_out={"Output": [("yes", "Output"), ("no", "Output")]},
    )  # fmt: skip
    reads = leaf(takes={"s": "STRING"}, wires={"s": out("branches")}, after=["branches"])
    document = pipeline(
        {"branches": branches, "reads": reads, "last": leaf()},
        takes={"side": {"parameterType": "STRING", "defaultValue": "heads"}},
    )
    first = Scenario(document)
    first.starts()
    for path in ("branches/yes/x", "last", "reads"):
        first.succeeds(path, Output="yes")
    same = first.again("last")
    assert (same.begun, bool(same["reads"].reused_from)) == (["launch last#1"], True)
    other = first.again("last", side="tails")
    assert other.begun == ["launch last#1", "launch branches/no/x#1"]
    assert other.code("branches/yes") == "CONDITION_FALSE"
    assert other.succeeds("branches/no/x", Output="no") == ["launch reads#1"]


def test_an_exit_task_runs_again_when_what_it_watches_does():
    document = pipeline({"body": group({"x": leaf()}), "clean": leaf(after=["body"], always=True), "y": leaf()})
    first = Scenario(document)
    first.starts()
    for path in ("body/x", "y", "clean"):
        first.succeeds(path)
    assert first.again("body/x").begun == ["launch body/x#1"]
    assert first.again("y")["clean"].reused_from


def test_a_task_skipped_by_a_mark_runs():
    first = Scenario(pipeline({"a": leaf(), "b": leaf(after=["a"], always=True), "c": leaf()}))
    first.starts()
    first.is_marked("a", "SKIPPED")
    first.is_stopped("a")
    first.succeeds("b")
    first.succeeds("c")
    second = first.again("c")
    assert second.begun == ["launch a#1", "launch c#1"]
    assert not second["b"].begun
    assert second.reuse_plan is not None
    assert not second.reuse_plan.reuse
    # Also when no task is chosen: it did not succeed.
    assert first.again().begun == ["launch a#1"]


# --- another document ----------------------------------------------------------------------------


def test_another_document_takes_over_what_fits_and_says_what_has_changed():
    first = trained()
    changed = leaf(gives={"rows": "NUMBER_INTEGER"}, **MODEL, container={"image": "python:3.12"})
    second = first.again("train", document=training(load=changed, extra=leaf(after=["other"])))
    assert second.begun == ["launch train#1", "launch extra#1"]
    assert (second.code("load"), second.code("other")) == ("REUSED_OUTDATED", "")
    assert "its image has changed" in second.message("load")


@pytest.mark.parametrize(
    ("load", "code", "says"),
    [
        (leaf(gives={"rows": "STRING"}, **MODEL), "RERUN_OUTPUT", "output rows is STRING in the document and NUMBER_"),
        (leaf(gives={"rows": "NUMBER_INTEGER", "n": "STRING"}, **MODEL), "RERUN_OUTPUT", "n is STRING in the document and absent"),
        (leaf(gives={"rows": "NUMBER_INTEGER"}, **MODEL, takes={"x": "STRING"}, wires={"x": const("a")}), "RERUN_INPUT", "input x is STRING"),
        (leaf(gives={"rows": "NUMBER_INTEGER"}, **MODEL, loop="[1]"), "RERUN_KIND", "is a loop in the document and was a task"),
    ],
    ids=["other type", "more outputs", "more inputs", "other kind"],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name_and_may_run_again(load: Any, code: str, says: str):
    first = trained()
    with pytest.raises(InvalidRerun) as caught:
        first.again("train", document=training(load=load))
    (fault,) = caught.value.faults
    assert (fault.task, fault.code) == ("load", code)
    assert says in fault.problem and "--from load" in fault.fix
    assert any(wish.startswith("launch load") for wish in first.again("load", document=training(load=load)).begun)


@pytest.mark.parametrize(
    ("wanted", "code", "says"),
    [
        ("trian", "RERUN_TASK_UNKNOWN", "Did you mean train?"),
        ("zzz", "RERUN_TASK_UNKNOWN", "It has: load, other, train, test."),
        ("inner/nothing", "RERUN_TASK_UNKNOWN", ""),
    ],
)
def test_a_task_that_is_not_there(wanted: str, code: str, says: str):
    with pytest.raises(InvalidRerun) as caught:
        trained().again(wanted)
    (fault,) = caught.value.faults
    assert (fault.task, fault.code) == (wanted, code)
    assert says in fault.fix


def test_a_name_of_several_tasks_and_an_iteration_that_never_was():
    first = Scenario(
        pipeline({"a": group({"x": leaf()}), "b": group({"x": leaf()}), "l": group({"y": leaf()}, loop="[1]")})
    )
    first.starts()
    for path in ("a/x", "b/x", "l[0]/y"):
        first.succeeds(path)
    with pytest.raises(InvalidRerun) as caught:
        first.again("x", "l[5]/y")
    ambiguous, gone = caught.value.faults
    assert (ambiguous.code, ambiguous.fix) == ("RERUN_TASK_AMBIGUOUS", "Name one by its path: a/x, b/x.")
    assert (gone.code, "It had 1 executions of l/y" in gone.fix) == ("RERUN_TASK_UNKNOWN", True)
