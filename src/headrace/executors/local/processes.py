"""Processes as the operating system shows them: which is alive, which belong to an attempt, when one ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

import msgspec

from headrace.attempt.refusal import is_passing

#: Environment variable every process of an attempt carries, unless it drops it.
TAG = "HEADRACE_ATTEMPT"
#: So soon the system cannot have gone through all its process numbers.
_SURELY_NO_WRAP_S = 5.0
_LOOKS = 400
_BETWEEN_LOOKS_S = 0.005


class ProcessIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The process that took the attempt's claim. Its id alone can be given to another process later."""

    pid: int
    #: Ticks after boot at which the process began.
    started: int
    boot: str


#: A claim without a process: taken so that no supervisor ever goes on.
REVOKED = ProcessIdentity(pid=0, started=0, boot="revoked")
#: A claim that was taken but not written yet, or never will be.
PARTIAL = ProcessIdentity(pid=0, started=0, boot="")


class Stat(msgspec.Struct, frozen=True, kw_only=True):
    """What we need of `/proc/<pid>/stat`."""

    pid: int
    name: str
    state: str
    parent: int
    session: int
    #: Its controlling terminal; 0 for none.
    terminal: int
    started: int

    @property
    def gone(self) -> bool:
        """Ended, if perhaps not waited for yet."""
        return self.state in "ZX"


def parse_stat(line: str) -> Stat:
    """The name in it, between brackets, may hold anything, so fields count from the last bracket."""
    pid, _, rest = line.partition(" (")
    name, _, rest = rest.rpartition(")")
    fields = rest.split()
    parent, session, terminal = int(fields[1]), int(fields[3]), int(fields[4])
    return Stat(
        pid=int(pid),
        name=name,
        state=fields[0],
        parent=parent,
        session=session,
        terminal=terminal,
        started=int(fields[19]),
    )


def stat_of(pid: int) -> Stat | None:
    """None when there is no such process. Raises OSError when the machine cannot say that now."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - hot
            return parse_stat(file.read())
    except OSError as error:
        if is_passing(error):
            raise
        return None
    except (ValueError, IndexError):
        return None


@cache
def boot_id() -> str:
    """Differs after each start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def read_claim(path: Path) -> ProcessIdentity | None:
    """None when it is not taken. A supervisor takes it and then writes it: in between it is PARTIAL."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return None
    lines = text.splitlines()
    if lines == [REVOKED.boot]:
        return REVOKED
    if len(lines) not in (2, 3) or not text.endswith("\n"):
        return PARTIAL
    try:
        stat = parse_stat(lines[0])
    except (IndexError, ValueError):
        return PARTIAL
    return ProcessIdentity(pid=stat.pid, started=stat.started, boot=lines[1])


def read_exit(path: Path) -> int | None:
    """The exit status that a supervisor has added to its claim; None where there is none."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            lines = file.read().split(b"\n")
        return int(lines[2].removeprefix(b"exit ")) if len(lines) == 4 else None
    except (FileNotFoundError, ValueError):
        return None


async def exit_written(path: Path, claim: ProcessIdentity) -> int | None:
    """The exit status, once the watcher of an ended process has written it; None when the watcher is gone without it.

    A process that was forked by a parent stays until its parent has done that; one with a supervisor is the supervisor.
    """
    for _ in range(_LOOKS):
        status = read_exit(path)
        if status is not None:
            return status
        stat = stat_of(claim.pid)
        if stat is None or stat.started != claim.started or stat.parent == os.getpid():
            break
        await asyncio.sleep(_BETWEEN_LOOKS_S)
    return read_exit(path)


async def settled_claim(path: Path, tag: str) -> ProcessIdentity | None:
    """As `read_claim`, but waits for a supervisor that has taken the claim and not written it yet."""
    while (claim := read_claim(path)) == PARTIAL:
        if not await asyncio.to_thread(_carried, tag):
            # The supervisor that had taken it is gone, before or after it wrote.
            return read_claim(path)
        await asyncio.sleep(0.01)
    return claim


def _carried(tag: str) -> bool:
    """Whether any process carries the tag."""
    return bool(tag) and any(_carries(int(name), tag) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208


def alive(claim: ProcessIdentity) -> bool:
    """Whether that very process still runs."""
    stat = stat_of(claim.pid) if claim.pid > 1 else None
    return stat is not None and not stat.gone and stat.started == claim.started and claim.boot == boot_id()


def started_at(path: Path, claim: ProcessIdentity) -> float | None:
    """Seconds since the epoch at which the process began, also of one that is gone; None when it is not known.

    It follows from the ticks in the claim, which count from the start of the machine: of this one, not of an earlier.
    Ticks are coarse, and clocks are set: it is never later than the file was last written, which is when the process
    began or ended (see `ended_at`).
    """
    if claim.pid <= 1 or claim.started <= 0 or claim.boot != boot_id():
        return None
    began = time.time() - _age_s(claim)
    with contextlib.suppress(FileNotFoundError):
        began = min(began, ended_at(path))
    return began


def ended_at(path: Path) -> float:
    """Seconds since the epoch at which its exit status was added to the claim at this path."""
    return os.stat(path).st_mtime  # noqa: PTH116 - hot


def identity_of(pid: int) -> ProcessIdentity:
    """The identity of a child of ours, which cannot have been given to another process."""
    stat = stat_of(pid)
    return ProcessIdentity(pid=pid, started=stat.started if stat else 0, boot=boot_id())


class KillableGroup(Protocol):
    """A control group, which knows its processes (see `cgroups`)."""

    def members(self) -> list[int]:
        """Their ids."""

    def end(self) -> None:
        """Kill them, or at least let them become no more."""


def grouped(group: KillableGroup) -> dict[int, int]:
    """A group's processes, with the ticks at which they began; never ourselves, whatever it says."""
    stats = [stat_of(pid) for pid in group.members() if pid != os.getpid()]
    return {stat.pid: stat.started for stat in stats if stat is not None and not stat.gone}


class ProcessSet:
    """The processes of one attempt, over several looks: who was found once is known again, wherever it moves.

    Found are those in the attempt's control group, if it has one, those in the attempt's session and those that carry
    its tag; with a tag also orphans at work in the directory it names, and the children of all these. Nothing else is
    ever found, whatever the claim says: a session's number that may have been given to a stranger since does not
    count, nor does anything of our own.
    """

    def __init__(
        self, first: ProcessIdentity, tag: str, *, group: KillableGroup | None = None, seen_alive: bool = False
    ) -> None:
        self.first = first
        #: None where there are no control groups, and for a container.
        self.group = group
        #: Empty for a container, whose own processes are its engine's to end.
        self.tag = tag
        #: We have seen its first process alive, and look again as soon as that ends.
        self.seen_alive = seen_alive
        self._found: dict[int, int] = {}

    def is_surely_gone(self) -> bool:
        """Whether one quick look shows that there are no members, once the first process has ended as it should.

        False also when it cannot be quick. It is with a group, and while the attempt is young: then only processes
        numbered after its first one count.
        """
        claim = self.first
        if self.group is not None:
            return not self.group.members()
        if claim.boot != boot_id() or _age_s(claim) >= _SURELY_NO_WRAP_S or _newest_pid() < claim.pid:
            return False
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
        own = os.getsid(0)
        return not any(self._may_be(pid, own) for pid in numbers if pid > claim.pid)

    def _may_be(self, pid: int, own_session: int) -> bool:
        try:
            session = os.getsid(pid)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        if session == self.first.pid:
            stat = stat_of(pid)
            return stat is not None and not stat.gone
        return session != own_session and bool(self.tag) and (_carries(pid, self.tag) or _works_in(pid, self.tag))

    def members(self) -> dict[int, int]:
        """Process ids with the ticks at which they began."""
        claim = self.first
        if claim.pid <= 1 or claim.started <= 0 or claim.boot != boot_id():
            return {}
        grouped = set(self.group.members()) if self.group else set()
        ours = _ourselves()
        seen = {stat.pid: stat for stat in _younger_than(claim) if stat.pid not in ours and stat.session != ours[0]}
        session = claim.pid if self._session_is_its() else -1
        found = {
            stat.pid for stat in seen.values() if stat.pid in grouped or stat.session == session or self._knows(stat)
        }
        if self.tag:
            found = _with_descendants(found, {stat.pid: stat.parent for stat in seen.values()})
        self._found = {pid: seen[pid].started for pid in found}
        return dict(self._found)

    def _session_is_its(self) -> bool:
        """A number is not given away while its process, even ended, is there, nor as fast as we look."""
        leader = stat_of(self.first.pid)
        return self.seen_alive if leader is None else leader.started == self.first.started

    def _knows(self, stat: Stat) -> bool:
        if self._found.get(stat.pid) == stat.started:
            return True
        return bool(self.tag) and (_carries(stat.pid, self.tag) or _left_in(stat, self.tag))


def _ourselves() -> list[int]:
    """Our session, then ourselves and our ancestors: an attempt has none of these."""
    line = [os.getsid(0), os.getpid()]
    while line[-1] > 1 and (stat := stat_of(line[-1])) is not None:
        line.append(stat.parent)
    return line


def _younger_than(claim: ProcessIdentity) -> Iterator[Stat]:
    """A process cannot be older than the one that claimed the attempt, which spares looking closely at most."""
    newest = _newest_pid()
    # Numbers are given in turn, so what is numbered before a process that has just begun cannot be its child.
    skip_to = claim.pid if newest > claim.pid and _age_s(claim) < _SURELY_NO_WRAP_S else 2
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit() and int(name) >= skip_to:
            stat = stat_of(int(name))
            if stat is not None and stat.started >= claim.started and not stat.gone:
                yield stat


def _newest_pid() -> int:
    with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().rsplit(None, 1)[1])


def _age_s(claim: ProcessIdentity) -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) - claim.started / os.sysconf("SC_CLK_TCK")


def _carries(pid: int, tag: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            said = file.read()
    except OSError:
        return False
    mark = f"{TAG}={tag}".encode()
    return mark in said and mark in said.split(b"\0")


def _left_in(stat: Stat, place: str) -> bool:
    """A daemon that dropped its variables and its parents, still in the attempt's directory.

    Not a user who looks around there: their shell has a terminal, their programs have parents.
    """
    if stat.terminal or not _is_reaper(stat.parent):
        return False
    return _works_in(stat.pid, place)


def _works_in(pid: int, place: str) -> bool:
    try:
        where = os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115
        return where.startswith(f"{place}/") and os.stat(f"/proc/{pid}").st_uid == os.getuid()  # noqa: PTH116
    except OSError:
        return False


def _is_reaper(pid: int) -> bool:
    """Whether it becomes the parent of orphans."""
    if pid == 1:
        return True
    stat = stat_of(pid)
    return stat is not None and stat.name == "systemd"


def _with_descendants(found: set[int], parents: dict[int, int]) -> set[int]:
    grown = found | {pid for pid, parent in parents.items() if parent in found}
    return grown if grown == found else _with_descendants(grown, parents)


def descendants(pids: set[int]) -> dict[int, int]:
    """These processes and all below them, with the ticks at which they began; never ourselves."""
    stats = [stat for name in os.listdir("/proc") if name.isdigit() and (stat := stat_of(int(name)))]  # noqa: PTH208
    found = _with_descendants(pids, {stat.pid: stat.parent for stat in stats})
    return {stat.pid: stat.started for stat in stats if stat.pid in found and not stat.gone and stat.pid != os.getpid()}


def send(targets: Mapping[int, int], number: signal.Signals) -> None:
    """Signal processes, given by id and the ticks at which they began; those that are gone do not mind.

    The only place that signals anything of an attempt: never everybody (kill(2) takes 0 and -1 for that), never
    ourselves, never a process that has got the number of one that has ended.
    """
    for pid, started in targets.items():
        if pid > 1 and pid != os.getpid():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                _send_one(pid, started, number)


def end(look: Callable[[], Mapping[int, int]], group: KillableGroup | None) -> None:
    """Kill whatever is found, and what it makes meanwhile, and see it gone. Blocks."""
    for _ in range(_LOOKS):
        left = look()
        if not left:
            return
        if group is not None:
            group.end()
        send(left, signal.SIGKILL)
        time.sleep(_BETWEEN_LOOKS_S)


def _send_one(pid: int, started: int, number: signal.Signals) -> None:
    try:
        held = os.pidfd_open(pid)
    except (AttributeError, OSError) as error:
        if isinstance(error, ProcessLookupError):
            return
        held = -1  # a kernel without pidfd
    try:
        stat = stat_of(pid)
        if stat is None or stat.started != started:
            return
        if held >= 0:
            signal.pidfd_send_signal(held, number)
        else:
            os.kill(pid, number)
    finally:
        if held >= 0:
            os.close(held)


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
