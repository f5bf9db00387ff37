"""Names a shipped function uses that will not exist where it runs: module globals and closures are not shipped."""

from __future__ import annotations

import ast
import builtins
import dis
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from headrace.dsl import named_tuples, source
from headrace.dsl.errors import DslValueError, function_location

#: What `from kfp.dsl import *` brings in a task.
_FROM_DSL = frozenset(
    {
        "Input", "Output", "InputPath", "OutputPath", "PipelineTaskFinalStatus", "TaskConfig", "Artifact",
        "ClassificationMetrics", "Dataset", "HTML", "Markdown", "Metrics", "Model", "SlicedClassificationMetrics",
        "get_uri", "PIPELINE_JOB_NAME_PLACEHOLDER", "PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER",
        "PIPELINE_JOB_ID_PLACEHOLDER", "PIPELINE_TASK_NAME_PLACEHOLDER", "PIPELINE_TASK_ID_PLACEHOLDER",
        "PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER", "PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER",
        "PIPELINE_ROOT_PLACEHOLDER", "PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER",
        "PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER", "WORKSPACE_PATH_PLACEHOLDER", "run_notebook",
    }
)  # fmt: skip


def _of_plain_python() -> Iterator[str]:
    """Builtins that every Python has. Consoles and notebooks add names of their own: `_`, `display`, `get_ipython`."""
    for name, value in vars(builtins).items():
        is_ours = getattr(value, "__module__", None) in ("builtins", "io", "_io", "_sitebuiltins")
        if name.startswith("__") or is_ours or value in (True, False, None, ..., NotImplemented):
            yield name


_BUILTINS = frozenset(_of_plain_python()) - {"_", "__IPYTHON__"}
_THERE = _FROM_DSL | set(typing.__all__) | _BUILTINS | {"kfp", "dsl", "headrace", "__name__", "__file__"}
#: What `!command` and `%magic` become in a notebook's cell.
_OF_NOTEBOOKS = frozenset({"get_ipython", "display"})


def check(func: Callable[..., Any], additional: list[Callable[..., Any]], *, embedded: bool) -> None:
    """Refuse a function that would end in a NameError."""
    if embedded:
        return  # what was embedded may define the names when it is imported
    shipped = {one.__name__ for one in (func, *additional)}
    answer = named_tuples.returned_class(func)
    shipped |= {answer[0]} if answer else set()
    for one in (func, *additional):
        for name in sorted(_left_behind(one) - shipped - _imported(func)):
            raise DslValueError(
                f"{one.__name__!r} uses {name!r}, which is defined outside of it; only the function's own source "
                "travels to its task, so this would be a NameError there.",
                code="NAME_LEFT_BEHIND",
                hint=_hint(one, name),
                location=function_location(one),
            )


def _hint(func: Callable[..., Any], name: str) -> str:
    if name == "get_ipython":
        return "`!command` and `%magic` work in a notebook only: use subprocess.run([...]) inside the function."
    if name == "display":
        return "`display` exists in a notebook only: print, or write an artifact (dsl.HTML, dsl.Markdown)."
    value = func.__globals__.get(name)
    if foreign := named_tuples.foreign_fields(func, name):
        fields = ", ".join(f"{field}: {kind}" for field, kind in foreign.items())
        return f"give its fields types that every task has, such as str, int, list or dict; it has {fields}."
    if isinstance(value, types.ModuleType):
        return f"import it inside the function: `import {value.__name__}`."
    if isinstance(value, type | types.FunctionType) and value.__module__ not in (func.__module__, "__main__"):
        return f'import it inside the function (`from {value.__module__} import {value.__name__}`), with code=".".'
    if isinstance(value, types.FunctionType):
        return f"@dsl.component(additional_funcs=[{name}]), or define it inside the function."
    return "define it inside the function, or make it an input."


def _left_behind(func: Callable[..., Any]) -> set[str]:
    code: types.CodeType = func.__code__
    used = set(_globals_of(code)) | set(_default_names(func))
    here = {name for name in used if (name in func.__globals__ or name in _OF_NOTEBOOKS) and name not in _THERE}
    enclosed = zip(code.co_freevars, func.__closure__ or (), strict=True)
    return here | {name for name, cell in enclosed if name != "__class__" and not _is_typings(name, cell)}


def _is_typings(name: str, cell: types.CellType) -> bool:
    """Whether the name means what it means in every task, which begins with `from typing import *`."""
    try:
        return name in typing.__all__ and cell.cell_contents is getattr(typing, name)
    except ValueError:
        return False  # It has no value yet.


def _globals_of(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals_of(constant)


def _default_names(func: Callable[..., Any]) -> Iterator[str]:
    if not (func.__defaults__ or func.__kwdefaults__):
        return
    tree = ast.parse(source.function_source(func)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    for default in (*tree.args.defaults, *(one for one in tree.args.kw_defaults if one is not None)):
        yield from (node.id for node in ast.walk(default) if isinstance(node, ast.Name))


def _imported(func: Callable[..., Any]) -> set[str]:
    """Names that the extra import lines bring."""
    text = source.shipped_source(func, [], None)
    head = text[: text.index("\n\n", 1)]
    return {line.rsplit(" ", 1)[-1].split(".")[0] for line in head.splitlines() if "import " in line}
