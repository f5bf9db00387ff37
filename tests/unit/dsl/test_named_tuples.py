"""Several outputs as a class of the module: what travels, and that KFP's own executor runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from headrace import dsl
from headrace.dsl.errors import DslError


class Plain(NamedTuple):
    """Two outputs."""

    left: str
    count: int = 2


class Foreign(NamedTuple):
    path: Path


def shipped(component: dsl.PythonComponent) -> str:
    executors = component.documents()[0]["deploymentSpec"]["executors"]
    return next(iter(executors.values()))["container"]["command"][-1]


def test_the_class_travels_with_its_function() -> None:
    @dsl.component(base_image="python:3.11")
    def both(x: str) -> Plain:
        return Plain(x)

    text = shipped(both)
    assert text.index("from typing import *") < text.index("class Plain(NamedTuple):") < text.index("def both(")
    assert list(both.component_spec.outputs) == ["left", "count"]


def test_a_class_that_is_not_made_stays() -> None:
    @dsl.component(base_image="python:3.11")
    def both(x: str) -> Plain:
        return (x, 1)  # type: ignore[return-value]

    assert "class Plain" not in shipped(both)


def test_a_class_with_types_that_are_not_there_is_refused() -> None:
    with pytest.raises(DslError) as refused:

        @dsl.component(base_image="python:3.11")
        def wrong() -> Foreign:
            return Foreign(Path("x"))

    assert "Foreign" in str(refused.value) or "path" in str(refused.value)


@pytest.mark.kfp
@pytest.mark.slow
def test_kfp_runs_it(tmp_path: Path) -> None:
    @dsl.component(base_image="python:3.11")
    def both(x: str) -> Plain:
        return Plain(x)

    (tmp_path / "source.py").write_text(shipped(both))
    names = {name: {"outputFile": str(tmp_path / "out" / name)} for name in ("left", "count")}
    outputs = {"parameters": names, "outputFile": str(tmp_path / "out" / "all.json")}
    words = ["--executor_input", json.dumps({"inputs": {"parameterValues": {"x": "a"}}, "outputs": outputs})]
    program = [sys.executable, "-m", "kfp.dsl.executor_main", "--component_module_path", str(tmp_path / "source.py")]
    subprocess.run([*program, *words, "--function_to_execute", "both"], check=True, capture_output=True)
    assert json.loads((tmp_path / "out" / "all.json").read_text())["parameterValues"] == {"left": "a", "count": 2}
