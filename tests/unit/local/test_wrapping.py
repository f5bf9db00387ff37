"""Arguments and outputs of a call: which are artifacts, and what becomes of a list."""

from __future__ import annotations

import pytest

from factories import an_artifact
from headrace import dsl
from headrace.engine.model import Bundle
from headrace.local.artifacts import outputs_of
from headrace.local.errors import LocalRunError
from headrace.local.wrapping import split


def test_none_is_left_to_the_default() -> None:
    data = dsl.Dataset(uri="/data.csv")
    assert split({"a": 1, "b": None, "c": data, "d": [], "e": False}) == ({"a": 1, "d": [], "e": False}, {"c": data})


def test_a_list_of_artifacts_cannot_be_an_argument() -> None:
    with pytest.raises(LocalRunError) as caught:
        split({"a": [dsl.Dataset(), dsl.Model()]})
    assert caught.value.code == "LOCAL_ARTIFACT_LIST"


def test_a_list_stays_a_list_whatever_its_length() -> None:
    one = an_artifact()
    found = outputs_of(Bundle(artifacts={"single": (one,), "list": (one,), "empty": ()}), frozenset({"list", "empty"}))
    assert isinstance(found["single"], dsl.Artifact)
    assert [type(member) for member in found["list"]] == [type(found["single"])]
    assert found["empty"] == []
