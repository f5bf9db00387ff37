from __future__ import annotations

import pytest

from headrace.engine import InvalidArguments
from headrace.engine.model import State
from headrace.spec.document import parse_document
from properties.documents import leaf, pipeline, spec_of
from scenario import Scenario

TAKES = {
    "name": "STRING",
    "count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3.0},
    "rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5},
    "maybe": {"parameterType": "STRING", "isOptional": True},
    "mode": {"parameterType": "STRING", "defaultValue": "fast", "literals": ["fast", "slow"]},
    "flag": {"parameterType": "BOOLEAN", "defaultValue": False},
    "items": {"parameterType": "LIST", "defaultValue": [1.0]},
    "table": {"parameterType": "STRUCT", "defaultValue": {}},
}
DOCUMENT = pipeline({"t": leaf()}, takes=TAKES)


def faults(**arguments: object) -> dict[str, str]:
    with pytest.raises(InvalidArguments) as caught:
        Scenario(DOCUMENT, **arguments)
    return {fault.name: fault.code for fault in caught.value.faults}


def test_arguments_over_defaults():
    run = Scenario(DOCUMENT, name="n", count=4, items=[])
    assert run.state.inputs.parameters == {
        "name": "n", "count": 4, "rate": 0.5, "maybe": None, "mode": "fast", "flag": False, "items": [], "table": {},
    }  # fmt: skip
    assert run.end is State.PENDING


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {"name": "ARGUMENT_MISSING"}),
        ({"name": None}, {"name": "ARGUMENT_NULL"}),
        ({"name": 3}, {"name": "ARGUMENT_TYPE"}),
        ({"name": "n", "count": "3"}, {"count": "ARGUMENT_TYPE"}),
        ({"name": "n", "count": 3.5}, {"count": "ARGUMENT_TYPE"}),
        ({"name": "n", "count": True}, {"count": "ARGUMENT_TYPE"}),
        ({"name": "n", "rate": float("inf")}, {"rate": "ARGUMENT_TYPE"}),
        ({"name": "n", "flag": "true"}, {"flag": "ARGUMENT_TYPE"}),
        ({"name": "n", "items": {}}, {"items": "ARGUMENT_TYPE"}),
        ({"name": "n", "table": []}, {"table": "ARGUMENT_TYPE"}),
        ({"name": "n", "mode": "medium"}, {"mode": "ARGUMENT_LITERAL"}),
        ({"name": "n", "cuont": 3}, {"cuont": "ARGUMENT_UNKNOWN"}),
        ({"cuont": 3, "flag": 1}, {"name": "ARGUMENT_MISSING", "cuont": "ARGUMENT_UNKNOWN", "flag": "ARGUMENT_TYPE"}),
    ],
)
def test_every_fault_is_named_at_once(arguments: dict, expected: dict):
    assert faults(**arguments) == expected


def test_whole_numbers_may_come_as_doubles():
    assert Scenario(DOCUMENT, name="n", count=4.0).state.inputs.parameters["count"] == 4


def test_an_optional_argument_may_be_null():
    assert Scenario(DOCUMENT, name="n", maybe=None).state.inputs.parameters["maybe"] is None


def test_the_message_says_what_where_and_how_to_put_it_right():
    with pytest.raises(InvalidArguments) as caught:
        Scenario(DOCUMENT, name="n", cuont=3, flag="yes")
    text = str(caught.value)
    assert caught.value.code == "INVALID_ARGUMENTS"
    assert "pipeline p" in text
    assert "Did you mean count?" in text
    assert "flag: expected bool, got text 'yes'. Give true or false." in text


def test_an_unknown_argument_lists_the_known():
    with pytest.raises(InvalidArguments, match="takes no arguments"):
        Scenario(pipeline({"t": leaf()}), zzz=1)


def test_an_artifact_cannot_be_an_argument():
    spec = spec_of({"t": leaf()})
    spec["root"]["inputDefinitions"]["artifacts"] = {"data": {"artifactType": {"schemaTitle": "system.Dataset"}}}
    for arguments in ({}, {"data": "s3://x"}):
        with pytest.raises(InvalidArguments, match="dsl.importer") as caught:
            Scenario(parse_document(spec), **arguments)
        assert [f.code for f in caught.value.faults] == ["ARGUMENT_ARTIFACT"]


def test_a_default_that_does_not_fit_is_the_documents_fault():
    document = pipeline({"t": leaf()}, takes={"n": {"parameterType": "NUMBER_INTEGER", "defaultValue": "x"}})
    with pytest.raises(InvalidArguments, match="its default in the document"):
        Scenario(document)
    assert Scenario(document, n=1).state.inputs.parameters == {"n": 1}
