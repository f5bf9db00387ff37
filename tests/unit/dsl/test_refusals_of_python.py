"""What Python does with values, tried on channels: everything that would need the value now is refused, with help."""

# ruff: noqa: F841, B007, C419
from __future__ import annotations

import operator
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from headrace import dsl
from headrace.dsl.errors import DslValueError
from unit.dsl.conftest import Refused


@dsl.component
def number(x: int = 1) -> int:
    return x


@dsl.component
def flag(x: bool = True) -> bool:
    return x


@dsl.component
def texts() -> list[str]:
    return ["a"]


def pipeline_of(body: Callable[[Any, Any, Any], object]) -> Callable[[], object]:
    """A function that traces a pipeline around `body(number output, flag output, list output)`."""

    def make() -> object:
        @dsl.pipeline
        def tried() -> None:
            body(number().output, flag().output, texts().output)

        return tried

    make.__code__ = make.__code__.replace(co_filename=body.__code__.co_filename)
    return make


def test_if(refused: Refused) -> None:
    def body(n: Any, b: Any, _: Any) -> None:
        if n > 3:  # here
            number()

    error = refused("CONDITION_BOOL", pipeline_of(body))
    assert "dsl.If" in str(error)


def test_if_on_a_bare_value(refused: Refused) -> None:
    def body(n: Any, b: Any, _: Any) -> None:
        if b:  # here
            number()

    assert "dsl.If" in str(refused("CHANNEL_BOOL", pipeline_of(body)))


def test_and(refused: Refused) -> None:
    def body(n: Any, b: Any, _: Any) -> None:
        dsl.If((n > 1) and (n < 5))  # here

    assert "(a > 1) & (a < 5)" in str(refused("CONDITION_BOOL", pipeline_of(body)))


def test_or(refused: Refused) -> None:
    def body(n: Any, b: Any, _: Any) -> None:
        dsl.If((n > 1) or b)  # here

    refused("CONDITION_BOOL", pipeline_of(body))


def test_not(refused: Refused) -> None:
    def body(n: Any, b: Any, _: Any) -> None:
        dsl.If(not b)  # here

    assert "`~`" in str(refused("CHANNEL_BOOL", pipeline_of(body)))


def test_chained_comparison(refused: Refused) -> None:
    def body(n: Any, b: Any, _: Any) -> None:
        dsl.If(1 < n < 5)  # here

    refused("CONDITION_BOOL", pipeline_of(body))


def test_comparison_without_parentheses(refused: Refused) -> None:
    def body(n: Any, b: Any, _: Any) -> None:
        dsl.If(n > 1 & n)  # here

    refused("CONDITION_NOT_BOOL", pipeline_of(body))


def test_ternary(refused: Refused) -> None:
    def body(n: Any, b: Any, _: Any) -> None:
        number(x=1 if b else 2)  # here

    refused("CHANNEL_BOOL", pipeline_of(body))


def test_while(refused: Refused) -> None:
    def body(n: Any, b: Any, _: Any) -> None:
        while n < 3:  # here
            pass

    refused("CONDITION_BOOL", pipeline_of(body))


def test_in_a_python_list(refused: Refused) -> None:
    def body(n: Any, b: Any, _: Any) -> None:
        dsl.If(n in [1, 2])  # here

    refused("CONDITION_BOOL", pipeline_of(body))


def test_constant_in_a_channel(refused: Refused) -> None:
    def body(n: Any, b: Any, items: Any) -> None:
        dsl.If("a" in items)  # here

    refused("CHANNEL_CONTAINS", pipeline_of(body))


def test_for(refused: Refused) -> None:
    def body(n: Any, b: Any, items: Any) -> None:
        for item in items:  # here
            number()

    assert "dsl.ParallelFor" in str(refused("CHANNEL_ITERATED", pipeline_of(body)))


def test_unpacking(refused: Refused) -> None:
    def body(n: Any, b: Any, items: Any) -> None:
        first, second = items  # here

    refused("CHANNEL_ITERATED", pipeline_of(body))


def test_index(refused: Refused) -> None:
    def body(n: Any, b: Any, items: Any) -> None:
        number(x=items[0])  # here

    assert "component" in str(refused("CHANNEL_NOT_INDEXABLE", pipeline_of(body)))


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (len, "CHANNEL_LEN"),
        (bool, "CHANNEL_BOOL"),
        (int, "CHANNEL_CONVERTED"),
        (float, "CHANNEL_CONVERTED"),
        (range, "CHANNEL_CONVERTED"),
        (list, "CHANNEL_ITERATED"),
        (sum, "CHANNEL_ITERATED"),
        (sorted, "CHANNEL_ITERATED"),
        (max, "CHANNEL_ITERATED"),
        (any, "CHANNEL_ITERATED"),
        (abs, "CHANNEL_ARITHMETIC"),
        (round, "CHANNEL_ARITHMETIC"),
        (operator.neg, "CHANNEL_ARITHMETIC"),
    ],
)
def test_functions_of_one_value(refused: Refused, what: Callable[[Any], object], code: str) -> None:
    def body(n: Any, b: Any, items: Any) -> None:
        what(items)  # here

    refused(code, pipeline_of(body))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "xor", "lshift"])
def test_arithmetic_on_either_side(refused: Refused, name: str) -> None:
    apply = getattr(operator, name)

    def left(n: Any, b: Any, items: Any) -> None:
        apply(n, 2)  # here

    def right(n: Any, b: Any, items: Any) -> None:
        apply(2, n)  # here

    for body in (left, right):
        refused("CHANNEL_ARITHMETIC", pipeline_of(body))


def test_text_concatenation(refused: Refused) -> None:
    def body(n: Any, b: Any, items: Any) -> None:
        "a" + n  # here

    refused("CHANNEL_ARITHMETIC", pipeline_of(body))


def test_format_specification(refused: Refused) -> None:
    def body(n: Any, b: Any, items: Any) -> None:
        f"{n:03d}"  # here

    refused("CHANNEL_FORMAT", pipeline_of(body))


@dsl.component
def words(x: str) -> str:
    return x


def test_sliced_text(refused: Refused) -> None:
    def body(n: Any, b: Any, items: Any) -> None:
        words(x=f"{n}"[:1])  # here

    refused("CHANNEL_TEXT_DAMAGED", pipeline_of(body))


def test_range_loop_says_what_to_write(refused: Refused) -> None:
    def body(n: Any, b: Any, items: Any) -> None:
        with dsl.ParallelFor(range(3)):  # here
            number()

    refused("LOOP_ITEMS_INVALID", pipeline_of(body))


def test_a_tasks_truth_is_harmless() -> None:
    @dsl.pipeline
    def tried() -> None:
        task = number()
        if task:
            number(x=2)

    assert set(tried.documents()[0]["root"]["dag"]["tasks"]) == {"number", "number-2"}


# --- names that are not what they seem -----------------------------------------------------------


def test_names_of_typing_from_an_enclosing_function_are_in_every_task() -> None:
    NamedTuple = typing.NamedTuple

    from typing import NamedTuple

    @dsl.component
    def f() -> int:
        pair = NamedTuple("pair", [("a", int)])
        return pair(1).a

    assert f.component_spec.name == "f"


def test_another_thing_of_a_name_of_typing_is_not() -> None:
    Optional = str

    with pytest.raises(DslValueError) as caught:

        @dsl.component
        def f() -> str:
            return Optional(1)

    assert caught.value.code == "NAME_LEFT_BEHIND"


class Mine(dsl.Artifact):
    schema_title = "google.Thing"
    schema_version = "0.0.1"


class Several(NamedTuple):
    n: int
    thing: Mine


def test_the_field_of_a_named_tuple_that_a_task_does_not_know_is_named() -> None:
    with pytest.raises(DslValueError) as caught:

        @dsl.component
        def f() -> Several:
            return Several(1, None)

    assert "thing: Mine" in str(caught.value)


@pytest.mark.parametrize("name", ["日本", "---", "ÄÖ"])
def test_a_pipeline_s_name_without_letters_is_shown(name: str) -> None:
    with pytest.raises(DslValueError) as caught:

        @dsl.pipeline(name=name)
        def pipe() -> None:
            pass

    assert (caught.value.code, name in str(caught.value)) == ("PIPELINE_NAME_INVALID", True)
