"""The files and lines of components travel beside the document, and failures are reported with them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.compiler.code_places import with_code_places
from headrace.runtime import main
from headrace.spec.bootstrap import recognise
from headrace.spec.document import SourceLines, parse_document

PROGRAM = '''
from headrace import dsl


class Holder:
    @dsl.component(
        base_image="python:3.11",
    )
    def inside(n: int) -> int:
        """Divides."""
        text = """
a line at column 0
"""
        try:
            n["x"]
        except TypeError as error:
            raise ValueError(text) from error  # failing


@dsl.component
def leaves() -> int:
    import sys

    sys.exit("words")  # failing


@dsl.component
def answers() -> int:  # failing
    return "3"


@dsl.pipeline
def pipe():
    Holder.inside(n=1)
    leaves()
    answers()
'''


@pytest.fixture
def pipe(tmp_path: Path) -> Any:
    path = tmp_path / "my_pipeline.py"
    path.write_text(PROGRAM)
    spec = importlib.util.spec_from_file_location("my_pipeline", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pipe


def line_of(function: str) -> int:
    lines = PROGRAM.splitlines()
    start = next(number for number, line in enumerate(lines) if f"def {function}(" in line)
    return 1 + next(number for number, line in enumerate(lines) if number >= start and "# failing" in line)


def test_the_compiled_document_is_not_changed(pipe: Any) -> None:
    pipeline_spec, platform_spec = pipe.documents()
    placed = with_code_places(pipeline_spec, platform_spec)
    assert "headrace" in placed["platforms"]
    assert "headrace" not in (platform_spec or {}).get("platforms", {})
    assert "my_pipeline" not in json.dumps(pipeline_spec)


@pytest.mark.parametrize(
    ("function", "code"), [("inside", "USER_EXCEPTION"), ("leaves", "EXIT_CODE"), ("answers", "OUTPUT_INVALID")]
)
def test_a_failure_names_the_file_and_line_of_its_author(pipe: Any, tmp_path: Path, function: str, code: str) -> None:
    pipeline_spec, platform_spec = pipe.documents()
    document = parse_document(pipeline_spec, with_code_places(pipeline_spec, platform_spec))
    executor = document.executors[f"exec-{function}"].container
    assert executor is not None
    entry = recognise(executor.command, executor.args)
    assert entry is not None
    printed, outcome = attempt(entry.source, function, document.sources[f"exec-{function}"], tmp_path / "task")
    details, line = outcome["details"], line_of(function)
    assert outcome["code"] == code
    assert (details["file"], details["line"]) == (str(tmp_path / "my_pipeline.py"), line)
    shown = {number: text.strip() for number, text in details["lines"]}
    assert shown[line] == PROGRAM.splitlines()[line - 1].strip()
    assert "ephemeral_component" not in printed
    if function == "inside":
        assert details["traceback"].count("my_pipeline.py") == 1
        assert f'my_pipeline.py", line {line - 2}, in inside' in printed  # the cause


def attempt(source: str, function: str, lines: tuple[SourceLines, ...], place: Path) -> tuple[str, dict[str, Any]]:
    """What the component printed, and its outcome."""
    (place / "out").mkdir(parents=True)
    path = place / "ephemeral_component.py"
    path.write_text(source)
    document = {
        "inputs": {"parameterValues": {"n": 1}},
        "outputs": {
            "parameters": {"Output": {"outputFile": str(place / "out" / "Output")}},
            "outputFile": str(place / "out" / "executor_output.json"),
        },
    }
    request = {
        "executor_input": document,
        "source": str(path),
        "function": function,
        "outcome": str(place / "out" / "outcome.json"),
        "lines": [[one.row, one.rows, one.file, one.line] for one in lines],
    }
    (place / "request.json").write_text(json.dumps(request))
    command = [sys.executable, main.__file__, str(place / "request.json")]
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    return ended.stderr, json.loads((place / "out" / "outcome.json").read_text())


def test_components_of_kfp_are_placed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kfp = pytest.importorskip("kfp")
    path = tmp_path / "with_kfp.py"
    path.write_text(
        "from kfp import dsl\n\n\n@dsl.component\ndef f():\n    print(1)\n\n\n@dsl.pipeline\ndef pipe():\n    f()\n"
    )
    spec = importlib.util.spec_from_file_location("with_kfp", path)
    assert spec is not None and spec.loader is not None and kfp
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "with_kfp", module)
    spec.loader.exec_module(module)
    from google.protobuf import json_format

    placed = with_code_places(json_format.MessageToDict(module.pipe.pipeline_spec), None)
    assert placed is not None
    (found,) = placed["platforms"]["headrace"]["deploymentSpec"]["executors"]["exec-f"]["source"]
    assert (found["file"], found["line"]) == (str(path), 5)
