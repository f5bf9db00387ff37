"""Which pipeline of a Python file is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.cli.errors import CliError
from headrace.cli.sources import choose, load
from headrace.cli.usercode import import_file

HEAD = """
from headrace import dsl

@dsl.component
def one():
    print(1)
"""
PIPELINE = """
@dsl.pipeline
def {name}():
    one()
"""


def chosen(tmp_path: Path, text: str, choice: str | None = None) -> str:
    path = tmp_path / "pipe.py"
    path.write_text(HEAD + text)
    return str(choose(import_file(path), path, choice).name)


def test_the_only_pipeline_goes_before_components(tmp_path: Path) -> None:
    assert chosen(tmp_path, PIPELINE.format(name="train_all")) == "train-all"


def test_the_only_component_is_taken_where_there_is_no_pipeline(tmp_path: Path) -> None:
    assert chosen(tmp_path, "") == "one"


@pytest.mark.parametrize("choice", ["second", "second_one", "second-one", "one"])
def test_one_of_several_is_chosen_by_variable_or_name(tmp_path: Path, choice: str) -> None:
    text = PIPELINE.format(name="first") + PIPELINE.format(name="second_one") + "second = second_one\n"
    assert chosen(tmp_path, text, choice) == ("one" if choice == "one" else "second-one")


def test_a_pipeline_of_this_file_goes_before_an_imported_one(tmp_path: Path) -> None:
    (tmp_path / "other_pipe.py").write_text(HEAD + PIPELINE.format(name="imported"))
    assert chosen(tmp_path, "from other_pipe import imported\n" + PIPELINE.format(name="own")) == "own"
    assert chosen(tmp_path, "from other_pipe import imported\n", "imported") == "imported"


@pytest.mark.parametrize(
    ("text", "choice", "code"),
    [
        (PIPELINE.format(name="a") + PIPELINE.format(name="b"), None, "PIPELINE_NOT_CHOSEN"),
        (PIPELINE.format(name="a"), "b", "PIPELINE_NOT_FOUND"),
        ("\n@dsl.component\ndef two():\n    print(2)\n", None, "NOT_A_PIPELINE"),
    ],
)
def test_no_pipeline_is_guessed(tmp_path: Path, text: str, choice: str | None, code: str) -> None:
    with pytest.raises(CliError) as caught:
        chosen(tmp_path, text, choice)
    assert caught.value.code == code


def test_a_document_takes_no_choice(tmp_path: Path) -> None:
    path = tmp_path / "pipe.yaml"
    path.write_text("{}")
    with pytest.raises(CliError) as caught:
        load(path, "a")
    assert caught.value.code == "USAGE"
