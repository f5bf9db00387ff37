"""The command line itself: its verbs, its typos, what it says where a part is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headrace.cli import doctor, main
from headrace.cli.usercode import import_file


@pytest.mark.parametrize("words", [["--version"], *([verb, "--help"] for verb in main.VERBS_OF_RUNS)])
def test_verbs_of_runs_work_without_the_word_runs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.call(words) == 0
    assert capsys.readouterr().out.startswith(("headrace 0", f"Usage: headrace {words[0]}"))


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume", "rerun", "mark", "explain"])
def test_verbs_of_the_top_level_work_below_runs(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.call(["runs", verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: headrace runs {verb}")


@pytest.mark.parametrize(("typed", "meant"), [("lgos", "logs"), ("rnu", "run"), ("docter", "doctor")])
def test_a_mistyped_command(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.call([typed]) == 2
    assert f"Did you mean: headrace {meant}" in capsys.readouterr().err


def test_a_mistyped_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "iris.py").touch()
    assert main.call(["run", str(tmp_path / "iriss.py")]) == 2
    assert f"Did you mean {tmp_path / 'iris.py'}?" in capsys.readouterr().err


def test_without_the_server_part_a_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn.config")

    monkeypatch.setattr(main.headrace, "main", missing)
    assert main.call(["up"]) != 0
    said = capsys.readouterr().err
    assert "SERVER_NOT_INSTALLED" in said
    assert "headrace[server]" in said


def test_a_check_that_needs_what_is_not_installed_says_so() -> None:
    def check_limits() -> doctor.CheckResult:
        raise ModuleNotFoundError("No module named 'psutil'", name="psutil")

    found = doctor._result_of(check_limits)
    assert (found.subject, found.verdict) == ("limits", "warn")
    assert "'psutil'" in found.note


@pytest.mark.parametrize("name", ["html", "json", "uvicorn"])
def test_a_file_beside_the_pipeline_hides_no_module_from_us(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("X = 1\n")
    (tmp_path / "own_helper.py").write_text("Y = 2\n")
    (tmp_path / "pipe.py").write_text(f"import own_helper\nimport {name}\nFOUND = getattr({name}, 'X', 0)\n")
    before = sys.modules.pop(name, None)
    try:
        module = import_file(tmp_path / "pipe.py")
        assert module.FOUND == 1, "the file itself gets its own, as with `python pipe.py`"
        assert str(tmp_path) not in sys.path
        assert name not in sys.modules
        assert "own_helper" in sys.modules
    finally:
        sys.modules.pop("own_helper", None)
        if before is not None:
            sys.modules[name] = before


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def no_home(self: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HEADRACE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    for words in (["list"], ["doctor"], ["up"]):
        assert main.call(words) == 1
        assert "[HOME_UNKNOWN]" in capsys.readouterr().err
