"""The address and the token of the server: given by the caller, or read from the data directory."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from headrace.client.errors import ServerUnreachable
from headrace.wire.server_file import ServerInfo, read_info


class ServerAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A server's address and the token that it accepts.

    Args:
        url: The address, without a slash at the end: `http://127.0.0.1:8090`.
        token: The token. Default: an empty text: none is sent.
    """

    #: `http://127.0.0.1:8090`, without a slash at the end.
    url: str
    token: str = ""


def default_home() -> Path:
    """`$HEADRACE_HOME`, else `~/.headrace`."""
    return Path(os.path.expanduser(os.environ.get("HEADRACE_HOME") or "~/.headrace")).absolute()  # noqa: PTH111


def find_server(home: Path | None = None) -> ServerInfo | None:
    """Find the server that runs over a data directory on this machine.

    Args:
        home: The data directory. Default: `$HEADRACE_HOME`, else `~/.headrace`.

    Returns:
        Its address, version and process id; None when no server runs.
    """
    return read_info(home or default_home())


def find_server_address(url: str | None = None, token: str | None = None, home: Path | None = None) -> ServerAddress:
    """The given address, else `$HEADRACE_URL`, else the running server of the data directory.

    The data directory's token goes to its own server only. Raises ServerUnreachable when none runs.
    """
    home = home or default_home()
    info = read_info(home)
    given = url or os.environ.get("HEADRACE_URL")
    token = token or os.environ.get("HEADRACE_TOKEN")
    if given:
        address = _normal(given)
        return ServerAddress(url=address, token=token or (_token(home) if _same(address, info) else ""))
    if info is None:
        raise ServerUnreachable(f"No Headrace server runs over {home}. Start one with `headrace up`.")
    return ServerAddress(url=info.url, token=token or _token(home))


def _normal(url: str) -> str:
    return (url if url.startswith(("http://", "https://")) else f"http://{url}").rstrip("/")


def _same(address: str, info: ServerInfo | None) -> bool:
    return info is not None and address.replace("//localhost:", "//127.0.0.1:") == info.url


def _token(home: Path) -> str:
    try:
        return (home / "token").read_text("ascii").strip()
    except OSError:
        return ""
