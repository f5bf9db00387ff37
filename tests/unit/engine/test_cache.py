from __future__ import annotations

import msgspec
import pytest

from headrace import engine
from headrace.engine.model import State
from properties.documents import const, given, group, leaf, made, out, param, pipeline
from scenario import Scenario, artifact


def cached(**fields: object) -> Scenario:
    first = leaf(cache=True, gives={"Output": "STRING"}, **fields)
    return Scenario(pipeline({"a": first, "b": leaf(takes={"v": "STRING"}, wires={"v": out("a")})}))


def test_a_hit_stands_for_the_task():
    run = cached()
    assert run.starts() == ["look up a"]
    assert run.outstanding() == ["look up a"]
    assert run.hits("a", Output="from before") == ["launch b#1"]
    assert (run["a"].state, run["a"].cached_from, run["a"].attempts) == (State.SUCCEEDED, "earlier", ())
    assert run.gets("b") == {"v": "from before"}


def test_a_miss_launches_the_task_and_is_not_asked_again():
    run = cached(retry=(1, 0))
    run.starts()
    assert run.misses("a") == ["launch a#1"]
    run.ignores(lambda: run.misses("a"), lambda: run.hits("a"))
    assert run.fails("a") == ["launch a#2"]


def test_a_run_without_caching_asks_nobody():
    document = pipeline({"a": leaf(cache=True)})
    assert Scenario(document, caching=False).starts() == ["launch a#1"]
    assert Scenario(document, caching=True).starts() == ["look up a"]


def test_a_task_without_caching_is_not_asked_for():
    assert Scenario(pipeline({"a": leaf()}), caching=True).starts() == ["launch a#1"]


def test_a_cancel_while_the_cache_is_asked():
    run = cached()
    run.starts()
    assert run.is_cancelled() == []
    assert run.end is State.CANCELED
    run.ignores(lambda: run.misses("a"), lambda: run.hits("a"))


def test_a_miss_in_a_pause_launches_when_resumed():
    run = cached()
    run.starts()
    run.is_paused()
    assert run.misses("a") == []
    assert run.is_resumed() == ["launch a#1"]


def test_every_iteration_is_asked_for():
    loop = group({"x": leaf(cache=True, takes={"item": "NUMBER_INTEGER"}, wires={"item": param("item")})},
                 loop="[1, 2]", takes={"item": "NUMBER_INTEGER"})  # fmt: skip
    run = Scenario(pipeline({"loop": loop}))
    assert run.starts() == ["look up loop[0]/x", "look up loop[1]/x"]
    marks = {engine.fingerprint(run.plan, run.state, f"loop[{i}]/x") for i in (0, 1)}
    assert len(marks) == 2


# --- fingerprints ------------------------------------------------------------------------------


def mark(name: str = "a", value: object = "x", **fields: object) -> str:
    task = leaf(cache=True, takes={"v": "STRING"}, wires={"v": const(value)}, **fields)
    run = Scenario(pipeline({name: task}))
    run.starts()
    return engine.fingerprint(run.plan, run.state, name)


def test_the_same_work_has_the_same_fingerprint():
    assert len(mark()) == 64
    assert mark() == mark() == mark("another-name") == mark(retry=(3, 10))


@pytest.mark.parametrize(
    "other",
    [
        {"value": "y"},
        {"container": {"image": "python:3.12"}},
        {"container": {"command": ["walk"]}},
        {"container": {"args": ["--fast"]}},
        {"container": {"env": [{"name": "A", "value": "b"}]}},
        {"gives": {"Output": "STRING"}},
        {"makes": ("model",)},
    ],
    ids=str,
)
def test_other_work_has_another_fingerprint(other: dict):
    assert mark(**other) != mark()


def test_resources_do_not_change_the_work():
    assert mark(container={"resources": {"resourceCpuLimit": "4"}}) == mark()


def with_artifact(**fields: object) -> str:
    use = leaf(cache=True, takes_artifacts={"m": "system.Model"}, wires_artifacts={"m": made("make")})
    run = Scenario(pipeline({"make": leaf(makes=("model",)), "use": use}))
    run.starts()
    run.succeeds("make", model=msgspec.structs.replace(artifact("one"), **fields))
    return engine.fingerprint(run.plan, run.state, "use")


def test_artifacts_are_told_apart_by_content():
    same = {"digest": "00ff"}
    assert with_artifact(**same) == with_artifact(**same, uri="file:///elsewhere", artifact_id="other", name="n")
    assert with_artifact(**same) != with_artifact(digest="00fe")
    assert with_artifact(**same) != with_artifact(**same, metadata={"k": 1})


def test_artifacts_of_unknown_content_are_told_apart_by_address():
    assert with_artifact(uri="s3://a") != with_artifact(uri="s3://b")


def test_what_uses_the_cache():
    run = Scenario(pipeline({"a": leaf(cache=True), "b": leaf()}))
    assert [engine.uses_cache(run.plan, run.state, path) for path in "ab"] == [True, False]
    off = Scenario(pipeline({"a": leaf(cache=True)}), caching=False)
    assert engine.uses_cache(off.plan, off.state, "a") is False


def test_a_question_that_was_answered_is_asked_again_when_its_pipeline_begins_again():
    fails = leaf(takes={"v": "STRING"}, wires={"v": const("x")}, condition="inputs.parameter_values['v'] > 3")
    inner = group({"x": fails, "y": leaf(cache=True, after=["x"], always=True)}, retry=(1, 0))
    run = Scenario(pipeline({"inner": inner}))
    assert run.starts() == ["look up inner/y"]
    # `x` fails again at once, so that `y` wants the same as before it was answered.
    assert run.hits("inner/y") == ["look up inner/y"]
    assert run.misses("inner/y") == ["launch inner/y#1"]
    run.succeeds("inner/y")
    assert run.end is State.FAILED
