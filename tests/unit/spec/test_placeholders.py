"""Placeholders in commands and texts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.spec.placeholders import PlaceholderError, find_in_command, render, render_command

GIVEN = {
    "inputs": {
        "parameterValues": {
            "text": "it's {{$.inputs.parameters['int']}}",
            "int": 3, "whole": 3.0, "half": 2.5, "tiny": 1e-7, "huge": 1e22, "yes": True, "no": False, "zero": 0, "blank": "", "list": [1, "a"], "map": {"k": None},
            "none": None, "pipelinechannel--a b": "chan",
        },
        "artifacts": {
            "one": {"artifacts": [{"name": "n", "type": {"schemaTitle": "system.Model"}, "uri": "s3://b/k",
                                   "metadata": {"acc": 0.5, "who": "me", "deep": {"a": [1]}}}]},
            "two": {"artifacts": [{"name": "a", "uri": "s3://b/1"}, {"name": "b", "uri": "file:///x/2"}]},
            "empty": {"artifacts": []},
        },
    },
    "outputs": {
        "parameters": {"p": {"outputFile": "/out/p"}},
        "artifacts": {"o": {"artifacts": [{"name": "o", "uri": "s3://b/o"}]}},
        "outputFile": "/out/executor_output.json",
    },
}  # fmt: skip
FACTS = {
    "pipeline_job_name": "run {{$.pipeline_root}}",
    "pipeline_root": "s3://root",
    "workspace_path": "/kfp-workspace",
}
PATHS = {"s3://b/k": "/in/k", "s3://b/o": "/out/o"}


def rendered(text: str) -> str:
    return render(text, GIVEN, FACTS, PATHS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{$.inputs.parameters['text']}}", "it's {{$.inputs.parameters['int']}}"),
        ('a{{$.inputs.parameters["int"]}}b', "a3b"),
        ("{{$.inputs.parameters['whole']}}/{{$.inputs.parameters['half']}}", "3/2.5"),
        ("{{$.inputs.parameters['tiny']}} {{$.inputs.parameters['huge']}}", "0.0000001 10000000000000000000000"),
        ("{{$.inputs.parameters['yes']}}", "true"),
        ("{{$.inputs.parameters['list']}}{{$.inputs.parameters['map']}}", '[1, "a"]{"k": null}'),
        ("{{$.inputs.parameters['pipelinechannel--a b']}}", "chan"),
        ("[{{$.inputs.parameters['none']}}]", "[]"),
        ("[{{$.inputs.parameters['absent']}}]", "[]"),
        ("{{$.inputs.artifacts['one'].uri}}", "s3://b/k"),
        ("{{$.inputs.artifacts['one'].path}}", "/in/k"),
        ("{{$.inputs.artifacts['two'].path}}", "s3://b/1"),
        ("{{$.inputs.artifacts['one'].name}}", "n"),
        ("{{$.inputs.artifacts['one'].metadata['acc']}}{{$.inputs.artifacts['one'].metadata['who']}}", "0.5me"),
        ("{{$.inputs.artifacts['one'].metadata['deep']}}", '{"a": [1]}'),
        ("{{$.inputs.artifacts['one'].metadata['deep']['a']}}", "[1]"),
        ("{{$.inputs.artifacts['one'].metadata['deep']['a'][0]}}", "1"),
        ("{{$.inputs.artifacts['one'].metadata.deep.a}}", "[1]"),
        ("{{$.inputs.artifacts['one'].metadata}}", '{"acc": 0.5, "who": "me", "deep": {"a": [1]}}'),
        ("{{$.inputs.artifacts['empty'].uri}}", ""),
        ("{{$.outputs.artifacts['o'].uri}} {{$.outputs.artifacts['o'].path}}", "s3://b/o /out/o"),
        ("{{$.outputs.parameters['p'].output_file}}", "/out/p"),
        ("{{$.outputs.output_file}}", "/out/executor_output.json"),
        ("{{$.pipeline_job_name}}", "run {{$.pipeline_root}}"),
        ("{{$.workspace_path}}/x", "/kfp-workspace/x"),
        ("{{ $.x }} {{$ x}} {{x}} ${x}", "{{ $.x }} {{$ x}} {{x}} ${x}"),
    ],
)
def test_texts(text: str, expected: str) -> None:
    assert rendered(text) == expected


def test_the_whole_input_and_artifact_lists_are_json() -> None:
    assert json.loads(rendered("{{$}}")) == GIVEN
    assert json.loads(rendered("{{$.inputs.artifacts['two']}}")) == GIVEN["inputs"]["artifacts"]["two"]["artifacts"]


@pytest.mark.parametrize(
    "text",
    [
        "{{$.outputs.parameters['q'].output_file}}",
        "{{$.outputs.artifacts['q'].uri}}",
        "{{$.inputs.artifacts['one'].size}}",
        "{{$.inputs.artifacts['one'].metadata['none']}}",
        "{{$.inputs.artifacts['one'].metadata['deep']['b']}}",
        "{{$.inputs.artifacts['one'].metadata['deep']['a'][7]}}",
        "{{$.inputs.artifacts['one'].metadata['who']['x']}}",
        "{{$.pipeline_job_uuid}}",
    ],
)
def test_unknown_placeholders_are_named(text: str) -> None:
    with pytest.raises(PlaceholderError) as caught:
        rendered("before " + text)
    assert caught.value.placeholder == text
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    "text", ["{{$.customer_name}}", "{{$.inputs.parameters['text'].json_escape[1]}}", "{{$.a.b['c'][1]}}", "{{ x }}"]
)
def test_what_is_no_placeholder_of_ours_stays_as_it_is(text: str) -> None:
    assert rendered("before " + text) == "before " + text


def concat(*items: object) -> str:
    return json.dumps({"Concat": list(items)})


def if_present(name: str, then: object, otherwise: object = None) -> dict:
    return {"IfPresent": {"InputName": name, "Then": then, **({"Else": otherwise} if otherwise else {})}}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["a", "{{$.inputs.parameters['none']}}", "{{$.inputs.parameters['int']}}"], ["a", "3"]),
        ([concat("x=", "{{$.inputs.parameters['text']}}", "!")], ["x=it's {{$.inputs.parameters['int']}}!"]),
        ([concat("a", if_present("absent", "b"), "c")], ["ac"]),
        ([concat("a", if_present("int", {"Concat": ["b", "{{$.inputs.parameters['int']}}"]}), "c")], ["ab3c"]),
        ([json.dumps(if_present("int", ["--n", "{{$.inputs.parameters['int']}}"]))], ["--n", "3"]),
        ([json.dumps(if_present("none", ["--n"], ["--default", "1"]))], ["--default", "1"]),
        ([json.dumps(if_present("absent", ["--n"]))], []),
        ([json.dumps(if_present("one", "{{$.inputs.artifacts['one'].uri}}", "no"))], ["s3://b/k"]),
        ([json.dumps(if_present("empty", "yes", "no"))], ["no"]),
        ([json.dumps(if_present("int", if_present("absent", "x", "y")))], ["y"]),
        (['{"Concat":["a","b"]}'], ["ab"]),
        (['{"Concat": ["a"'], ['{"Concat": ["a"']),
        (['{"other": 1}'], ['{"other": 1}']),
        ([""], [""]),
    ],
)
def test_commands(items: list[str], expected: list[str]) -> None:
    assert render_command(items, GIVEN, FACTS, PATHS) == expected


@pytest.mark.parametrize("name", [*GIVEN["inputs"]["parameterValues"], *GIVEN["inputs"]["artifacts"], "absent"])
def test_only_null_and_what_is_not_given_is_not_present(name: str) -> None:
    clause = json.dumps({"IfPresent": {"InputName": name, "Then": "then", "Else": "else"}})
    expected = "else" if name in ("none", "empty", "absent") else "then"
    assert render_command([clause], GIVEN, FACTS, PATHS) == [expected]


def test_a_clause_that_is_none_is_named() -> None:
    with pytest.raises(PlaceholderError, match="IfPresent"):
        render_command(['{"IfPresent": {"Then": "x"}}'], GIVEN, FACTS)


def test_finding() -> None:
    item = json.dumps(if_present("a", [{"Concat": ["{{$.inputs.parameters['b']}}", "{{$}}"]}]))
    assert [found.steps for found in find_in_command(item)] == [
        ("inputs", "any", "a"),
        ("inputs", "parameters", "b"),
        (),
    ]


@given(st.text(), st.text())
@settings(deadline=None)
def test_values_are_never_read_again(value: str, more: str) -> None:
    given_ = {"inputs": {"parameterValues": {"x": value + "{{$}}"}}}
    shown = "{{$.inputs.parameters['x']}}"
    text = more.replace("{", "") + shown
    assert render(text, given_, {}) == more.replace("{", "") + value + "{{$}}"


@given(st.text(st.sampled_from("{}$.[]'\"inputsparameters '"), max_size=60))
@settings(deadline=None)
def test_any_text_is_replaced_or_refused(text: str) -> None:
    try:
        render_command([text], {}, {})
    except PlaceholderError as error:
        assert error.placeholder in text


ELEMENTS = st.recursive(
    st.sampled_from(
        [
            "a",
            "--x={{$.inputs.parameters['text']}}",
            "{{$.inputs.parameters['other']}}{{$.inputs.parameters['list']}}",
            "{{$.inputs.artifacts['one'].uri}}",
            "{{$.inputs.artifacts['one'].metadata['who']}}",
            "{{$.outputs.parameters['p'].output_file}}",
            "{{$.outputs.artifacts['o'].uri}} {{$.outputs.output_file}}",
            "{{$.pipeline_job_name}}/{{$.pipeline_root}}",
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: {"Concat": items}),
        st.builds(if_present, st.sampled_from(["text", "one", "absent", "none"]), inner, st.none() | inner),
    ),
    max_leaves=5,
)


@pytest.mark.kfp
@given(st.lists(ELEMENTS, max_size=4))
@settings(deadline=None)
def test_what_kfps_own_runner_makes_of_a_command(elements: list) -> None:
    from kfp.local.placeholder_utils import replace_placeholders

    given_ = {
        "inputs": {
            "parameterValues": {"text": "it's", "other": "b", "list": [1, "a"], "none": None},
            "artifacts": {"one": GIVEN["inputs"]["artifacts"]["one"]},
        },
        "outputs": GIVEN["outputs"],
    }
    facts = {"pipeline_job_name": "run", "pipeline_root": "/root"}
    items = [json.dumps(element) if isinstance(element, dict) else element for element in elements]
    theirs = replace_placeholders(items, json.loads(json.dumps(given_)), "run", "task", "/root", "id")
    assert render_command(items, given_, facts) == theirs
