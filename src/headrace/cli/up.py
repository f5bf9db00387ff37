"""`headrace up`: the server and the web UI, until Ctrl-C."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from headrace.cli.errors import FAILED, OK, CliError
from headrace.cli.options import home_option
from headrace.cli.terminal import Paint
from headrace.spec.quantities import QuantityError, read_bytes

if TYPE_CHECKING:
    from headrace.server.serve import Running
    from headrace.service.settings import Settings
    from headrace.wire.server_file import ServerInfo


_LONGEST_S = 100 * 365 * 86_400.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def _span(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """`90s`, `15m`, `12h`, `30d` in seconds."""
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit() or int(number) == 0:
        raise click.BadParameter(f"{text!r} is not a span of time. Write a whole number and s, m, h or d: 12h, 30d.")
    span = int(number[:12]) * _UNITS[unit]
    if span > _LONGEST_S:
        raise click.BadParameter(f"{text!r} is longer than 100 years.")
    return span


def _size(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """`512Mi`, `12Gi`, `8e9` in bytes."""
    if text is None:
        return None
    try:
        found = read_bytes(text)
    except QuantityError as error:
        raise click.BadParameter(str(error)) from None
    if found < 1 << 20:
        raise click.BadParameter(f"{text!r} is less than 1Mi.")
    return found


def _devices(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> dict[str, tuple[str, ...]] | None:
    """`nvidia.com/gpu=0,1` as type -> devices."""
    found = {}
    for word in words:
        kind, equals, names = word.partition("=")
        devices = tuple(name for name in names.split(",") if name)
        if not kind or not equals or len(set(devices)) != len(devices):
            raise click.BadParameter(f"{word!r} is not TYPE=DEVICE,... with distinct devices: nvidia.com/gpu=0,1.")
        found[kind] = devices
    return found or None


@click.command(short_help="Start the server and the web UI, until Ctrl-C.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; this machine's only.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one. [default: 8090, or the next free one]",
)
@home_option
@click.option("--no-open", is_flag=True, help="Print the link to the web UI, but do not open it in a browser.")
@click.option("--insecure-no-auth", is_flag=True, help="Let everyone on this machine in without a token.")
@click.option(
    "--database-url", metavar="URL", default="", help="PostgreSQL to use, without a password. [default: SQLite]"
)
@click.option(
    "--max-parallel", type=click.IntRange(min=1), help="How many tasks run at the same time. [default: number of cores]"
)
@click.option("--machine-cpus", type=click.FloatRange(min=0.001), help="Cores that tasks may ask for together.")
@click.option("--machine-memory", metavar="SIZE", callback=_size, help="Memory that tasks may use together: 12Gi.")
@click.option(
    "--accelerators",
    metavar="TYPE=DEVICE,...",
    multiple=True,
    callback=_devices,
    help="Accelerators that tasks may ask for: nvidia.com/gpu=0,1.",
)
@click.option(
    "--ignore-resources", is_flag=True, help="Run tasks whatever cores, memory and accelerators they ask for."
)
@click.option("--no-cache", is_flag=True, help="Run every task of every run; reuse no earlier results.")
@click.option("--no-warm-starts", is_flag=True, help="Start a new Python for every task.")
@click.option("--cache-max-age", metavar="SPAN", callback=_span, help="Reuse no results older than this: 12h, 30d.")
def command(
    host: str,
    port: int | None,
    home: Path | None,
    no_open: bool,
    insecure_no_auth: bool,
    database_url: str,
    max_parallel: int | None,
    machine_cpus: float | None,
    machine_memory: int | None,
    accelerators: dict[str, tuple[str, ...]] | None,
    ignore_resources: bool,
    no_cache: bool,
    no_warm_starts: bool,
    cache_max_age: float | None,
) -> int:
    """Start the server and the web UI, until Ctrl-C.

    Runs that were active when the last server ended go on. Ctrl-C ends the server, not the tasks: they go on, and the
    next server takes over their runs. With PostgreSQL several servers may share the work: start another one on
    another port.
    """
    from headrace.cli.connection import settings_for, translated
    from headrace.server.serve import run_server
    from headrace.wire.server_file import read_info

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    _check_words(database_url)
    settings = msgspec.structs.replace(
        settings_for(home, max_parallel, database=database_url),
        caching=not no_cache,
        cache_max_age_s=cache_max_age,
        machine_cpus=machine_cpus,
        machine_memory_bytes=machine_memory,
        accelerators=accelerators,
    )
    if ignore_resources:
        settings = msgspec.structs.replace(settings, ignore_resources=True)
    if no_warm_starts:
        settings = msgspec.structs.replace(settings, warm_starts=False)
    there = read_info(settings.home)
    if there is not None and there.url and (settings.database is None or port in (None, _port_of(there))):
        return _already(there, settings.home, port)
    with translated():
        run_server(
            settings,
            host=host,
            port=port,
            insecure_no_auth=insecure_no_auth,
            on_ready=lambda running: _greet(running, settings, chosen=port is not None, open_browser=not no_open),
        )
    click.echo("Stopped. Tasks that were running go on; `headrace up` takes them over.")
    return OK


def _check_words(database_url: str) -> None:
    """Refuse a password in an argument: every user who may list processes sees the command line."""
    from headrace.store.errors import BadUrl
    from headrace.store.urls import DatabaseUrl

    try:
        holds_password = bool(database_url) and DatabaseUrl.parse(database_url).holds_password
    except BadUrl:
        return  # said, in its own words, when it is used
    if holds_password:
        raise CliError(
            "--database-url holds a password, which every user of this machine can read in the list of processes.",
            code="DATABASE_URL_SECRET",
            where="--database-url",
            fix="Put the address in HEADRACE_DATABASE_URL, or the password in a file that\n"
            "HEADRACE_DATABASE_PASSWORD_FILE names, or in ~/.pgpass.",
        )


def _port_of(there: ServerInfo) -> int:
    return int(there.url.rpartition(":")[2])


def _already(there: ServerInfo, home: Path, port: int | None) -> int:
    """Another server uses this data directory: print where it is."""
    from headrace.cli.connection import sign_in_link
    from headrace.wire.server_file import STAYS

    stays = there.command == STAYS
    who = f"A server for {home} runs already, at {there.url} (process {there.pid})."
    if not stays:
        who = (
            f"`{there.command}` (process {there.pid}) is the server of {home}, at {there.url}, until its runs have "
            "ended."
        )
    if port not in (None, 0, _port_of(there)):
        own = f"Use that one, stop it (kill {there.pid})" if stays else "Wait until it has ended, use that one"
        raise CliError(who, code="HOME_IN_USE", fix=f"{own}, or choose another directory: --home", exit_code=FAILED)
    click.echo(who)
    click.echo(f"Open it (this link works once): {sign_in_link(there.url, home)}")
    return OK


def _greet(running: Running, settings: Settings, *, chosen: bool, open_browser: bool) -> None:
    """Print where the server is, and how to sign in."""
    from headrace.server.serve import DEFAULT_PORT

    paint = Paint.for_stream(sys.stdout)
    link = running.sign_in_link()
    files = f"data in {settings.home}"
    place = files if settings.database is None else f"{settings.database}, other {files}"
    click.echo(f"Headrace {running.info.version} is up at {paint.bold(running.info.url)} ({place}).")
    if not chosen and _port_of(running.info) != DEFAULT_PORT:
        click.echo(f"Port {DEFAULT_PORT} is in use by another program, so it has the next free one.")
    click.echo(f"Open it (this link works once): {link}")
    click.echo("Ctrl-C stops it.")
    sys.stdout.flush()
    if open_browser and can_open():
        click.launch(link)


def can_open() -> bool:
    """Whether there is a person with a browser at this terminal."""
    has_display = sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return sys.stdout.isatty() and has_display and not os.environ.get("CI")
