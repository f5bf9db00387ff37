"""`<home>/server.json`: how a running server is found by those who may read its data directory."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

#: For a server on this machine to take a connection.
_PATIENCE_S = 1.0


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the server that has this data directory."""

    pid: int
    url: str
    content_url: str
    #: Seconds since the epoch.
    started_at: float
    version: str


def server_file(home: Path) -> Path:
    """Where it is."""
    return home / "server.json"


def read_info(home: Path) -> ServerInfo | None:
    """What the file says, if it is still true: a server that was killed leaves its file behind."""
    try:
        info = msgspec.json.decode(server_file(home).read_bytes(), type=ServerInfo)
    except (OSError, msgspec.DecodeError):
        return None
    return info if _alive(info.pid) and _listens(info.url) else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0


def _listens(url: str) -> bool:
    """Whether anybody does; process ids are given out again, after a restart of the machine often the same ones."""
    try:
        address = urlsplit(url)
        socket.create_connection((address.hostname or "", address.port or 80), timeout=_PATIENCE_S).close()
    except TimeoutError:
        return True  # there, and very busy
    except (OSError, ValueError):
        return False
    return True
