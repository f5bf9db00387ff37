"""Control groups of the Linux kernel, by files alone: where ours may be made, what they hold, how they are ended.

An attempt's group is the exact answer to which processes are the attempt's: children begin in it, whatever
variables, sessions and parents they drop. Version 2 of the kernel's interface has one directory for everything,
version 1 one for each controller; both are used the same way here. Nothing in this module knows of attempts or
processes beyond their numbers, and every path starts from what `/proc` says, so a made-up tree serves as well.

Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html and the `cgroup-v1` pages beside it.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

#: What we use; without the first there is no group at all.
CONTROLLERS = ("pids", "memory", "cpu")
#: How the directory of each home's groups is called.
PREFIX = "headrace-"
#: Where a server that was given a subtree of its own puts itself: only leaves may hold processes (version 2).
_SERVER_LEAF = "headrace-server"
_PERIOD_US = 100_000
#: The kernel counts in pages, and takes less than one for none at all.
_PAGE = os.sysconf("SC_PAGE_SIZE")
_REMOVALS = 50


class CgroupsUnusable(Exception):
    """Groups cannot be made here; the text says why, as a sentence for a person."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a group may use; None: as much as there is."""

    memory_bytes: int | None = None
    #: Cores, as a share of time: 0.5 is half of one.
    cpus: float | None = None
    processes: int | None = None


class ControlGroup:
    """One group, made or yet to be made, in one directory (version 2) or several (version 1)."""

    def __init__(self, directories: tuple[str, ...]) -> None:
        #: The first one holds the group's processes and counts them.
        self.directories = directories
        self.name = os.path.basename(directories[0])  # noqa: PTH119 - hot

    def members(self) -> list[int]:
        """Ids of its processes, those in groups below it too. Cheap: one small file."""
        return [pid for directory in _with_inner(self.directories[0]) for pid in _numbers(f"{directory}/cgroup.procs")]

    def end(self) -> None:
        """Kill all of it where the kernel can; else see to it that it cannot grow while it is killed one by one."""
        directory = self.directories[0]
        if not _write(f"{directory}/cgroup.kill", "1"):
            _write(f"{directory}/pids.max", "0")

    def remove(self) -> bool:
        """Remove it once it is empty; False when something in it lives on."""
        removed = [_removed(directory) for directory in self.directories]
        return all(removed)

    # what happened in it ------------------------------------------------------------------------

    def out_of_memory_kills(self) -> int:
        """How many of its processes were killed for lack of memory, by its own limit or a wider one."""
        return self._counted("memory.events", "oom_kill") + self._counted("memory.oom_control", "oom_kill")

    def tells_memory(self) -> bool:
        """Whether it counts processes that were killed for lack of memory."""
        names = ("memory.events", "memory.oom_control")
        return any(os.path.exists(f"{directory}/{name}") for directory in self.directories for name in names)  # noqa: PTH110

    def reached_memory_limit(self) -> bool:
        """Whether its own limit was what it came to."""
        # Version 1 also counts failures, but not those that met the limit with swap first.
        most, limit = self._figure("memory.max_usage_in_bytes"), self._figure("memory.limit_in_bytes")
        return self._counted("memory.events", "oom") > 0 or most >= limit > 0

    def refused_processes(self) -> int:
        """How often it could not have one more process (or thread)."""
        return self._counted("pids.events", "max")

    def is_clean(self) -> bool:
        """Whether it is empty and nothing has happened in it that would be reported of an attempt."""
        happened = self.refused_processes() or self.out_of_memory_kills() or self._counted("memory.events", "oom")
        return not happened and not self.members()

    def begin_again(self) -> bool:
        """Make a clean group ready for another attempt; False when it is gone."""
        for directory in self.directories:
            _write(f"{directory}/memory.max_usage_in_bytes", "0")
        return all(os.path.exists(directory) for directory in self.directories)  # noqa: PTH110 - hot

    def _counted(self, name: str, word: str) -> int:
        for directory in self.directories:
            for line in _read(f"{directory}/{name}").splitlines():
                key, _, value = line.partition(" ")
                if key == word:
                    return int(value)
        return 0

    def _figure(self, name: str) -> int:
        return sum(int(_read(f"{directory}/{name}") or 0) for directory in self.directories)


class Tree:
    """The part of the kernel's groups that belongs to one home; made when it is first needed."""

    def __init__(self, version: int, bases: Mapping[str, str]) -> None:
        self.version = version
        #: Our directory for each controller that we have.
        self.bases = dict(bases)
        #: What all groups may use together.
        self.total_memory_bytes: int | None = None

    def of(self, name: str, limits: Limits) -> ControlGroup:
        """The group of this name; not made yet. On version 1 with as few directories as will do."""
        asked = {"pids", "memory"}  # memory also without a limit: it counts what was killed for lack of it
        asked |= {"cpu"} if limits.cpus is not None else set()
        found = [self.bases[one] for one in CONTROLLERS if one in asked and one in self.bases]
        return ControlGroup(tuple(f"{base}/{name}" for base in dict.fromkeys(found)))

    def make(self, group: ControlGroup, limits: Limits) -> None:
        """Make its directories and set its limits. Raises OSError."""
        for directory in group.directories:
            try:
                os.mkdir(directory)  # noqa: PTH102 - hot
            except FileNotFoundError:
                # Another server may have cleared away what was empty (see `clear_away`), perhaps again just now.
                self.open()
                os.makedirs(directory, exist_ok=True)  # noqa: PTH103
            except FileExistsError:
                pass
            # Half of an attempt is useless: a process that waits for one that was killed may wait forever.
            _write(f"{directory}/memory.oom.group", "1")
            _limit(directory, limits)

    def joins(self, group: ControlGroup) -> tuple[str, ...]:
        """Files into which a process writes 0 to enter the group, before it runs anything of the user's."""
        return tuple(f"{directory}/cgroup.procs" for directory in group.directories)

    def open(self) -> None:
        """Make our directories, with the limit of all groups together. Raises OSError."""
        for base in dict.fromkeys(self.bases.values()):
            with contextlib.suppress(FileExistsError):
                os.mkdir(base)  # noqa: PTH102
            if self.version == 2:
                _enable(base)
            _limit(base, Limits(memory_bytes=self.total_memory_bytes))

    def others(self, keep: set[str]) -> list[ControlGroup]:
        """Groups of ours that are none of those with these names: what earlier servers have left."""
        found: dict[str, list[str]] = {}
        for base in dict.fromkeys(self.bases[name] for name in CONTROLLERS if name in self.bases):
            with contextlib.suppress(OSError), os.scandir(base) as entries:
                for entry in entries:
                    if entry.is_dir() and entry.name not in keep:
                        found.setdefault(entry.name, []).append(entry.path)
        return [ControlGroup(tuple(paths)) for paths in found.values()]

    def clear_away(self) -> None:
        """Remove empty directories beside ours, of servers that were killed. One that lives makes its own again."""
        for base in dict.fromkeys(self.bases.values()):
            place = os.path.dirname(base)  # noqa: PTH120
            with contextlib.suppress(OSError):
                for name in os.listdir(place):  # noqa: PTH208
                    if name.startswith(PREFIX) and name != _SERVER_LEAF and f"{place}/{name}" != base:
                        with contextlib.suppress(OSError):
                            os.rmdir(f"{place}/{name}")  # noqa: PTH106

    def close(self) -> None:
        """Remove our directories if no group is left in them."""
        for base in dict.fromkeys(self.bases.values()):
            with contextlib.suppress(OSError):
                os.rmdir(base)  # noqa: PTH106


# --- where groups may be made --------------------------------------------------------------------


class _Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A mounted hierarchy, and where in it we are."""

    version: int
    #: Version 1 only; version 2 says it in each directory.
    controllers: frozenset[str]
    point: str
    own: str


def find(name: str, proc: Path = Path("/proc"), *, total_memory_bytes: int | None = None) -> Tree:
    """A tree called `name` where this process may make one. Makes it, empty, to be sure. Raises CgroupsUnusable.

    `total_memory_bytes` is what all its groups may use together.
    """
    mounts = list(_mounts(proc))
    if not mounts:
        raise CgroupsUnusable("This system has no control groups mounted.")
    reasons = []
    for candidate in (_version_2, _version_1):
        try:
            tree = candidate(name, mounts)
            tree.total_memory_bytes = total_memory_bytes
            tree.open()
            tree.clear_away()
            return tree
        except CgroupsUnusable as error:
            reasons.append(str(error))
        except OSError as error:
            reasons.append(f"{error.filename}: {error.strerror}.")
    raise CgroupsUnusable(" ".join(reasons))


def _version_2(name: str, mounts: list[_Mount]) -> Tree:
    for mount in mounts:
        if mount.version != 2:
            continue
        for place in (*_given_to_us(mount.own), *([mount.point] if os.access(mount.point, os.W_OK) else [])):
            there = set(_read(f"{place}/cgroup.controllers").split())
            if {"pids", "memory"} <= there:
                _enable(place)
                return Tree(2, {one: f"{place}/{name}" for one in CONTROLLERS if one in there})
        raise CgroupsUnusable(
            "No subtree of version 2 is given to this server with the controllers pids and memory; "
            "start it with: systemd-run --user --scope -p Delegate=yes headrace up."
        )
    raise CgroupsUnusable("There are no control groups of version 2.")


def _given_to_us(own: str) -> Iterator[str]:
    """Our own group, where we are alone in it: then it is ours to divide, and we move into a part of it."""
    parent, leaf = os.path.split(own)
    if leaf == _SERVER_LEAF:
        yield parent
    elif os.access(f"{own}/cgroup.subtree_control", os.W_OK) and _numbers(f"{own}/cgroup.procs") == [os.getpid()]:
        with contextlib.suppress(FileExistsError):
            os.mkdir(f"{own}/{_SERVER_LEAF}")  # noqa: PTH102
        if _write(f"{own}/{_SERVER_LEAF}/cgroup.procs", str(os.getpid())):
            yield own


def _version_1(name: str, mounts: list[_Mount]) -> Tree:
    bases = {
        controller: f"{mount.own}/{name}"
        for controller in CONTROLLERS
        for mount in mounts
        if mount.version == 1 and controller in mount.controllers and os.access(mount.own, os.W_OK)
    }
    if "pids" not in bases:
        raise CgroupsUnusable("The control groups of version 1 are absent or not ours to divide.")
    return Tree(1, bases)


def _mounts(proc: Path) -> Iterator[_Mount]:
    own = dict(_own_paths(proc))
    for line in _read(f"{proc}/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        root, point = (_unescaped(word) for word in before.split()[3:5])
        kind, _, options = (*after.split(), "", "")[:3]
        if kind not in ("cgroup", "cgroup2"):
            continue
        controllers = frozenset(options.split(",")) & set(CONTROLLERS) if kind == "cgroup" else frozenset()
        path = next((own[one] for one in controllers if one in own), None) if controllers else own.get("")
        if kind == "cgroup" and not controllers:
            continue
        within = None if path is None else os.path.relpath(path, root)
        if within is not None and not within.startswith(".."):
            place = os.path.normpath(f"{point}/{within}")
            yield _Mount(version=2 if kind == "cgroup2" else 1, controllers=controllers, point=point, own=place)


def _own_paths(proc: Path) -> Iterator[tuple[str, str]]:
    """Each controller with our path in its hierarchy; version 2 is the empty name."""
    for line in _read(f"{proc}/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        yield from ((name, path) for name in names.split(","))


def _unescaped(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), word)


# --- files -----------------------------------------------------------------------------------------


def _enable(directory: str) -> None:
    """Let the groups below have what this one has of what we use (version 2)."""
    path = f"{directory}/cgroup.subtree_control"
    missing = set(_read(f"{directory}/cgroup.controllers").split()) & set(CONTROLLERS) - set(_read(path).split())
    if missing:
        Path(path).write_text(" ".join(f"+{name}" for name in sorted(missing)))


def _limit(directory: str, limits: Limits) -> None:
    """Write what the directory's controllers take of the limits; files that are not there belong to others."""
    if limits.processes is not None:
        _write(f"{directory}/pids.max", str(limits.processes))
    if limits.memory_bytes is not None:
        # Without swap: a limit that pages to disk would make the machine slow instead of the attempt small.
        text = str(max(_PAGE, limits.memory_bytes))
        if _write(f"{directory}/memory.max", text):
            _write(f"{directory}/memory.swap.max", "0")
        elif _write(f"{directory}/memory.limit_in_bytes", text):
            _write(f"{directory}/memory.memsw.limit_in_bytes", text)
    if limits.cpus is not None:
        quota = max(1000, round(limits.cpus * _PERIOD_US))
        if not _write(f"{directory}/cpu.max", f"{quota} {_PERIOD_US}"):
            _write(f"{directory}/cpu.cfs_quota_us", str(quota))


def _with_inner(directory: str) -> Iterator[str]:
    """The directory and all below it; a directory of cgroupfs has a link for each one in it."""
    yield directory
    with contextlib.suppress(OSError):
        if os.stat(directory).st_nlink > 2:  # noqa: PTH116
            with os.scandir(directory) as entries:
                inner = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
            for path in inner:
                yield from _with_inner(path)


def _removed(directory: str) -> bool:
    """A group whose last process has just died may be busy for a moment."""
    for path in reversed(list(_with_inner(directory))):
        for _ in range(_REMOVALS):
            try:
                os.rmdir(path)  # noqa: PTH106
                break
            except FileNotFoundError:
                break
            except OSError:
                if _numbers(f"{path}/cgroup.procs"):
                    return False
                time.sleep(0.002)
    return not os.path.exists(directory)  # noqa: PTH110


def _numbers(path: str) -> list[int]:
    return [int(word) for word in _read(path).split()]


def _read(path: str) -> str:
    """What the file says; nothing when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - hot
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> bool:
    """False when there is no such file or the kernel does not take it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(descriptor, text.encode())
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
