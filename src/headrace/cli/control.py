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


@click.command("pause", short_help="Pause a run: running tasks go on, no other task starts.")
@_run_argument
@home_option
def pause(run: str, home: Path | None) -> int:
    """Pause a run: running tasks go on, and no other task starts until `headrace resume RUN`."""
    from headrace.cli.connection import connected, settings_for
    from headrace.cli.lists import resolve

    with connected(settings_for(home)) as connection:
        run_id = resolve(connection.client, run)
        connection.client.pause_run(run_id)
        click.echo(f"Run {run_id} is paused. Resume it: headrace resume {run_id[:8]}")
    return OK


@click.command("resume", short_help="Resume a paused run.")
@_run_argument
@click.option("--no-wait", is_flag=True, help="Do not wait until the run has ended.")
@home_option
def resume(run: str, no_wait: bool, home: Path | None) -> int:
    """Resume a paused run, and watch it to its end."""
    from headrace.client.headrace import Headrace

    return go_on(run, Headrace.resume_run, home, no_wait=no_wait)


def go_on(run: str, ask: Callable[[Headrace, str], None], home: Path | None, *, no_wait: bool) -> int:
    """Resume or retry a run (`ask` does it), then watch it; with `no_wait`, leave it to a server that stays."""
    from headrace.cli.connection import connected, settings_for, start_in_background
    from headrace.cli.lists import resolve
    from headrace.cli.running import watch

    if no_wait:
        start_in_background(settings_for(home))
    with connected(settings_for(home)) as connection:
        run_id = resolve(connection.client, run)
        ask(connection.client, run_id)
        if no_wait:
            click.echo(f"Run {run_id} is running again.")
            return OK
        return watch(connection, run_id)


@click.command("rerun", short_help="Re-run a run from a task; results before it are reused.")
@_run_argument
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--from", "tasks", multiple=True, metavar="TASK", help="A task to run again; may be given several times.")
@click.option("--pipeline", metavar="NAME", help="Which pipeline of a Python file that has several.")
@click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="Another value for an input.")
@click.option("--name", help="A name for the new run. [default: the earlier run's]")
@click.option("--no-wait", is_flag=True, help="Start it, print its id, and leave it to the server.")
@click.option("--cache", is_flag=True, help="Tasks that run again may reuse results from the cache.")
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
    """Re-run: make a new run from RUN in which some tasks run again, and watch it to its end.

    Each TASK runs again, with all tasks that depend on it, and so do tasks that have not succeeded. All other results
    are reused from RUN. TASK is a path such as `train/for-loop-1[3]/evaluate` (without the number: of all iterations),
    or a name that only one task has. Without --from, only tasks that have not succeeded run again.

    With FILE, the new run has the pipeline of this file instead of RUN's own.
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


@click.command("mark", short_help="Mark a task as succeeded or as skipped.")
@_run_argument
@click.argument("task", metavar="TASK")
@click.option(
    "--succeeded", "word", flag_value="SUCCEEDED", help="Mark it as succeeded, with the outputs that are given."
)
@click.option(
    "--skipped", "word", flag_value="SKIPPED", help="Mark it as skipped; tasks that depend on it are skipped too."
)
@click.option(
    "--output", "outputs", multiple=True, metavar="NAME=VALUE", help="An output parameter; may be given several times."
)
@click.option("--artifact", "artifacts", multiple=True, metavar="NAME=ID", help="An output artifact, by its id.")
@click.option("--note", default="", help="Why; stored with the task.")
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
    """Mark a task as succeeded or as skipped, in a run that is running or has failed; the run goes on from there.

    TASK is the task's name, path or id. A running task is stopped first. Outputs that no other task reads may be left
    out.
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
