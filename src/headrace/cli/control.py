"""`headrace pause`, `resume`: steer a run that is under way."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.errors import OK
from headrace.cli.options import home_option

_run_argument = click.argument("run", metavar="RUN")


@click.command("pause", short_help="Begin nothing new in a run; what runs goes on.")
@_run_argument
@home_option
def pause(run: str, home: Path | None) -> int:
    """Begin nothing new in a run: tasks that run go on, the others wait until `headrace resume RUN`."""
    from headrace.cli.connection import connected, settings_for
    from headrace.cli.lists import resolve

    with connected(settings_for(home)) as connection:
        run_id = resolve(connection.client, run)
        connection.client.pause_run(run_id)
        click.echo(f"Run {run_id} is paused. To go on: headrace resume {run_id[:8]}")
    return OK


@click.command("resume", short_help="Go on with a paused run.")
@_run_argument
@click.option("--no-wait", is_flag=True, help="Let it go on, and do not wait until it has ended.")
@home_option
def resume(run: str, no_wait: bool, home: Path | None) -> int:
    """Go on with a paused run, and watch it to its end."""
    from headrace.cli.connection import connected, settings_for, start_in_background
    from headrace.cli.lists import resolve
    from headrace.cli.running import watch

    if no_wait:
        start_in_background(settings_for(home))
    with connected(settings_for(home)) as connection:
        run_id = resolve(connection.client, run)
        connection.client.resume_run(run_id)
        if no_wait:
            click.echo(f"Run {run_id} goes on.")
            return OK
        return watch(connection, run_id)
