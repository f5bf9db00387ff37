"""`headrace --help` is quick because it imports next to nothing: counted in modules, not in seconds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from headrace.cli.main import COMMANDS, call

#: Everything that makes start-up slow, and everything of ours that a list of commands does not need.
HEAVY = ("sqlalchemy", "starlette", "uvicorn", "yaml", "msgspec", "asyncio", "rich", "kfp", "psutil", "http", "email")
_COUNT = """
import json, sys
from headrace.cli.main import call
status = call({argv!r})
json.dump([status, sorted(sys.modules)], sys.stderr)
"""


def modules_after(*argv: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _COUNT.format(argv=list(argv))], capture_output=True, text=True, check=True
    )
    status, modules = json.loads(done.stderr)
    assert status == 0
    return set(modules)


def test_help_imports_click_and_next_to_nothing_else():
    modules = modules_after("--help")
    assert not modules.intersection(HEAVY)
    ours = {name for name in modules if name.startswith("headrace")}
    assert ours == {
        "headrace",
        "headrace.cli",
        "headrace.cli.errors",
        "headrace.cli.main",
        "headrace.cli.terminal",
        "headrace.descriptors",
    }
    assert len(modules) < 200


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_needs_no_server_room(command: str):
    modules = modules_after(command, "--help")
    assert not modules.intersection({"sqlalchemy", "starlette", "uvicorn", "kfp"})


@pytest.mark.parametrize("command", COMMANDS)
def test_the_list_says_what_the_command_says(command: str):
    import importlib

    place, summary = COMMANDS[command]
    module, _, name = place.partition(":")
    assert getattr(importlib.import_module(module), name or "command").get_short_help_str(200) == summary


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["run"], "Missing argument 'FILE'"),
        (["version", "--loud"], "No such option '--loud'"),
        (["up", "--port", "99999"], "99999"),
    ],
)
def test_wrong_use_is_one_line_and_where_to_read_on(argv, said, capsys):
    assert call(argv) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert "--help" in error
    assert "Traceback" not in error


def test_no_command_shows_the_help(capsys):
    assert call([]) == 2
    assert "Commands:" in capsys.readouterr().err
