"""What others have written cannot steer the terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.cli.guard import TerminalText
from headrace.engine.model import AttemptFailed, AttemptId, Reason
from headrace.executors.port import Failed
from headrace.service.outcomes import to_event
from headrace.wire.plain_text import coloured_text, plain_text

STEERING = {
    "title": "\x1b]0;PWNED\x07",
    "title without end": "\x1b]0;PWNED",
    "clipboard": "\x1b]52;c;cm0gLXJm\x1b\\",
    "device string": "\x1bP+q544e\x1b\\",
    "clear": "\x1b[2J",
    "cursor": "\x1b[3F",
    "hidden": "\x1b[8m",
    "one byte csi": "\x9b2J",
    "one byte osc": "\x9d0;PWNED\x9c",
    "reset": "\x1bc",
    "charset": "\x1b(0",
    "bell": "\x07",
    "backspace": "\x08",
    "return": "\r",
    "bidi": "\u202e",
    "isolate": "\u2067",
    "line separator": "\u2028",
    "lone escape": "\x1b",
}


@pytest.mark.parametrize("sequence", STEERING.values(), ids=STEERING.keys())
def test_what_steers_is_taken_out_and_words_stay(sequence: str) -> None:
    assert coloured_text(f"before{sequence}\nafter") == "before\nafter"
    assert plain_text(f"before{sequence}\n\tafter ä") == "before\n\tafter ä"


def test_colours_pass_where_they_are_wanted() -> None:
    assert coloured_text("\x1b[1;31mred\x1b[0m\r\n") == "\x1b[1;31mred\x1b[0m\n"
    assert plain_text("\x1b[1;31mred\x1b[0m") == "red"


def test_the_screen_itself_moves_the_cursor() -> None:
    bytes_ = io.BytesIO()
    stream = TerminalText(bytes_, encoding="ascii", errors="backslashreplace", line_buffering=True)
    stream.steer("\x1b[2F")
    print("\x1b[2Fä", file=stream)
    assert bytes_.getvalue() == b"\x1b[2F\\xe4\n"


def test_a_reason_is_recorded_in_plain_words() -> None:
    error = Reason(code="USER_EXCEPTION", message="\x1b[31mred\x1b[0m\u202e", details={"lines": [[1, "\x07x"]]})
    event = to_event(Failed(attempt=AttemptId(run_id="r", path="p", number=1), at=1.0, error=error))
    assert isinstance(event, AttemptFailed)
    assert event.error == Reason(code="USER_EXCEPTION", message="red", details={"lines": [[1, "x"]]})


def test_errors_of_the_command_line_go_through_the_guard(tmp_path: Path) -> None:
    name = "no" + "".join(one for one in STEERING.values() if "\x00" not in one and "/" not in one) + ".py"
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "headrace.cli.main", "lint", name]
    ended = subprocess.run(command, cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave, check=False)
    os.close(slave)
    said = os.read(master, 65536).decode()
    os.close(master)
    assert ended.returncode == 2 and "FILE_NOT_FOUND" in said
    assert plain_text(said) == plain_text(coloured_text(said))
    assert not {"\x07", "\x9b", "\u202e", "\x08"} & set(said) and "\x1b]" not in said and "\x1b[2J" not in said
