"""How a component's failure reaches the process that started it: one JSON document beside the outputs."""

from __future__ import annotations

import os
import sys

from headrace.runtime import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

#: What images of Python have beside the standard library, and the package that brings it.
_OF_IMAGES = {
    "pip": "pip",
    "setuptools": "setuptools",
    "pkg_resources": "setuptools<82",  # later versions do not have it
    "distutils": "setuptools",  # no part of Python from 3.12 on
    "wheel": "wheel",
}
#: Characters of one text in the document; a longer one is cut in the middle.
KEPT_CHARACTERS = 8_000


class Problem(Exception):
    """The attempt failed for a reason with a code of its own."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


def write_json(path: str, value: Any) -> None:
    """Write a document. Readers look at it only after a normal end, so a partial one is never read."""
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(plain.dumps(value))


def report_problem(path: str, problem: Problem) -> None:
    """Write the problem to the log and to the outcome file."""
    print(f"{problem.code}: {problem.message}", file=sys.stderr)
    write_json(path, {"code": problem.code, "message": cut(problem.message), "details": problem.details})


def report_exception(path: str, error: BaseException, request: dict[str, Any]) -> None:
    """Write what the user's code raised to the log and to the outcome file, with the files and lines of its author."""
    from headrace.runtime import failure_places

    printed, details = failure_places.describe(error, user_frames(error.__traceback__), request)
    print(printed, end="", file=sys.stderr)
    name = type(error).__name__
    text = safe_text(error)
    code, hint = _code_of(error)
    message = f"{name}: {text}" if text else name
    details = {"exception_type": name, "exception_message": cut(text), **details}
    write_json(path, {"code": code, "message": cut(message + hint), "details": details})


def _code_of(error: BaseException) -> tuple[str, str]:
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        if top in _OF_IMAGES:
            return "MODULE_NOT_FOUND", (
                f". Images of Python have {top!r}, the environments of Headrace do not: add {_OF_IMAGES[top]!r} to the "
                "component's packages_to_install."
            )
        hint = (
            f". Add the package that provides {top!r} to the component's packages_to_install, or your module to code."
        )
        return "MODULE_NOT_FOUND", hint
    if isinstance(error, MemoryError):
        return "OUT_OF_MEMORY", ""
    kinds = sys.modules.get("headrace.dsl.types.artifact_types")
    if kinds is not None and isinstance(error, OSError) and isinstance(error.filename, str):
        why: tuple[str, str] | None = kinds.why_elsewhere(error.filename)
        if why is not None:
            return why[0], f". {why[1]}"
    return "USER_EXCEPTION", ""


def user_frames(frames: TracebackType | None) -> TracebackType | None:
    """The traceback without our own frames at its beginning."""
    ours = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    first = frames
    while first is not None and first.tb_frame.f_code.co_filename.startswith((ours, "<frozen importlib")):
        first = first.tb_next
    return first if first is not None else frames


def safe_text(error: BaseException) -> str:
    """`str(error)`, also if that raises or is not valid UTF-8."""
    try:
        text = str(error)
    except Exception:
        text = f"<{type(error).__name__} whose text cannot be had>"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def cut(text: str) -> str:
    """Keep both ends of a text that is too long."""
    if len(text) <= KEPT_CHARACTERS:
        return text
    half = KEPT_CHARACTERS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
