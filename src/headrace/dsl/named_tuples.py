"""Classes of several outputs (`class Out(NamedTuple)`), shipped to a task with the function that returns them."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Callable
from typing import Any

#: Names that field types of such a class may use: those that every task has.
_TYPES = frozenset({"str", "int", "float", "bool", "list", "dict", "None", *typing.__all__})


def returned_class(func: Callable[..., Any]) -> tuple[str, str] | None:
    """Name and source of the class, if the function returns a class of its module and a task knows all its types."""
    name = _annotated_name(func)
    found = func.__globals__.get(name) if name in func.__code__.co_names else None
    if not isinstance(found, type) or not issubclass(found, tuple) or found.__name__ != name:
        return None
    try:
        text = textwrap.dedent(inspect.getsource(found)).rstrip()
    except (OSError, TypeError):
        return None
    tree = ast.parse(text).body[0]
    plain = isinstance(tree, ast.ClassDef) and [ast.unparse(base) for base in tree.bases] == ["NamedTuple"]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return (name, text) if plain and names <= _TYPES | _fields(tree) else None


def foreign_fields(func: Callable[..., Any], name: str) -> dict[str, str]:
    """Of a class of several outputs that the function returns: its fields whose types a task does not know."""
    found = func.__globals__.get(name)
    if name != _annotated_name(func) or not isinstance(found, type) or not issubclass(found, tuple):
        return {}
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]
    except (OSError, TypeError):
        return {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        one.target.id: ast.unparse(one.annotation)
        for one in body
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and not {node.id for node in ast.walk(one.annotation) if isinstance(node, ast.Name)} <= _TYPES
    }


def _annotated_name(func: Callable[..., Any]) -> str:
    annotation = func.__annotations__.get("return")
    return annotation if isinstance(annotation, str) else str(getattr(annotation, "__name__", ""))


def _fields(tree: ast.stmt) -> set[str]:
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {one.target.id for one in body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)}
