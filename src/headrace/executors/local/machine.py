"""What this machine has for attempts: cores, memory, accelerators; from settings, else as found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from headrace.executors.local.resources import ANY_ACCELERATOR

#: Memory that attempts leave to the system and to us, unless settings say what they may have.
_RESERVE_BYTES = 1 << 30
_RESERVE_SHARE = 0.1


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What all attempts together may use."""

    cpus: float
    memory_bytes: int
    #: Type of accelerator -> its devices' names, as CUDA_VISIBLE_DEVICES has them.
    accelerators: dict[str, tuple[str, ...]] = {}

    def pool(self, kind: str) -> str:
        """Which of our accelerators a document means by its word: many have names for cards of NVIDIA's."""
        if kind in self.accelerators or "nvidia" not in kind.lower():
            return kind
        return ANY_ACCELERATOR

    @classmethod
    def here(
        cls,
        *,
        cpus: float | None = None,
        memory_bytes: int | None = None,
        accelerators: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Machine:
        """What is not given is found: the cores and the memory this process may use itself."""
        return cls(
            cpus=float(len(os.sched_getaffinity(0))) if cpus is None else cpus,
            memory_bytes=_usable_memory() if memory_bytes is None else memory_bytes,
            accelerators=_found_accelerators() if accelerators is None else dict(accelerators),
        )


def _found_accelerators() -> dict[str, tuple[str, ...]]:
    cards = sorted(path.name[6:] for path in Path("/dev").glob("nvidia[0-9]*"))
    return {ANY_ACCELERATOR: tuple(cards)} if cards else {}


def _usable_memory() -> int:
    found = min(_memory_of_machine(), _memory_of_own_group())
    return found - int(min(_RESERVE_BYTES, found * _RESERVE_SHARE))


def _memory_of_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _memory_of_own_group() -> int:
    """The least limit of the groups we are in; more than any machine has when there is none."""
    least = 1 << 62
    for line in _read("/proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names == "":
            places, name = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], "memory.max"
        elif "memory" in names.split(","):
            places, name = [f"/sys/fs/cgroup/{names}"], "memory.limit_in_bytes"
        else:
            continue
        while True:
            for place in places:
                text = _read(f"{place}{path}/{name}").strip()
                least = min(least, int(text)) if text.isdigit() else least
            if path in ("/", ""):
                break
            path = os.path.dirname(path)  # noqa: PTH120 - a path of another world
    return least


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
