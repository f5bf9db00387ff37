"""`--arg name=value` by the pipeline's own types."""

from __future__ import annotations

import pytest

from headrace.cli.arguments import collect
from headrace.cli.errors import CliError


def a_spec(**inputs):
    return {"root": {"inputDefinitions": {"parameters": inputs}}}


def an_input(kind, **more):
    return {"parameterType": kind, **more}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("STRING", "3", "3"),
        ("STRING", "", ""),
        ("STRING", "a=b=c", "a=b=c"),
        ("NUMBER_INTEGER", "-3", -3),
        ("NUMBER_INTEGER", "123456789012345678901", 123456789012345678901),
        ("NUMBER_DOUBLE", "3", 3.0),
        ("NUMBER_DOUBLE", "1e-3", 0.001),
        ("BOOLEAN", "True", True),
        ("BOOLEAN", "no", False),
        ("LIST", '[1, {"a": null}]', [1, {"a": None}]),
        ("STRUCT", '{"a": [true]}', {"a": [True]}),
    ],
)
def test_a_value_is_read_by_its_type(kind, text, value):
    found = collect(a_spec(x=an_input(kind)), [f"x={text}"], None)["x"]
    assert found == value
    assert type(found) is type(value)


def test_an_argument_given_twice_is_refused():
    with pytest.raises(CliError) as caught:
        collect(a_spec(x=an_input("STRING"), y=an_input("STRING")), ["x=1", "y=1", "x=2"], None)
    assert (caught.value.code, "--arg x" in caught.value.what) == ("ARGUMENT_REPEATED", True)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("NUMBER_INTEGER", "3.5"),
        ("NUMBER_INTEGER", "three"),
        ("NUMBER_INTEGER", ""),
        ("NUMBER_DOUBLE", "nan"),
        ("NUMBER_DOUBLE", "1e999"),
        ("BOOLEAN", "maybe"),
        ("LIST", "1,2"),
        ("LIST", '{"a": 1}'),
        ("LIST", "[NaN]"),
        ("LIST", "[" * 100_000),
        ("STRUCT", "[1]"),
        ("STRUCT", "{'a': 1}"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_an_example(kind, text):
    with pytest.raises(CliError) as caught:
        collect(a_spec(x=an_input(kind)), [f"x={text}"], None)
    assert caught.value.code == "ARGUMENT_TYPE"
    assert "'x' must be" in caught.value.what
    assert "--arg x=" in caught.value.fix


def test_an_unknown_argument_names_the_nearest_and_all():
    with pytest.raises(CliError) as caught:
        collect(a_spec(threshold=an_input("STRING"), seed=an_input("STRING")), ["treshold=1"], None)
    assert caught.value.code == "ARGUMENT_UNKNOWN"
    assert caught.value.fix == "Did you mean threshold? Its inputs: seed, threshold."


def test_missing_arguments_are_named_with_their_types():
    spec = a_spec(
        a=an_input("STRING"),
        n=an_input("NUMBER_INTEGER"),
        d=an_input("STRING", defaultValue=""),
        o=an_input("STRING", isOptional=True),
    )
    with pytest.raises(CliError) as caught:
        collect(spec, [], None)
    assert caught.value.code == "ARGUMENT_MISSING"
    assert "a (a text), n (a whole number)." in caught.value.what
    assert caught.value.fix == "Give --arg a=… --arg n=…"


@pytest.mark.parametrize("pair", ["x", "=1", ""])
def test_what_is_no_pair_is_refused(pair):
    with pytest.raises(CliError) as caught:
        collect(a_spec(x=an_input("STRING")), [pair], None)
    assert caught.value.code == "ARGUMENT_SYNTAX"


def test_only_literals_are_taken_where_there_are_some():
    spec = a_spec(x=an_input("STRING", literals=["red", "blue"]))
    assert collect(spec, ["x=red"], None) == {"x": "red"}
    with pytest.raises(CliError) as caught:
        collect(spec, ["x=green"], None)
    assert caught.value.code == "ARGUMENT_NOT_ALLOWED"
    assert "red, blue" in caught.value.fix


def test_the_command_line_goes_over_the_file(tmp_path):
    file = tmp_path / "arguments.yaml"
    file.write_text("n: 1\nwords: [a, b]\n")
    spec = a_spec(n=an_input("NUMBER_INTEGER"), words=an_input("LIST"))
    assert collect(spec, ["n=2"], file) == {"n": 2, "words": ["a", "b"]}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("n: text\n", "ARGUMENT_TYPE"),
        ("m: 1\n", "ARGUMENT_UNKNOWN"),
        ("- 1\n", "ARGUMENT_SYNTAX"),
        ("n: [1\n", "NOT_YAML"),
        ("a: &a [1]\nn: *a\n", "ALIASES"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, text, code):
    file = tmp_path / "arguments.yaml"
    file.write_text(text)
    with pytest.raises(CliError) as caught:
        collect(a_spec(n=an_input("NUMBER_INTEGER")), [], file)
    assert caught.value.code == code


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CliError) as caught:
        collect(a_spec(), [], tmp_path / "no.yaml")
    assert caught.value.code == "FILE_UNREADABLE"
    assert caught.value.where.endswith("no.yaml")
