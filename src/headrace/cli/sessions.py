"""`headrace sessions`: which browsers are signed in, and signing them out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.errors import OK, CliError
from headrace.cli.options import home_option

if TYPE_CHECKING:
    from headrace.client.headrace import Headrace
    from headrace.wire.api import BrowserSessionView


@click.group(short_help="List the browsers that are signed in, and sign them out.")
def command() -> None:
    """List the browsers that are signed in to the web UI, and sign them out."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API gives it.")
@home_option
def list_command(as_json: bool, home: Path | None) -> int:
    """List the browsers that are signed in, newest first."""

    def act(client: Headrace) -> int:
        listed = client.list_sessions()
        if as_json:
            from headrace.cli.terminal import json_text

            print(json_text(listed))
        elif not listed:
            print("No browser is signed in.")
        else:
            _print(listed)
        return OK

    return _with_client(home, act)


@command.command("end")
@click.argument("session", metavar="SESSION", required=False)
@click.option("--all", "everything", is_flag=True, help="All browsers.")
@home_option
def end_command(session: str | None, everything: bool, home: Path | None) -> int:
    """Sign a browser out: SESSION is its id in the list, or how the id begins."""
    if (session is not None) == everything:
        raise CliError(
            "Say which browser to sign out.",
            code="USAGE",
            fix="headrace sessions end SESSION, or headrace sessions end --all",
        )

    def act(client: Headrace) -> int:
        if session is None:
            count = client.end_sessions()
        else:
            client.end_session(_id_of(client.list_sessions(), session))
            count = 1
        print(f"{count or 'No'} {'browser' if count == 1 else 'browsers'} signed out.")
        return OK

    return _with_client(home, act)


def _id_of(listed: list[BrowserSessionView], given: str) -> str:
    found = [one.session_id for one in listed if one.session_id.startswith(given)]
    if len(found) != 1:
        how_many = "No session's id begins" if not found else f"The ids of {len(found)} sessions begin"
        raise CliError(f"{how_many} with {given!r}.", code="SESSION_NOT_FOUND", fix="headrace sessions list")
    return found[0]


def _print(listed: list[BrowserSessionView]) -> None:
    from headrace.cli.terminal import Paint, local_time, table

    rows = [
        (
            one.session_id[:8],
            local_time(one.created_at),
            local_time(one.used_at),
            local_time(one.expires_at),
            one.browser,
        )
        for one in listed
    ]
    heads = ("session", "signed in", "last used", "ends", "browser")
    print(table(rows, heads=heads, paint=Paint.for_stream(sys.stdout)))


def _with_client(home: Path | None, act: Callable[[Headrace], int]) -> int:
    from headrace.cli.connection import connected, settings_for

    with connected(settings_for(home), drive=False) as connection:
        return act(connection.client)
