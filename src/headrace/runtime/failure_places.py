"""Where a failure happened, in the files of the component's author.

A component's source is a file that only its task has. Where the request says which lines of it are lines of which file,
tracebacks name that file and line; the text of each line is that of the source which ran, since the file may have
changed since. Loaded only when something has failed.
"""

from __future__ import annotations

import linecache
import traceback

from headrace.runtime.problems import cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

#: Frames of the user's traceback that are reported: the last ones, and the user's first ones if a library has many.
KEPT_FRAMES = 12
FIRST_FRAMES = 3
#: Lines of code that are reported before and after the one that failed.
_AROUND = 2


def describe(error: BaseException, frames: TracebackType | None, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The traceback as Python prints it, and details: `traceback`, its last frames, and the place of the failure."""
    whole = traceback.TracebackException(type(error), error, frames, compact=True)
    own = _own_frame(whole.stack, request)
    place = _place_of(own, request) if own is not None else {}
    for one in _chain(whole):
        for frame in one.stack:
            _rename(frame, request)
    lines = traceback.format_list(whole.stack[:FIRST_FRAMES]) if len(whole.stack) > KEPT_FRAMES else []
    lines += traceback.format_list(whole.stack[-KEPT_FRAMES + len(lines) :])
    return "".join(whole.format()), {"traceback": cut("".join(lines)), **place}


def of_function(function: Callable[..., Any], request: dict[str, Any]) -> dict[str, Any]:
    """The place where the component's function is defined, for a failure that no line of it has raised."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_filename != request["source"]:
        return {}
    frame = traceback.FrameSummary(code.co_filename, code.co_firstlineno, code.co_name)
    return _place_of(frame, request)


def of_error(error: BaseException, request: dict[str, Any]) -> dict[str, Any]:
    """The place in the user's code that raised this."""
    frame = _own_frame(traceback.extract_tb(error.__traceback__), request)
    return _place_of(frame, request) if frame is not None else {}


def _own_frame(stack: list[traceback.FrameSummary], request: dict[str, Any]) -> traceback.FrameSummary | None:
    """The innermost frame in a file of the author's; else in the component's source; else the innermost of all."""
    source, code = request["source"], request.get("code")
    inside = [frame for frame in stack if frame.filename == source]
    known = [
        frame
        for frame in stack
        if (code and frame.filename.startswith(code))
        or (frame.filename == source and _author_line(source, frame.lineno or 0, request)[0] != source)
    ]
    found = known or inside or stack
    return found[-1] if found else None


def _place_of(frame: traceback.FrameSummary, request: dict[str, Any]) -> dict[str, Any]:
    row = frame.lineno or 0
    file, line, first, last = _author_line(frame.filename, row, request)
    rows = range(max(first, row - _AROUND), min(last, row + _AROUND) + 1)
    code = [[number - row + line, linecache.getline(frame.filename, number).rstrip()] for number in rows]
    return {
        "file": file,
        "line": line,
        "function": frame.name,
        "source_line": frame.line or "",
        "lines": code,
    }


def _rename(frame: traceback.FrameSummary, request: dict[str, Any]) -> None:
    file, line, _, _ = _author_line(frame.filename, frame.lineno or 0, request)
    if file != frame.filename:
        _ = frame.line  # read by the name that it has until now
        end = getattr(frame, "end_lineno", None)
        if end is not None:
            frame.end_lineno = end - (frame.lineno or 0) + line
        frame.filename, frame.lineno = file, line


def _author_line(file: str, row: int, request: dict[str, Any]) -> tuple[str, int, int, int]:
    """File and line as their author knows them, and the first and last line of the same function in `file`."""
    if file == request["source"]:
        for first, rows, name, line in request.get("lines", ()):
            if first <= row < first + rows:
                return name, row - first + line, first, first + rows - 1
    return file, row, 1, row + _AROUND


def _chain(error: traceback.TracebackException) -> list[traceback.TracebackException]:
    """The error, those that led to it, and those of a group."""
    found: list[traceback.TracebackException] = []
    left: list[Any] = [error]
    while left:
        one = left.pop()
        if one is not None and one not in found:
            found.append(one)
            left += [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
    return found
