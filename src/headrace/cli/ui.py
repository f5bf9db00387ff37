"""`headrace ui`: open the web UI of the running server."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.errors import FAILED, OK, CliError
from headrace.cli.options import home_option


@click.command(short_help="Open the web UI of the running server.")
@home_option
@click.option("--no-open", is_flag=True, help="Print the link, but do not open it in a browser.")
def command(home: Path | None, no_open: bool) -> int:
    """Open the web UI in a browser, or print a link to it. The link signs one browser in, once, within minutes."""
    from headrace.cli.connection import settings_for, sign_in_link
    from headrace.cli.up import can_open
    from headrace.wire.server_file import read_info

    place = settings_for(home).home
    there = read_info(place)
    if there is None or not there.url:
        raise CliError(
            f"No server runs over {place}.", code="SERVER_NOT_RUNNING", fix="Start one: headrace up", exit_code=FAILED
        )
    link = sign_in_link(there.url, place)
    click.echo(link)
    if not no_open and can_open():
        click.launch(link)
    return OK
