"""Errors of the SDK: what is wrong, where in the user's file, why, and how to write it instead."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from headrace.dsl.code_places import shown_file

_PACKAGE_DIR = str(Path(__file__).resolve().parent.parent) + "/"
#: Folders, one of which is in the path of every installed package.
_INSTALLED = frozenset(("site-packages", "dist-packages"))


class SourceLocation(NamedTuple):
    """A line of the user's own code."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{shown_file(self.file)}:{self.line}"


def user_location() -> SourceLocation | None:
    """The innermost line that is not ours: the line of the user that called us."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith((_PACKAGE_DIR, "<frozen")) and "contextlib" not in filename:
            return SourceLocation(file=filename, line=frame.f_lineno)
        frame = frame.f_back
    return None


def function_location(func: object) -> SourceLocation | None:
    """Where a function was defined."""
    code = getattr(func, "__code__", None)
    return None if code is None else SourceLocation(file=code.co_filename, line=code.co_firstlineno)


def is_installed(location: SourceLocation | None) -> bool:
    """Whether a place is in an installed package: code of others, which the user cannot change."""
    return location is not None and bool(_INSTALLED.intersection(Path(location.file).parts))


class DslError(Exception):
    """Base of all errors of the SDK. The message has the file and the line, and how to write it instead.

    Args:
        message: What is wrong.
        code: A stable code, listed in the reference of error codes. Default: the code of the class.
        hint: How to write it instead. Default: none.
        location: The line of the user's code. Default: the line that called the SDK.
    """

    code = "DSL_ERROR"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        location: SourceLocation | None = None,
    ) -> None:
        self.code = code or type(self).code
        self.message = message
        self.hint = hint
        self.location = location or user_location()
        super().__init__(self._text())

    def _text(self) -> str:
        where = f"{self.location}: " if self.location else ""
        hint = f"\n  Instead: {self.hint}" if self.hint else ""
        return f"{where}{self.message} [{self.code}]{hint}"


class DslValueError(DslError, ValueError):
    """A value that the SDK does not accept."""

    code = "INVALID_VALUE"


class DslTypeError(DslError, TypeError):
    """A type that the SDK does not accept."""

    code = "INVALID_TYPE"


class DslAttributeError(DslError, AttributeError):
    """An attribute that this object does not have."""

    code = "NO_SUCH_ATTRIBUTE"


class DslKeyError(DslError, KeyError):
    """An output that this task does not have."""

    code = "NO_SUCH_OUTPUT"

    def __str__(self) -> str:  # KeyError would show the repr of the text
        return self._text()


class DslIndexError(DslError, IndexError):
    """A position that does not exist before the run."""

    code = "CHANNEL_NOT_INDEXABLE"


class DslRuntimeError(DslError, RuntimeError):
    """Something that is not possible at this point."""

    code = "NOT_NOW"


class DslNotImplementedError(DslError, NotImplementedError):
    """Something that the document of Kubeflow Pipelines cannot express."""

    code = "NOT_SUPPORTED"
