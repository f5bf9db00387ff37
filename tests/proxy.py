"""A TCP proxy between Headrace and PostgreSQL that breaks connections where it hurts: in the middle of a COMMIT."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Literal, TypeAlias

#: What becomes of one COMMIT: let through; sent, done, and the answer withheld; never sent; sent when the client is gone.
Fate: TypeAlias = Literal["pass", "done", "lost", "late"]

_COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"


class Proxy:
    """Listens on a port of this machine, in a thread of its own. `fate` is asked at each COMMIT."""

    def __init__(self, target: int, fate: Callable[[], Fate] = lambda: "pass") -> None:
        self._target = target
        self.fate = fate
        self.port = 0
        #: How many COMMITs met which fate.
        self.met: dict[Fate, int] = {"pass": 0, "done": 0, "lost": 0, "late": 0}
        #: Connections are refused, and bytes go nowhere, while this is set.
        self.dark = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()

    def cut(self) -> None:
        """Break every connection there is."""
        self._loop.call_soon_threadsafe(self._cut)

    def close(self) -> None:
        """No more connections."""
        self._loop.call_soon_threadsafe(self._cut)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.dark:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, up_writer}
        self._writers |= ends
        answers = asyncio.create_task(self._pipe(up_reader, writer))
        try:
            await self._listen(reader, up_writer, up_reader, writer, answers)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            answers.cancel()
            for end in ends:
                end.transport.abort()
            self._writers -= ends

    async def _listen(
        self,
        reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.Task[None],
    ) -> None:
        while data := await reader.read(65536):
            if data.endswith(_COMMIT):
                fate = self.fate()
                self.met[fate] += 1
                if fate == "lost":
                    return
                if fate == "done":
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                    up_writer.write(data)
                    # The first byte of the answer: it is committed.
                    await up_reader.read(1)
                    return
                if fate == "late":
                    # The client gives up first; what it had sent is still on its way.
                    writer.transport.abort()
                    await asyncio.sleep(0.05)
            up_writer.write(data)
            await up_writer.drain()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
