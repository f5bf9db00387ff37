"""`<home>/server.json`: with it, users who may read the data directory find the running server."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

#: Seconds for a server on this machine to accept a connection.
_PATIENCE_S = 1.0
#: `ServerInfo.command` of a server that the user ends.
STAYS = "headrace up"


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the server of this data directory."""

    pid: int
    url: str
    content_url: str
    #: Seconds since the epoch.
    started_at: float
    version: str
    #: What the user has started: a server that stays, or a command that is one until its run has ended.
    command: str = STAYS


def server_file(home: Path) -> Path:
    """The path of the file."""
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
    """Whether a server accepts connections. The process id may be another process's after a restart of the machine."""
    try:
        address = urlsplit(url)
        socket.create_connection((address.hostname or "", address.port or 80), timeout=_PATIENCE_S).close()
    except TimeoutError:
        return True  # there, and very busy
    except (OSError, ValueError):
        return False
    return True
