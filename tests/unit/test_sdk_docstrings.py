"""Every public name of the SDK explains itself in an IDE: what it does, its arguments, what it raises.

The layout is Google's (`Args:`, `Returns:`, `Raises:`, `Example:`), from which the SDK reference is made. Examples are
doctests: a block of `>>>` lines runs as it stands, and what it prints is compared.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from enum import Enum
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOMS = (
    "headrace",
    "headrace.dsl",
    "headrace.components",
    "headrace.compiler",
    "headrace.kubernetes",
    "headrace.local",
    "headrace.client",
)


class Entry(NamedTuple):
    """One public callable, class or property, and its name as users write it."""

    room: str
    name: str
    value: Any

    @property
    def function(self) -> Callable[..., Any]:
        found = self.value
        if isinstance(found, property):
            found = found.fget
        elif isinstance(found, cached_property):
            found = found.func
        elif isinstance(found, classmethod | staticmethod):
            found = found.__func__
        elif inspect.isclass(found):
            found = found.__init__
        return inspect.unwrap(found)

    @property
    def doc(self) -> str:
        found = self.value.__func__ if isinstance(self.value, classmethod | staticmethod) else self.value
        if inspect.isclass(found):
            return inspect.cleandoc(found.__dict__.get("__doc__") or "")
        return inspect.cleandoc(getattr(found, "__doc__", None) or "")


def is_ours(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).startswith("headrace")


def members(room: str, kind: type) -> Iterator[Entry]:
    """What a class, or a base of ours, defines for its users; named by the base where that is public itself."""
    public = getattr(importlib.import_module(room), "__all__", ())
    seen = set()
    for base in kind.__mro__:
        if not is_ours(base):
            continue
        for word, value in vars(base).items():
            if word.startswith("_") or word in seen:
                continue
            seen.add(word)
            if inspect.isfunction(value) or isinstance(value, property | cached_property | classmethod | staticmethod):
                owner = base if base.__name__ in public else kind
                yield Entry(room, f"{room}.{owner.__name__}.{word}", value)


@cache
def entries() -> tuple[Entry, ...]:
    found: dict[int, Entry] = {}
    for room in ROOMS:
        module = importlib.import_module(room)
        for word in getattr(module, "__all__", ()):
            value = getattr(module, word)
            if not is_ours(value) or not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            entry = Entry(room, f"{room}.{word}", value)
            found.setdefault(id(value), entry)
            if inspect.isclass(value):
                for one in members(room, value):
                    found.setdefault(id(one.value), one)
    return tuple(found.values())


def section(doc: str, name: str) -> str:
    """The indented lines below `name:`; an empty text when there is no such section."""
    found = re.search(rf"^{name}:\n((?:[ ]+.*\n?|\n)*)", doc + "\n", re.MULTILINE)
    return textwrap.dedent(found[1]).strip("\n") if found else ""


def documented_arguments(doc: str) -> list[str]:
    return re.findall(r"^(\*{0,2}\w+): \S", section(doc, "Args"), re.MULTILINE)


def arguments(entry: Entry) -> list[str]:
    """The parameters that a user passes, with their stars."""
    if isinstance(entry.value, property | cached_property) or is_enum(entry.value):
        return []
    # A class without an own __init__ takes what its base takes; a msgspec shape or dataclass takes its fields.
    target = entry.value if inspect.isclass(entry.value) else entry.function
    if inspect.isclass(target) and not inspect.isfunction(target.__init__) and not hasattr(target, "__struct_fields__"):
        return []
    found = list(inspect.signature(target).parameters.values())
    if not inspect.isclass(entry.value) and found and found[0].name in ("self", "cls"):
        found = found[1:]
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [stars.get(one.kind, "") + one.name for one in found]


def is_enum(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Enum)


def raises_itself(entry: Entry) -> bool:
    """Whether the function's own lines raise something: not a bare `raise`, not a function inside."""
    if inspect.isclass(entry.value) and "__init__" not in vars(entry.value):
        return False
    if not hasattr(entry.function, "__code__") or inspect.getsourcefile(entry.function) is None:
        return False
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(entry.function)))
    except OSError:  # a dataclass' or an enum's own __init__
        return False
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in own_nodes(tree.body[0]))


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield child
            yield from own_nodes(child)


def faults(entry: Entry) -> list[str]:
    """What the docstring lacks."""
    if not entry.doc:
        return ["has no docstring"]
    first = entry.doc.split("\n\n")[0]
    found = [] if re.search(r"[.:]$", first) else ["its first paragraph does not end with a full stop"]
    wanted, named = arguments(entry), documented_arguments(entry.doc)
    if wanted != named:
        found.append(f"takes {wanted} and its Args are {named}")
    if raises_itself(entry) and not section(entry.doc, "Raises"):
        found.append("raises, and has no Raises")
    return found


def test_the_sdk_is_found_whole() -> None:
    names = {entry.name for entry in entries()}
    assert len(names) > 220
    assert {
        "headrace.dsl.component",
        "headrace.dsl.PipelineTask.set_memory_limit",
        "headrace.dsl.Artifact.path",
    } <= names
    assert {"headrace.client.Headrace.list_runs", "headrace.Client.run_pipeline", "headrace.local.init"} <= names


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_explains_itself(room: str) -> None:
    found = {entry.name: wrong for entry in entries() if entry.room == room and (wrong := faults(entry))}
    assert not found, "\n".join(f"{name}: {'; '.join(wrong)}" for name, wrong in found.items())


EXAMPLES = [entry for entry in entries() if ">>>" in entry.doc]


@pytest.mark.parametrize("entry", EXAMPLES, ids=lambda entry: entry.name)
def test_an_example_runs(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert section(entry.doc, "Example").startswith(">>>")
    test = doctest.DocTestParser().get_doctest(entry.doc, {"__name__": __name__}, entry.name, None, None)
    report: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize(
    ("doc", "fault"),
    [
        ("", "has no docstring"),
        ("Adds", "does not end with a full stop"),
        ("Adds.", "takes ['a', '*more'] and its Args are []"),
        ("Adds.\n\nArgs:\n    a: A number.\n", "its Args are ['a']"),
        ("Adds.\n\nArgs:\n    a: A number.\n    *more: Numbers.\n", "has no Raises"),
    ],
)
def test_a_fault_is_found(doc: str, fault: str) -> None:
    def add(a: int, *more: int) -> int:
        if a < 0:
            raise ValueError(a)
        return a + sum(more)

    add.__doc__ = doc
    assert fault in "; ".join(faults(Entry("", "add", add)))
