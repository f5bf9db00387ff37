"""What a function is called with and what its result becomes, on random signatures and values."""

from __future__ import annotations

import inspect
import json
import math
from collections import namedtuple
from pathlib import Path
from random import Random
from typing import Any, List, Literal, NamedTuple, Optional, Union  # noqa: UP035  # as users write them

import pytest

from headrace.runtime.annotations import accepts_none, strip_optional
from headrace.runtime.arguments import Files, arguments_for
from headrace.runtime.problems import Problem
from headrace.runtime.returns import write_executor_output
from headrace.runtime.values import to_argument, to_json

SEEDS = range(300)


def files_of(function: Any, folder: Path) -> Files:
    return Files({"outputs": {"outputFile": str(folder / "executor_output.json")}}, function)


def code_of(refused: pytest.ExceptionInfo[Problem]) -> str:
    return str(refused.value.code)


# --- arguments ---------------------------------------------------------------------------------


def random_function(rng: Random) -> Any:
    """A function with up to three positional and three keyword-only arguments, that returns what it is called with."""
    positional = [f"p{n}" for n in range(rng.randint(0, 3))]
    by_name = [f"k{n}" for n in range(rng.randint(0, 3))]
    first_default = rng.randint(0, len(positional))
    parts = [f"{name}: int" + (" = -1" if n >= first_default else "") for n, name in enumerate(positional)]
    parts += ["*"] if by_name else []
    parts += [f"{name}: int" + rng.choice(("", " = -2")) for name in by_name]
    scope: dict[str, Any] = {}
    exec(f"def f({', '.join(parts)}):\n    return dict(locals())\n", scope)
    return scope["f"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_value_wins_null_leaves_the_default_and_without_both_it_is_refused(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    function = random_function(rng)
    parameters = inspect.signature(function).parameters
    values = {name: rng.choice((None, 0, 7)) for name in parameters if rng.random() < 0.8}
    expected: dict[str, Any] = {}
    missing = False
    for name, parameter in parameters.items():
        has_default = parameter.default is not inspect.Parameter.empty
        if values.get(name) is not None:
            expected[name] = values[name]
        elif has_default:
            expected[name] = parameter.default
        elif name in values:
            expected[name] = None
        else:
            missing = True
    given = {"inputs": {"parameterValues": values}}
    if missing:
        with pytest.raises(Problem) as refused:
            arguments_for(function, given, files_of(function, tmp_path))
        assert code_of(refused) == "INPUT_MISSING"
    else:
        assert function(**arguments_for(function, given, files_of(function, tmp_path))) == expected


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (3, float, 3.0),
        (3.0, int, 3),
        (3.5, int, 3.5),
        (True, float, True),
        (3, Optional[float], 3.0),
        (3, Union[float, str], 3),
        ("a", str, "a"),
        ([1.0], list, [1.0]),
    ],
)
def test_numbers_become_what_the_function_declares(value: Any, annotation: Any, expected: Any) -> None:
    found = to_argument(value, annotation)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("annotation", "inner", "none"),
    [
        (int, int, False),
        (Optional[int], int, True),
        (int | None, int, True),
        (Union[int, str], Union[int, str], False),
        (Optional[Union[int, str]], Optional[Union[int, str]], True),
        (int | str | None, int | str | None, True),
        (None, None, True),
    ],
)
def test_only_the_optional_of_one_type_is_that_type(annotation: Any, inner: Any, none: bool) -> None:
    assert strip_optional(annotation) == inner
    assert accepts_none(annotation) is none


# --- results -----------------------------------------------------------------------------------

PLAIN = (str, int, float, bool, list, dict)
VALUES: tuple[Any, ...] = ("a", "", 0, -3, 2**60, 1.5, -0.0, 1e300, True, False, [], [1, "a"], {}, {"a": [None, 1.5]})


def fits(value: Any, annotation: type) -> bool:
    """A bool is not a number here; an int is a float."""
    if annotation in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if annotation is float else annotation)


@pytest.mark.parametrize("annotation", PLAIN)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_result_of_the_declared_type_is_kept_and_any_other_refused(value: Any, annotation: type) -> None:
    if not fits(value, annotation):
        with pytest.raises(Problem) as refused:
            to_json("Output", value, annotation)
        assert code_of(refused) == "OUTPUT_INVALID"
        return
    for declared in (annotation, Optional[annotation]):
        found = to_json("Output", value, declared)
        assert found == value
        assert type(found) is (float if annotation is float else type(value))


@pytest.mark.parametrize("annotation", [*PLAIN, List[int], Literal["a"]])  # noqa: UP006
def test_none_is_a_result_only_where_it_is_declared(annotation: Any) -> None:
    assert to_json("Output", None, Optional[annotation]) is None
    with pytest.raises(Problem):
        to_json("Output", None, annotation)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, "\ud800", object, {1, 2}, b"x"], ids=repr)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_what_json_cannot_say_is_refused_at_any_depth(bad: Any, depth: int) -> None:
    value = [bad, {"a": bad}, {"a": [1, {"b": bad}]}][depth]
    with pytest.raises(Problem) as refused:
        to_json("Output", value, type(value))
    assert code_of(refused) == "OUTPUT_INVALID"


class Pair(NamedTuple):
    """Two outputs."""

    first: int
    second: str


def written(result: Any, folder: Path) -> dict[str, Any]:
    def function() -> Pair: ...

    function.__annotations__["return"] = Pair
    files = files_of(function, folder)
    write_executor_output(function, result, files)
    path = Path(files.output_file)
    return json.loads(path.read_text())["parameterValues"] if path.exists() else {}


def test_outputs_of_a_tuple_go_by_place_and_of_a_named_tuple_by_name(tmp_path: Path) -> None:
    turned = namedtuple("turned", ["second", "first"])  # noqa: PYI024  # as users write it
    expected = {"first": 1, "second": "a"}
    assert written(Pair(1, "a"), tmp_path) == expected
    assert written((1, "a"), tmp_path) == expected
    assert written(turned(second="a", first=1), tmp_path) == expected


@pytest.mark.parametrize("result", [(1,), (1, "a", 2), (), [1, "a"], 1])
def test_another_number_of_outputs_is_refused(result: Any, tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        written(result, tmp_path)
    assert code_of(refused) == "OUTPUT_INVALID"


@pytest.mark.parametrize(
    ("kind", "writes"),
    [("chief", True), ("master", True), ("workerpool0", True), ("workerpool1", False), ("ps", False)],
)
def test_of_a_mirrored_training_job_only_the_chief_writes(
    kind: str, writes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTER_SPEC", json.dumps({"task": {"type": kind, "index": 0}}))
    assert bool(written((1, "a"), tmp_path)) is writes
