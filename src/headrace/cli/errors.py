"""Errors of the command line: what they consist of, and how they are printed."""

from __future__ import annotations

from headrace.cli.terminal import Paint

#: Exit codes of every command.
OK = 0
FAILED = 1
USAGE = 2
#: As sysexits.h has it: the disk failed.
IO_ERROR = 74
INTERRUPTED = 130


class CliError(Exception):
    """A user's mistake or a state of the machine: what, where, how to fix it. Never shown with a traceback."""

    def __init__(
        self,
        what: str,
        *,
        code: str,
        where: str = "",
        fix: str = "",
        story: str = "",
        exit_code: int = USAGE,
    ) -> None:
        super().__init__(what)
        self.what = what
        #: Stable UPPER_SNAKE code, documented in docs/reference/error-codes.md.
        self.code = code
        self.where = where
        self.fix = fix
        #: Lines shown as they are below the error: the user's own traceback, last lines of a log.
        self.story = story
        self.exit_code = exit_code


class Closed(BaseException):
    """This command was asked to end by a signal. Not an Exception: nothing on the way may handle it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        #: As shells have it for a program that a signal has ended.
        self.status = 128 + number


def render(error: CliError, paint: Paint) -> str:
    """The error as it is printed.

    error: what [CODE]
      where: file, line, argument
      fix: what to do
    """
    lines = [f"{paint.red('error:')} {error.what} {paint.dim(f'[{error.code}]')}"]
    if error.where:
        lines.append(f"  where: {error.where}")
    if error.fix:
        first, *more = error.fix.splitlines()
        lines.append(f"  {paint.green('fix:')} {first}")
        lines.extend(f"       {line}" for line in more)
    if error.story:
        lines.append("")
        lines.extend(f"  {line}" for line in error.story.rstrip().splitlines())
    return "\n".join(lines)
