"""`headrace version`."""

from __future__ import annotations

import platform
from importlib.metadata import version

import click


@click.command(short_help="Print the version.")
def command() -> None:
    """Print the versions of Headrace and of the Python it runs on."""
    click.echo(f"headrace {version('headrace')} (Python {platform.python_version()})")
