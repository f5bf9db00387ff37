"""The parent of warm starts: a Python that has imported what tasks of its environment import, and forks one for each.

Started as `python …/headrace/runtime/main.py --parent FD`, with a stream socket at FD, in a session of its own. It runs
nothing of the user's: it imports, it forks, it writes down how its children end. It has one thread, or does not fork.

What comes over the socket are messages, each a kind (one byte), a length (4 bytes, big-endian) and that many bytes:
    P  what to import: `{"modules": […], "never": […]}`, once, first
    S  an attempt to start: `{"number": n, "place": …, "joins": […], "request": {…}}`
    R  a child's process id: the server needs its number no more
What it answers are lines:
    ready TOP-LEVEL,NAMES          it can fork
    unsafe TOP-LEVEL,NAMES         it cannot, because of these, and ends
    started NUMBER PID             the attempt has a process
    refused NUMBER                 it has none, because this process is not fit to fork any more
    ended PID                      it has ended, and how is written in its claim
At the end of the socket it forks no more, and ends with its last child: how an attempt ends is written down also when
the server is gone.

A child is what a task's process is in a cold start: leader of its own session, in its own directory, with its own
streams, variables, control groups and random numbers, and it takes the attempt's claim before anything else.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys

from headrace.runtime import attempt, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

#: Carried by every process of an attempt. The parent starts with it full of these, to be written over by children.
TAG, FILLER = "HEADRACE_ATTEMPT", "-"
CLAIM_TAKEN, UNCONFINED = 75, 76
#: What KFP writes at the head of every source, and what the report of an exception needs.
_ALWAYS = ("typing", "kfp.dsl", "traceback")
#: What a task's own arguments are in a cold start.
_REQUEST = "/dev/fd/3"


def main(socket: int) -> int:
    """Serve until the server is gone and no child is left."""
    os.chdir("/")
    del sys.path[0]
    parent = ParentProcess(socket)
    while parent.is_needed():
        parent.wait()
    return 0


class ParentProcess:
    """The parent's state: its connection to the server, and its children."""

    def __init__(self, socket: int) -> None:
        self._socket = socket
        self._heard = b""
        self._is_asked = True
        self._poll = select.poll()
        self._poll.register(socket, select.POLLIN)
        #: Descriptor that becomes readable at a child's end -> its process id, its attempt's folder and its source.
        self._children: dict[int, tuple[int, str, str]] = {}
        #: Sources that an attempt has run without a failure: this process may compile them.
        self._sound: set[str] = set()
        #: Ended, and not reaped yet: the server may still need the number.
        self._ended: set[int] = set()
        #: Not ended yet; the server does not need the number any more.
        self._unwatched: set[int] = set()
        self._boot = _read("/proc/sys/kernel/random/boot_id")
        self._mark_at = _place_of_mark()

    def is_needed(self) -> bool:
        """Whether the server is connected, or any child is left."""
        return self._is_asked or bool(self._children)

    def wait(self) -> None:
        """Wait for the next message or the end of a child, and handle it."""
        for descriptor, _ in self._poll.poll():
            if descriptor == self._socket:
                self._hear()
            else:
                self._bury(descriptor)

    # messages ----------------------------------------------------------------------------

    def _hear(self) -> None:
        try:
            more = os.read(self._socket, 1 << 20)
        except OSError:
            more = b""
        if not more:
            self._poll.unregister(self._socket)
            self._is_asked = False
            for pid in self._ended:
                _reap(pid)
        self._heard += more
        while len(self._heard) >= 5:
            end = 5 + int.from_bytes(self._heard[1:5], "big")
            if len(self._heard) < end:
                return
            kind, body, self._heard = self._heard[:1], self._heard[5:end], self._heard[end:]
            self._do(kind, body)

    def _do(self, kind: bytes, body: bytes) -> None:
        if kind == b"S":
            self._start(plain.loads(body.decode()))
        elif kind == b"R":
            self._let_go(int(body))
        elif kind == b"P":
            self._import(plain.loads(body.decode()))

    def _let_go(self, pid: int) -> None:
        if pid in self._ended:
            self._ended.discard(pid)
            _reap(pid)
        else:
            self._unwatched.add(pid)

    def _say(self, line: str) -> None:
        if self._is_asked:
            text = f"{line}\n".encode()
            try:
                while text:
                    text = text[os.write(self._socket, text) :]
            except OSError:
                pass  # the server is gone, as the next read will show

    # importing --------------------------------------------------------------------------------

    def _import(self, wishes: dict[str, Any]) -> None:
        unsafe = _import_all([*_ALWAYS, *wishes["modules"]], set(wishes["never"]))
        if unsafe or self._mark_at is None:
            self._say(f"unsafe {','.join(unsafe)}")
            os._exit(0)
        gc.collect()
        gc.freeze()
        self._say(f"ready {','.join(sorted({name.partition('.')[0] for name in sys.modules}))}")

    # children ---------------------------------------------------------------------------------

    def _start(self, asked: dict[str, Any]) -> None:
        if _threads() > 1:
            self._say(f"refused {asked['number']}")
            return
        source = asked["request"]["source"]
        if source in self._sound:
            self._sound.discard(source)
            with contextlib.suppress(OSError, ValueError, SyntaxError):
                attempt.compile_ahead(source)
        pid = os.fork()
        if pid == 0:
            self._live(asked)
        descriptor = os.pidfd_open(pid)
        self._children[descriptor] = pid, asked["place"], source
        self._poll.register(descriptor, select.POLLIN)
        self._say(f"started {asked['number']} {pid}")

    def _bury(self, descriptor: int) -> None:
        """Write down how a child has ended. It keeps its number until the server has looked at everything it left."""
        self._poll.unregister(descriptor)
        os.close(descriptor)
        pid, place, source = self._children.pop(descriptor)
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        if ended is None:
            return
        if ended.si_code == os.CLD_EXITED and ended.si_status == 0:
            self._sound.add(source)
        _write_end(place, pid, ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status)
        if self._is_asked and pid not in self._unwatched:
            self._ended.add(pid)
            self._say(f"ended {pid}")
        else:
            self._unwatched.discard(pid)
            _reap(pid)

    def _live(self, asked: dict[str, Any]) -> NoReturn:
        """The life of a child."""
        status = 1
        try:
            os.close(self._socket)
            for descriptor in self._children:
                os.close(descriptor)
            self._become(asked["place"], asked["joins"])
            request = asked["request"]
            status = attempt.run(request)
            attempt.tell_imports(request)
            attempt.leave(status, request, claim=f"{asked['place']}/claim")
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)

    def _become(self, place: str, joins: list[str]) -> None:
        """Become the attempt's process, or end here."""
        os.setsid()
        assert self._mark_at is not None
        _mark(self._mark_at, place)
        os.environ[TAG] = place
        _claim(place, self._boot)
        log = os.open(f"{place}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        try:
            for path in joins:
                _append(path, "0")
        except OSError:
            os.close(os.open(f"{place}/unconfined", os.O_WRONLY | os.O_CREAT, 0o600))
            os._exit(UNCONFINED)
        work = f"{place}/work"
        os.chdir(work)
        os.environ["PWD"] = work
        sys.path.insert(0, work)
        sys.argv[1:] = [_REQUEST]
        sys.orig_argv[2:] = [_REQUEST]
        # Python reseeds its own random numbers in a child; numpy does not.
        numpy = sys.modules.get("numpy.random")
        if numpy is not None:
            numpy.seed()


# --- importing -------------------------------------------------------------------------------------


def _import_all(modules: list[str], never: set[str]) -> list[str]:
    """Import them all in turn. Returns the top-level names of modules after which this process must not fork."""
    from importlib import import_module

    threads, unsafe = 1, {}
    for module in modules:
        top = module.partition(".")[0]
        if top in never or module in sys.modules:
            continue
        try:
            import_module(module)
        except BaseException:  # noqa: S112 - whatever it is, the code that needs the module will see it
            continue
        if _threads() > threads:
            # Libraries that start threads when they are loaded may stop them before a fork, as OpenBLAS does.
            if (child := os.fork()) == 0:
                os._exit(0)
            os.waitpid(child, 0)
            if (now := _threads()) > threads:
                threads, unsafe[top] = now, True
        if not never.isdisjoint(sys.modules):
            unsafe[top] = True
            never = never - set(sys.modules)
    return list(unsafe)


def _threads() -> int:
    """The number of threads: a directory has two links of its own, and one for each directory in it."""
    return os.stat("/proc/self/task").st_nlink - 2  # noqa: PTH116


# --- a child's mark --------------------------------------------------------------------------------


def _place_of_mark() -> tuple[int, int] | None:
    """Address and length of our mark in memory, which the kernel shows; None if it cannot be written."""
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123
            before, found, rest = file.read().partition(f"{TAG}=".encode())
        fields = _read("/proc/self/stat").rpartition(")")[2].split()
        length = len(rest) - len(rest.lstrip(FILLER.encode()))
        place = int(fields[47]) + len(before) + len(found), length
        _mark(place, FILLER * length)
    except (OSError, ValueError, IndexError):
        return None
    return place if found and length else None


def _mark(place: tuple[int, int], tag: str) -> None:
    """Make our mark visible to other processes: `/proc/PID/environ` shows the memory of a process's first variables."""
    address, length = place
    memory = os.open("/proc/self/mem", os.O_WRONLY)
    try:
        os.pwrite(memory, tag.encode().ljust(length, b"\0"), address)
    finally:
        os.close(memory)


# --- claim and end ---------------------------------------------------------------------------------


def _claim(place: str, boot: str) -> None:
    """As a cold start's supervisor: of all processes that were started for this attempt, one gets the claim."""
    try:
        claim = os.open(f"{place}/claim", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        os._exit(CLAIM_TAKEN)
    os.write(claim, f"{_read('/proc/self/stat')}\n{boot}\n".encode())
    os.close(claim)


def _write_end(place: str, pid: int, status: int) -> None:
    """Add the status to the claim, if it is this child's and it has not done so itself."""
    try:
        lines = _read(f"{place}/claim").split("\n")
        if len(lines) != 2 or lines[0].partition(" ")[0] != str(pid):
            return
        _append(f"{place}/claim", f"exit {status}\n")
        if status > 128 and status - 128 not in (signal.SIGINT, signal.SIGPIPE):
            _append(f"{place}/log", f"{signal.strsignal(status - 128)}\n")  # a shell says so too
    except (OSError, ValueError):
        pass


def _append(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        return file.read().rstrip("\n")


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
