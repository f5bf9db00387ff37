"""Every refusal of the authoring language, as its user reads it: `refused_programs.txt` against `refusals.txt`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from headrace.dsl.errors import DslError

HERE = Path(__file__).parent
PROGRAMS = HERE / "refused_programs.txt"
EXPECTED = HERE / "refusals.txt"

_BEFORE = """\
from typing import *

from headrace import dsl
from headrace.dsl import *


@dsl.component
def add(a: int, b: int) -> int:
    return a + b


@dsl.component
def say(text: str):
    print(text)


@dsl.component
def make(d: Output[Dataset]):
    pass


@dsl.component
def both(d: Output[Dataset], m: Output[Model]):
    pass


@dsl.component
def use(m: Input[Model]):
    pass


"""


def programs() -> list[tuple[str, str]]:
    """`(title, source)` of each program."""
    parts = re.split(r"^### (.*)\n", PROGRAMS.read_text(), flags=re.M)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def refusal(title: str, source: str, folder: Path) -> str:
    """What the user reads, with the offending line below."""
    path = folder / "pipeline.py"
    path.write_text(_BEFORE + source)
    try:
        exec(compile(path.read_text(), str(path), "exec"), {"__name__": "pipeline"})
    except Exception as error:
        return as_read(title, error, path)
    return f"### {title}\nNOT REFUSED\n"


def as_read(title: str, error: Exception, path: Path) -> str:
    text = str(error).replace(str(path), "pipeline.py")
    code = getattr(error, "code", None)
    kind = type(error).__name__
    found = re.search(r"pipeline\.py:(\d+)", text)
    line = path.read_text().splitlines()[int(found.group(1)) - 1].strip() if found else "(no line)"
    text = re.sub(r"pipeline\.py:\d+", "pipeline.py:N", text)
    return f"### {title}\n{kind} {code}\n{text}\n> {line}\n"


def test_refusals_read_as_they_should(tmp_path: Path, golden: Any) -> None:
    told = []
    for number, (title, source) in enumerate(programs()):
        folder = tmp_path / str(number)
        folder.mkdir()
        told.append(refusal(title, source, folder))
    golden(EXPECTED, "\n".join(told))


@pytest.mark.parametrize(("title", "source"), programs(), ids=[title for title, _ in programs()])
def test_each_refusal_has_a_code_and_names_the_users_line(title: str, source: str, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.py"
    path.write_text(_BEFORE + source)
    with pytest.raises(Exception) as raised:
        exec(compile(path.read_text(), str(path), "exec"), {"__name__": "pipeline"})
    error = raised.value
    assert isinstance(error, DslError), repr(error)
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", error.code)
    assert f"{path}:" in str(error)
    assert error.hint
