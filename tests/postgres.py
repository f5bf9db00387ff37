"""A real PostgreSQL server for tests, from the system's package: started once a session, a database of its own a test.

It runs as an unprivileged user (initdb refuses root), listens on a socket file and on a free port of this machine,
and keeps its data in memory where it can, so that `fsync` may stay on, as Headrace asks.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncpg

USER = "headrace"
PASSWORD = "pw:for/tests?"
_TEMPLATE = "headrace_template"
_OPTIONS = {
    "max_connections": "120",
    "shared_buffers": "32MB",
    "autovacuum_naptime": "10s",
    "logging_collector": "off",
    "log_min_messages": "fatal",
}


def binaries() -> Path | None:
    """Where `initdb` and `postgres` are; None where there is no server."""
    found = [Path(path).parent for path in [shutil.which("initdb")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return next((path for path in found if (path / "initdb").exists() and (path / "postgres").exists()), None)


class Postgres:
    """A server that can be stopped, killed and started again."""

    def __init__(self, bin: Path) -> None:
        self.bin = bin
        memory = Path("/dev/shm")
        base = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
        self.root = Path(tempfile.mkdtemp(prefix="headrace-pg-", dir=base))
        self.data = self.root / "data"
        self.port = _free_port()
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            names = {user.pw_name for user in pwd.getpwall()}
            who = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(self.root, who.pw_uid, who.pw_gid)
            self._as = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        secret = self.root / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-D", self.data, "-U", USER, "--pwfile", secret, "-A", "scram-sha-256", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        self.start()
        self.sql(f"CREATE DATABASE {_TEMPLATE}")

    def _run(self, program: str, *words: object, check: bool = True) -> None:
        argv = [str(self.bin / program), *(str(word) for word in words)]
        done = subprocess.run(argv, capture_output=True, text=True, cwd=self.root, **self._as)
        if check and done.returncode:
            raise AssertionError(f"{argv}: {done.stdout}{done.stderr}")

    def start(self, **more: str) -> None:
        """Start, and wait until it takes connections. `more` are settings for this life."""
        settings = _OPTIONS | {"port": str(self.port), "unix_socket_directories": str(self.root)} | more
        words = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._run("pg_ctl", "-D", self.data, "-l", self.root / "log", "-w", "-t", "60", "-o", words, "start")

    def stop(self, mode: str = "fast") -> None:
        """`immediate` is a crash: it recovers at its next start."""
        self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def restart(self) -> None:
        """A crash, and the start after it."""
        self.stop("immediate")
        self.start()

    def url(self, database: str, *, port: int | None = None, password: bool = True) -> str:
        """Its address."""
        from urllib.parse import quote

        who = f"{USER}:{quote(PASSWORD, safe='')}" if password else USER
        return f"postgresql://{who}@127.0.0.1:{port or self.port}/{database}"

    def sql(self, statement: str, *values: Any, database: str = "postgres") -> list[asyncpg.Record]:
        """Run one statement beside everybody."""

        async def work() -> list[asyncpg.Record]:
            conn = await asyncpg.connect(self.url(database))
            try:
                return await conn.fetch(statement, *values)
            finally:
                await conn.close()

        return _in_a_thread(work)

    def create(self, *, schema: bool = True) -> str:
        """A database of one's own, with our schema or without; its name."""
        name = f"t_{secrets.token_hex(6)}"
        if schema:
            self._migrate_template()
        self.sql(f"CREATE DATABASE {name}" + (f" TEMPLATE {_TEMPLATE}" if schema else ""))
        return name

    _migrated = False

    def _migrate_template(self) -> None:
        if not self._migrated:
            from headrace.store.database import Database
            from headrace.store.urls import DatabaseUrl

            async def work() -> None:
                database = await Database.open(DatabaseUrl.parse(self.url(_TEMPLATE)))
                await database.close()

            _in_a_thread(work)
            self._migrated = True

    def drop(self, name: str) -> None:
        """With everybody's connections to it."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def remove(self) -> None:
        """For good."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop", check=False)
        shutil.rmtree(self.root, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _in_a_thread(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Tests that have an event loop of their own call this too."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def wait_for(fact: Callable[[], Any], what: str, *, timeout_s: float = 30.0) -> Any:
    """The first true answer."""
    until = time.monotonic() + timeout_s
    while True:
        if found := fact():
            return found
        assert time.monotonic() < until, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)
