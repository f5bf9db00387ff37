"""A running run on the terminal: a few lines that are redrawn, or one line for each event in files and pipes."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import IO

from headrace.cli.board import FINAL, Board, BoardLine
from headrace.cli.terminal import Paint, between, duration, moment, shorten
from headrace.wire.api import ExecutionView

_MARKS = {"SUCCEEDED": "✓", "FAILED": "✗", "SKIPPED": "-", "CANCELED": "■", "RETRYING": "↻"}
_ASCII_MARKS = {"SUCCEEDED": "+", "FAILED": "x", "SKIPPED": "-", "CANCELED": "o", "RETRYING": "~"}
_SPIN = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_REDRAWS_PER_S = 10


class PlainScreen:
    """For pipes and files: every line stays."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def show(self, board: Board, lines: list[BoardLine]) -> None:
        """Print what is new."""
        for line in lines:
            ended = duration(between(line.started_at, line.ended_at)) if line.ended_at else ""
            rest = "  ".join(part for part in (ended, shorten(line.note, 160)) if part)
            print(f"{_clock(line)}  {line.label:<24}  {line.word:<9}  {rest}".rstrip(), file=self._stream, flush=True)

    def show_logs(self, board: Board, lines: list[str]) -> None:
        """Print lines that tasks have printed."""
        print("\n".join(lines), file=self._stream, flush=True)

    @contextlib.contextmanager
    def going(self, board: Board) -> Iterator[None]:
        """Do nothing: there is nothing to redraw."""
        yield

    def say(self, text: str) -> None:
        """Print a line that is not about a task."""
        print(text, file=self._stream, flush=True)


class LiveScreen:
    """For terminals: ended tasks scroll up, running tasks are redrawn below them."""

    def __init__(self, stream: IO[str], paint: Paint) -> None:
        self._stream = stream
        self._paint = paint
        self._drawn = 0
        self._lock = threading.Lock()
        self._ticks = itertools.count()
        unicode = (getattr(stream, "encoding", None) or "").lower().replace("-", "") in ("utf8", "utf16")
        self._marks = _MARKS if unicode else _ASCII_MARKS
        self._spin = _SPIN if unicode else "|/-\\"

    def show(self, board: Board, lines: list[BoardLine]) -> None:
        """Print new lines above the running tasks."""
        self._draw([self._line(line) for line in lines if not line.passing], self._region(board))

    def show_logs(self, board: Board, lines: list[str]) -> None:
        """Print lines that tasks have printed, above the running tasks."""
        self._draw(lines, self._region(board))

    @contextlib.contextmanager
    def going(self, board: Board) -> Iterator[None]:
        """Redraw times and spinners in the block; remove them at its end."""
        ended = threading.Event()

        def redraw() -> None:
            while not ended.wait(1 / _REDRAWS_PER_S):
                self._draw([], self._region(board))

        thread = threading.Thread(target=redraw, name="headrace-screen", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._draw([], [])

    def say(self, text: str) -> None:
        """Print a line that is not about a task, above the running tasks."""
        self._draw([text], [])

    def _draw(self, kept: list[str], region: list[str]) -> None:
        with self._lock:
            getattr(self._stream, "steer", self._stream.write)(self._up())
            self._stream.write("".join(f"{line}\n" for line in [*kept, *region]))
            self._stream.flush()
            self._drawn = len(region)

    def _up(self) -> str:
        return f"\x1b[{self._drawn}F\x1b[0J" if self._drawn else ""

    def _line(self, line: BoardLine) -> str:
        mark = self._paint.state(line.word, self._marks.get(line.word, " "))
        took = duration(between(line.started_at, line.ended_at)) if line.ended_at else ""
        width = shutil.get_terminal_size((100, 24)).columns
        note = shorten(line.note, max(width - 44, 20))
        state = "" if line.word == "SUCCEEDED" else self._paint.state(line.word, line.word.lower())
        rest = "  ".join(part for part in (state, self._paint.dim(note) if note else "") if part)
        return f"{mark} {line.label:<28} {took:>9}  {rest}".rstrip()

    def _region(self, board: Board) -> list[str]:
        width, rows = shutil.get_terminal_size((100, 24))
        height = max(rows - 4, 3)
        active = board.active
        spin = self._spin[next(self._ticks) % len(self._spin)]
        lines = [self._going(board, task, spin, width) for task in active[: height - 1]]
        return [*lines, self._paint.dim(shorten(self._count(board), width - 1))]

    def _going(self, board: Board, task: ExecutionView, spin: str, width: int) -> str:
        last = task.attempts[-1]
        since = moment(last.started_at)
        took = duration(time.time() - since) if since else ""
        note = last.waiting.message if last.waiting else ""
        text = shorten(f"{board.label(task):<28} {took:>9}  {note}", width - 3).rstrip()
        return f"{self._paint.cyan(spin)} {text}"

    def _count(self, board: Board) -> str:
        counts = board.counts
        done = sum(counts[state] for state in FINAL)
        failed = f", {counts['FAILED']} failed" if counts["FAILED"] else ""
        running = len([task for task in board.active if task.attempts[-1].state == "RUNNING"])
        waiting = counts.total() - done - running
        word = "  paused: " if board.run.state == "PAUSED" else "  "
        return f"{word}{running} running, {waiting} waiting, {done} done{failed}"


def screen_for(stream: IO[str], paint: Paint) -> PlainScreen | LiveScreen:
    """The screen for this stream: live on a terminal, else plain."""
    return LiveScreen(stream, paint) if paint.colours else PlainScreen(stream)


def _clock(line: BoardLine) -> str:
    seconds = moment(line.ended_at or line.started_at)
    return datetime.fromtimestamp(time.time() if seconds is None else seconds).strftime("%H:%M:%S")
