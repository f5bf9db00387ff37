"""The address of a PostgreSQL database, which may hold a password and therefore never shows itself whole."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from headrace.store.errors import BadUrl

_SCHEMES = frozenset({"postgresql", "postgres"})
_EXAMPLE = "postgresql://USER@HOST:5432/DATABASE"


class DatabaseUrl:
    """`postgresql://user:password@host:port/database?sslmode=…`, as libpq understands it."""

    __slots__ = ("dsn", "password")

    def __init__(self, dsn: str, password: str | None) -> None:
        #: Without the password.
        self.dsn = dsn
        #: None: the driver looks in PGPASSWORD and in the password file (PGPASSFILE, `~/.pgpass`).
        self.password = password

    @classmethod
    def parse(cls, address: str, *, password_file: Path | None = None) -> DatabaseUrl:
        """Raises BadUrl, whose words never hold a password."""
        try:
            parts = urlsplit(address)
            _check_ports(parts.netloc.rpartition("@")[2])
        except ValueError as error:
            # Its text would show what it could not read.
            raise BadUrl(f"The database's address cannot be read; write it like {_EXAMPLE}.") from error.__cause__
        if parts.scheme not in _SCHEMES:
            scheme = f"begins with {parts.scheme!r}" if parts.scheme and "@" not in parts.scheme else "has no scheme"
            raise BadUrl(f"The database's address {scheme}; write it like {_EXAMPLE}. Without one, SQLite is used.")
        query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != "password"]
        given = dict(parse_qsl(parts.query)).get("password") or (unquote(parts.password) if parts.password else None)
        password = given if password_file is None else _read(password_file)
        user, at, host = parts.netloc.rpartition("@")
        netloc = f"{quote(unquote(user.partition(':')[0]))}{at}{host}"
        return cls(urlunsplit(("postgresql", netloc, parts.path, urlencode(query), "")), password)

    @property
    def holds_password(self) -> bool:
        """Whether a password came with it."""
        return self.password is not None

    def __str__(self) -> str:
        return self.dsn

    def __repr__(self) -> str:
        return f"DatabaseUrl({self.dsn!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DatabaseUrl) and (self.dsn, self.password) == (other.dsn, other.password)

    def __hash__(self) -> int:
        return hash((self.dsn, self.password))


def _check_ports(hosts: str) -> None:
    """`host:port,[address]:port,…`. Raises ValueError."""
    for host in hosts.split(","):
        _, colon, port = host.rpartition("]")[2].partition(":")
        if colon and not (port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError("not a port")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is not a text"
        raise BadUrl(f"The file with the database's password, {path}, cannot be read: {why}.") from None
