"""A notebook as a task: run for real, in an environment with what notebooks need, with parameters and outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import headrace

pytestmark = pytest.mark.slow

_PIPELINE = """
from headrace import dsl


@dsl.notebook_component(notebook_path={notebook!r})
def double(n: int, out: dsl.Output[dsl.Dataset]):
    dsl.run_notebook(n=n, path=out.path)


@dsl.component
def show(data: dsl.Input[dsl.Dataset]) -> str:
    with open(data.path) as file:
        return file.read()


@dsl.pipeline
def notebook(n: int = 21) -> str:
    return show(data=double(n=n).outputs["out"]).output
"""


def _cell(source: str, *tags: str) -> dict[str, object]:
    fields = {"cell_type": "code", "outputs": [], "execution_count": None, "id": f"c{len(source)}"}
    return {**fields, "source": [source], "metadata": {"tags": list(tags)} if tags else {}}


def test_a_notebook_runs_with_its_parameters(tmp_path: Path, home: Path) -> None:
    cells = [_cell("n = 1\npath = ''", "parameters"), _cell("print('n is', n)\nopen(path, 'w').write(str(2 * n))")]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "double.ipynb").write_text(json.dumps(document))
    file = tmp_path / "pipeline.py"
    file.write_text(_PIPELINE.format(notebook=str(tmp_path / "double.ipynb")))
    done = headrace("run", file, home=home, timeout_s=300)
    assert done.status == 0, done
    assert "42" in done.out
    assert "n is 21" in headrace("runs", "logs", "last", "double", home=home).out
