"""Find tasks of a run by the names that people use."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from headrace.cli.board import Board
from headrace.cli.errors import CliError
from headrace.wire.api import ExecutionView, RunChange, RunView

_LISTED = 30


def board_of(view: RunView) -> Board:
    """The run as it is now."""
    board = Board(view)
    board.apply(RunChange(version=view.run.version, run=view.run, executions=view.executions))
    return board


def named(board: Board, text: str, *, among: Iterable[ExecutionView] | None = None) -> list[ExecutionView]:
    """The tasks that the text names: by a label, a path, an id or its beginning, or the name of a task in a loop.

    Raises CliError TASK_NOT_FOUND with names that come near.
    """
    tasks = list(board.tasks if among is None else among)
    for matches in (
        lambda one: text in (board.label(one), one.path, one.execution_id),
        lambda one: board.label(one).partition("[")[0] == text or text in (one.task, one.node),
        lambda one: len(text) >= 6 and one.execution_id.startswith(text),
    ):
        found = [one for one in tasks if matches(one)]
        if found:
            return found
    raise not_found(text, [board.label(one) for one in tasks])


def not_found(text: str, labels: Iterable[str]) -> CliError:
    """The error for an unknown task, with similar names."""
    known = sorted(set(labels))
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
    fix = f"Did you mean {' or '.join(near)}?" if near else f"Its tasks: {', '.join(known[:_LISTED]) or 'none yet'}"
    return CliError(f"The run has no task {text!r}.", code="TASK_NOT_FOUND", fix=fix)
