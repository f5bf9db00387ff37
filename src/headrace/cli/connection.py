"""The server of a command: the one that runs over the data directory, else one in this process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from headrace.cli.errors import FAILED, IO_ERROR, USAGE, CliError
from headrace.cli.handing_over import closed_by_signals, hand_over
from headrace.client.errors import ApiError, ServerUnreachable
from headrace.client.headrace import Headrace
from headrace.service.errors import Conflict, Invalid, NotFound, ServiceError, Unavailable
from headrace.service.settings import (
    Settings,
    database_url,
    default_home,
    fetches_private,
    ignores_resources,
    warm_starts,
)
from headrace.store.errors import BadUrl
from headrace.wire.server_file import STAYS, ServerInfo, read_info

#: Seconds that another process with the data directory may take to answer, or to end.
_PATIENCE_S = 30.0
_LOOK_S = 0.05
_ACTIVE = "PENDING,RUNNING,CANCELING"


def settings_for(home: Path | None, max_parallel: int | None = None, *, database: str = "") -> Settings:
    """Settings from the command line and the environment; the command line wins. Raises CliError."""
    try:
        settings = Settings(
            home=home or default_home(),
            database=database_url(database),
            artifact_root=os.environ.get("HEADRACE_ARTIFACT_ROOT", ""),
            warm_starts=warm_starts(),
            ignore_resources=ignores_resources(),
            fetch_private=fetches_private(),
            content_port=_port("HEADRACE_CONTENT_PORT"),
            public_url=os.environ.get("HEADRACE_PUBLIC_URL", ""),
            public_content_url=os.environ.get("HEADRACE_PUBLIC_CONTENT_URL", ""),
        )
    except Unavailable as error:
        raise CliError(error.message, code=error.code, exit_code=FAILED) from None
    except BadUrl as error:
        where = "--database-url" if database else "HEADRACE_DATABASE_URL"
        raise CliError(str(error), code="DATABASE_URL_INVALID", where=where) from None
    return settings if max_parallel is None else msgspec.structs.replace(settings, max_parallel=max_parallel)


def _port(variable: str) -> int:
    text = os.environ.get(variable, "")
    if text and not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise CliError(f"{variable} must be a port from 1 to 65535, not {text[:40]!r}.", code="PORT_INVALID")
    return int(text or 0)


class Connection:
    """A client, and the server in this process behind it, if it is one of ours."""

    def __init__(
        self, client: Headrace, settings: Settings, *, embedded: bool, drives: bool = True, stays: bool = False
    ) -> None:
        self.client = client
        self.settings = settings
        #: Whether the server is in this process, and ends with it.
        self.embedded = embedded
        #: Whether the server is there when the command has ended.
        self.stays = stays
        #: Whether a server drives the runs that have not ended; other servers may, if they share the database.
        self.drives = drives or not embedded or settings.database is not None

    def another_client(self) -> Headrace:
        """A client for another thread, of the same server."""
        info = read_info(self.settings.home)
        return _client(info, self.settings.home) if info is not None else self.client

    def active_runs(self) -> int:
        """How many runs have not ended, of all users."""
        return self.client.list_runs(state=_ACTIVE, page_size=1).total_size


@contextlib.contextmanager
def connected(settings: Settings, *, drive: bool = True) -> Iterator[Connection]:
    """The running server, else one in this process until the block ends. Raises CliError, for errors inside too.

    Without `drive`, a server in this process only answers questions: it does not take up runs that have not ended.
    """
    with translated():
        info = read_info(settings.home)
        if info is not None:
            yield Connection(_client(info, settings.home), settings, embedded=False, stays=info.command == STAYS)
            return
        with contextlib.ExitStack() as after:
            stack = after.enter_context(contextlib.ExitStack())
            found = _embed(settings, stack, drive)
            connection = Connection(
                _client(found, settings.home),
                settings,
                embedded=found.pid == os.getpid(),
                drives=drive,
                stays=found.command == STAYS,
            )
            if connection.embedded and drive:
                stack.enter_context(closed_by_signals())
                stack.callback(lambda: _left(found, settings) and after.callback(_go_on, settings))
            yield connection


def _left(found: ServerInfo, settings: Settings) -> bool:
    """Whether runs of the server in this process have not ended."""
    try:
        # With a client of its own: the other one may be in the middle of something.
        client = _client(found, settings.home)
        return client.list_runs(state=_ACTIVE, page_size=1).total_size > 0
    except (ApiError, ServerUnreachable, OSError):
        return False


def _go_on(settings: Settings) -> None:
    hand_over(lambda: start_in_background(settings))


def _client(info: ServerInfo, home: Path) -> Headrace:
    token = (home / "token").read_text("ascii").strip()
    return Headrace(info.url, token=token, home=home)


def _embed(settings: Settings, stack: contextlib.ExitStack, drive: bool) -> ServerInfo:
    """Start a server in this process; while another process has the directory, wait for it to answer or to end."""
    from headrace.server.serve import in_background
    from headrace.service.service import Service

    open_service = partial(Service.open, drive=drive)

    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return stack.enter_context(
                in_background(settings, port=0, open_service=open_service, command=_command())
            ).info
        except ServiceError as error:
            if error.code != "HOME_IN_USE" or time.monotonic() > deadline:
                raise
        time.sleep(_LOOK_S)
        if (info := read_info(settings.home)) is not None:
            return info


def _command() -> str:
    """What the user has typed, as far as it says what this process does."""
    verb = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    return f"headrace {verb}".strip()


def start_in_background(settings: Settings) -> None:
    """Start a server in a process of its own, which ends when there is nothing left to run; wait until it answers."""
    if read_info(settings.home) is not None:
        return
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = settings.home / "background.log"
    words = [sys.executable, "-m", "headrace.cli.background", str(settings.home), str(settings.max_parallel)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=settings.home
        )
    deadline = time.monotonic() + _PATIENCE_S
    while read_info(settings.home) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise CliError(
                "The server in the background did not start.",
                code="SERVER_FAILED",
                where=str(log),
                story="\n".join(log.read_text(errors="replace").splitlines()[-10:]),
                exit_code=FAILED,
            )
        time.sleep(_LOOK_S)


def sign_in_link(url: str, home: Path) -> str:
    """A link that signs one browser in, once."""
    with translated():
        return Headrace(url, token=(home / "token").read_text("ascii").strip(), home=home).sign_in_link().url


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """What client, server and service raise, as errors of the command line."""
    try:
        yield
    except ApiError as error:
        bad_input = error.status in (400, 404, 409)
        raise CliError(error.message, code=error.code, exit_code=_status(error.code, bad_input)) from None
    except ServerUnreachable as error:
        raise CliError(str(error), code=error.code, exit_code=FAILED) from None
    except ServiceError as error:
        bad_input = isinstance(error, Invalid | NotFound | Conflict)
        raise CliError(error.message, code=error.code, exit_code=_status(error.code, bad_input)) from None


def _status(code: str, bad_input: bool) -> int:
    if code == "DISK_FAILED":
        return IO_ERROR
    return USAGE if bad_input else FAILED
