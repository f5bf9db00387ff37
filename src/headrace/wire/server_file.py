"""`<home>/server.json`: how a running server is found by those who may read its data directory."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


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
    """What the file says, if the process that wrote it is still there."""
    try:
        info = msgspec.json.decode(server_file(home).read_bytes(), type=ServerInfo)
    except (OSError, msgspec.DecodeError):
        return None
    return info if _alive(info.pid) else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0
