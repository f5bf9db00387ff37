"""`headrace runs`: list, show, cancel, retry and delete runs, and read their logs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headrace.cli.errors import FAILED, OK, CliError
from headrace.cli.options import home_option
from headrace.cli.terminal import Paint

if TYPE_CHECKING:
    from headrace.cli.connection import Connection


@click.group(short_help="List, show, cancel, retry and delete runs.")
def command() -> None:
    """List, show, cancel, retry and delete runs.

    RUN is a run's id, or so much of its beginning that no other id begins with it; `last` is the newest run.
    """


_run_argument = click.argument("run", metavar="RUN")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API gives it.")


def _with_connection(home: Path | None, act: Callable[[Connection], int], *, drive: bool | None = True) -> int:
    """Without a server, one in this process: it drives all runs, none of them, or (None) at most those in question."""
    from headrace.cli.connection import connected, settings_for

    settings = settings_for(home)
    alone = settings.database is None
    with connected(settings, drive=not alone if drive is None else drive) as connection:
        return act(connection)


@command.command("list")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@click.option("--state", help="Only runs in this state, or in one of several, with commas.")
@click.option("--search", help="Only runs whose name contains this.")
@click.option("--archived", is_flag=True, help="Archived runs only.")
@_json_option
@home_option
def list_command(
    limit: int, state: str | None, search: str | None, archived: bool, as_json: bool, home: Path | None
) -> int:
    """List runs, newest first."""
    from headrace.cli.lists import list_runs

    storage = "ARCHIVED" if archived else "AVAILABLE"
    return _with_connection(
        home,
        lambda connection: list_runs(
            connection,
            limit=limit,
            state=state or "",
            search=search or "",
            storage_state=storage,
            as_json=as_json,
        ),
        drive=False,
    )


@command.command("get")
@click.argument("run", metavar="RUN", default="last")
@_json_option
@home_option
def get_command(run: str, as_json: bool, home: Path | None) -> int:
    """Show one run: its tasks, its outputs, and why it failed. Without RUN, the newest."""
    from headrace.cli.lists import show_run

    return _with_connection(home, lambda connection: show_run(connection, run, as_json=as_json), drive=False)


@command.command("logs")
@click.argument("run", metavar="RUN", default="last")
@click.argument("task", metavar="TASK", required=False)
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt. [default: the latest]")
@click.option("-f", "--follow", is_flag=True, help="Follow the log until the task has ended; needs TASK.")
@home_option
def logs_command(run: str, task: str | None, attempt: int | None, follow: bool, home: Path | None) -> int:
    """Print the logs of a run's tasks, or of one TASK: `train` means all iterations, `train[2]` one of them."""
    from headrace.cli.logs import print_logs

    if follow and task is None:
        raise CliError("--follow needs a task.", code="USAGE", fix=f"headrace runs logs {run} TASK --follow")
    return _with_connection(
        home,
        lambda connection: print_logs(connection.client, run, task, attempt, follow=follow),
        drive=follow,
    )


@command.command("terminate")
@_run_argument
@click.option("--no-wait", is_flag=True, help="Do not wait until the run has ended.")
@home_option
def terminate_command(run: str, no_wait: bool, home: Path | None) -> int:
    """Cancel a run: its tasks are stopped, its exit tasks still run."""
    from headrace.cli.lists import resolve
    from headrace.cli.running import Logs, watch

    def act(connection: Connection) -> int:
        run_id = resolve(connection.client, run)
        connection.client.terminate_run(run_id)
        if no_wait and not connection.embedded:
            click.echo(f"Run {run_id} is being cancelled.")
            return OK
        watch(connection, run_id, logs=Logs.NONE)
        return OK

    # Without the other runs: one of them may be why no server stays up.
    return _with_connection(home, act, drive=None)


@command.command("retry")
@_run_argument
@click.option("--no-wait", is_flag=True, help="Do not wait until the run has ended.")
@home_option
def retry_command(run: str, no_wait: bool, home: Path | None) -> int:
    """Run the failed tasks of a run again, in the same run; results that succeeded stay."""
    from headrace.cli.control import go_on
    from headrace.client.headrace import Headrace

    return go_on(run, Headrace.retry_run, home, no_wait=no_wait)


@command.command("delete")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Delete without a question.")
@home_option
def delete_command(runs: tuple[str, ...], yes: bool, home: Path | None) -> int:
    """Delete runs, with their logs and artifacts. A run that has not ended is canceled first."""
    from headrace.cli.lists import resolve

    def act(connection: Connection) -> int:
        run_ids = [resolve(connection.client, run) for run in runs]
        if not yes and not _agreed(run_ids):
            return FAILED
        for run_id in run_ids:
            connection.client.delete_run(run_id)
            click.echo(f"Deleted run {run_id}.")
        return OK

    return _with_connection(home, act, drive=None)


def _agreed(run_ids: list[str]) -> bool:
    if not sys.stdin.isatty():
        raise CliError(
            "This is not a terminal, so nothing was asked and nothing was deleted.",
            code="USAGE",
            fix="Add --yes to delete without a question.",
        )
    paint = Paint.for_stream(sys.stderr)
    click.echo("\n".join(run_ids), err=True)
    agreed: Any = click.confirm(paint.bold("Delete these, with their logs and artifacts?"), err=True)
    return bool(agreed)


def _add_other_names() -> None:
    """Verbs that have a name of their own at the top level have it here too; `cancel` is what KFP calls terminate."""
    from headrace.cli import control
    from headrace.cli.explain import command as explain

    others = {
        "cancel": terminate_command,
        "pause": control.pause,
        "resume": control.resume,
        "rerun": control.rerun,
        "mark": control.mark,
        "explain": explain,
    }
    for name, one in others.items():
        command.add_command(one, name)


_add_other_names()
