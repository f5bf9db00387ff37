"""The least that could be called the same work, with nothing of Headrace.

    .venv/bin/python benchmarks/floor.py                        # chain20 fan200 fan1000, two floors each
    .venv/bin/python benchmarks/floor.py chain20 --rounds 5
    .venv/bin/python benchmarks/floor.py training --python ENV/bin/python    # an environment with scikit-learn

For each task: a process of its own (session, directory, log file) and two transitions, each one transaction of an
update and an insert in SQLite (WAL, synchronous=FULL). At most two tasks at a time. Two ways to a process:

- *spawn*: `posix_spawn` of `python -c pass`. What whoever has no parent with the imports made has to pay.
- *fork*: a parent that has made the imports forks once a task, told so over a socket. A process of its own, as it has
  to be: the parent's modules are the user's, and whoever keeps the record must not have those.

The training job's steps do its work (training.py); files carry it from one to the next.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import training

CONCURRENCY = 2
#: Not this checkout's accident: byte code is written, as on users' machines. BLAS in one thread, as forks need it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
#: Task -> those it comes after.
Graph = Mapping[str, tuple[str, ...]]


def chain(count: int) -> Graph:
    """One after the other."""
    return {f"t{n}": (f"t{n - 1}",) if n else () for n in range(count)}


def fan(count: int) -> Graph:
    """All at once."""
    return {f"t{n}": () for n in range(count)}


#: Name -> the graph and whether its tasks are the training job's.
SHAPES: dict[str, Callable[[], Graph]] = {
    "one": lambda: chain(1),
    "chain20": lambda: chain(20),
    "fan200": lambda: fan(200),
    "fan1000": lambda: fan(1000),
    "training": training.steps,
}


class Starter(Protocol):
    """Starts processes and tells when they have ended."""

    def start(self, task: str, place: Path) -> None:
        """Begin the task's process; it has a session and a log file in the place of its own."""

    def ended(self) -> str:
        """Wait for any of them; the task. Raises RuntimeError when it did not end well."""


class Spawn:
    """A new interpreter a task."""

    def __init__(self, python: str, work: Callable[[str], list[str]]) -> None:
        self._python = python
        self._work = work
        self._tasks: dict[int, str] = {}

    def start(self, task: str, place: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            self._python,
            [self._python, *self._work(task)],
            ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, str(place / "log"), flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )
        self._tasks[pid] = task

    def ended(self) -> str:
        while True:
            pid, status = os.wait()
            if (task := self._tasks.pop(pid, None)) is None:
                continue  # a parent of forks, from elsewhere
            if status != 0:
                raise RuntimeError(f"{task} ended with {status}")
            return task


class Fork:
    """A parent that has imported what the tasks import; it forks one child a task."""

    def __init__(self, python: str, folder: Path, preload: str) -> None:
        ours, theirs = socket.socketpair()
        words = [python, __file__, "--parent", str(theirs.fileno()), "--folder", str(folder), "--preload", preload]
        self._parent = subprocess.Popen(words, env={**ENVIRONMENT, "OMP_NUM_THREADS": "1"}, pass_fds=[theirs.fileno()])
        theirs.close()
        self._socket = ours
        self._answers = ours.makefile("r")
        self._answers.readline()  # its imports are made

    def start(self, task: str, place: Path) -> None:
        self._socket.sendall(f"{json.dumps([task, str(place)])}\n".encode())

    def ended(self) -> str:
        task, status = json.loads(self._answers.readline())
        if status != 0:
            raise RuntimeError(f"{task} ended with {status}")
        return str(task)

    def close(self) -> None:
        """End the parent."""
        self._answers.close()
        self._socket.close()
        self._parent.wait()


def be_parent(fd: int, folder: Path, preload: str) -> None:
    """The parent's side: a line in is a task to fork, a line out is one that has ended."""
    work: Callable[[str], Any] = lambda task: None
    if preload:
        exec(preload)
        work = lambda task: training.step(task, folder)
    connection = socket.socket(fileno=fd)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    connection.sendall(b"ready\n")
    tasks: dict[int, str] = {}
    rest = b""
    while True:
        readable, _, _ = select.select([connection, woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            _tell_ended(connection, tasks)
        if connection in readable:
            if not (got := connection.recv(65536)):
                return
            *lines, rest = (rest + got).split(b"\n")
            for line in lines:
                task, place = json.loads(line)
                tasks[_forked(work, task, place)] = task


def _tell_ended(connection: socket.socket, tasks: dict[int, str]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            connection.sendall(f"{json.dumps([tasks.pop(ended[0]), ended[1]])}\n".encode())


def _forked(work: Callable[[str], Any], task: str, place: str) -> int:
    if pid := os.fork():
        return pid
    status = 1
    try:
        os.setsid()
        log = os.open(f"{place}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        work(task)
        status = 0
    finally:
        os._exit(status)


class Record:
    """The database: what a task is, and what has happened."""

    def __init__(self, path: Path) -> None:
        self._conn = sqlite3.connect(path, isolation_level=None)
        self._conn.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE IF NOT EXISTS tasks (name TEXT PRIMARY KEY, state TEXT);"
            "CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, name TEXT, state TEXT, at REAL);"
        )

    def begin(self, graph: Graph) -> None:
        """A run of these tasks."""
        with self._transaction():
            self._conn.execute("DELETE FROM tasks")
            self._conn.executemany("INSERT INTO tasks VALUES (?, 'PENDING')", [(name,) for name in graph])

    def note(self, task: str, state: str) -> None:
        """One transition, on disk on return."""
        with self._transaction():
            self._conn.execute("UPDATE tasks SET state = ? WHERE name = ?", (state, task))
            self._conn.execute("INSERT INTO events (name, state, at) VALUES (?, ?, ?)", (task, state, time.time()))

    def close(self) -> None:
        """Let go of it."""
        self._conn.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._conn.execute("BEGIN IMMEDIATE")
        yield
        self._conn.execute("COMMIT")


def run(graph: Graph, starter: Starter, record: Record, folder: Path) -> float:
    """Seconds from knowing the tasks to having recorded the end of the last."""
    began = time.perf_counter()
    record.begin(graph)
    left = {task: len(after) for task, after in graph.items()}
    followers: dict[str, list[str]] = {task: [] for task in graph}
    for task, after in graph.items():
        for above in after:
            followers[above].append(task)
    ready = [task for task, count in reversed(left.items()) if not count]
    running = 0
    while ready or running:
        while ready and running < CONCURRENCY:
            task = ready.pop()
            place = folder / task
            place.mkdir()
            record.note(task, "RUNNING")
            starter.start(task, place)
            running += 1
        task = starter.ended()
        running -= 1
        record.note(task, "SUCCEEDED")
        for follower in followers[task]:
            left[follower] -= 1
            if not left[follower]:
                ready.insert(0, follower)
    return time.perf_counter() - began


class Floor:
    """Both floors, ready to be run beside something else. Use it in a `with`."""

    def __init__(self, python: str = sys.executable) -> None:
        """`python`: an interpreter; for the training job, one that can import scikit-learn."""
        self._python = python
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Floor:
        self._folder = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="floor-")))
        self._record = Record(self._folder / "floor.db")
        self._closing.callback(self._record.close)
        self._forks: dict[str, Fork] = {}
        self._rounds = 0
        return self

    def __exit__(self, *_: object) -> None:
        for fork in self._forks.values():
            fork.close()
        self._closing.close()

    def spawn(self, shape: str) -> float:
        """Seconds of a shape, a new interpreter a task."""
        folder = self._place()
        words: Callable[[str], list[str]] = lambda task: ["-c", "pass"]
        if shape == "training":
            words = lambda task: [str(Path(training.__file__)), task, str(self._shared())]
        return run(SHAPES[shape](), Spawn(self._python, words), self._record, folder)

    def fork(self, shape: str) -> float:
        """Seconds of a shape, forked from a parent that is there already."""
        preload = training.PRELOAD if shape == "training" else ""
        if preload not in self._forks:
            self._forks[preload] = Fork(self._python, self._shared(), preload)
        return run(SHAPES[shape](), self._forks[preload], self._record, self._place())

    def _place(self) -> Path:
        self._rounds += 1
        folder = self._folder / str(self._rounds)
        folder.mkdir()
        return folder

    def _shared(self) -> Path:
        """Where the training job's files are."""
        folder = self._folder / "shared"
        folder.mkdir(exist_ok=True)
        return folder


def calibration(turns: int = 3_000_000) -> float:
    """Seconds of processor time of a plain loop: what the machine is worth just now."""
    began = time.process_time()
    total = 0
    for i in range(turns):
        total += i * i % 7
    return time.process_time() - began


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", help=f"of {', '.join(SHAPES)}; all but training when nothing is named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the tasks")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--preload", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.parent is not None:
        be_parent(asked.parent, asked.folder, asked.preload)
        return
    unit = calibration()
    print(f"plain loop of 3 million turns: {unit:.2f} s of processor time, the unit below\n")
    print("| shape | tasks | spawn, s | units | fork, s | units |\n|---|---|---|---|---|---|")
    with Floor(asked.python) as floor:
        for shape in asked.shapes or ["chain20", "fan200", "fan1000"]:
            pairs = [(floor.spawn(shape), floor.fork(shape)) for _ in range(asked.rounds)]
            spawn, fork = (statistics.median(times) for times in zip(*pairs, strict=True))
            tasks = len(SHAPES[shape]())
            print(
                f"| {shape} | {tasks} | {spawn:.2f} | {spawn / unit:.1f} | {fork:.2f} | {fork / unit:.1f} |", flush=True
            )


if __name__ == "__main__":
    main()
