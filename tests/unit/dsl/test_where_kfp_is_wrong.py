"""Each thing that kfp 2.17 compiles to a wrong document, or refuses without saying why: here it is right or refused."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union

import pytest

from headrace import dsl
from headrace.compiler import Compiler, compiled
from headrace.spec.reading import read_pipeline
from unit.dsl.conftest import Refused

OUTSIDE = 3


@dsl.component
def text(x: str = "a") -> str:
    return x


@dsl.component
def number(x: int = 1) -> int:
    return x


@dsl.component
def half(x: float = 0.5) -> float:
    return x


@dsl.component
def flag(x: bool = True) -> bool:
    return x


@dsl.component
def numbers() -> list[int]:
    return [1]


@dsl.component
def table() -> dict[str, list[int]]:
    return {}


@dsl.component
def maybe(x: Optional[str] = None, n: int = 3) -> str:  # noqa: UP045
    return str(x)


@dsl.component
def data(out: dsl.Output[dsl.Dataset]) -> None:
    pass


def document(body: Callable[..., Any]) -> dict[str, Any]:
    """The checked document of a pipeline function."""
    return compiled(dsl.pipeline(body))[0]


def condition_of(body: Callable[..., Any]) -> str:
    tasks = document(body)["root"]["dag"]["tasks"].values()
    return str(next(task["triggerPolicy"]["condition"] for task in tasks if "triggerPolicy" in task))


def inside(found: dict[str, Any], task: str) -> dict[str, Any]:
    """The DAG of a group."""
    dag: dict[str, Any] = found["components"][f"comp-{task}"]["dag"]["tasks"]
    return dag


# 1, 2, 3: values inside texts


def test_typed_lists_and_dicts_in_texts() -> None:
    def body() -> None:
        text(x=f"{numbers().output} and {table().output}")

    task = document(body)["root"]["dag"]["tasks"]["text"]
    assert task["dependentTasks"] == ["numbers", "table"]
    assert task["inputs"]["parameters"]["x"]["runtimeValue"]["constant"] == (
        "{{$.inputs.parameters['pipelinechannel--numbers-Output']}} and "
        "{{$.inputs.parameters['pipelinechannel--table-Output']}}"
    )


def test_members_of_loop_items_in_texts() -> None:
    def body(items: list[dict[str, str]]) -> None:
        with dsl.ParallelFor(items) as item:
            text(x=f"<{item.b}>")
        with dsl.ParallelFor([{"b": "x"}]) as other:
            text(x=f"<{other.b}>")

    found = document(body)
    for task in ("for-loop-1", "for-loop-3"):
        (entry,) = inside(found, task).values()
        (injected,) = (value for name, value in entry["inputs"]["parameters"].items() if name != "x")
        assert injected["parameterExpressionSelector"] == 'parseJson(string_value)["b"]'
    assert list(found["root"]["dag"]["tasks"]["for-loop-1"]["inputs"]["parameters"]) == ["pipelinechannel--items"]
    assert "inputs" not in found["root"]["dag"]["tasks"]["for-loop-3"]


@pytest.mark.parametrize("group", ["if", "exit"])
def test_members_of_constant_items_inside_a_group(group: str) -> None:
    def body(x: int = 1) -> None:
        around = dsl.If(x == 1) if group == "if" else dsl.ExitHandler(text())
        with around, dsl.ParallelFor([{"a": "x"}]) as item:
            text(x=item.a)

    found = document(body)
    outer = next(task for name, task in found["root"]["dag"]["tasks"].items() if name != "text")
    assert "loop-item" not in json.dumps(outer.get("inputs", {}))


# 4: settings from values


@pytest.mark.parametrize(
    "setter",
    [
        "set_cpu_limit",
        "set_cpu_request",
        "set_memory_limit",
        "set_memory_request",
        "set_accelerator_type",
        "set_accelerator_limit",
        "set_container_image",
    ],
)
def test_settings_from_values_inside_groups(setter: str) -> None:
    def body(size: str = "1", go: bool = True) -> None:
        made = text()
        with dsl.If(go == True), dsl.ParallelFor(["a"]):  # noqa: E712
            getattr(number(), setter)(size)
            getattr(half(), setter)(made.output)
        getattr(flag(), setter)(made.output)

    found = document(body)
    assert found["root"]["dag"]["tasks"]["flag"]["dependentTasks"] == ["text"]
    assert found["root"]["dag"]["tasks"]["condition-1"]["dependentTasks"] == ["text"]
    loop = inside(found, "for-loop-3")
    names = {
        value["componentInputParameter"]
        for task in loop.values()
        for value in task["inputs"]["parameters"].values()
        if "componentInputParameter" in value
    }
    assert names == {"pipelinechannel--size", "pipelinechannel--text-Output"}


# 5 to 10: conditions


def test_conditions_are_combined() -> None:
    def body(v: int, b: bool, s: str) -> None:
        with dsl.If((v > 1) & (v < 5) | b & ~(s == "x")):
            number()

    v = "int(inputs.parameter_values['pipelinechannel--v'])"
    assert condition_of(body) == (
        f"(({v} > 1) && ({v} < 5)) || ((inputs.parameter_values['pipelinechannel--b'] == true) && "
        "!(inputs.parameter_values['pipelinechannel--s'] == 'x'))"
    )


def test_membership() -> None:
    def body(s: str) -> None:
        with dsl.If(s.in_(["a", "it's"])):  # type: ignore[attr-defined]
            number()

    assert condition_of(body) == r"inputs.parameter_values['pipelinechannel--s'] in ['a', 'it\'s']"


def test_a_bool_is_a_condition() -> None:
    def body(b: bool) -> None:
        with dsl.If(b):
            number()

    assert condition_of(body) == "inputs.parameter_values['pipelinechannel--b'] == true"


@pytest.mark.parametrize(("constant", "word"), [(1, "true"), (0, "false"), (True, "true"), (False, "false")])
def test_bools_and_numbers(constant: int, word: str) -> None:
    def body(b: bool) -> None:
        with dsl.If(b == constant):
            number()

    assert condition_of(body) == f"inputs.parameter_values['pipelinechannel--b'] == {word}"


def test_a_bool_is_never_two(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried(b: bool) -> None:
            with dsl.If(b == 2):  # here
                number()

    refused("CONDITION_BOOL_NUMBER", make)


def test_an_int_and_a_text() -> None:
    def body(n: int) -> None:
        with dsl.If(n == "1"):
            number()

    assert condition_of(body) == "string(int(inputs.parameter_values['pipelinechannel--n'])) == '1'"


@pytest.mark.parametrize(
    ("constant", "written"),
    [("it's", r"'it\'s'"), ("a\\b", r"'a\\b'"), ("two\nlines", r"'two\nlines'"), ('"', "'\"'")],
)
def test_texts_are_escaped(constant: str, written: str) -> None:
    def body(s: str) -> None:
        with dsl.If(s == constant):
            number()

    assert condition_of(body) == f"inputs.parameter_values['pipelinechannel--s'] == {written}"


def test_a_list_is_no_condition(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried() -> None:
            made = numbers()
            with dsl.If(made.output == 1):  # here
                number()

    assert "component" in str(refused("CONDITION_NOT_PRIMITIVE", make))


def test_a_constant_is_no_condition(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried() -> None:
            with dsl.If(1 == OUTSIDE):  # here
                number()

    refused("CONDITION_CONSTANT", make)


# 11: environment


@pytest.mark.parametrize("written", ["{}", "x-{}"])
def test_environment_holds_constants_only(refused: Refused, written: str) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried(p: str) -> None:
            number().set_env_variable("K", written.format(p))  # here

    assert "os.environ" in str(refused("ENV_NOT_CONSTANT", make))


def test_a_bare_channel_in_the_environment(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried(p: str) -> None:
            number().set_env_variable("K", p)  # here

    refused("ENV_NOT_CONSTANT", make)


# 12: members have types of their own


def test_members_of_different_types() -> None:
    def body() -> None:
        with dsl.ParallelFor([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]) as item:
            number(x=item.a)
            text(x=item.b)

    assert set(inside(document(body), "for-loop-2")) == {"number", "text"}


def test_members_that_do_not_exist(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried() -> None:
            with dsl.ParallelFor([{"a": 1}]) as item:
                number(x=item.c)  # here

    refused("LOOP_ITEM_KEY_UNKNOWN", make)


# 13, 14, 19: functions that cannot travel


def test_async(refused: Refused) -> None:
    def make() -> None:
        @dsl.component  # here
        async def later() -> str:
            return ""

    assert "asyncio.run" in str(refused("ASYNC_COMPONENT", make))


def test_generator(refused: Refused) -> None:
    def make() -> None:
        @dsl.component  # here
        def later() -> str:
            yield ""

    refused("ASYNC_COMPONENT", make)


def test_names_of_the_module(refused: Refused) -> None:
    def make() -> None:
        @dsl.component  # here
        def uses() -> int:
            return OUTSIDE

    assert "'OUTSIDE'" in str(refused("NAME_LEFT_BEHIND", make))


def test_modules_of_the_module(refused: Refused) -> None:
    def make() -> None:
        @dsl.component  # here
        def uses() -> str:
            return json.dumps({})

    assert "`import json`" in str(refused("NAME_LEFT_BEHIND", make))


def test_closures(refused: Refused) -> None:
    here = 3

    def make() -> None:
        @dsl.component  # here
        def uses() -> int:
            return here

    refused("NAME_LEFT_BEHIND", make)


def test_source_that_does_not_exist() -> None:
    names: dict[str, Any] = {"dsl": dsl}
    with pytest.raises(dsl.DslError) as caught:
        exec("@dsl.component\ndef f() -> str:\n    return ''", names)  # noqa: S102
    assert caught.value.code == "SOURCE_NOT_FOUND"
    assert "file" in str(caught.value)


# 15: annotations


def test_literal() -> None:
    @dsl.component
    def choose(mode: Literal["fast", "slow"] = "fast", n: Literal[1, 2] = 1) -> str:
        return mode

    found = compiled(choose)[0]["components"]["comp-choose"]["inputDefinitions"]["parameters"]
    assert found["mode"] == {
        "parameterType": "STRING",
        "literals": ["fast", "slow"],
        "isOptional": True,
        "defaultValue": "fast",
    }
    assert found["n"]["literals"] == [1.0, 2.0]


def test_a_value_outside_of_a_literal(refused: Refused) -> None:
    def make() -> None:
        @dsl.component
        def choose(mode: Literal["fast", "slow"]) -> str:
            return mode

        @dsl.pipeline
        def tried() -> None:
            choose(mode="never")  # here

    assert "'fast', 'slow'" in str(refused("LITERAL_NOT_ALLOWED", make))


def test_optional_in_every_spelling() -> None:
    @dsl.component
    def spelled(
        a: str | None = None,
        b: Optional[list[str]] = None,  # noqa: UP045
        c: Union[None, int] = 3,  # noqa: UP007
        d: "dict[str, int] | None" = None,  # noqa: UP037
    ) -> None:
        pass

    found = compiled(spelled)[0]["components"]["comp-spelled"]["inputDefinitions"]["parameters"]
    assert [(one["parameterType"], one["isOptional"]) for one in found.values()] == [
        ("STRING", True),
        ("LIST", True),
        ("NUMBER_INTEGER", True),
        ("STRUCT", True),
    ]


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("annotation", "hint"),
    [
        (Any, "name the type"),
        (int | str, "X | None"),
        (tuple[int, int], "list"),
        (tuple, "list"),
        (set[str], "list"),
        (Colour, "Literal"),
        (Point, "dict"),
        (complex, "dsl.Dataset"),
        (bytes, "dsl.Dataset"),
    ],
)
def test_annotations_that_say_nothing_to_a_backend(refused: Refused, annotation: Any, hint: str) -> None:
    def make() -> None:
        def uses(x: int) -> str:  # here
            return ""

        uses.__annotations__["x"] = annotation
        dsl.component(uses)

    error = refused("UNSUPPORTED_ANNOTATION", make)
    assert "'x'" in str(error)
    assert hint in str(error)


def test_a_missing_annotation(refused: Refused) -> None:
    def make() -> None:
        @dsl.component  # here
        def uses(x) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
            return ""

    refused("ANNOTATION_MISSING", make)


# 16: defaults


def test_a_default_of_another_type(refused: Refused) -> None:
    def make() -> None:
        @dsl.component  # here
        def uses(x: int = "a") -> str:  # type: ignore[assignment]
            return ""

    error = refused("DEFAULT_TYPE_MISMATCH", make)
    assert "'x'" in str(error)
    assert "str" in str(error)


# 17: outputs


def test_unknown_outputs(refused: Refused) -> None:
    def by_key() -> None:
        @dsl.pipeline
        def tried() -> None:
            number().outputs["Outputs"]  # here

    def by_name() -> None:
        @dsl.pipeline
        def tried() -> None:
            number().outputs.outputt  # here

    def none() -> None:
        @dsl.component
        def nothing() -> None:
            pass

        @dsl.pipeline
        def tried() -> None:
            nothing().output  # here

    assert "did you mean 'Output'" in str(refused("NO_SUCH_OUTPUT", by_key))
    refused("NO_SUCH_OUTPUT", by_name)
    assert "no outputs" in str(refused("NO_SUCH_OUTPUT", none))


# 18: constants


def test_none_for_an_optional_input() -> None:
    def body() -> None:
        maybe(x=None, n=2)

    assert set(document(body)["root"]["dag"]["tasks"]["maybe"]["inputs"]["parameters"]) == {"n"}


def test_none_for_a_required_input(refused: Refused) -> None:
    def make() -> None:
        @dsl.component
        def needs(x: str) -> str:
            return x

        @dsl.pipeline
        def tried() -> None:
            needs(x=None)  # here

    assert "Optional" in str(refused("NONE_NOT_ALLOWED", make))


def test_int_for_float() -> None:
    def body(n: int = 2) -> None:
        half(x=1)
        half(x=n)

    tasks = document(body)["root"]["dag"]["tasks"]
    assert tasks["half"]["inputs"]["parameters"]["x"]["runtimeValue"]["constant"] == 1.0
    assert tasks["half-2"]["inputs"]["parameters"]["x"] == {"componentInputParameter": "n"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"x", {1, 2}, object(), [object()], {"a": Point(1)}])
def test_constants_no_document_carries(refused: Refused, value: Any) -> None:
    def make() -> None:
        @dsl.component
        def takes(x: dict) -> str:  # type: ignore[type-arg]
            return ""

        @dsl.component
        def takes_float(x: float) -> str:
            return ""

        @dsl.pipeline
        def tried() -> None:
            (takes_float if isinstance(value, float) else takes)(x=value)

    with pytest.raises(dsl.DslError) as caught:
        make()
    assert caught.value.code in ("NUMBER_NOT_FINITE", "CONSTANT_INVALID")


# 21: types are checked, whatever is asked


def test_types_that_do_not_fit(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried(s: str) -> None:
            number(x=s)  # here

    error = refused("TYPE_MISMATCH", make)
    assert "'str' from the pipeline input 's' is incompatible with the input type 'int'" in str(error)


def test_a_task_in_place_of_its_output(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried() -> None:
            number(x=number())  # here

    assert "task.output" in str(refused("CONSTANT_INVALID", make))


# 22: packages


def test_packages_and_virtual_environment() -> None:
    @dsl.component(packages_to_install=["kfp-extra"], use_venv=True)
    def uses() -> None:
        pass

    command = compiled(uses)[0]["deploymentSpec"]["executors"]["exec-uses"]["container"]["command"]
    assert "'kfp-extra'" in command[2]


def test_packages_in_one_text(refused: Refused) -> None:
    def make() -> None:
        @dsl.component(packages_to_install="pandas")  # type: ignore[arg-type]  # here
        def uses() -> None:
            pass

    assert "['pandas']" in str(refused("PACKAGES_NOT_A_LIST", make))


# 23: loops and artifacts


def test_empty_lists(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried() -> None:
            with dsl.ParallelFor([]):  # here
                number()

    refused("LOOP_ITEMS_EMPTY", make)


def test_artifact_classes_with_a_metaclass() -> None:
    class Meta(type):
        pass

    class Special(dsl.Artifact, metaclass=Meta):
        schema_title = "system.Special"

    def body(x: dsl.Input[Special]) -> None:
        number()

    found = document(body)["root"]["inputDefinitions"]["artifacts"]["x"]
    assert found == {"artifactType": {"schemaTitle": "system.Special", "schemaVersion": "0.0.1"}}


def test_sliced_metrics() -> None:
    sliced = dsl.SlicedClassificationMetrics()
    sliced.log_roc_reading("a", threshold=0.5, tpr=0.6, fpr=0.1)
    sliced.load_roc_readings("b", [[0.5, 0.6, 0.1]])
    sliced.set_confusion_matrix_categories("a", ["x", "y"])
    sliced.log_confusion_matrix_row("a", "x", [1, 2])
    sliced.log_confusion_matrix_cell("a", "y", "x", 3)
    sliced.load_confusion_matrix("b", ["x"], [[4]])
    first, second = sliced.metadata["evaluationSlices"]
    assert first["slice"] == "a"
    assert [row["row"] for row in first["sliceClassificationMetrics"]["confusionMatrix"]["rows"]] == [[1, 2], [3, 0]]
    reading = {"confidenceThreshold": 0.5, "recall": 0.6, "falsePositiveRate": 0.1}
    assert second["sliceClassificationMetrics"]["confidenceMetrics"] == [reading]


# Topology


def test_outputs_from_inside_a_loop(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried() -> None:
            with dsl.ParallelFor(["a"]) as item:
                made = text(x=item)
            text(x=made.output)  # here

    assert "dsl.Collected(task.output)" in str(refused("TOPOLOGY_INVALID", make))


def test_outputs_from_inside_a_branch(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried(x: int) -> None:
            with dsl.If(x == 1):
                made = text()
            text(x=made.output)  # here

    assert "dsl.OneOf" in str(refused("TOPOLOGY_INVALID", make))


def test_an_item_outside_of_its_loop(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried() -> None:
            with dsl.ParallelFor(["a"]) as item:
                text(x=item)
            text(x=item)  # here

    refused("LOOP_ITEM_OUTSIDE_LOOP", make)


def test_a_task_of_another_pipeline(refused: Refused) -> None:
    def make() -> None:
        kept: list[Any] = []

        @dsl.pipeline
        def first() -> None:
            kept.append(text().output)

        @dsl.pipeline
        def second() -> None:
            text(x=kept[0])  # here

    refused("FOREIGN_TASK", make)


def test_a_parameter_of_another_pipeline(refused: Refused) -> None:
    def make() -> None:
        kept: list[Any] = []

        @dsl.pipeline
        def first(x: str) -> None:
            kept.append(x)
            text(x=x)

        @dsl.pipeline
        def second(y: str) -> None:
            text(x=kept[0])  # here

    refused("FOREIGN_INPUT", make)


def test_artifacts_in_texts(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried() -> None:
            text(x=f"{data().output}")  # here

    assert ".path" in str(refused("ARTIFACT_IN_TEXT", make))


def test_arguments(refused: Refused) -> None:
    def positional() -> None:
        @dsl.pipeline
        def tried() -> None:
            number(1)  # here

    def unknown() -> None:
        @dsl.pipeline
        def tried() -> None:
            maybe(nn=1)  # here

    def missing() -> None:
        @dsl.component
        def needs(x: str) -> str:
            return x

        @dsl.pipeline
        def tried() -> None:
            needs()  # here

    assert "number(x=...)" in str(refused("POSITIONAL_ARGUMENT", positional))
    assert "did you mean 'n'" in str(refused("UNKNOWN_ARGUMENT", unknown))
    refused("MISSING_ARGUMENT", missing)


def test_a_pipeline_without_tasks(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline  # here
        def tried() -> None:
            pass

    refused("PIPELINE_EMPTY", make)


# What could never run


@pytest.mark.parametrize("around", ["if", "loop", "exit"])
def test_exit_handlers_stand_on_the_top_level(refused: Refused, around: str) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried(x: int) -> None:
            first, second = text(), text()
            groups = {"if": lambda: dsl.If(x == 1), "loop": lambda: dsl.ParallelFor([1])}
            outer: Any = groups.get(around, lambda: dsl.ExitHandler(first))()
            with outer:
                with dsl.ExitHandler(second):  # here
                    text()

    refused("EXIT_HANDLER_NESTED", make)


def test_exit_handler_after_a_chain_without_else() -> None:
    def body(x: int = 1) -> None:
        with dsl.If(x == 1):
            text()
        with dsl.Elif(x == 2):
            text()
        with dsl.ExitHandler(number()):
            text()

    tasks = document(body)["root"]["dag"]["tasks"]
    assert set(tasks) == {"condition-branches-1", "exit-handler-4", "number"}
    assert tasks["number"]["dependentTasks"] == ["exit-handler-4"]


def test_waiting_for_itself(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried() -> None:
            made = text()
            made.after(made)  # here

    refused("AFTER_SELF", make)


def test_waiting_in_a_circle(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried() -> None:
            first = text()  # here
            second = text()
            first.after(second)
            second.after(first)

    assert "text, text-2" in str(refused("DEPENDENCY_CYCLE", make))


def test_loops_over_constants_with_values_among_them(refused: Refused) -> None:
    def make() -> None:
        @dsl.pipeline
        def tried(x: str) -> None:
            with dsl.ParallelFor([x, "b"]):  # here
                text()

    refused("LOOP_ITEMS_WITH_CHANNELS", make)


def test_loops_over_collected_outputs() -> None:
    def body() -> None:
        with dsl.ParallelFor(["a"]) as item:
            made = text(x=item)
        with dsl.ParallelFor(dsl.Collected(made.output)) as again:
            text(x=again)

    second = document(body)["root"]["dag"]["tasks"]["for-loop-3"]
    assert second["dependentTasks"] == ["for-loop-2"]
    assert second["parameterIterator"]["itemInput"] == "pipelinechannel--text-Output-loop-item"


def test_importers_and_images(refused: Refused) -> None:
    def importer() -> None:
        @dsl.pipeline
        def tried() -> None:
            dsl.importer(artifact_uri="a", artifact_class=str)  # here

    def image() -> None:
        @dsl.pipeline
        def tried() -> None:
            text().set_container_image(3)  # type: ignore[arg-type]  # here

    refused("IMPORTER_CLASS_INVALID", importer)
    refused("IMAGE_INVALID", image)


# --- loops over one list, and what an author wrote ------------------------------------------------


def _item_inputs(spec: dict[str, Any]) -> list[str]:
    """Names of the items of all loops."""
    dags = [spec["root"], *spec["components"].values()]
    tasks = [task for one in dags for task in one.get("dag", {}).get("tasks", {}).values()]
    found = [task.get("parameterIterator") or task.get("artifactIterator") for task in tasks]
    return [one["itemInput"] for one in found if one]


@dsl.component
def pair(x: str, y: str) -> str:
    return x + y


@dsl.component
def texts() -> list[str]:
    return []


@dsl.component
def rows() -> list[dict[str, list[str]]]:
    return []


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("source", ["input", "output", "member"])
def test_nested_loops_over_one_list_have_items_of_their_own(source: str, levels: int) -> None:
    def deeper(items: Any, around: list[Any]) -> None:
        with dsl.ParallelFor(items) as item:
            if len(around) < levels - 1:
                with dsl.If(item != ""):  # whatever stands between them
                    deeper(items, [*around, item])
            else:
                pair(x=around[0], y=item)

    def body(names: list[str]) -> None:
        if source == "input":
            deeper(names, [])
        elif source == "output":
            deeper(texts().output, [])
        else:
            with dsl.ParallelFor(rows().output) as row:
                deeper(row.cells, [])

    spec = compiled(dsl.pipeline(body))[0]
    names = _item_inputs(spec)
    assert len(set(names)) == len(names)
    (last,) = [
        component["dag"]["tasks"]["pair"]["inputs"]["parameters"]
        for component in spec["components"].values()
        if "pair" in component.get("dag", {}).get("tasks", {})
    ]
    assert last["x"] != last["y"]


def test_loops_over_one_list_beside_each_other_keep_the_name_of_kfp() -> None:
    def body(names: list[str]) -> None:
        for _ in range(2):
            with dsl.ParallelFor(names) as item:
                text(x=item)

    assert _item_inputs(compiled(dsl.pipeline(body))[0]) == ["pipelinechannel--names-loop-item"] * 2


@pytest.mark.parametrize(
    "written",
    [
        "SELECT *\nFROM t\n",
        "---\ntitle: x\n---\n",
        "a\r\nb",
        "\u2028x",
        "\x85",
        "\0",
        "# x: y",
        "'",
        "'\n- a: b",
        "\ufeff",
    ],
)
@pytest.mark.parametrize("place", ["default", "description", "value", "list", "key"])
def test_what_an_author_wrote_is_read_back_as_it_was(tmp_path: Path, written: str, place: str) -> None:
    @dsl.component
    def take(x: dict = {}, y: str = "") -> None:  # noqa: B006
        pass

    def body(q: str = written if place == "default" else "", r: list = [written] if place == "list" else []) -> None:  # noqa: B006
        value = {written or "k": 1} if place == "key" else {}
        take(x=value, y=written if place == "value" else "")

    built = dsl.pipeline(description=written if place == "description" else None)(body)
    path = tmp_path / "out.yaml"
    Compiler().compile(built, str(path))
    spec = read_pipeline(path.read_bytes())[0]
    assert spec == compiled(built)[0]
    head = path.read_bytes().decode("utf-8").partition("\ncomponents:")[0]
    assert all(line.startswith("#") for line in head.splitlines())


# --- optional inputs inside groups ------------------------------------------------------------------


@dsl.component
def read(a: Optional[str] = None, d: dsl.Input[dsl.Dataset] = None) -> None:  # type: ignore[assignment]  # noqa: UP045, RUF013
    pass


def _group_inputs(spec: dict[str, Any]) -> dict[str, bool]:
    """Inputs that the compiler has made for groups -> whether they may be left out."""
    return {
        name: definition.get("isOptional", False)
        for component in spec["components"].values()
        if "dag" in component
        for kind in component.get("inputDefinitions", {}).values()
        for name, definition in kind.items()
    }


@pytest.mark.parametrize("group", [lambda: dsl.If(flag().output), lambda: dsl.ParallelFor([1, 2])])
def test_the_input_of_a_group_is_optional_where_its_source_is(group: Callable[[], Any]) -> None:
    def body(
        a: Optional[str] = None,  # noqa: UP045
        b: Optional[str] = "b",  # noqa: UP045
        c: str = "c",
        d: Optional[dsl.Input[dsl.Dataset]] = None,  # noqa: UP045
    ) -> None:
        with group():
            read(a=a, d=d)
            text(x=b)
            text(x=c)

    found = _group_inputs(compiled(dsl.pipeline(body))[0])
    assert {name.removeprefix("pipelinechannel--"): found[name] for name in found if name[-1] in "abcd"} == {
        "a": True, "b": False, "c": False, "d": True
    }  # fmt: skip


# --- setters check what they are given -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "set_value"),
    [
        ("RETRIES_INVALID", lambda task: task.set_retry(-1)),
        ("RETRIES_INVALID", lambda task: task.set_retry(1.5)),
        ("RETRIES_INVALID", lambda task: task.set_retry(True)),
        ("RETRIES_INVALID", lambda task: task.set_retry("3")),
        ("RETRIES_INVALID", lambda task: task.set_retry(3, backoff_factor=-1)),
        ("RETRIES_INVALID", lambda task: task.set_retry(3, backoff_factor=float("nan"))),
        ("DISPLAY_NAME_INVALID", lambda task: task.set_display_name(1)),
        ("DISPLAY_NAME_INVALID", lambda task: task.set_display_name(task.output)),
        ("DISPLAY_NAME_INVALID", lambda task: task.set_display_name(f"of {task.output}")),
        ("ENV_NAME_INVALID", lambda task: task.set_env_variable("", "x")),
        ("ENV_NAME_INVALID", lambda task: task.set_env_variable("A=B", "x")),
        ("ENV_NAME_INVALID", lambda task: task.set_env_variable("A B", "x")),
        ("ENV_NAME_INVALID", lambda task: task.set_env_variable("A\nB", "x")),
        ("ENV_NAME_INVALID", lambda task: task.set_env_variable("\u00e4", "x")),
        ("ENV_NAME_INVALID", lambda task: task.set_env_variable(1, "x")),
        ("ENV_VALUE_INVALID", lambda task: task.set_env_variable("A", "a\0b")),
        ("IMAGE_INVALID", lambda task: task.set_container_image("")),
        ("IMAGE_INVALID", lambda task: task.set_container_image("a b")),
        ("CACHING_INVALID", lambda task: task.set_caching_options("no")),
        ("CACHING_INVALID", lambda task: task.set_caching_options(True, 7)),
    ],
)
def test_setters_check_what_they_are_given(code: str, set_value: Callable[[Any], object]) -> None:
    def make() -> None:
        def body() -> None:
            task = text()
            set_value(task)

        dsl.pipeline(body)

    with pytest.raises(dsl.DslError) as caught:
        make()
    assert caught.value.code == code
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


@pytest.mark.parametrize("name", ["my-var", "my.var", "A", "_x", "a/b"])
def test_names_of_variables_that_kubernetes_takes_are_taken(name: str) -> None:
    def body() -> None:
        text().set_env_variable(name, "x")

    spec = compiled(dsl.pipeline(body))[0]
    assert spec["deploymentSpec"]["executors"]["exec-text"]["container"]["env"] == [{"name": name, "value": "x"}]


@pytest.mark.parametrize(
    "written",
    [
        "Dear {{$.customer_name}}",
        "{{$.pipeline_google_cloud_project_id}}",
        "{{$.inputs.parameters['x'].json_escape[1]}}",
        dsl.PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER,
        dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER,
    ],
)
def test_a_text_with_a_placeholder_that_is_not_ours_travels(written: str) -> None:
    def body(p: str = written) -> None:
        text(x=written)
        text(x=p)

    spec = compiled(dsl.pipeline(body))[0]
    assert spec["root"]["dag"]["tasks"]["text"]["inputs"]["parameters"]["x"]["runtimeValue"]["constant"] == written


# --- what authors of KFP write ------------------------------------------------------------------------------


def test_an_output_cannot_be_optional(refused: Refused) -> None:
    def make() -> None:
        @dsl.component  # here
        def maybe_a_text() -> Optional[str]:  # noqa: UP045
            return None

    refused("OUTPUT_OPTIONAL", make)


@dsl.component
def two() -> NamedTuple("Two", [("a", str), ("b", int)]):  # type: ignore[valid-type]
    return ("x", 2)


def test_a_pipeline_returns_all_outputs_of_a_task() -> None:
    def body() -> NamedTuple("Two", [("a", str), ("b", int)]):  # type: ignore[valid-type]
        return two().outputs

    outputs = compiled(dsl.pipeline(body))[0]["root"]["dag"]["outputs"]["parameters"]
    assert {name: one["valueFromParameter"] for name, one in outputs.items()} == {
        name: {"producerSubtask": "two", "outputParameterKey": name} for name in ("a", "b")
    }


def test_a_pipeline_returns_the_output_of_its_exit_task() -> None:
    def body() -> str:
        last = text()
        with dsl.ExitHandler(last):
            number()
        return last.output

    outputs = compiled(dsl.pipeline(body))[0]["root"]["dag"]["outputs"]["parameters"]
    assert outputs["Output"]["valueFromParameter"]["producerSubtask"] == "text"


def test_a_loop_over_json_texts_gives_their_members() -> None:
    def body() -> None:
        with dsl.ParallelFor([json.dumps({"a": "1"}), json.dumps({"a": "2"})]) as item:
            text(x=item.a)

    assert compiled(dsl.pipeline(body))[0]
    with pytest.raises(dsl.DslError, match="no member 'b'"):

        def wrong() -> None:
            with dsl.ParallelFor([json.dumps({"a": "1"}), "{", "7"]) as item:
                text(x=item.b)

        dsl.pipeline(wrong)


def test_an_annotated_type_is_the_type() -> None:
    @dsl.component
    def noted(a: Annotated[str, "what it is"], b: Annotated[int, 1] = 2) -> Annotated[str, "what comes out"]:
        return a * b

    spec = compiled(noted)[0]["components"]["comp-noted"]
    kinds = {name: one["parameterType"] for name, one in spec["inputDefinitions"]["parameters"].items()}
    assert kinds == {"a": "STRING", "b": "NUMBER_INTEGER"}
    assert spec["outputDefinitions"]["parameters"]["Output"]["parameterType"] == "STRING"


def test_the_image_of_a_component_is_read_and_changed_as_in_kfp() -> None:
    @dsl.component(base_image="python:3.12")
    def one() -> None:
        pass

    assert one.component_spec.implementation.container.image == "python:3.12"
    one.component_spec.implementation.container.image = "python:3.13"

    def body() -> None:
        one()

    executors = compiled(dsl.pipeline(body))[0]["deploymentSpec"]["executors"]
    assert executors["exec-one"]["container"]["image"] == "python:3.13"


@pytest.mark.parametrize(
    "url", ["http://$HOST/simple", "http://h/a b", "http://h/s?a=1&b=2", "http://$(id)/s", "http://h/`id`", ""]
)
@pytest.mark.parametrize("place", ["pip_index_urls", "pip_trusted_hosts"])
def test_an_index_that_a_shell_would_act_upon_is_refused(url: str, place: str) -> None:
    words = {"pip_index_urls": ["https://pypi.org/simple"], place: [url]}
    with pytest.raises(dsl.DslError) as caught:

        @dsl.component(packages_to_install=["six"], **words)
        def installs() -> None:
            pass

    assert caught.value.code == "INDEX_URL_INVALID"


def test_an_index_with_a_password_and_a_port_is_taken() -> None:
    @dsl.component(packages_to_install=["six"], pip_index_urls=["https://me:p%40ss@host:8080/simple?t=1"])
    def installs() -> None:
        pass

    assert "https://me:p%40ss@host:8080/simple?t=1" in str(compiled(installs)[0])
