"""Components made with the real kfp, in pipelines of Headrace. (kfp refuses postponed annotations.)"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import kfp
import kfp.compiler
import kfp.dsl
import pytest
import yaml

from headrace import components, dsl
from headrace.dsl.errors import DslError

pytestmark = pytest.mark.kfp


@kfp.dsl.component
def of_kfp(word: str, times: int = 2) -> str:
    """Says a word several times."""
    return word * times


@kfp.dsl.container_component
def writes(word: str, file: kfp.dsl.Output[kfp.dsl.Dataset]):
    return kfp.dsl.ContainerSpec("alpine", ["sh", "-c"], [f"echo {word} > {file.path}"])


@kfp.dsl.pipeline
def nested_of_kfp(word: str = "a") -> str:
    return of_kfp(word=word).output


@dsl.component
def own(word: str) -> str:
    return word


@dsl.component
def reads(file: dsl.Input[dsl.Dataset]) -> str:
    return file.path


def used(component: Any, **arguments: Any) -> dict[str, Any]:
    """The document of a pipeline that calls it between two components of Headrace."""

    @dsl.pipeline
    def around(word: str = "b"):
        component(word=own(word=word).output, **arguments)

    return around.documents()[0]


@pytest.mark.parametrize("component", [of_kfp, writes, nested_of_kfp], ids=["python", "container", "pipeline"])
def test_direct_use_is_the_same_as_from_kfp(component: Any) -> None:
    document = used(component)
    assert document == used(components.from_kfp(component))
    task = document["root"]["dag"]["tasks"][component.name]
    assert task["dependentTasks"] == ["own"]
    assert task["inputs"]["parameters"]["word"]["taskOutputParameter"]["producerTask"] == "own"


def test_the_component_has_the_command_that_kfp_wrote(tmp_path: Path) -> None:
    file = tmp_path / "of_kfp.yaml"
    kfp.compiler.Compiler().compile(of_kfp, str(file))
    executors = yaml.safe_load(file.read_text())["deploymentSpec"]["executors"]
    assert used(of_kfp)["deploymentSpec"]["executors"]["exec-of-kfp"] == executors["exec-of-kfp"]


def test_its_artifacts_and_outputs_go_to_components_of_headrace() -> None:
    @dsl.pipeline
    def both() -> str:
        made = writes(word="x")
        made.set_caching_options(False)
        reads(file=made.outputs["file"])
        with dsl.ParallelFor(["a", "b"]) as word:
            of_kfp(word=word, times=3)
        return of_kfp(word="c").output

    root = both.documents()[0]["root"]
    assert root["dag"]["tasks"]["reads"]["dependentTasks"] == ["writes"]
    assert root["outputDefinitions"]["parameters"]["Output"]["parameterType"] == "STRING"


def test_a_wrong_argument_is_refused_in_our_words() -> None:
    with pytest.raises(DslError) as caught:
        used(of_kfp, tims=3)
    assert caught.value.code == "UNKNOWN_ARGUMENT"
    assert "times" in str(caught.value)


def test_kfp_itself_is_as_before_afterwards() -> None:
    used(of_kfp)
    with pytest.raises(DslError):
        used(of_kfp, tims=3)

    @kfp.dsl.pipeline
    def theirs():
        of_kfp(word="a")

    assert list(theirs.pipeline_spec.root.dag.tasks) == ["of-kfp"]


def test_what_is_no_component_is_refused() -> None:
    with pytest.raises(DslError) as caught:
        components.from_kfp(print)
    assert caught.value.code == "NOT_A_KFP_COMPONENT"


LIBRARY = """
from headrace import dsl

@dsl.component
def show(word: str):
    print(word)

@dsl.pipeline
def good(a: str = ""):
    show(word=a)

@dsl.pipeline
def bad(a: str = "", b: str = ""):
    with dsl.If(a != "" and b != ""):
        show(word=a)
"""


def imported(folder: Path, name: str) -> ModuleType:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(LIBRARY)
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


def test_a_pipeline_of_an_installed_package_is_refused_when_it_is_used(tmp_path: Path) -> None:
    library = imported(tmp_path / "site-packages", "a_library")
    assert library.good.documents()[0]["pipelineInfo"]["name"] == "good"
    for use in (library.bad.documents, lambda: used(library.bad)):
        with pytest.raises(DslError) as caught:
            use()
        assert caught.value.code == "CONDITION_BOOL"
        assert caught.value.location is not None and caught.value.location.file.endswith("a_library.py")


def test_a_pipeline_of_the_author_is_refused_where_it_is_defined(tmp_path: Path) -> None:
    with pytest.raises(DslError) as caught:
        imported(tmp_path, "own_pipelines")
    assert caught.value.code == "CONDITION_BOOL"


def test_a_value_knows_the_kind_of_its_input() -> None:
    kinds = {}

    @dsl.container_component
    def typed(a: str, b: int, c: dict, d: list, e: float, f: bool, g: dsl.PipelineTaskFinalStatus):
        kinds.update({value.input_name: value._ir_type for value in (a, b, c, d, e, f, g)})
        return dsl.ContainerSpec("alpine", ["echo"], [a])

    theirs = {}

    @kfp.dsl.container_component
    def typed(a: str, b: int, c: dict, d: list, e: float, f: bool, g: kfp.dsl.PipelineTaskFinalStatus):  # noqa: F811
        theirs.update({value.input_name: value._ir_type for value in (a, b, c, d, e, f, g)})
        return kfp.dsl.ContainerSpec("alpine", ["echo"], [a])

    assert kinds == theirs
