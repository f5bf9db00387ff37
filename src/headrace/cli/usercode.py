"""Import the user's Python file, and report what it raises with the user's own lines."""

from __future__ import annotations

import importlib.util
import linecache
import sys
import traceback
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType, TracebackType

from headrace.cli.errors import CliError


def import_file(path: Path) -> ModuleType:
    """The module that the file holds; while it is imported its folder is first on `sys.path`, as `python FILE` does.

    Afterwards it is not: a file `html.py` beside the pipeline must not hide Python's own from the server that may be
    imported next. Raises CliError if the import fails in any way.
    """
    path = path.resolve()
    folder = str(path.parent)
    sys.path.insert(0, folder)
    try:
        return _imported(path)
    finally:
        sys.path.remove(folder)
        _forget_namesakes(folder)


def _forget_namesakes(folder: str) -> None:
    """Let go of modules of the folder that have the names of others; who has imported them keeps them."""
    for name, module in list(sys.modules.items()):
        is_here = (getattr(module, "__file__", None) or "").startswith(f"{folder}/")
        if is_here and (name.partition(".")[0] in sys.stdlib_module_names or _is_elsewhere(name)):
            del sys.modules[name]


def _is_elsewhere(name: str) -> bool:
    return "." not in name and PathFinder.find_spec(name) is not None


def _imported(path: Path) -> ModuleType:
    name = path.stem if path.stem not in sys.modules else f"_headrace_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CliError("This is not a Python file.", code="NOT_A_PIPELINE", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SystemExit as error:
        raise CliError(
            f"The file ended the interpreter when it was imported (exit status {error.code}).",
            code="IMPORT_EXITED",
            where=_where(error.__traceback__, path),
            fix='Put what is not to happen on import below `if __name__ == "__main__":`.',
        ) from None
    except Exception as error:
        raise _reported(error, path) from None
    return module


def _reported(error: Exception, path: Path) -> CliError:
    if (refusal := refused(error)) is not None:
        return refusal
    if isinstance(error, SyntaxError) and error.filename:
        line = (error.text or "").rstrip("\n")
        pointer = " " * max((error.offset or 1) - 1, 0) + "^"
        return CliError(
            f"The file is not valid Python: {error.msg}.",
            code="IMPORT_FAILED",
            where=f"{error.filename}:{error.lineno}",
            story=f"{line}\n{pointer}" if line else "",
        )
    return CliError(
        f"The file raised {type(error).__name__} when it was imported.",
        code="IMPORT_FAILED",
        where=_where(error.__traceback__, path),
        fix=_module_fix(error),
        story=trimmed(error, path),
    )


def refused(error: BaseException) -> CliError | None:
    """An error of the SDK as an error of the command line; None for any other error."""
    from headrace.dsl.errors import DslError

    if not isinstance(error, DslError):
        return None
    location = error.location
    return CliError(
        error.message,
        code=error.code,
        where=str(location) if location else "",
        fix=error.hint or "",
        story=linecache.getline(location.file, location.line).strip() if location else "",
    )


def _module_fix(error: Exception) -> str:
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    if error.name.split(".")[0] == "kfp":
        return (
            "Write `from headrace import dsl` for `from kfp import dsl`, "
            f"or install kfp beside headrace: {sys.executable} -m pip install kfp"
        )
    return f"Install it beside headrace: {sys.executable} -m pip install {error.name.split('.')[0]}"


def trimmed(error: BaseException, path: Path) -> str:
    """The traceback from the user's first line on, without the lines of Headrace and of the import system."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if Path(frame.filename).resolve() == path), 0)
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames[first:])]
    return "".join([*lines, *traceback.format_exception_only(error)])


def _where(trace: TracebackType | None, path: Path) -> str:
    """The innermost line of the user's file."""
    frames = [frame for frame in traceback.extract_tb(trace) if Path(frame.filename).resolve() == path]
    return f"{path}:{frames[-1].lineno}" if frames else str(path)
