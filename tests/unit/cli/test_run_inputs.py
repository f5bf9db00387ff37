"""Inputs of a pipeline as options of `headrace run`, and a first pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.cli.errors import CliError
from headrace.cli.main import call
from headrace.cli.run_inputs import as_arguments

INPUTS = {
    "learning_rate": {"parameterType": "NUMBER_DOUBLE"},
    "fast": {"parameterType": "BOOLEAN"},
    "n": {"parameterType": "NUMBER_INTEGER"},
}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--learning-rate", "0.1"], ["learning_rate=0.1"]),
        (["--learning_rate=0.1", "--n", "-3"], ["learning_rate=0.1", "n=-3"]),
        (["--fast", "--n=1"], ["fast=true", "n=1"]),
        (["--fast", "false"], ["fast=false"]),
        ([], []),
    ],
)
def test_options_become_arguments(words: list[str], found: list[str]) -> None:
    assert as_arguments(words, INPUTS, ["quiet"]) == found


@pytest.mark.parametrize(
    ("words", "code", "fix"),
    [
        (["--learnin-rate", "1"], "ARGUMENT_UNKNOWN", "--learning_rate"),
        (["--quite"], "ARGUMENT_UNKNOWN", "--quiet"),
        (["--n"], "ARGUMENT_SYNTAX", "--n VALUE"),
        (["more"], "USAGE", "--help"),
    ],
)
def test_what_is_none_is_refused_with_what_was_meant(words: list[str], code: str, fix: str) -> None:
    with pytest.raises(CliError) as caught:
        as_arguments(words, INPUTS, ["quiet"])
    assert caught.value.code == code
    assert fix in caught.value.fix


def test_a_first_pipeline_is_written_once_and_its_help_lists_its_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["init", str(tmp_path / "new")]) == 0
    path = tmp_path / "new" / "pipeline.py"
    text = path.read_text()
    assert call(["init", str(tmp_path / "new")]) == 2
    assert path.read_text() == text
    assert "FILE_EXISTS" in capsys.readouterr().err
    assert call(["run", str(path), "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--count INT How many points to draw. [default: 1000]" in said
    assert call(["run", str(tmp_path / "nothing.py"), "--help"]) == 0
