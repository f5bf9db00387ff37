"""What an attempt may use, how that is enforced, and the reason it gets when it wants more.

Where this machine lets us make control groups, the kernel holds an attempt to its memory, cores and number of
processes. Elsewhere we look every second, which holds memory and processes but not cores, and say so
(`headrace doctor`). Files are counted by looks in either case.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import secrets
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import msgspec

from headrace.attempt.codes import Code
from headrace.engine.model import Reason
from headrace.executors.local import processes
from headrace.executors.local.cgroups import PREFIX, CgroupsUnusable, ControlGroup, Limits, Tree, find
from headrace.executors.local.resources import Resources, size

_SHELL = "/bin/sh"
#: Groups kept for attempts with the same limits.
_MOST_FREE = 64


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt may use if its task says nothing else; None: as much as there is."""

    task_memory_bytes: int | None = None
    task_cpus: float | None = None
    #: Processes and threads of one attempt at once.
    max_processes: int = 4096
    #: What an attempt's own directory may hold.
    max_work_bytes: int | None = None
    max_work_files: int = 1_000_000
    #: With less free on the disk, the attempt that holds most of it is ended.
    min_free_bytes: int = 64 << 20

    def limits(self, resources: Resources) -> AppliedLimits:
        """The limits of one attempt."""
        memory = resources.memory_limit_bytes
        return AppliedLimits(
            limits=Limits(
                memory_bytes=self.task_memory_bytes if memory is None else memory,
                cpus=self.task_cpus if resources.cpu_limit is None else resources.cpu_limit,
                processes=self.max_processes,
            ),
            memory_from="setting task_memory_bytes" if memory is None else "the task's memory limit, set_memory_limit",
        )


class AppliedLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt is held to, and who said so."""

    limits: Limits = Limits()
    memory_from: str = ""


class Confinement:
    """How attempts of one home are confined on this machine."""

    def __init__(self, tree: Tree | None, why_not: str = "") -> None:
        self._tree = tree
        #: Why there are no control groups; "" where there are.
        self.why_not = why_not
        #: Groups whose attempts are over, by the limits that they have: making and removing one takes milliseconds.
        self._free: dict[Limits, list[ControlGroup]] = {}
        #: Names of all groups that this object has made.
        self._made: set[str] = set()
        self._token = secrets.token_hex(5)

    @classmethod
    def here(cls, home: Path, total_memory_bytes: int | None = None) -> Confinement:
        """By control groups where they can be made; their names follow from the home alone."""
        name = f"{PREFIX}{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"
        try:
            return cls(find(name, total_memory_bytes=total_memory_bytes))
        except CgroupsUnusable as error:
            return cls(None, str(error))

    @property
    def means(self) -> str:
        """How limits are held here, for people."""
        if self._tree is None:
            return f"memory and processes by a look every second, cores not at all: {self.why_not}"
        missing = [name for name in ("memory", "cpu") if name not in self._tree.bases]
        without = f", without {' and '.join(missing)}" if missing else ""
        return f"control groups, version {self._tree.version}{without}"

    def take(self, limits: Limits, earlier: tuple[str, ...] = ()) -> ControlGroup | None:
        """A group with these limits for one attempt; None where there are no groups. Raises OSError.

        `earlier`: directories of the group that an earlier server had chosen for the same attempt.
        """
        if self._tree is None:
            return None
        if earlier:
            self._tree.make(group := ControlGroup(earlier), limits)
            return group
        free = self._free.get(limits, [])
        while free:
            if (group := free.pop()).begin_again():
                return group
        name = f"{self._token}-{len(self._made)}"
        self._made.add(name)
        group = self._tree.of(name, limits)
        self._tree.make(group, limits)
        return group

    def joins(self, group: ControlGroup | None) -> tuple[str, ...]:
        """The files by which a process enters the group."""
        return () if group is None or self._tree is None else self._tree.joins(group)

    def release(self, group: ControlGroup | None, limits: Limits) -> None:
        """Its attempt is settled. The group is removed, or kept for the next attempt if nothing happened in it.

        Not before the attempt's record is gone: a later server ends all processes in the group of a record.
        """
        if group is None:
            return
        free = self._free.setdefault(limits, [])
        if group.name in self._made and len(free) < _MOST_FREE and group.is_clean():
            free.append(group)
        else:
            group.remove()

    def remove_others(self, keep: set[str]) -> None:
        """End and remove every group of earlier servers whose name is not among these. Blocks; meant for a thread."""
        for group in self._tree.others(keep | self._made) if self._tree else ():
            processes.end(partial(processes.grouped, group), group)
            group.remove()

    def groups(self) -> list[str]:
        """Directories of all groups that attempts are in."""
        free = {group.name for groups in self._free.values() for group in groups}
        return [path for group in (self._tree.others(free) if self._tree else ()) for path in group.directories]

    def close(self) -> None:
        """Remove what is ours and empty; attempts go on in theirs."""
        for group in [group for groups in self._free.values() for group in groups]:
            group.remove()
        self._free.clear()
        if self._tree:
            self._tree.close()


def bounded(argv: tuple[str, ...], memory_bytes: int) -> tuple[str, ...]:
    """The command, so that no process of it gets more memory than all may have, where no group sees to that.

    A look each second comes too late for what fills memory within one.
    """
    return (_SHELL, "-c", 'ulimit -d "$0"; exec "$@"', str(max(1, memory_bytes >> 10)), *argv)


# --- what is found by looking ---------------------------------------------------------------------


def exceeded(held: AppliedLimits, group: ControlGroup | None, members: Iterable[int]) -> Reason | None:
    """Why a running attempt is to be ended. Cheap with a group; without one it looks at each of `members`."""
    if group is not None:
        if group.refused_processes():
            return process_limit(held)
        return out_of_memory(held, group) if group.out_of_memory_kills() else None
    found = list(members)
    most = held.limits.processes
    if most is not None and sum(_threads(pid) for pid in found) > most:
        return process_limit(held)
    memory = held.limits.memory_bytes
    if memory is not None and sum(_resident(pid) for pid in found) > memory and _shared_once(found) > memory:
        return out_of_memory(held, None)
    return None


def _threads(pid: int) -> int:
    return _figure(f"/proc/{pid}/status", b"Threads:")


def _resident(pid: int) -> int:
    return 1024 * _figure(f"/proc/{pid}/status", b"VmRSS:")


def _shared_once(pids: Iterable[int]) -> int:
    """Memory of all of them, where what they share counts once. Dear: the kernel walks their pages for it."""
    return 1024 * sum(_figure(f"/proc/{pid}/smaps_rollup", b"Pss:") for pid in pids)


def _figure(path: str, word: bytes) -> int:
    with contextlib.suppress(OSError), open(path, "rb") as file:  # noqa: PTH123
        for line in file:
            if line.startswith(word):
                return int(line.split()[1])
    return 0


# --- what is said of it ------------------------------------------------------------------------------


def outgrown(held: AppliedLimits, group: ControlGroup | None, outcome: Reason | None) -> Reason | None:
    """The limit for which an attempt has failed; None for no limit. `outcome` is the reason that it gives itself."""
    if group is not None and group.out_of_memory_kills():
        return out_of_memory(held, group)
    if group is not None and group.refused_processes():
        return process_limit(held)
    if outcome is None:
        return None
    if group is None and held.limits.memory_bytes is not None and outcome.code == Code.OUT_OF_MEMORY:
        return out_of_memory(held, None)
    if f"[Errno {errno.ENOSPC}]" in outcome.message or f"[Errno {errno.EDQUOT}]" in outcome.message:
        message = f"The disk that the attempt wrote to is full: {outcome.message}"
        return Reason(code=Code.DISK_FULL, message=message, details=outcome.details)
    return None


def out_of_memory(held: AppliedLimits, group: ControlGroup | None) -> Reason:
    """It was killed for lack of memory: its own limit was reached, or that of all attempts."""
    limit = held.limits.memory_bytes
    if limit is not None and (group is None or group.reached_memory_limit()):
        message = (
            f"The attempt used more memory than its limit of {size(limit)} ({held.memory_from}) and was ended. "
            "Use less, or raise the limit."
        )
        return Reason(
            code=Code.OUT_OF_MEMORY, message=message, details={"limit": limit, "limit_from": held.memory_from}
        )
    message = (
        "Memory ran out: attempts may use as much of this machine's together as the setting machine_memory_bytes says, "
        "and the system ended this one. Let it use less, or give tasks memory requests, so that fewer run at once."
    )
    return Reason(code=Code.OUT_OF_MEMORY, message=message, details={"limit_from": "setting machine_memory_bytes"})


def process_limit(held: AppliedLimits) -> Reason:
    """It wanted too many."""
    limit = held.limits.processes
    message = (
        f"The attempt wanted more than {limit} processes and threads at once (setting max_processes) and was ended."
    )
    return Reason(code=Code.PROCESS_LIMIT, message=message, details={"limit": limit})
