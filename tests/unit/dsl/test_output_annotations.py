"""What an output annotation can say."""

from __future__ import annotations

import typing

import pytest

from headrace import dsl
from headrace.dsl.errors import DslError


def test_paths_with_brackets_are_the_same_as_with_parentheses() -> None:
    @dsl.component
    def brackets(a: dsl.InputPath[dsl.Dataset], b: dsl.OutputPath[str], c: dsl.OutputPath[dsl.Model]):
        pass

    @dsl.component
    def parentheses(a: dsl.InputPath(dsl.Dataset), b: dsl.OutputPath(str), c: dsl.OutputPath(dsl.Model)):
        pass

    for side in ("inputs", "outputs"):
        ours, theirs = (getattr(component.component_spec, side) for component in (brackets, parentheses))
        assert {name: spec.type for name, spec in ours.items()} == {name: spec.type for name, spec in theirs.items()}
    assert set(brackets.component_spec.outputs) == {"b", "c"}


@pytest.mark.parametrize("value", [dict, list, str, int, float, bool, typing.Dict[str, int], list[str]])
def test_output_of_a_value_is_refused(value: typing.Any) -> None:
    def wrong(a):
        pass

    wrong.__annotations__ = {"a": dsl.Output[value]}
    with pytest.raises(DslError) as caught:
        dsl.component(wrong)
    assert caught.value.code == "OUTPUT_NOT_AN_ARTIFACT"
