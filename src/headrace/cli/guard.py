"""The one place where text leaves for a terminal: what would steer it is taken out here.

Names, reasons, documents and error messages are the words of others. Colours pass; what the screen itself does with the
cursor goes past the guard with `steer`.
"""

from __future__ import annotations

import io
import sys

from headrace.wire.plain_text import coloured_text


class TerminalText(io.TextIOWrapper):
    """A stream of text to a terminal that cannot be steered by what is written."""

    def write(self, text: str, /) -> int:
        """Write the text without control sequences other than colours. Returns the length of what was given."""
        super().write(coloured_text(text))
        return len(text)

    def steer(self, sequence: str) -> None:
        """Write a control sequence of our own."""
        super().write(sequence)


def guard_terminals() -> None:
    """Guard the standard streams that are terminals; characters that an output cannot show are escaped, not errors."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream.isatty():
            stream.flush()
            encoding = stream.encoding
            guarded = TerminalText(stream.buffer, encoding=encoding, errors="backslashreplace", line_buffering=True)
            setattr(sys, name, guarded)
        else:
            stream.reconfigure(errors="backslashreplace")
