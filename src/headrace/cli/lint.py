"""`headrace lint`: what is wrong with a pipeline document, all at once."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from headrace.cli.errors import FAILED, OK
from headrace.cli.terminal import Paint


@click.command(short_help="Check a pipeline document.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--pipeline", metavar="NAME", help="Which pipeline of a Python file that has several.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(file: Path, pipeline: str | None, as_json: bool) -> int:
    """Check a pipeline document: references, types, wiring, conditions.

    FILE is a document (YAML, JSON, or an archive of one) or a Python file with a pipeline.
    Exits with 1 when it cannot run; warnings alone do not.
    """
    import msgspec

    from headrace.cli.sources import findings_text, lint_findings, load
    from headrace.spec.verify import errors

    source = load(file, pipeline)
    found = lint_findings(source)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    elif found:
        click.echo(findings_text(found))
    else:
        paint = Paint.for_stream(sys.stdout)
        click.echo(f"{paint.green('ok')}  {source.name}: nothing wrong with it")
    return FAILED if errors(found) else OK
