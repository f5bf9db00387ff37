"""Components compiled by the real kfp and by us, run by our runtime in a Python that has neither.

Each program is a text, once read with `from kfp import dsl`, once with `from headrace import dsl`: the same source
must give the same outputs.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from headrace.runtime import main
from headrace.spec.bootstrap import recognise

pytestmark = pytest.mark.kfp

AUTHORS = {
    "kfp": "from kfp import dsl, compiler\nfrom kfp.dsl import *\nfrom typing import *\n",
    "headrace": "from headrace import dsl, compiler\nfrom headrace.dsl import *\nfrom typing import *\n",
}
BARE = getattr(sys, "_base_executable", sys.executable)


class Ended(NamedTuple):
    """What a component left behind."""

    status: int
    log: str
    outputs: dict[str, Any]
    outcome: dict[str, Any]
    place: Path

    @property
    def values(self) -> dict[str, Any]:
        """Output parameters."""
        assert self.status == 0, self.log
        return self.outputs.get("parameterValues", {})

    def artifact(self, name: str) -> dict[str, Any]:
        """An output artifact."""
        assert self.status == 0, self.log
        return self.outputs["artifacts"][name]["artifacts"][0]


@pytest.fixture(params=AUTHORS)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """`run(program, inputs…)` runs the component `f` of a program."""

    def one(program: str, artifacts: dict[str, list[dict[str, Any]]] | None = None, **values: Any) -> Ended:
        document = compiled(AUTHORS[request.param] + textwrap.dedent(program), tmp_path)
        return run_component(document, tmp_path, values, artifacts or {})

    return one


def compiled(program: str, place: Path) -> dict[str, Any]:
    (place / "program.py").write_text(program)
    spec = importlib.util.spec_from_file_location("program", place / "program.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.compiler.Compiler().compile(module.f, str(place / "f.yaml"))
    return next(yaml.safe_load_all((place / "f.yaml").read_text()))


def run_component(
    document: dict[str, Any], place: Path, values: dict[str, Any], artifacts: dict[str, list[dict[str, Any]]]
) -> Ended:
    (executor,) = document["deploymentSpec"]["executors"].values()
    entry = recognise(executor["container"]["command"], executor["container"]["args"])
    assert entry is not None
    (component,) = document["components"].values()
    made = component.get("outputDefinitions", {})
    out = place / "out"
    request = {
        "executor_input": {
            "inputs": {
                "parameterValues": values,
                "artifacts": {name: {"artifacts": given} for name, given in artifacts.items()},
            },
            "outputs": {
                "parameters": {name: {"outputFile": f"{out}/parameters/{name}"} for name in made.get("parameters", {})},
                "artifacts": {
                    name: {"artifacts": [{"name": name, "uri": f"{out}/{name}", "type": kind["artifactType"]}]}
                    for name, kind in made.get("artifacts", {}).items()
                },
                "outputFile": f"{out}/executor_output.json",
            },
        },
        "source": str(place / "ephemeral_component.py"),
        "function": entry.function,
        "outcome": str(place / "outcome.json"),
    }
    (place / "ephemeral_component.py").write_text(entry.source)
    (place / "request.json").write_text(json.dumps(request))
    ended = subprocess.run(
        [BARE, "-S", main.__file__, str(place / "request.json")],
        cwd=place, capture_output=True, text=True, check=False, env={"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return Ended(
        ended.returncode, ended.stdout + ended.stderr, read(out / "executor_output.json"),
        read(place / "outcome.json"), place,
    )  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def given(path: Path, title: str, **metadata: Any) -> dict[str, Any]:
    return {"name": path.name, "uri": str(path), "metadata": metadata, "type": {"schemaTitle": title}}


# --- parameters -------------------------------------------------------------------------------


def test_named_tuple(run):
    ended = run(
        """
        @dsl.component
        def f(n: int, x: float = 0.5, flag: bool = True, items: List[str] = ['a'], facts: Dict[str, int] = {'b': 2},
              none: Optional[str] = None) -> NamedTuple('Outputs', [('total', float), ('said', str), ('all', dict)]):
            from collections import namedtuple
            return namedtuple('Outputs', ['total', 'said', 'all'])(n + x, str(flag), {'items': items, 'none': none})
        """,
        n=2.0,
        items=["c"],
    )
    assert ended.values == {"total": 2.5, "said": "True", "all": {"items": ["c"], "none": None}}


def test_paths(run, tmp_path):
    (tmp_path / "rows.csv").write_text("1,2")
    ended = run(
        """
        @dsl.component
        def f(rows: InputPath('Dataset'), copy: OutputPath('Dataset'), count: OutputPath(int)):
            with open(rows) as source, open(copy, 'w') as sink:
                sink.write(source.read() + ',3')
            with open(count, 'w') as sink:
                sink.write('3')
        """,
        artifacts={"rows": [given(tmp_path / "rows.csv", "system.Dataset")]},
    )
    assert ended.values == {}
    assert (tmp_path / "out" / "copy").read_text() == "1,2,3"
    assert (tmp_path / "out" / "parameters" / "count").read_text() == "3"


def test_final_status(run):
    ended = run(
        """
        @dsl.component
        def f(status: PipelineTaskFinalStatus) -> dict:
            import dataclasses
            return dataclasses.asdict(status)
        """,
        status={
            "state": "FAILED",
            "pipelineJobResourceName": "runs/1",
            "pipelineTaskName": "exit-handler-1",
            "error": {"code": 9, "message": "boom"},
        },
    )
    assert ended.values["Output"] == {
        "state": "FAILED",
        "pipeline_job_resource_name": "runs/1",
        "pipeline_task_name": "exit-handler-1",
        "error_code": 9,
        "error_message": "boom",
    }


def test_task_config(run):
    ended = run(
        """
        @dsl.component(task_config_passthroughs=[dsl.TaskConfigField.RESOURCES, dsl.TaskConfigField.KUBERNETES_NODE_SELECTOR])
        def f(config: dsl.TaskConfig) -> dict:
            return {'resources': config.resources, 'selector': config.node_selector, 'env': config.env}
        """,
        config={"resources": {"limits": {"cpu": "1"}}, "nodeSelector": {"disk": "ssd"}},
    )
    expected = {"resources": {"limits": {"cpu": "1"}}, "selector": {"disk": "ssd"}, "env": None}
    assert ended.values["Output"] == expected


# --- artifacts --------------------------------------------------------------------------------


def test_artifacts_in_and_out(run, tmp_path):
    (tmp_path / "in").write_text("rows")
    ended = run(
        """
        @dsl.component
        def f(one: Input[Artifact], many: Input[List[Dataset]], model: Output[Model]) -> List[str]:
            from kfp.dsl.types.artifact_types import Dataset as again
            model.framework = 'none'
            model.metadata['parents'] = [one.name]
            with open(model.path, 'w') as file:
                file.write(open(many[1].path).read())
            return [type(one).__name__, one.metadata['rows'], type(many[0]).__name__, str(again is type(one))]
        """,
        artifacts={
            "one": [given(tmp_path / "in", "system.Dataset", rows="4")],
            "many": [given(tmp_path / "in", "system.Dataset")] * 2,
        },
    )
    assert ended.values["Output"] == ["Dataset", "4", "Dataset", "True"]
    assert ended.artifact("model")["metadata"] == {"framework": "none", "parents": ["in"]}
    assert (tmp_path / "out" / "model").read_text() == "rows"


def test_returned_artifact(run, tmp_path):
    ended = run(
        """
        @dsl.component
        def f() -> NamedTuple('Outputs', [('data', Dataset), ('n', int)]):
            return (dsl.Dataset(name='mine', uri=dsl.get_uri('x'), metadata={'k': 1}), 3)
        """
    )
    assert ended.values == {"n": 3}
    assert ended.artifact("data") == {"name": "mine", "uri": f"{tmp_path}/out/x", "metadata": {"k": 1}}


def test_metrics(run):
    ended = run(
        """
        @dsl.component
        def f(m: Output[Metrics], c: Output[ClassificationMetrics], s: Output[SlicedClassificationMetrics],
              page: Output[HTML], text: Output[Markdown]):
            m.log_metric('accuracy', 0.9)
            c.log_roc_curve([0.0, 1.0], [0.5, 1.0], [0.9, 0.1])
            c.log_confusion_matrix(['a', 'b'], [[1, 2], [3, 4]])
            s.load_confusion_matrix('all', ['a', 'b'], [[1, 2], [3, 4]])
            s.log_roc_reading('all', 0.5, 0.75, 0.25)
            for one in (page, text):
                open(one.path, 'w').write('<b>')
        """
    )
    assert ended.artifact("m")["metadata"] == {"accuracy": 0.9}
    matrix = {
        "annotationSpecs": [{"displayName": "a"}, {"displayName": "b"}],
        "rows": [{"row": [1, 2]}, {"row": [3, 4]}],
    }
    classes = ended.artifact("c")["metadata"]
    assert classes["confusionMatrix"] == matrix
    assert classes["confidenceMetrics"][1] == {"confidenceThreshold": 0.1, "recall": 1.0, "falsePositiveRate": 1.0}
    (slice_,) = ended.artifact("s")["metadata"]["evaluationSlices"]
    assert (slice_["slice"], slice_["sliceClassificationMetrics"]["confusionMatrix"]) == ("all", matrix)


def test_wrong_matrix(run):
    ended = run(
        """
        @dsl.component
        def f(c: Output[ClassificationMetrics]):
            try:
                c.log_confusion_matrix(['a', 'b'], [[1]])
            except ValueError as error:
                raise KeyError('as expected') from error
        """
    )
    assert (ended.status, ended.outcome["details"]["exception_type"]) == (1, "KeyError")


def test_custom_path(run):
    ended = run(
        """
        @dsl.component
        def f(m: Output[Model]):
            m.custom_path = m.path + '-elsewhere'
            open(m.path, 'w').write('weights')
        """
    )
    made = ended.artifact("m")
    assert made["custom_path"] == f"{made['uri']}-elsewhere"
    assert Path(made["custom_path"]).read_text() == "weights"


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_what_lies_outside_is_copied_in_and_left_where_it_is(run, tmp_path, folder):
    outside = tmp_path / "elsewhere"
    content = outside / "inner.txt" if folder else outside
    content.parent.mkdir(exist_ok=True)
    content.write_text("weights")
    ended = run(
        f"""
        @dsl.component
        def f(m: Output[Model]):
            m.set_path({str(outside)!r})
        """
    )
    told = Path(ended.artifact("m")["custom_path"])
    assert told != outside and content.read_text() == "weights"
    assert (told / "inner.txt" if folder else told).read_text() == "weights"


def test_embedded(run, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "config.txt").write_text("hello")
    ended = run(
        f"""
        @dsl.component(embedded_artifact_path={str(tmp_path / "assets")!r})
        def f(config: dsl.EmbeddedInput[dsl.Dataset]) -> str:
            import os
            return open(os.path.join(config.path, 'config.txt')).read()
        """
    )
    assert ended.values == {"Output": "hello"}


# --- beyond -----------------------------------------------------------------------------------


def test_additional_functions(run):
    ended = run(
        """
        def helper(x: int) -> int:
            return x * 2

        @dsl.component(additional_funcs=[helper])
        def f(x: int) -> int:
            return helper(x)
        """,
        x=4,
    )
    assert ended.values == {"Output": 8}


def test_processes_of_its_own(run):
    """A child process begins anew, and must find what the source imports."""
    ended = run(
        """
        def double(x: int) -> int:
            return x * 2

        @dsl.component(additional_funcs=[double])
        def f() -> list:
            import multiprocessing
            with multiprocessing.get_context('spawn').Pool(1) as pool:
                return pool.map(double, [1, 2])
        """
    )
    assert ended.values == {"Output": [2, 4]}


def test_headrace_inside(run):
    ended = run(
        """
        @dsl.component
        def f() -> list:
            import kfp, headrace
            from headrace.dsl import Dataset
            from headrace import dsl as ours
            return [kfp.__version__, Dataset is kfp.dsl.Dataset, ours.Model.schema_title]
        """
    )
    assert ended.values["Output"][1:] == [True, "system.Model"]


def test_what_the_stand_in_has_not(run):
    ended = run(
        """
        @dsl.component
        def f():
            import kfp
            kfp.Client()
        """
    )
    assert (ended.status, ended.outcome["code"]) == (1, "USER_EXCEPTION")
    assert "packages_to_install" in ended.outcome["message"]
    assert "kfp.Client" in ended.outcome["message"]


def test_notebook_without_its_packages(run, tmp_path):
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "note.ipynb").write_text(json.dumps(notebook))
    ended = run(
        f"""
        @dsl.notebook_component(notebook_path={str(tmp_path / "note.ipynb")!r})
        def f(x: int):
            dsl.run_notebook(x=x)
        """,
        x=1,
    )
    assert ended.status == 1
    assert "nbclient" in ended.outcome["message"] or "nbformat" in ended.outcome["message"], ended.log
