"""Print logs of a run's tasks."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator

from headrace.cli.board import Board
from headrace.cli.errors import OK, CliError
from headrace.cli.lists import resolve
from headrace.cli.tasks import board_of, named
from headrace.cli.terminal import Paint
from headrace.client.errors import ApiError
from headrace.client.headrace import Headrace
from headrace.wire.api import ExecutionView
from headrace.wire.plain_text import coloured_text

_PIECE_BYTES = 1 << 20
#: What a carriage return lets the rest of the line write over.
_OVERWRITTEN = re.compile(r"[^\r\n]*\r(?=[^\r\n])")


def print_logs(client: Headrace, run: str, task: str | None, attempt: int | None, *, follow: bool) -> int:
    """Print the logs of all tasks, or of the tasks that `task` names."""
    board = board_of(client.get_run(resolve(client, run)))
    wanted = meant(board, task)
    if follow and len(wanted) > 1:
        listed = ", ".join(board.label(one) for one in wanted[:10])
        raise CliError(f"{task!r} means {len(wanted)} tasks; one can be followed.", code="TASK_AMBIGUOUS", fix=listed)
    paint = Paint.for_stream(sys.stdout)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for one in wanted:
        if len(wanted) > 1:
            state = f"{one.state}, cached: the log of then" if one.cached_from else one.state
            _write(f"{paint.bold(f'== {board.label(one)}')} {paint.dim(state)}\n".encode(), decoder)
        pieces = _followed(client, one, attempt) if follow else _pieces(client, one, attempt)
        for piece in pieces:
            _write(piece, decoder)
    return OK


def meant(board: Board, task: str | None) -> list[ExecutionView]:
    """The started tasks that the text names: by a label, a path, or the name of a task in a loop."""
    if task is None:
        return [one for one in board.tasks if one.attempts or one.cached_from]
    return named(board, task)


def _pieces(client: Headrace, task: ExecutionView, attempt: int | None) -> Iterator[bytes]:
    offset = 0
    try:
        while True:
            part = client.read_log(_whose(task), attempt=attempt, offset=offset, limit=_PIECE_BYTES)
            if not part.content:
                return
            yield part.content
            offset = part.offset
    except ApiError as error:
        if error.status != 404 or attempt is not None:
            raise


def _whose(task: ExecutionView) -> str:
    """The execution that wrote the log: for a cached one, the execution whose outputs it reuses."""
    return task.cached_from if task.cached_from and not task.attempts else task.execution_id


def _followed(client: Headrace, task: ExecutionView, attempt: int | None) -> Iterator[bytes]:
    for chunk in client.stream_log(_whose(task), attempt=attempt):
        yield chunk.text.encode()


def _write(piece: bytes, decoder: codecs.IncrementalDecoder) -> None:
    """Into a file or pipe as it is; to a terminal without what would steer it, and of a progress bar its last state."""
    if sys.stdout.isatty():
        sys.stdout.write(coloured_text(_OVERWRITTEN.sub("", decoder.decode(piece))))
        sys.stdout.flush()
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
