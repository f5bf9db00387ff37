"""A component's text as it travels: what a text inside it says is never changed."""

from __future__ import annotations

import functools
import os
import types
from pathlib import Path
from typing import Any

import pytest

from headrace import dsl
from headrace.dsl.source_text import at_margin
from headrace.dsl.text import channels_in, replace_tokens


def _value(text: str, name: str = "f") -> Any:
    space: dict[str, Any] = {}
    exec(compile(text, "<text>", "exec"), space)
    return space[name]()


BODIES = [
    'return """\n        SELECT *\n          FROM t\n"""',
    'return """at\nthe margin\n"""',
    'return f"""\n            {1 + 1}\n        end"""',
    "return ('''\n    a''', \"\"\"\n        b\n\"\"\")",
    'x = {\n  "a": """\n      y: 1\n   \n""",\n}\n        return x',
    '"""Docstring\n\n            of several lines."""\n        return "a\\\n  b"',
    "# at the margin\n        return [\n1,\n    2]",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("decorator", ["", '@deco("""\ndefault\n""")\n    ', "@deco(\n    1)\n    @deco(2)\n    "])
def test_a_nested_function_has_the_value_that_it_has_where_it_stands(body: str, decorator: str) -> None:
    raw = f"    {decorator}def f():\n        {body}\n"
    whole = f"def deco(*_):\n    return lambda f: f\ndef outer():\n{raw}    return f()\n"
    moved = at_margin(raw)
    assert moved.startswith("def f")
    assert _value(moved) == _value(whole, "outer")


@pytest.mark.parametrize(
    "raw", ["    async def f():\n        pass\n", "x = lambda: 1\n", "class A:\n    def f(self): pass\n"]
)
def test_what_is_no_def_has_no_text(raw: str) -> None:
    assert at_margin(raw) == ""


class Callable_:
    def __call__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("thing", "word"),
    [
        (lambda: 1, "lambda"),
        (functools.partial(print, 1), "functools.partial"),
        (len, "len"),
        (Callable_(), "Callable_"),
        ("python:3.11", "base_image='python:3.11'"),
        (types.SimpleNamespace(), "SimpleNamespace"),
    ],
)
def test_only_functions_become_components(thing: Any, word: str) -> None:
    with pytest.raises(dsl.DslError) as caught:
        dsl.component(thing)
    assert caught.value.code == "NOT_A_FUNCTION"
    assert word in str(caught.value)


@dsl.component
def word() -> str:
    return "w"


def test_a_pipeline_under_component_is_refused() -> None:
    with pytest.raises(dsl.DslError, match="decorate the plain function"):

        @dsl.component
        @dsl.pipeline
        def p() -> None:
            word()


@pytest.mark.parametrize("use", [lambda x: x.endswith("a"), lambda x: x.items(), lambda x: os.path.join("a", x), Path])
def test_what_a_text_can_do_a_value_of_the_pipeline_cannot(use: Any) -> None:
    def body(name: str) -> None:
        use(name)

    with pytest.raises(dsl.DslError, match="'name'.*known only when the pipeline runs"):
        dsl.pipeline(body)


def test_a_channel_tells_a_reader_what_it_is_and_its_text_still_holds_it() -> None:
    seen: list[str] = []

    def body(name: str) -> None:
        task = word()
        seen.append(repr(task.output))
        seen.append(replace_tokens(f"{[task.output]}", lambda channel: channel.full_name))
        assert [one is task.output for one in channels_in(f"{task.output!r}")] == [True]
        seen.append(repr(name))

    dsl.pipeline(body)
    assert seen[0].startswith("<output 'Output' of 'word': ")
    assert seen[1] == "[word-Output]"
    assert seen[2].startswith("<pipeline input 'name': ")
    assert all(text.isascii() and text.isprintable() for text in seen)


@pytest.mark.parametrize(("name", "word"), [("get_ipython", "subprocess.run"), ("display", "notebook only")])
def test_names_that_only_a_notebook_has_are_refused(name: str, word: str, tmp_path: Path) -> None:
    (tmp_path / f"uses_{name}.py").write_text(
        f"from headrace import dsl\n@dsl.component\ndef f():\n    {name}().system('ls')\n"
    )
    from headrace.cli.errors import CliError
    from headrace.cli.usercode import import_file

    with pytest.raises(CliError) as caught:
        import_file(tmp_path / f"uses_{name}.py")
    assert caught.value.code == "NAME_LEFT_BEHIND"
    assert word in caught.value.fix


def test_a_text_that_only_looks_like_a_channel_is_a_text() -> None:
    copied = "<output 'Output' of 'word': String, known when the pipeline runs #999999999>"
    assert list(channels_in(copied)) == []
    assert replace_tokens(copied, lambda channel: channel.full_name) == copied
