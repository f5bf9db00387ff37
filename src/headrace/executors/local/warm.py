"""Warm starts: forks an attempt's process from a Python that has imported what it will need (`runtime.parent`).

There is one parent for each interpreter with its environment variables, since modules read these when they are loaded.
It imports what earlier attempts of that interpreter were seen to import; what is new is in the next generation, which
takes over when it is ready. Everything here is a short cut: `start` answers None whenever there is no parent that can
do it at once, and the attempt is started cold. That is safe also when a parent was asked and did not answer, since of
all processes that may yet begin, one gets the attempt's claim.

Parents end with the socket that they were given, so with this process, but not before their last child.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from headrace.executors.local import processes
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.command import Command
from headrace.executors.local.processes import TAG

#: Libraries that do not work after a fork once they are loaded, or that keep handles to devices: never imported ahead.
NEVER = frozenset(
    word
    for line in (
        "torch tensorflow jax jaxlib grpc cupy cudf rmm pycuda numba onnxruntime paddle mxnet triton ray pyspark",
        "polars deltalake lance duckdb pyarrow gevent uvloop",
    )
    for word in line.split()
)
#: Parents at once; the one that was idle longest goes first.
_MOST_PARENTS = 4
#: Forks after which a parent is replaced, whatever it has gathered.
_MOST_FORKS = 2000
_IDLE_S = 600.0
#: An attempt waits so long for a parent that has nothing to import; as long as its own start would take.
_PATIENCE_S = 0.25
#: No parent that is well takes so long to fork.
_ANSWER_S = 5.0
#: Nor to import.
_IMPORTING_S = 300.0
SWITCHED_OFF = "They are switched off (setting warm_starts)."
_MOST_MODULES = 5000
_MARK_LENGTH = 1024
#: Process ids of parents whose connection was closed, and that perhaps have not ended yet.
_closed: set[int] = set()
_log = logging.getLogger(__name__)


class Learned(msgspec.Struct, kw_only=True):
    """What is known of an interpreter: `imports.json` in its environment."""

    #: Modules that attempts have imported, in the order in which they came.
    modules: list[str] = []
    #: Top-level names after which a parent was not fit to fork.
    never: list[str] = []


class ImportNotes:
    """What is known of an interpreter, as a file in its environment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.learned = Learned()
        with contextlib.suppress(OSError, msgspec.DecodeError):
            self.learned = msgspec.json.decode(path.read_bytes(), type=Learned)

    def add(self, modules: list[str]) -> None:
        """Attempts have imported these."""
        known = set(self.learned.modules)
        new = [name for name in modules if name not in known and name.partition(".")[0] not in NEVER]
        if new and len(known) + len(new) <= _MOST_MODULES:
            self.learned.modules.extend(new)
            self._keep()

    def forbid(self, top_level: list[str]) -> None:
        """Because of these a parent could not fork."""
        self.learned.never = sorted({*self.learned.never, *top_level})
        self._keep()

    def _keep(self) -> None:
        with contextlib.suppress(OSError):
            part = self._path.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(msgspec.json.encode(self.learned))
            part.replace(self._path)


class ForkedProcess:
    """A process that a parent has forked."""

    def __init__(self, parent: _Parent, pid: int) -> None:
        self._parent = parent
        self.pid = pid
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._was_gone = False

    def set_ended(self) -> None:
        """It has ended, or that cannot be known any more."""
        if not self._ended.done():
            self._ended.set_result(None)

    async def ended(self) -> None:
        """Wait until it has ended and that is written down, or its parent is gone."""
        await self._ended
        if self._parent.is_gone:
            await processes.ended(self.pid)

    def look(self) -> None:
        """Now and then: a parent that does not say that its child has ended was stopped by one of them, or is stuck."""
        stat = processes.stat_of(self.pid)
        is_gone = not self._ended.done() and (stat is None or stat.gone)
        if is_gone and self._was_gone:
            self._parent.kill()
        self._was_gone = is_gone

    def reap(self) -> None:
        """Its number may be given to others now."""
        self._parent.reap(self.pid)


class WarmStarts:
    """All parents of one executor. `why_not` says why there are none, "" when there may be."""

    def __init__(self, home: Path, switched_off: str = "", patience_s: float = 0.0) -> None:
        """Attempts wait `patience_s` for a parent that is not ready; by default only while that costs nothing."""
        self._said = home / "warm.log"
        self.why_not = switched_off or why_not()
        self._patience_s = patience_s
        #: How many attempts were forked, and how many that could have been were not.
        self.forked = self.declined = 0
        self._pools: dict[bytes, ParentPool] = {}
        self._notes: dict[Path, ImportNotes] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self, command: Command, attempt_dir: AttemptDir, joins: Sequence[str]) -> ForkedProcess | None:
        """Fork the attempt's process; None when it is to be started cold."""
        if self.why_not or not command.warm or len(attempt_dir.tag) > _MARK_LENGTH:
            return None
        parent = await self._pool(command).parent(command)
        forked = None
        if parent is not None and parent.top_level.isdisjoint(command.own_modules):
            forked = await parent.fork(attempt_dir, joins, command.request)
        self.forked += forked is not None
        self.declined += forked is None
        return forked

    def learn(self, command: Command, modules: list[str]) -> None:
        """An attempt has imported these."""
        if not self.why_not and command.warm:
            self._pool(command).learn(modules)

    async def close(self) -> None:
        """Close all parents: they end with their last child."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.gather(*(pool.abandon() for pool in self._pools.values()))
        self._pools.clear()

    def _pool(self, command: Command) -> ParentPool:
        key = msgspec.json.encode([command.argv[:2], sorted(command.env.items())])
        pool = self._pools.pop(key, None) or ParentPool(self._said, self._notes_of(command), self._patience_s)
        self._pools[key] = pool  # the last one is the one used last
        pool.used_at = time.monotonic()
        for _ in range(len(self._pools) - _MOST_PARENTS):
            self._pools.pop(next(iter(self._pools))).close()
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_IDLE_S, self._sweep)
        return pool

    def _notes_of(self, command: Command) -> ImportNotes:
        """Parents that differ in their variables alone import the same."""
        path = Path(command.argv[0]).parent.parent / "imports.json"
        if path not in self._notes:
            self._notes[path] = ImportNotes(path)
        return self._notes[path]

    def _sweep(self) -> None:
        """Close parents that were not used for long."""
        for key, pool in list(self._pools.items()):
            if time.monotonic() - pool.used_at > _IDLE_S:
                pool.close()
                del self._pools[key]
        again = self._pools and asyncio.get_running_loop().call_later(_IDLE_S / 2, self._sweep)
        self._sweeper = again or None


class ParentPool:
    """The parents of one interpreter with its variables: the one in use, and perhaps its successor."""

    def __init__(self, log: Path, notes: ImportNotes, patience_s: float) -> None:
        self._log = log
        self._notes = notes
        self._patience_s = patience_s
        self.used_at = 0.0
        self._asked = 0
        self._current: _Parent | None = None
        self._next: asyncio.Task[None] | None = None
        #: How many modules were known to the last parent that was started.
        self._taught = -1
        self._is_broken = False

    async def parent(self, command: Command) -> _Parent | None:
        """One that is ready. The first attempt does not wait for a parent that has much to import, nor asks for it."""
        self._asked += 1
        known = len(self._notes.learned.modules)
        current = self._current
        if current is not None and (not current.is_usable or current.forks >= _MOST_FORKS):
            current.close()
            self._current, self._taught = None, -1
        patience_s = self._patience_s or (0.0 if known else _PATIENCE_S)
        is_wanted = self._asked > 1 or patience_s > 0
        if is_wanted and not self._is_broken and self._next is None and self._taught < known:
            self._next = asyncio.create_task(self._start_parent(command))
        if self._current is None and self._next is not None and patience_s > 0:
            await asyncio.wait([self._next], timeout=patience_s)
        return self._current

    def learn(self, modules: list[str]) -> None:
        """Remember what an attempt has imported, for the next parent."""
        self._notes.add(modules)

    def close(self) -> None:
        """Close both."""
        if self._next is not None:
            self._next.cancel()
        if self._current is not None:
            self._current.close()
        self._current = None

    async def abandon(self) -> None:
        """Close both at once."""
        current, following = self._current, self._next
        self.close()
        if current is not None:
            current.abandon()
        if following is not None:
            await asyncio.wait([following])

    async def _start_parent(self, command: Command) -> None:
        """Start a parent, and let it take over once it is ready."""
        parent = None
        try:
            learned = self._notes.learned
            self._taught = len(learned.modules)
            parent = _Parent(command, self._log)
            async with asyncio.timeout(_IMPORTING_S):
                unfit = await parent.prepare(learned.modules, NEVER | set(learned.never))
            if unfit is None:
                if self._current is not None:
                    self._current.close()
                self._current, parent = parent, None
            elif unfit:
                self._notes.forbid(unfit)
                self._taught = -1
            else:
                self._is_broken = True
        except (OSError, TimeoutError) as error:
            _log.warning("no warm starts of %s: %s", command.argv[0], error or "its parent does not come to an end")
            self._is_broken = True
        finally:
            if parent is not None:
                parent.abandon()
            self._next = None


class _Parent:
    """The connection to one parent."""

    def __init__(self, command: Command, log: Path) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._pid = _spawn(command, log, theirs.fileno())
        ours.setblocking(False)
        self._socket = ours
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(ours, self._hear)
        self._sending = asyncio.Lock()
        self._heard = b""
        self._number = 0
        self._asked: dict[int, asyncio.Future[int]] = {}
        self._children: dict[int, ForkedProcess] = {}
        self._ready: asyncio.Future[list[str] | None] = self._loop.create_future()
        self._is_ready = False
        self.is_gone = False
        self.is_usable = True
        self.forks = 0
        #: Top-level names of all it has loaded.
        self.top_level: frozenset[str] = frozenset()

    async def prepare(self, modules: list[str], never: frozenset[str]) -> list[str] | None:
        """Let it import; None when it is ready to fork, else because of which top-level names it is not."""
        await self._send(b"P", msgspec.json.encode({"modules": modules, "never": sorted(never)}))
        return await self._ready

    async def fork(self, attempt_dir: AttemptDir, joins: Sequence[str], request: bytes) -> ForkedProcess | None:
        """Ask for a child; None when there was no answer, or that there will be none."""
        if not self.is_usable:
            return None
        self._number += 1
        self.forks += 1
        number, answer = self._number, self._loop.create_future()
        self._asked[number] = answer
        head = msgspec.json.encode({"number": number, "place": attempt_dir.tag, "joins": list(joins)})
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._send(b"S", head[:-1] + b',"request":' + request + b"}")
                pid = await answer
        except TimeoutError:
            self.kill()
            return None
        except OSError:
            self.close()
            return None
        finally:
            self._asked.pop(number, None)
        return self._children[pid] if pid else None

    def reap(self, pid: int) -> None:
        """Let the parent wait for a child that has ended, so that its number is free."""
        self._children.pop(pid, None)
        with contextlib.suppress(OSError):
            body = str(pid).encode()
            self._socket.send(b"R" + len(body).to_bytes(4, "big") + body)
        if not self.is_usable:
            self.close()

    def close(self) -> None:
        """Ask for no more; it ends with its last child."""
        self.is_usable = False
        if not self._children and not self._asked:
            self.abandon()

    def kill(self) -> None:
        """End it. Its children live on, and write down themselves how they end, unless a signal ends them."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self.abandon()

    def abandon(self) -> None:
        """Close the connection at once. Its children live on, and it lives as long as they do."""
        if self.is_gone:
            return
        self.is_gone, self.is_usable = True, False
        self._loop.remove_reader(self._socket)
        self._socket.close()
        if not self._is_ready:
            # It has no children yet, and while it imports it does not notice that its socket was closed.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        for answer in self._asked.values():
            if not answer.done():
                answer.set_result(0)
        if not self._ready.done():
            self._ready.set_result([])
        for forked in self._children.values():
            forked.set_ended()
        _closed.add(self._pid)

    async def _send(self, kind: bytes, body: bytes) -> None:
        async with self._sending:
            await self._loop.sock_sendall(self._socket, kind + len(body).to_bytes(4, "big") + body)

    def _hear(self) -> None:
        try:
            more = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self.abandon()
            return
        *lines, self._heard = (self._heard + more).split(b"\n")
        for line in lines:
            word, _, rest = line.decode().partition(" ")
            self._on_line(word, rest)

    def _on_line(self, word: str, rest: str) -> None:
        if word == "started":
            number, pid = map(int, rest.split())
            self._children[pid] = ForkedProcess(self, pid)
            answer = self._asked.get(number)
            if answer is not None and not answer.done():
                answer.set_result(pid)
            else:
                self._children.pop(pid)  # no caller waits any more: a claim that was taken is found in its directory
        elif word == "ended":
            forked = self._children.get(int(rest))
            if forked is None:
                self.reap(int(rest))
            else:
                forked.set_ended()
        elif word == "refused":
            answer = self._asked.get(int(rest))
            if answer is not None and not answer.done():
                answer.set_result(0)
        elif word in ("ready", "unsafe"):
            names = [name for name in rest.split(",") if name]
            self.top_level, self._is_ready = frozenset(names), True
            if not self._ready.done():
                self._ready.set_result(None if word == "ready" else names)


def _spawn(command: Command, log: Path, descriptor: int) -> int:
    """Start a parent, in a session of its own."""
    for pid in list(_closed):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        _closed.discard(pid)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return os.posix_spawn(
            command.argv[0],
            [*command.argv[:2], "--parent", "3"],
            {TAG: "-" * _MARK_LENGTH, **command.env},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, said, 1),
                (os.POSIX_SPAWN_DUP2, said, 2),
                (os.POSIX_SPAWN_DUP2, descriptor, 3),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD],
        )
    finally:
        os.close(said)


def why_not() -> str:
    """Why this system cannot do it; "" where it can."""
    if not hasattr(os, "pidfd_open"):
        return "This Python cannot watch processes (os.pidfd_open)."
    return "" if os.access("/proc/self/mem", os.W_OK) else "The system does not let processes write /proc/self/mem."


def imports_of(attempt_dir: AttemptDir) -> Iterator[str]:
    """The modules that an attempt has imported."""
    with contextlib.suppress(OSError, UnicodeDecodeError), open(attempt_dir.imports, encoding="utf-8") as file:  # noqa: PTH123
        yield from file.read(1 << 20).split("\n")
