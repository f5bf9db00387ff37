"""Text for terminals: colours, widths, sizes, durations, tables."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

_CODES = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "dim": 2, "bold": 1}


class Paint:
    """Colours, or none."""

    def __init__(self, colours: bool) -> None:
        self.colours = colours

    @classmethod
    def for_stream(cls, stream: IO[str]) -> Paint:
        """Colours on a terminal that can show them; none with NO_COLOR, dumb terminals, pipes and files."""
        wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return cls(wanted and stream.isatty())

    def _wrap(self, colour: str, text: str) -> str:
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colours else text

    def red(self, text: str) -> str:
        return self._wrap("red", text)

    def green(self, text: str) -> str:
        return self._wrap("green", text)

    def yellow(self, text: str) -> str:
        return self._wrap("yellow", text)

    def cyan(self, text: str) -> str:
        return self._wrap("cyan", text)

    def dim(self, text: str) -> str:
        return self._wrap("dim", text)

    def bold(self, text: str) -> str:
        return self._wrap("bold", text)

    def state(self, state: str, text: str | None = None) -> str:
        """`text` (else the state's word) in the state's colour."""
        return _STATE_COLOURS.get(state, Paint.dim)(self, state if text is None else text)


_STATE_COLOURS = {
    "SUCCEEDED": Paint.green,
    "FAILED": Paint.red,
    "RUNNING": Paint.cyan,
    "CANCELING": Paint.yellow,
    "CANCELED": Paint.yellow,
    "PAUSED": Paint.yellow,
}
#: From here on `total_size` of a list means "so many or more".
_MOST_COUNTED = 10_000


def this_command() -> str:
    """`headrace`, or its path if the shell would not find it by name."""
    called = Path(sys.argv[0])
    if called.stem != "headrace":
        return "headrace"
    found = shutil.which("headrace")
    if found is not None and Path(found).resolve() == called.resolve():
        return "headrace"
    absolute = called.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)


def plain(text: str) -> str:
    """A text without control sequences (colours, titles, cursor moves) and bidirectional controls."""
    from headrace.wire.plain_text import plain_text

    return plain_text(text)


def shorten(text: str, width: int) -> str:
    """At most `width` characters on one line."""
    line = plain(text).replace("\n", " ").replace("\t", " ")
    return line if len(line) <= width else line[: max(width - 1, 0)] + "…"


def columns(stream: IO[str]) -> int:
    """How wide the terminal is; for files and pipes, wide."""
    return shutil.get_terminal_size((100, 40)).columns if stream.isatty() else 200


def size(count: int) -> str:
    """`12 B`, `3.4 kB`, `1.2 GB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`; "" for None."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def moment(text: str | None) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; None for None."""
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def local_time(text: str | None) -> str:
    """An RFC 3339 time in the local time zone; "" for None."""
    at = moment(text)
    return "" if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def between(started: str | None, ended: str | None) -> float | None:
    """Seconds from one RFC 3339 time to another; None while one is missing."""
    begin, end = moment(started), moment(ended)
    return None if begin is None or end is None else end - begin


def more_line(shown: int, total: int, paint: Paint) -> str:
    """The line below a list that is not whole. The server counts up to 10,000."""
    beyond = " or" if total >= _MOST_COUNTED else ""
    return paint.dim(f"… and {total - shown}{beyond} more: --limit {total}")


def json_text(value: object) -> str:
    """What the API gave, as JSON to read."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value)).decode()


def table(
    rows: Sequence[Sequence[str]], *, indent: str = "", heads: Sequence[str] = (), paint: Paint | None = None
) -> str:
    """Columns that line up; the last one may be of any length."""
    everything = [*([heads] if heads else []), *rows]
    if not everything:
        return ""
    widths = [max(len(plain(row[i])) for row in everything) for i in range(len(everything[0]))]
    lines = []
    for number, row in enumerate(everything):
        cells = [cell + " " * (width - len(plain(cell))) for cell, width in zip(row, widths, strict=True)]
        line = indent + "  ".join(cells).rstrip()
        lines.append(paint.dim(line) if heads and number == 0 and paint else line)
    return "\n".join(lines)
