"""Components that bring their own modules, executed as stock KFP does: its own command, its own executor_main."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import EXAMPLES
from headrace.compiler import Compiler
from unit.dsl.projects import load, project

pytestmark = pytest.mark.kfp


def executed(container: dict[str, Any], place: Path, values: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What a container's command leaves behind, with no installing of packages; all else is the document's."""
    document = {"inputs": {"parameterValues": values}, "outputs": {"outputFile": str(place / "answer.json")}}
    words = [json.dumps(document) if word == "{{$}}" else word for word in container["args"]]
    command = container["command"][3:]
    assert "kfp.dsl.executor_main" in command[2]
    temporary = place / "tmp"
    temporary.mkdir(parents=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*command, *words], cwd=place, capture_output=True, text=True, check=False,
        env={"PATH": path, "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(temporary.glob("headrace-code-*")), "what was unpacked is removed at the end"
    return json.loads((place / "answer.json").read_text())["parameterValues"], done.stdout + done.stderr


def containers(text: str) -> dict[str, Any]:
    document = next(yaml.safe_load_all(text))
    return {name: one["container"] for name, one in document["deploymentSpec"]["executors"].items()}


def test_kfps_own_executor_runs_the_example(tmp_path: Path):
    found = containers((EXAMPLES / "own_code" / "own_code.yaml").read_text())
    orders, _ = executed(found["exec-take-orders"], tmp_path / "orders", {"count": 3})
    assert [order["article"] for order in orders["Output"]] == ["apple", "pear", "plum"]
    values = {"orders": orders["Output"], "discount": 0.1}
    total, log = executed(found["exec-total"], tmp_path / "total", values)
    assert total == {"Output": 2.34}
    assert "Traceback" not in log


def test_kfps_own_executor_takes_code_larger_than_one_argument(tmp_path: Path):
    path = project(tmp_path / "project")
    (path.parent / "noise.bin").write_bytes(os.urandom(300_000))
    Compiler().compile(load(path).f, str(tmp_path / "f.yaml"))
    (container,) = containers((tmp_path / "f.yaml").read_text()).values()
    assert sum(map(len, container["args"])) > 131_072
    answer, _ = executed(container, tmp_path / "run", {"text": "large"})
    assert answer == {"Output": "LARGE!"}


def test_kfp_itself_reads_and_writes_the_document_unchanged(tmp_path: Path):
    """So that it can be a part of a pipeline written with stock kfp."""
    from kfp import compiler, components

    text = (EXAMPLES / "own_code" / "own_code.yaml").read_text()
    compiler.Compiler().compile(components.load_component_from_text(text), str(tmp_path / "again.yaml"))
    assert containers((tmp_path / "again.yaml").read_text()) == containers(text)
