"""What a task's start leaves out, and that nobody can tell: idle imports, JSON's package, the interpreter's own end."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

from headrace.runtime import head, main, plain
from headrace.runtime.head import KFP_NAMES, TYPING_NAMES, without_idle_imports

BARE = getattr(sys, "_base_executable", sys.executable)
HEAD = "\nimport kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\n"


def executed(source: str, place: Path, *options: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of a component `f` without arguments."""
    out = place / "out"
    document = {"inputs": {}, "outputs": {"outputFile": str(out / "executor_output.json")}}
    request = {
        "executor_input": document,
        "source": str(place / "ephemeral_component.py"),
        "function": "f",
        "outcome": str(out / "outcome.json"),
    }
    (place / "ephemeral_component.py").write_text(HEAD + source)
    (place / "request.json").write_text(json.dumps(request))
    command = [BARE, "-S", *options, main.__file__, str(place / "request.json")]
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, env={})
    return ended.returncode, ended.stdout, ended.stderr


# --- idle imports -----------------------------------------------------------------------------


def test_all_names_of_the_star_imports_are_known(tmp_path: Path):
    assert set(typing.__all__) <= set(TYPING_NAMES)
    asked = "def f():\n    print(sorted(name for name in globals() if name[0] != '_'))"
    given = set(json.loads(executed(asked, tmp_path)[1].replace("'", '"')))
    assert "Dataset" in given
    assert given - set(typing.__all__) - {"f", "annotations"} <= set(KFP_NAMES)


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("def f(x: int) -> int:\n    return x", []),
        ("def f(x: list[int]) -> str:\n    return 'a listing of Lists'", []),
        ("def f(x: List[int]):\n    pass", ["from typing import *"]),
        ("def f(x: 'List[int]'):\n    pass", ["from typing import *"]),
        (
            "def f(x: Output[Dataset]):\n    pass",
            ["import kfp", "from kfp import dsl", "from kfp.dsl import *"],
        ),
        ("def f():\n    return dsl.__name__", ["import kfp", "from kfp import dsl", "from kfp.dsl import *"]),
        ("def f():\n    return kfp.dsl", ["import kfp", "from kfp import dsl", "from kfp.dsl import *"]),
        ("def f():\n    return evaluate()", []),
    ],
)
def test_idle_imports_are_left_out(body: str, left: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(head, "has_real_kfp", lambda: False)
    source = without_idle_imports(HEAD + body)
    assert [line for line in source.splitlines() if "import" in line] == left
    assert source.splitlines()[6:] == body.splitlines()


@pytest.mark.kfp
def test_a_real_kfp_is_always_loaded():
    left = [line for line in without_idle_imports(HEAD + "def f():\n    pass").splitlines() if "import" in line]
    assert left == ["import kfp", "from kfp import dsl", "from kfp.dsl import *"]


@pytest.mark.parametrize("word", ["eval('List')", "globals()", "__import__('kfp')", "vars()", "dir()"])
def test_imports_stay_where_names_may_be_used_that_are_written_nowhere(word: str):
    source = f"{HEAD}def f():\n    return {word}"
    assert without_idle_imports(source) == source


def test_imports_of_another_head_stay():
    source = "import os\nimport kfp\nfrom typing import *\ndef f():\n    pass"
    assert without_idle_imports(source) == source


def test_a_trivial_component_loads_nothing_slow(tmp_path: Path):
    source = "def f():\n    import sys\n    print('|'.join(getattr(sys, 'mod' + 'ules')))"
    _, told, _ = executed(source, tmp_path)
    slow = {"typing", "json", "re", "enum", "inspect", "traceback", "collections", "functools", "kfp", "warnings"}
    assert slow & set(told.strip().split("|")) == set()


def test_lines_keep_their_numbers(tmp_path: Path):
    status, _, told = executed("def f():\n    x = 1\n    raise ValueError(x)", tmp_path)
    assert status == 1
    assert 'ephemeral_component.py", line 9, in f' in told


# --- JSON -------------------------------------------------------------------------------------

VALUES: list[Any] = ["ä\ud800\n", 1, -1.5, 1e300, None, True, [1, {"a": [float("inf")]}], {}, [], {"x": {"1": 2}}]


@pytest.mark.parametrize("value", VALUES)
def test_plain_json_is_json(value: Any):
    text = json.dumps(value)
    assert plain.dumps(value) == text
    assert plain.loads(text) == value


@pytest.mark.parametrize("text", ["", "nope", "[1,", "1 2", "{'a': 1}", '"\x01"', '{"a" 1}'])
def test_plain_json_refuses_what_json_refuses(text: str):
    with pytest.raises(json.JSONDecodeError) as ours:
        plain.loads(text)
    with pytest.raises(json.JSONDecodeError) as theirs:
        json.loads(text)
    assert str(ours.value) == str(theirs.value)


def test_plain_json_says_what_json_says_of_values_it_cannot_write():
    for value, error in ((float("nan"), ValueError), (object(), TypeError), ({(): 1}, TypeError)):
        with pytest.raises(error) as ours:
            plain.dumps([value], allow_nan=False)
        with pytest.raises(error) as theirs:
            json.dumps([value], allow_nan=False)
        assert str(ours.value) == str(theirs.value)
    assert math.isnan(plain.loads("NaN"))
    assert plain.loads(" [1] ") == [1]


# --- the interpreter's end ----------------------------------------------------------------------


def test_the_end_is_an_interpreters_end(tmp_path: Path):
    source = """
def f():
    import atexit, threading, time
    global kept, held
    class Held:
        def __del__(self):
            print('let go', flush=True)
    held = Held()
    held.itself = held
    kept = open('unflushed', 'w')
    kept.write('text')
    atexit.register(lambda: print('at exit'))
    def late():
        time.sleep(0.05)
        print('the thread')
    threading.Thread(target=late).start()
    print('returned', end='; ')
"""
    status, told, errors = executed(source, tmp_path)
    assert (status, errors) == (0, "")
    assert told == "returned; the thread\nat exit\nlet go\n"
    assert (tmp_path / "unflushed").read_text() == "text"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_shows_in_the_status(tmp_path: Path):
    source = "def f():\n    import sys\n    sys.stdout = open('/dev/full', 'w')\n    print('lost')"
    assert executed(source, tmp_path)[0] == 120
    assert executed("def f():\n    import sys\n    sys.stdout.close()", tmp_path)[0] == 0
