"""A component file loaded by both, and used in a pipeline, makes the same document."""

import re
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headrace import compiler as our_compiler
from headrace import components as our_components
from headrace import dsl as our_dsl
from headrace.spec.reading import read_pipeline
from headrace.spec.verify import errors, verify

kfp = pytest.importorskip("kfp")
import kfp.compiler  # noqa: E402
import kfp.components  # noqa: E402
import kfp.dsl  # noqa: E402
import kfp.kubernetes  # noqa: E402

pytestmark = pytest.mark.kfp

V1 = {
    "every type": """
name: Every Type - of Input!
description: Takes everything.
inputs:
- {name: A String, type: String, default: it's}
- {name: int, type: Integer, default: '3'}
- {name: Float, type: Float, default: 2}
- {name: sure, type: Bool, default: 'on'}
- {name: never, type: Boolean, default: false}
- {name: map, type: Dict, default: '{"a": [1, 2.5, true]}'}
- {name: list, type: 'typing.List[int]', optional: true}
- {name: broken json, type: JsonObject, optional: true}
- {name: array, type: JsonArray, default: '[1, {"a": 2}]'}
- {name: text, type: text, optional: true}
- {name: needed, type: str}
- {name: data, type: Dataset}
- {name: model, type: Model, optional: true}
- {name: raw}
- {name: odd, type: {GCSPath: {data_type: CSV}}}
- {name: vertex, type: google.VertexModel}
outputs:
- {name: out, type: String}
- {name: number, type: Integer}
- {name: Data Out, type: Dataset}
- {name: metrics, type: Metrics}
- {name: unknown, type: CSV}
implementation:
  container:
    image: python:3.11
    command: [sh, -c, 'echo "$0"', {inputValue: A String}]
    args:
    - --data
    - {inputPath: data}
    - {inputUri: data}
    - {outputPath: out}
    - {outputPath: Data Out}
    - {outputUri: metrics}
    - {executorInput: null}
    - {concat: [a, {inputValue: int}, {concat: [b, {inputUri: data}]}]}
    - if: {cond: {isPresent: text}, then: [--text, {inputValue: text}], else: [--none]}
    - if: {cond: {isPresent: model}, then: {inputPath: model}}
    - {if: {cond: {isPresent: text}, then: [{concat: [--text=, {inputValue: text}]}]}}
    env: {A: b}
""",
    "nothing but a command": """
implementation:
  container: {image: busybox, command: [echo, hello]}
""",
    "no interface": """
name: 'Say hello'
metadata: {annotations: {author: me}, labels: {a: b}}
inputs: []
implementation:
  container:
    image: busybox
    args: ['{{x}}', "quote ' and \\" and $"]
""",
}
GIVEN = {
    "every type": {"needed": "x"},
    "nothing but a command": {},
    "no interface": {},
}


def compiled(compiler: ModuleType, pipeline: Any, path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiler.Compiler().compile(pipeline, str(path))
    return re.sub(r"(?m)^sdkVersion: .*$", "sdkVersion: ...", path.read_text())


def both(tmp_path: Path, build: Any) -> tuple[str, str]:
    theirs = compiled(kfp.compiler, build(kfp.dsl, kfp.components), tmp_path / "theirs.yaml")
    ours = compiled(our_compiler, build(our_dsl, our_components), tmp_path / "ours.yaml")
    return theirs, ours


@pytest.mark.parametrize("name", V1)
def test_v1_components_in_a_pipeline(tmp_path: Path, name: str) -> None:
    def build(dsl: ModuleType, components: ModuleType) -> Any:
        loaded = components.load_component_from_text(V1[name])
        data = {}
        if name == "every type":
            data = {
                key: (kind, dsl.importer)
                for key, kind in (
                    ("data", dsl.Dataset),
                    ("raw", dsl.Artifact),
                    ("odd", dsl.Artifact),
                    ("vertex", dsl.Artifact),
                )
            }

        @dsl.pipeline(name="p")
        def pipeline(text: str = "t"):
            arguments: dict[str, Any] = dict(GIVEN[name])
            for key, (kind, importer) in data.items():
                arguments[key] = importer(artifact_uri="gs://b/k", artifact_class=kind).output
            if arguments:
                arguments["text"] = text
            first = loaded(**arguments)
            if name == "every type":
                loaded(
                    **{
                        **arguments,
                        "needed": first.outputs["out"],
                        "int": first.outputs["number"],
                        "data": first.outputs["data_out"],
                    }
                )

        return pipeline

    theirs, ours = both(tmp_path, build)
    assert ours == theirs
    assert errors(verify(*read_pipeline(ours))) == []


EXIT = """
name: Say how it went
inputs: [{name: Status, type: PipelineTaskFinalStatus}, {name: who, type: String}]
implementation: {container: {image: busybox, command: [echo, {inputValue: Status}, {inputValue: who}]}}
"""


def test_a_v1_exit_task(tmp_path: Path) -> None:
    def build(dsl: ModuleType, components: ModuleType) -> Any:
        inner = components.load_component_from_text(V1["no interface"])

        @dsl.pipeline(name="p")
        def pipeline(who: str):
            with dsl.ExitHandler(components.load_component_from_text(EXIT)(who=who)):
                inner()

        return pipeline

    theirs, ours = both(tmp_path, build)
    assert ours == theirs


@pytest.mark.parametrize("name", V1)
def test_v1_components_compiled_alone(tmp_path: Path, name: str) -> None:
    theirs, ours = both(tmp_path, lambda dsl, components: components.load_component_from_text(V1[name]))
    assert ours == theirs


def document(tmp_path: Path, build: Any) -> str:
    """What the real compiler writes."""
    path = tmp_path / "loaded.yaml"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kfp.compiler.Compiler().compile(build(), str(path))
    return path.read_text()


def one_component() -> Any:
    @kfp.dsl.component(base_image="python:3.11", packages_to_install=["a"])
    def train(x: int, y: float = 2.0, z: list = [1], flag: bool = True, note: str = "", deep: dict = {"a": 1}) -> str:
        """Trains.

        And more."""
        return "x"

    return train


def one_container() -> Any:
    @kfp.dsl.container_component
    def move(data: kfp.dsl.Input[kfp.dsl.Dataset], out: kfp.dsl.Output[kfp.dsl.Model], text: str = "a"):
        """Moves."""
        return kfp.dsl.ContainerSpec(
            image="busybox",
            command=["mv", data.path, out.path],
            args=[kfp.dsl.ConcatPlaceholder(["a", text]), kfp.dsl.IfPresentPlaceholder("text", [text], ["b"])],
        )

    return move


def a_pipeline() -> Any:
    train = one_component()

    @kfp.dsl.pipeline(name="inner", description="Inner.")
    def inner(x: int, items: list = [1, 2]) -> str:
        with kfp.dsl.ParallelFor(items) as item:
            kfp.kubernetes.use_secret_as_env(train(x=item), "s", {"a": "B"})
        last = train(x=x)
        kfp.kubernetes.add_pod_label(last, "a", "b")
        return last.output

    return inner


@pytest.mark.parametrize("build_loaded", [one_component, one_container, a_pipeline])
def test_documents_loaded_again(tmp_path: Path, build_loaded: Any) -> None:
    text = document(tmp_path, build_loaded)

    def build(dsl: ModuleType, components: ModuleType) -> Any:
        loaded = components.load_component_from_text(text)

        @dsl.pipeline(name="outer")
        def outer(x: int = 1):
            if "data" in loaded.component_spec.inputs:
                loaded(data=dsl.importer(artifact_uri="gs://b/k", artifact_class=dsl.Dataset).output)
            else:
                loaded(x=x)
                with dsl.If(x == 1):
                    loaded(x=2)

        return outer

    theirs, ours = both(tmp_path, build)
    assert ours == theirs
    assert errors(verify(*read_pipeline(ours))) == []


@pytest.mark.parametrize("build_loaded", [one_component, one_container, a_pipeline])
def test_what_a_loaded_component_says_of_itself(tmp_path: Path, build_loaded: Any) -> None:
    text = document(tmp_path, build_loaded)
    theirs = kfp.components.load_component_from_text(text)
    ours = our_components.load_component_from_text(text)
    assert ours.name == theirs.name
    assert ours.description == theirs.description
    assert list(ours.component_spec.inputs) == list(theirs.component_spec.inputs)
    assert list(ours.component_spec.outputs or ()) == list(theirs.component_spec.outputs or ())
    assert ours.required_inputs == theirs.required_inputs
