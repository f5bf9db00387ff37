"""Processes as the operating system tells of them: who is alive, who belongs to an attempt, when one ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

#: Environment variable every process of an attempt carries, unless it drops it.
TAG = "HEADRACE_ATTEMPT"
#: So soon the system cannot have gone through all its process numbers.
_SURELY_NO_WRAP_S = 5.0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Who took the attempt's claim: a process id alone can be given to somebody else later."""

    pid: int
    #: Ticks after boot at which the process began.
    started: int
    boot: str


class Stat(msgspec.Struct, frozen=True, kw_only=True):
    """What we need of `/proc/<pid>/stat`."""

    pid: int
    state: str
    parent: int
    session: int
    started: int


def parse_stat(line: str) -> Stat:
    """The name in it, between brackets, may hold anything, so fields count from the last bracket."""
    pid, _, rest = line.partition(" (")
    fields = rest.rpartition(")")[2].split()
    return Stat(pid=int(pid), state=fields[0], parent=int(fields[1]), session=int(fields[3]), started=int(fields[19]))


def stat_of(pid: int) -> Stat | None:
    """None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - hot
            return parse_stat(file.read())
    except (OSError, ValueError, IndexError):
        return None


def boot_id() -> str:
    """Differs after each start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def read_claim(path: Path) -> Claim | None:
    """None when nobody took it; a claim cut off in the middle is nobody's and never alive."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    try:
        stat = parse_stat(lines[0])
        return Claim(pid=stat.pid, started=stat.started, boot=lines[1])
    except (IndexError, ValueError):
        return Claim(pid=0, started=0, boot="")


def alive(claim: Claim) -> bool:
    """Whether that very process still runs."""
    stat = stat_of(claim.pid) if claim.pid else None
    return stat is not None and stat.started == claim.started and stat.state not in "ZX" and claim.boot == boot_id()


def started_at(claim: Claim) -> float:
    """Seconds since the epoch at which the process began."""
    return time.time() - _age_s(claim)


def members(claim: Claim, tag: str) -> set[int]:
    """Processes of the attempt: in its session; with a tag also those that carry it, that are at work in the
    directory it names, and the children of all these.

    A process cannot be older than the one that claimed the attempt, which spares looking at most of them.
    A claim that names nobody has no members: session 0 is the system's own, and ours would be suicide.
    """
    if claim.pid <= 1 or claim.pid == os.getsid(0):
        return set()
    found: set[int] = set()
    parents: dict[int, int] = {}
    for stat in _younger_than(claim):
        if stat.pid == os.getpid():
            continue
        parents[stat.pid] = stat.parent
        if stat.session == claim.pid or (tag and _belongs(stat.pid, tag)):
            found.add(stat.pid)
    return _with_descendants(found, parents) if tag else found


def _younger_than(claim: Claim) -> Iterator[Stat]:
    newest = _newest_pid()
    # Numbers are given in turn, so what is numbered before a process that has just begun cannot be its child.
    skip_to = claim.pid if newest > claim.pid and _age_s(claim) < _SURELY_NO_WRAP_S else 0
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit() and int(name) >= skip_to:
            stat = stat_of(int(name))
            if stat is not None and stat.started >= claim.started and stat.state not in "ZX":
                yield stat


def _newest_pid() -> int:
    with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().rsplit(None, 1)[1])


def _age_s(claim: Claim) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - claim.started / os.sysconf("SC_CLK_TCK")


def _belongs(pid: int, tag: str) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
        if f"{TAG}={tag}\0".encode() in file.read() + b"\0":
            return True
    with contextlib.suppress(OSError):
        place = os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115
        return place == tag or place.startswith(f"{tag}/")
    return False


def _with_descendants(found: set[int], parents: dict[int, int]) -> set[int]:
    grown = found | {pid for pid, parent in parents.items() if parent in found}
    return grown if grown == found else _with_descendants(grown, parents)


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal them; those that are gone do not mind."""
    for pid in pids:
        if pid <= 1 or pid == os.getpid():  # 0 and -1 mean "everybody" to kill(2)
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


async def ended(pid: int) -> None:
    """Wait until the process has ended; also one that is not our child. Costs nothing while waiting."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):
        await _ended_by_asking(pid)
        return
    loop = asyncio.get_running_loop()
    gone = loop.create_future()
    loop.add_reader(watched, _set, gone)
    try:
        await gone
    finally:
        loop.remove_reader(watched)
        os.close(watched)


def _set(gone: asyncio.Future[None]) -> None:
    if not gone.done():
        gone.set_result(None)


async def _ended_by_asking(pid: int) -> None:
    """For kernels without pidfd."""
    while (stat := stat_of(pid)) is not None and stat.state not in "ZX":  # noqa: ASYNC110
        await asyncio.sleep(0.1)


def reap(pid: int) -> None:
    """Let go of a child that has ended; others' children are theirs."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
