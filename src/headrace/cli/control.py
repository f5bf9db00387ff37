"""`headrace pause`, `resume`, `rerun`, `mark`: steer a run, or make one from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.errors import OK
from headrace.cli.options import home_option

if TYPE_CHECKING:
    from headrace.client.headrace import Headrace
    from headrace.wire.api import RerunRun

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
    from headrace.client.headrace import Headrace

    return go_on(run, Headrace.resume_run, home, no_wait=no_wait)


def go_on(run: str, ask: Callable[[Headrace, str], None], home: Path | None, *, no_wait: bool) -> int:
    """Ask that a run that stands still goes on, and watch it to its end, or leave it to a server that stays for it."""
    from headrace.cli.connection import connected, settings_for, start_in_background
    from headrace.cli.lists import resolve
    from headrace.cli.running import watch

    if no_wait:
        start_in_background(settings_for(home))
    with connected(settings_for(home)) as connection:
        run_id = resolve(connection.client, run)
        ask(connection.client, run_id)
        if no_wait:
            click.echo(f"Run {run_id} goes on.")
            return OK
        return watch(connection, run_id)


@click.command("rerun", short_help="Run a run again from a task, keeping what came before it.")
@_run_argument
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--from", "tasks", multiple=True, metavar="TASK", help="A task to run again; once for each.")
@click.option("--pipeline", metavar="NAME", help="Which pipeline of a Python file that has several.")
@click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="Another value for an input.")
@click.option("--name", help="A name for the new run. [default: the earlier run's]")
@click.option("--no-wait", is_flag=True, help="Start it, print its id, and leave it to the server.")
@click.option("--cache", is_flag=True, help="What runs again may be found in the cache.")
@home_option
def rerun(
    run: str,
    file: Path | None,
    tasks: tuple[str, ...],
    pipeline: str | None,
    arguments: tuple[str, ...],
    name: str | None,
    no_wait: bool,
    cache: bool,
    home: Path | None,
) -> int:
    """Make a new run of RUN in which some tasks run again, and watch it to its end.

    Each TASK, and all that depends on it, runs; so does what had not succeeded. All else is taken over from RUN as it
    is. TASK is a path such as `train/for-loop-1[3]/evaluate` (without the number: of all iterations), or a name where
    no other task has it. Without --from, only what had not succeeded runs.

    With FILE, the new run is of this pipeline instead of RUN's own.
    """
    from headrace.cli.connection import connected, settings_for, start_in_background
    from headrace.cli.lists import resolve
    from headrace.cli.running import announce, tell_left, watch

    settings = settings_for(home)
    if no_wait:
        start_in_background(settings)
    with connected(settings) as connection:
        run_id = resolve(connection.client, run)
        document, spec = _document(file, pipeline)
        spec = spec or connection.client.get_document(run_id).pipeline_spec
        wanted = _rerun(tasks, arguments, spec, document, name or "", True if cache else None)
        made = connection.client.rerun_run(run_id, wanted)
        if no_wait:
            tell_left(made, settings)
            return OK
        announce(connection, made)
        return watch(connection, made.run_id)


def _document(file: Path | None, pipeline: str | None) -> tuple[str | None, dict[str, object] | None]:
    from headrace.cli.sources import load, verified

    if file is None:
        return None, None
    source = verified(load(file, pipeline))
    return source.text, source.pipeline_spec


def _rerun(
    tasks: tuple[str, ...],
    arguments: tuple[str, ...],
    spec: dict[str, object],
    document: str | None,
    name: str,
    caching: bool | None,
) -> RerunRun:
    from headrace.cli.arguments import given
    from headrace.wire.api import RerunRun

    return RerunRun(
        from_=list(tasks), parameters=given(spec, arguments), document=document, display_name=name, caching=caching
    )


@click.command("mark", short_help="Decide what a task came to: succeeded, or skipped.")
@_run_argument
@click.argument("task", metavar="TASK")
@click.option("--succeeded", "word", flag_value="SUCCEEDED", help="With the outputs that are given.")
@click.option("--skipped", "word", flag_value="SKIPPED", help="What depends on it is skipped, too.")
@click.option("--output", "outputs", multiple=True, metavar="NAME=VALUE", help="An output parameter; once for each.")
@click.option("--artifact", "artifacts", multiple=True, metavar="NAME=ID", help="An output artifact, by its id.")
@click.option("--note", default="", help="Why; kept with the task.")
@click.option("--no-wait", is_flag=True, help="Do not wait until the run has ended.")
@home_option
def mark(
    run: str,
    task: str,
    word: str | None,
    outputs: tuple[str, ...],
    artifacts: tuple[str, ...],
    note: str,
    no_wait: bool,
    home: Path | None,
) -> int:
    """Decide what a task came to, in a run that is under way or has failed; the run goes on from there.

    TASK is its name, or path, or id. One that runs is stopped first. Outputs that no other task reads may be left out.
    """
    from headrace.cli.connection import connected, settings_for, start_in_background
    from headrace.cli.lists import resolve
    from headrace.cli.marking import request
    from headrace.cli.running import watch

    settings = settings_for(home)
    if no_wait:
        start_in_background(settings)
    with connected(settings) as connection:
        run_id = resolve(connection.client, run)
        execution, wanted = request(connection.client, run_id, task, word, outputs, artifacts, note)
        connection.client.mark_execution(run_id, execution.execution_id, wanted)
        click.echo(f"{execution.path} is marked {wanted.state}.")
        return OK if no_wait else watch(connection, run_id)
