"""Logs by exact byte offsets."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.engine.model import AttemptId
from headrace.executors import log_store
from headrace.executors.log_store import FileLogs, LiveLog, follow_log

pytestmark = pytest.mark.anyio
ATTEMPT = AttemptId(run_id="r", path="t", number=1)


class Writer:
    """Writes the pieces one at a time, each just after the log was found to be live, and ends with the last one."""

    def __init__(self, path: Path, pieces: list[bytes]) -> None:
        self.path = path
        self.pieces = pieces

    def live(self, attempt: AttemptId) -> LiveLog | None:
        if not self.pieces:
            return None
        with self.path.open("ab") as file:
            file.write(self.pieces.pop(0))
        return self

    async def changed(self) -> None:
        await asyncio.sleep(0)


@given(pieces=st.lists(st.binary(max_size=5), max_size=5), offset=st.integers(0, 12))
def test_following_misses_nothing_and_repeats_nothing(tmp_path_factory, pieces, offset):
    path = tmp_path_factory.mktemp("logs") / "log"
    writer = Writer(path, list(pieces))
    logs = FileLogs(lambda _: path, writer.live)

    async def followed() -> bytes:
        return b"".join([chunk async for chunk in follow_log(logs, ATTEMPT, offset=offset, follow=True)])

    assert asyncio.run(followed()) == b"".join(pieces)[offset:]


async def test_the_end_that_is_written_between_a_read_and_a_look_is_not_missed(tmp_path):
    """The attempt writes its last line and ends while the reader is between its read and its look."""
    path = tmp_path / "log"
    path.write_bytes(b"first\n")
    ended = False

    class Logs(FileLogs):
        async def read(self, attempt: AttemptId, *, offset: int, limit: int) -> bytes:
            nonlocal ended
            found = await super().read(attempt, offset=offset, limit=limit)
            if not found and not ended:
                path.write_bytes(b"first\nlast\n")
                ended = True
            return found

    writer = Writer(path, [b"", b"", b""])
    logs = Logs(lambda _: path, lambda _: None if ended else writer)
    assert b"".join([chunk async for chunk in follow_log(logs, ATTEMPT, follow=True)]) == b"first\nlast\n"


async def test_read_and_size(tmp_path):
    path = tmp_path / "log"
    logs = FileLogs(lambda _: path, lambda _: None)
    assert (await logs.size(ATTEMPT), await logs.read(ATTEMPT, offset=0, limit=9)) == (0, b"")
    path.write_bytes(b"0123456789")
    assert (await logs.size(ATTEMPT), await logs.read(ATTEMPT, offset=3, limit=4)) == (10, b"3456")


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_a_task_puts_where_its_log_was_is_not_followed(tmp_path: Path, kind: str) -> None:
    log, secret = tmp_path / "log", tmp_path / "secret"
    secret.write_text("secret")
    {"link": lambda: log.symlink_to(secret), "pipe": lambda: os.mkfifo(log), "folder": log.mkdir}[kind]()
    assert log_store._read(log, 0, 100) == b""
