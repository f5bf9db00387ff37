"""Sizes, durations, tables, and text of others that must not steer the terminal."""

from __future__ import annotations

import pytest

from headrace.cli.errors import CliError, render
from headrace.cli.terminal import Paint, duration, plain, shorten, size, table, this_command


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (3 * 10**12, "3.0 TB")]
)
def test_size(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (-0.1, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.97, "10 s"),
        (59.6, "1 min 0 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_text_of_others_cannot_steer_the_terminal():
    assert plain("a\x1b[31mb\x1b[0m\x1b]0;title\x07c\x9b2Jd\x07\ne\tf") == "abcd\ne\tf"
    assert shorten("one\ntwo\x1b[2J three", 9) == "one two …"


def test_columns_line_up_whatever_their_colours():
    paint = Paint(colours=True)
    text = table([("a", paint.red("xx"), "1"), ("bbb", "y", "2")], indent=" ", heads=("h", "i", "j"))
    assert [plain(line) for line in text.splitlines()] == [" h    i   j", " a    xx  1", " bbb  y   2"]
    assert table([]) == ""


def test_an_error_says_what_where_and_how_to_fix_it():
    error = CliError("No.", code="CODE", where="a.py:3", fix="Do this.\nOr that.", story="Traceback\n  x")
    assert render(error, Paint(colours=False)) == (
        "error: No. [CODE]\n  where: a.py:3\n  fix: Do this.\n       Or that.\n\n  Traceback\n    x"
    )


def test_the_command_is_named_so_that_the_shell_finds_it(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "headrace"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["bin/headrace"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert this_command() == "bin/headrace"
    monkeypatch.setattr("sys.argv", [str(program)])
    monkeypatch.setenv("PATH", str(program.parent))
    assert this_command() == "headrace"
