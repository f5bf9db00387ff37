"""List runs, show one run, and find a run by the beginning of its id."""

from __future__ import annotations

import difflib
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from headrace.cli.board import Board
from headrace.cli.connection import Connection
from headrace.cli.errors import OK, CliError
from headrace.cli.running import home_words, tell
from headrace.cli.terminal import (
    Paint,
    between,
    duration,
    json_text,
    moment,
    more_line,
    shorten,
    table,
    this_command,
)
from headrace.client.headrace import Headrace
from headrace.wire.api import ExecutionView, RunChange, RunList, RunSummary

_ID_LENGTH = 36
_PAGE = 200
#: Words for the newest run.
_NEWEST = ("last", "latest")
#: How many of the newest runs are searched for similar names and ids.
_NEAR_RUNS = 1000
#: States in which a server has something to do.
_GOING_ON = frozenset({"PENDING", "RUNNING", "CANCELING"})
_FINAL = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})


def resolve(client: Headrace, text: str) -> str:
    """The id of the run that the text means. Raises CliError RUN_NOT_FOUND, RUN_AMBIGUOUS."""
    if len(text) == _ID_LENGTH:
        return text
    if text in _NEWEST:
        newest = client.list_runs(page_size=1).runs
        if not newest:
            raise CliError("There is no run yet.", code="RUN_NOT_FOUND", fix="headrace run FILE starts one.")
        return newest[0].run_id
    found = [run for run in _all_runs(client) if run.run_id.startswith(text.lower())]
    if len(found) == 1:
        return found[0].run_id
    if not found:
        raise _no_run(text, _all_runs(client))
    raise CliError(
        f"{len(found)} runs have ids that begin with {text!r}.",
        code="RUN_AMBIGUOUS",
        fix="Give more of the id.",
        story="\n".join(f"{run.run_id}  {run.display_name}" for run in found[:10]),
    )


def _no_run(text: str, runs: Iterable[RunSummary]) -> CliError:
    """The error for an unknown run, with a suggestion: a run of this name, or with a similar id."""
    known = list(islice(runs, _NEAR_RUNS))
    by_name = [run for run in known if run.display_name == text or run.display_name.startswith(text)]
    by_id = {run.run_id[: len(text)]: run for run in reversed(known)}
    near = by_name[:3] or [by_id[one] for one in difflib.get_close_matches(text.lower(), by_id, n=3, cutoff=0.75)]
    meant = ", or ".join(f"{run.run_id[:8]} ({shorten(run.display_name, 60)})" for run in near)
    return CliError(
        f"There is no run whose id begins with {text!r}.",
        code="RUN_NOT_FOUND",
        fix=f"Did you mean {meant}?" if meant else "See: headrace runs list",
    )


def _all_runs(client: Headrace) -> Iterator[RunSummary]:
    token = ""
    while True:
        page = client.list_runs(page_size=_PAGE, page_token=token)
        yield from page.runs
        token = page.next_page_token
        if not token:
            return


def list_runs(connection: Connection, *, limit: int, state: str, search: str, storage_state: str, as_json: bool) -> int:
    """Print runs, newest first."""
    page = connection.client.list_runs(
        page_size=min(limit, _PAGE), state=state.upper(), search=search, storage_state=storage_state
    )
    if as_json:
        print(json_text(RunList(runs=page.runs, total_size=page.total_size)))
        return OK
    if not page.runs:
        print("No runs.")
        return OK
    paint = Paint.for_stream(sys.stdout)
    heads = ("run", "state", "name", "tasks", "begun", "took")
    print(table([_row(run, paint) for run in page.runs], heads=heads, paint=paint))
    if page.total_size > len(page.runs):
        print(more_line(len(page.runs), page.total_size, paint))
    if any(run.state in _GOING_ON for run in page.runs):
        tell_undriven(connection, paint)
    return OK


def tell_undriven(connection: Connection, paint: Paint) -> None:
    """Say that nothing happens to runs that have not ended, where no server is there for them."""
    if not connection.drives:
        words = "No server drives the runs that have not ended. To let them go on:"
        print(paint.yellow(f"{words} {this_command()} up{home_words(connection.settings)}"))


def _row(run: RunSummary, paint: Paint) -> tuple[str, ...]:
    total = sum(run.task_counts.values())
    done = sum(count for state, count in run.task_counts.items() if state in _FINAL)
    created = moment(run.created_at) or 0.0
    return (
        run.run_id[:8],
        paint.state(run.state),
        shorten(run.display_name, 48),
        f"{done}/{total}",
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(created)),
        duration(between(run.started_at or run.created_at, run.finished_at)),
    )


def show_run(connection: Connection, text: str, *, as_json: bool) -> int:
    """Print one run with its tasks and outputs."""
    view = connection.client.get_run(resolve(connection.client, text))
    if as_json:
        print(json_text(view))
        return OK
    paint = Paint.for_stream(sys.stdout)
    board = Board(view)
    board.apply(RunChange(version=view.run.version, run=view.run, executions=view.executions))
    rows = [_task_row(board, task, paint) for task in board.tasks]
    print(f"{paint.bold(view.run.display_name)}  {paint.dim(f'run {view.run.run_id}')}")
    if view.run.rerun_of:
        chosen = ", ".join(view.run.rerun_from) or "what had not succeeded"
        print(paint.dim(f"  run {view.run.rerun_of[:8]} again, from {chosen}"))
    for name, value in view.parameters.items():
        print(paint.dim(f"  {name} = {shorten(msgspec.json.encode(value).decode(), 100)}"))
    if rows:
        print()
        print(table(rows, heads=("task", "state", "took", ""), paint=paint))
    tell(connection, board, view, paint)
    if view.run.state in _GOING_ON:
        tell_undriven(connection, paint)
    return OK


def _task_row(board: Board, task: ExecutionView, paint: Paint) -> tuple[str, ...]:
    notes = [
        "cached" if task.cached_from else "reused" if task.reused_from else "",
        f"{len(task.attempts)} attempts" if len(task.attempts) > 1 else "",
        task.reason.message if task.reason else "",
    ]
    if task.attempts and task.attempts[-1].waiting:
        notes.append(task.attempts[-1].waiting.message)
    took = duration(between(task.started_at, task.ended_at))
    return (board.label(task), paint.state(task.state), took, shorten("; ".join(filter(None, notes)), 100))
