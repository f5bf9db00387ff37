"""`headrace run`: run a pipeline from a file and watch it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.errors import CliError
from headrace.cli.options import home_option
from headrace.cli.run_inputs import RunCommand, as_arguments

if TYPE_CHECKING:
    from headrace.wire.api import CreateRun


@click.command(
    short_help="Run a pipeline and watch it.",
    cls=RunCommand,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--pipeline", metavar="NAME", help="Which pipeline of a Python file that has several.")
@click.option(
    "--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="A value for an input; may be given several times."
)
@click.option("--args-file", type=click.Path(path_type=Path), help="Values for inputs, as a YAML or JSON object.")
@click.option(
    "--experiment", metavar="NAME", help="The run's experiment; created if it does not exist. [default: Default]"
)
@click.option("--name", help="A name for the run. [default: the pipeline's name and the time]")
@click.option("--no-wait", is_flag=True, help="Start it, print its id, and leave it to the server.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show the lines that tasks print.")
@click.option("--no-cache", is_flag=True, help="Run every task; reuse no earlier results.")
@click.option(
    "--max-parallel",
    type=click.IntRange(min=1),
    help="How many tasks run at the same time, if no server is running yet.",
)
@click.option(
    "--ignore-resources",
    is_flag=True,
    help="Run tasks whatever cores, memory and accelerators they ask for, if no server is running yet.",
)
@home_option
@click.pass_context
def command(
    context: click.Context,
    file: Path,
    pipeline: str | None,
    arguments: tuple[str, ...],
    args_file: Path | None,
    experiment: str | None,
    name: str | None,
    no_wait: bool,
    quiet: bool,
    no_cache: bool,
    max_parallel: int | None,
    ignore_resources: bool,
    home: Path | None,
) -> int:
    """Run a pipeline and watch it to its end.

    FILE is a Python file with a pipeline, or a compiled document. Each input of the pipeline is an option behind FILE,
    too: `headrace run FILE --help` lists them. Values are read by the inputs' types: texts as they are, lists and
    objects as JSON.

    Uses the server that runs over the data directory; if there is none, this command is the server until the run has
    ended. Exits with 0 when the run SUCCEEDED, 1 when it did not, 2 when it could not start, and 130 after Ctrl-C,
    which cancels the run.
    """
    from headrace.cli.arguments import collect, declared
    from headrace.cli.connection import settings_for
    from headrace.cli.running import run_and_leave, run_and_watch
    from headrace.cli.sources import load, verified
    from headrace.wire.api import CreateRun

    if str(file).startswith("-"):
        fix = "Inputs of the pipeline follow its file: FILE --x 1"
        raise CliError(f"No such option {file}.", code="USAGE", fix=fix)
    source = verified(load(file, pipeline))
    own = [option.removeprefix("--") for one in context.command.params for option in one.opts if option[:2] == "--"]
    further = as_arguments(context.args, declared(source.pipeline_spec), own)
    wanted: CreateRun = CreateRun(
        display_name=name or "",
        document=source.text,
        experiment_name=experiment,
        parameters=collect(source.pipeline_spec, [*arguments, *further], args_file),
        caching=False if no_cache else None,
    )
    if ignore_resources:
        os.environ["HEADRACE_IGNORE_RESOURCES"] = "1"  # for a server in the background, too
    settings = settings_for(home, max_parallel)
    return run_and_leave(wanted, settings) if no_wait else run_and_watch(wanted, settings, quiet=quiet)
