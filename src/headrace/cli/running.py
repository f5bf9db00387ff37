"""`headrace run`: start a run, follow it to its end, print what it made and what failed."""

from __future__ import annotations

import contextlib
import enum
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from headrace.cli import result
from headrace.cli.board import Board
from headrace.cli.connection import Connection, connected, settings_for, start_in_background
from headrace.cli.errors import FAILED, INTERRUPTED, OK, CliError
from headrace.cli.screen import LiveScreen, PlainScreen, screen_for
from headrace.cli.task_logs import TaskLogs
from headrace.cli.terminal import Paint, this_command
from headrace.client.errors import ApiError, ServerUnreachable
from headrace.client.headrace import Headrace
from headrace.service.settings import Settings
from headrace.wire.api import BundleView, CreateRun, RunSummary, RunView

#: How many tasks are shown at the end: with their outputs, and failed ones.
_TASKS_SHOWN = 100
_FAILURES_SHOWN = 3
_TAIL_BYTES = 8192
_TAIL_LINES = 20
#: Seconds that a watched server may not answer before another server is looked for, or started here.
_GONE_S = 3.0


def run_and_leave(wanted: CreateRun, settings: Settings) -> int:
    """Start the run on a server that stays for it; print how to follow it."""
    start_in_background(settings)
    with connected(settings) as connection:
        tell_left(connection.client.create_run(wanted), settings)
    return OK


def tell_left(run: RunSummary, settings: Settings) -> None:
    """Print how to follow a run that is left to a server."""
    print(f"Run {run.run_id} ({run.display_name}) has begun.")
    print(f"Look at it:  {this_command()} runs get {run.run_id[:8]}{home_words(settings)}")
    print(f"Its logs:    {this_command()} runs logs {run.run_id[:8]}{home_words(settings)}")


def run_and_watch(wanted: CreateRun, settings: Settings, *, quiet: bool = False) -> int:
    """Start the run and follow it. If the server ends meanwhile, find the next one, or start one here."""
    begun = False
    run_id = ""
    while True:
        try:
            with connected(settings) as connection:
                logs = Logs.NONE if quiet else Logs.NEW if begun else Logs.ALL
                run_id = run_id or _begin(connection, wanted)
                begun = True
                return watch(connection, run_id, logs=logs)
        except CliError as error:
            if not run_id or error.code != ServerUnreachable.code:
                raise
            print("The server is gone; looking for another, or taking over.", file=sys.stderr)


def _begin(connection: Connection, wanted: CreateRun) -> str:
    run = connection.client.create_run(wanted)
    announce(connection, run)
    return run.run_id


def announce(connection: Connection, run: RunSummary) -> None:
    """Print that a run has started and is watched."""
    paint = Paint.for_stream(sys.stdout)
    print(f"{paint.bold(run.display_name)}  {paint.dim(f'run {run.run_id}')}")
    if connection.stays:  # else a link to it would be dead soon
        print(paint.dim(f"in the browser: {connection.client.sign_in_link().url}"))
    sys.stdout.flush()


class Logs(enum.Enum):
    """What is shown of the lines that tasks print."""

    ALL = "all"
    NEW = "those of tasks that had not ended when the run began to be watched"
    NONE = "none"


def watch(connection: Connection, run_id: str, *, logs: Logs = Logs.NEW) -> int:
    """Follow a run to its end, and print how it ended. The first Ctrl-C cancels the run, the second one leaves it."""
    paint = Paint.for_stream(sys.stdout)
    screen = screen_for(sys.stdout, paint)
    begun = connection.client.get_run(run_id)
    for warning in begun.warnings:
        print(f"{paint.bold('warning:')} {warning.message}", flush=True)
    board = Board(begun)
    interrupted = False
    shown = TaskLogs(connection.another_client(), board.label, partial(screen.show_logs, board), all_=logs is Logs.ALL)
    is_shown = logs is not Logs.NONE
    with _interruptible(), screen.going(board), shown.going() if is_shown else contextlib.nullcontext():
        while True:
            try:
                _follow(connection.client, board, screen, run_id, shown if is_shown else None)
                break
            except KeyboardInterrupt:
                if interrupted:
                    screen.say("Left. The run is being cancelled.")
                    return INTERRUPTED
                interrupted = True
                screen.say("Cancelling the run; Ctrl-C again leaves at once.")
                with contextlib.suppress(ApiError):
                    connection.client.terminate_run(run_id)
    view = connection.client.get_run(run_id)
    tell(connection, board, view, paint)
    _stay_for_others(connection)
    if view.run.state == "SUCCEEDED":
        return OK
    return INTERRUPTED if interrupted else FAILED


def _follow(
    client: Headrace, board: Board, screen: PlainScreen | LiveScreen, run_id: str, logs: TaskLogs | None
) -> None:
    for change in client.watch_run(run_id, patience_s=_GONE_S):
        lines = board.apply(change)
        if logs is not None:
            logs.apply(change)
        screen.show(board, lines)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Handle Ctrl-C also where the parent process has set it to be ignored (`headrace run … &` in a script)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def tell(connection: Connection, board: Board, view: RunView, paint: Paint) -> None:
    """Print how the run ended, its outputs or failures, and where to read more."""
    client, settings = connection.client, connection.settings
    run_id = view.run.run_id
    print()
    print(result.summary(board, view, paint))
    for failed in _failures(client, board):
        print()
        print(result.failure(failed, paint))
    if view.run.error is not None and not board.failed:
        print(f"{paint.red('failed:')} {view.run.error.message} {paint.dim(f'[{view.run.error.code}]')}")
    if came := result.outputs(view, _results(client, board), paint):
        print()
        print(came)
    print()
    home, command = home_words(settings), this_command()
    if view.run.state == "FAILED":
        print(f"Why:              {command} explain {run_id[:8]}{home}")
        print(f"All of its logs:  {command} runs logs {run_id[:8]}{home}")
        print(f"Try it again:     {command} runs retry {run_id[:8]}{home}")
    print(f"See it again:     {command} runs get {run_id[:8]}{home}")
    print(f"In the browser:   {command} {'ui' if connection.stays else 'up'}{home}", flush=True)


def _results(client: Headrace, board: Board) -> list[result.TaskResult]:
    done = sorted((task for task in board.tasks if task.state == "SUCCEEDED"), key=lambda task: task.ended_at or "")
    found = [
        result.TaskResult(label=board.label(task), outputs=client.get_execution(task.execution_id).outputs)
        for task in done[:_TASKS_SHOWN]
    ]
    return [one for one in found if one.outputs != BundleView()]


def _failures(client: Headrace, board: Board) -> list[result.Failure]:
    """The failed tasks, first one first. Only the first has its whole explanation: the others may follow from it."""
    failed = sorted(board.failed, key=lambda task: task.ended_at or "")[:_FAILURES_SHOWN]
    return [
        result.Failure(
            label=board.label(task),
            execution=task,
            log_tail=log_tail(client, task.execution_id),
            explanation=client.explain_execution(task.execution_id) if number == 0 else None,
        )
        for number, task in enumerate(failed)
    ]


def log_tail(client: Headrace, execution_id: str) -> str:
    """The last lines of the latest attempt's log; "" where there is none."""
    try:
        part = client.read_log(execution_id, offset=-_TAIL_BYTES)
    except ApiError:
        return ""
    lines = part.content.decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:])


def _stay_for_others(connection: Connection) -> None:
    """If the server in this process has active runs of other commands, wait until they have ended."""
    if not connection.embedded or not connection.drives:
        return
    is_announced = False
    with contextlib.suppress(KeyboardInterrupt):
        while connection.active_runs():
            if not is_announced:
                print("Other runs use this server; staying until they have ended (Ctrl-C leaves them to the next).")
                is_announced = True
            time.sleep(0.5)


def home_words(settings: Settings) -> str:
    """` --home …` where it is not the default."""
    try:
        is_default = settings.home == settings_for(None).home
    except CliError:
        is_default = False  # there is no default one
    return "" if is_default else f" --home {_quoted(settings.home)}"


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
