"""`headrace init`: a first pipeline to start from."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.errors import IO_ERROR, OK, CliError
from headrace.cli.terminal import this_command

_NAME = "pipeline.py"
_TEXT = '''"""A first pipeline. Run it: headrace run {name} --count 5000"""

from headrace import dsl


@dsl.component(base_image="python:3.11")
def measure(count: int, points: dsl.Output[dsl.Dataset]):
    # Imports and helpers of a component are inside of it: it runs in a process of its own.
    import random

    with open(points.path, "w") as file:
        file.writelines(f"{{random.gauss(0, 1)}}\\n" for _ in range(count))
    print(f"wrote {{count}} points")


@dsl.component(base_image="python:3.11")
def average(points: dsl.Input[dsl.Dataset], metrics: dsl.Output[dsl.Metrics]) -> float:
    with open(points.path) as file:
        values = [float(line) for line in file]
    mean = sum(values) / len(values)
    metrics.log_metric("mean", mean)
    return mean


@dsl.pipeline(name="first")
def first(count: int = 1000) -> float:
    """Draws random points and averages them.

    Args:
        count: How many points to draw.
    """
    points = measure(count=count)
    return average(points=points.outputs["points"]).outputs["Output"]
'''


@click.command(short_help="Write a first pipeline to start from.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
def command(folder: Path) -> int:
    """Write a small pipeline into FOLDER (by default the current one), to run and to change.

    A file that is there already is not touched.
    """
    path = folder / _NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEXT.format(name=path))
    except FileExistsError:
        fix = "Choose another folder: headrace init FOLDER"
        raise CliError("There is such a file already.", code="FILE_EXISTS", where=str(path), fix=fix) from None
    except OSError as error:
        raise CliError(
            f"The file cannot be written: {error.strerror}.",
            code="FILE_UNWRITABLE",
            where=str(path),
            exit_code=IO_ERROR,
        ) from None
    click.echo(f"Wrote {path}: a pipeline of two tasks.")
    click.echo(f"Run it:       {this_command()} run {path}")
    click.echo(f"Its inputs:   {this_command()} run {path} --help")
    click.echo(f"Look at it:   {this_command()} up")
    return OK
