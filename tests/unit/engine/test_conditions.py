from __future__ import annotations

import resource
import time

import pytest

from headrace.engine import expressions
from headrace.engine.conditions import holds, referenced, select
from headrace.engine.expressions import ExpressionError, evaluate, is_plain, is_quick
from headrace.engine.model import Bundle, State
from properties.documents import group, leaf, out, param, pipeline
from scenario import Scenario, artifact


def conditional(condition: str, kind: str = "STRING") -> dict:
    return leaf(condition=condition, takes={"v": kind}, wires={"v": param("v")})


def run_with(condition: str, value: object, kind: str = "STRING") -> Scenario:
    tasks = {"c": conditional(condition, kind), "after": leaf(after=["c"]), "free": leaf()}
    run = Scenario(pipeline(tasks, takes={"v": kind}), v=value)
    run.starts()
    return run


def test_a_true_condition_runs_the_task():
    assert run_with("inputs.parameter_values['v'] == 'yes'", "yes").outstanding() == ["launch c#1", "launch free#1"]


def test_a_false_condition_skips_the_task_and_what_follows_and_the_run_succeeds():
    run = run_with("inputs.parameter_values['v'] == 'yes'", "no")
    assert run.outstanding() == ["launch free#1"]
    assert (run.code("c"), run.code("after")) == ("CONDITION_FALSE", "UPSTREAM_SKIPPED")
    assert "v = 'no'" in run.message("c")
    assert run["c"].reason.details == {
        "condition": "inputs.parameter_values['v'] == 'yes'", "values": {"v": "'no'"},
    }  # fmt: skip
    assert run.gets("c") == {"v": "no"}
    run.succeeds("free")
    assert run.end is State.SUCCEEDED


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("inputs.parameter_values['v'] > 3", "text"),
        ("inputs.parameter_values['w'] == 1", "text"),
        ("inputs.parameter_values['v']", "text"),
        ("inputs.parameter_values['v'] ==", "text"),
        ("nobody.knows", "text"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_fails_the_task_and_says_why(condition: str, value: str):
    run = run_with(condition, value)
    assert (run["c"].state, run.code("c")) == (State.FAILED, "CONDITION_ERROR")
    assert condition in run.message("c")
    assert run.code("after") == "UPSTREAM_FAILED"
    run.succeeds("free")
    assert run.end is State.FAILED


def test_a_condition_on_an_output_waits_for_it():
    task = leaf(condition="inputs.parameter_values['v'] > 0.5", takes={"v": "NUMBER_DOUBLE"}, wires={"v": out("a")})
    run = Scenario(pipeline({"a": leaf(gives={"Output": "NUMBER_DOUBLE"}), "c": task}))
    assert run.starts() == ["launch a#1"]
    assert run.succeeds("a", Output=0.9) == ["launch c#1"]


def test_a_group_that_is_skipped_makes_none_of_its_tasks():
    inner = group({"x": leaf()}, condition="inputs.parameter_values['v'] == 'yes'", takes={"v": "STRING"},
                  wires={"v": param("v")})  # fmt: skip
    run = Scenario(pipeline({"inner": inner}, takes={"v": "STRING"}), v="no")
    assert run.starts() == []
    assert run.states() == {"inner": "SKIPPED"}
    assert run.end is State.SUCCEEDED


def test_a_failure_upstream_outweighs_a_skip():
    run = Scenario(
        pipeline(
            {"c": conditional("inputs.parameter_values['v'] == 'yes'"), "f": leaf(), "after": leaf(after=["c", "f"])},
            takes={"v": "STRING"},
        ),
        v="no",
    )
    run.starts()
    run.fails("f")
    assert run.code("after") == "UPSTREAM_FAILED"


VALUES = Bundle(
    parameters={"i": 3, "d": 0.5, "s": "a", "b": True, "l": [1, "x"], "m": {"k": 2}, "n": None},
    artifacts={"a": (artifact("one"),)},
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("inputs.parameter_values['i'] == 3", True),
        ("inputs.parameter_values['i'] == 3.0", True),
        ("inputs.parameter_values['i'] >= 2 && inputs.parameter_values['d'] < 1", True),
        ("int(inputs.parameter_values['i']) == 3", True),
        ("inputs.parameter_values['b'] == true", True),
        ("!(inputs.parameter_values['s'] == 'a')", False),
        ("inputs.parameter_values['s'] == \"a\" || inputs.parameter_values['i'] == 9", True),
        ("inputs.parameter_values.m.k == 2", True),
        ("inputs.parameter_values['l'][1] == 'x'", True),
        ("inputs.parameter_values['n'] == null", True),
        ("inputs.artifacts['a'].artifacts[0].name == 'one'", True),
        ("size(inputs.parameter_values['l']) == 2", True),
    ],
)
def test_conditions_mean_what_they_say(condition: str, expected: bool):
    assert holds(condition, VALUES) is expected


def test_the_parameters_a_condition_names():
    named = referenced("inputs.parameter_values['i'] == inputs.parameter_values.s", VALUES)
    assert named == {"i": 3, "s": "a"}


def test_a_condition_of_great_length_is_refused():
    with pytest.raises(ExpressionError, match="10000 characters"):
        holds("true" + " || true" * 2000, VALUES)


@pytest.mark.parametrize(
    ("selector", "value", "expected"),
    [
        ('parseJson(string_value)["a"]', '{"a": 1}', 1),
        ('parseJson(string_value)["a"]', {"a": [1, 2]}, [1, 2]),
        ("struct_value.a", {"a": "x"}, "x"),
        ("list_value[1]", ["x", "y"], "y"),
        ("string_value", "s", "s"),
        ("number_value + 1.0", 2, 3.0),
    ],
)
def test_selectors_take_part_of_a_value(selector: str, value: object, expected: object):
    assert select(selector, value) == expected


@pytest.mark.parametrize(
    ("selector", "value"),
    [('parseJson(string_value)["b"]', '{"a": 1}'), ("parseJson(string_value)", "not json"), ("(", "x")],
)
def test_selectors_that_fail(selector: str, value: object):
    with pytest.raises(ExpressionError):
        select(selector, value)


def test_user_text_is_not_python():
    with pytest.raises(ExpressionError):
        holds("__import__('os').system('true') == 0", VALUES)


# --- budgets ---------------------------------------------------------------------------------------


def _doubled(first: str, times: int) -> str:
    return f"[{first}]" + ".map(a, a + a)" * times + "[0]"


@pytest.mark.parametrize("first", ["'" + "a" * 1000 + "'", "b'" + "a" * 1000 + "'", "[1, 2, 3]"])
def test_an_expression_that_makes_much_of_little_is_ended_and_costs_this_process_nothing(first: str):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ExpressionError, match="MiB of memory"):
        holds(f"size({_doubled(first, 22)}) > 0", VALUES)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_an_expression_that_takes_long_is_ended():
    numbers = "[" + ",".join(["1"] * 100) + "]"
    with pytest.raises(ExpressionError):
        holds(f"{numbers}.all(a, {numbers}.all(b, {numbers}.all(c, {numbers}.all(d, a + b + c + d > 0))))", VALUES)


def test_many_names_of_a_large_value_do_not_add_up_in_this_process():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ExpressionError):
        select(" + ".join(["string_value"] * 500), "a" * 1_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_a_result_is_bounded_too():
    with pytest.raises(ExpressionError, match="more than 1 MiB"):
        select("string_value + string_value + string_value", "a" * 900_000)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("[1, 2].exists(a, a == 2)", True), (_doubled("'ab'", 3), "ab" * 8), ("{'a': [1.5, null]}", {"a": [1.5, None]})],
)
def test_macros_within_the_budgets_are_evaluated(expression: str, expected: object):
    assert evaluate(expression, {}) == expected


def test_an_error_in_a_process_of_its_own_is_told():
    with pytest.raises(ExpressionError, match="nobody"):
        evaluate("[1].map(a, nobody)", {})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("inputs.parameter_values['a.map('] == 'x + y'", True),
        ("int(inputs.parameter_values['a']) > 3 && !(1 in [1, 2])", True),
        ('parseJson(string_value)["a"]', False),
        ("[1].map (a, a)", False),
        ("[1] . map(a, a)", False),
        ("'a' + 'b' == ''", False),
    ],
)
def test_only_comparisons_are_plain(expression: str, expected: bool):
    assert is_plain(expression) is expected


MACRO = "size(['aaaaaaaaaaaaaaaa'].map(a, a + a)[0]) > 0"


@pytest.mark.parametrize(
    "expression",
    [
        MACRO,
        f"'''a'b''' == 'x' || {MACRO} || '''a'b'''=='x'",
        f'"""a"b""" == "x" || {MACRO} || """a"b"""=="x"',
        MACRO.replace(".map(", ". //\nmap("),
        MACRO.replace(".map(", ".map //\n("),
        MACRO.replace(".map(", ".map\n("),
        MACRO.replace(".map", ".`map`"),
        f"r'\\' == 'x' || {MACRO} || r'\\' == 'x'",
        f"b'\\x27' == b'x' || {MACRO}",
        f"'\\'' == 'x' || {MACRO} || '\\'' == 'x'",
        f"true // '\n || {MACRO}",
        "[1].exists_one(a, a == 1)",
        "cel.bind(x, 'a', x + x) == 'aa'",
        "'a'.replace('a', 'bb') == ''",
    ],
)
def test_no_spelling_of_a_macro_is_evaluated_in_this_process(expression: str, monkeypatch: pytest.MonkeyPatch):
    assert not is_plain(expression)
    assert not is_quick(expression, {})
    apart: list[str] = []
    monkeypatch.setattr(expressions, "_evaluate_apart", lambda one, names: apart.append(one))
    try:
        evaluate(expression, {"inputs": {}})
    except ExpressionError:  # it is refused before anything is evaluated
        return
    assert apart == [expression]


@pytest.mark.parametrize(
    "expression",
    [
        "inputs.parameter_values['pipelinechannel--a'] == 'x'",
        "int(inputs.parameter_values['a']) >= 3 && !(inputs.parameter_values['b'] == true)",
        "inputs.parameter_values[\"a\"] in ['x', 'y'] || -1.5e3 < double(inputs.parameter_values['a'])",
        "string(inputs.parameter_values['a']) != '' ? true : false",
        "size(inputs.parameter_values['l']) == 0",
    ],
)
def test_what_kfp_s_compiler_writes_is_plain(expression: str):
    assert is_plain(expression)


@pytest.mark.parametrize("filler", [" ", "a ", "'' ", "1 ", "(", "a.", "'", "x == "])
def test_an_expression_is_judged_in_no_time(filler: str):
    """However it looks: no pattern here goes back and forth."""
    started_at = time.process_time()
    is_quick(filler * (9000 // len(filler)) + "\\", {})
    few = time.process_time() - started_at
    assert few < 5.0, "a pattern that goes back and forth takes minutes"
