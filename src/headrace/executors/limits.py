"""What an attempt may use, and how it is held to that: by control groups where this machine lets us make them."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from headrace.executors import processes
from headrace.executors.cgroups import CgroupsUnusable, Group, Limits, Tree, find


class Confinement:
    """How attempts of one home are confined on this machine."""

    def __init__(self, tree: Tree | None, why_not: str = "") -> None:
        self._tree = tree
        #: Why there are no control groups; "" where there are.
        self.why_not = why_not

    @classmethod
    def here(cls, home: Path) -> Confinement:
        """By control groups if they are to be had; what they are called follows from the home alone."""
        try:
            return cls(find(f"headrace-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"))
        except CgroupsUnusable as error:
            return cls(None, str(error))

    def of(self, tag: str, limits: Limits) -> Group | None:
        """The group an attempt is to have, not made yet; None where there are none."""
        return self._tree.of(tag, limits) if self._tree else None

    def make(self, group: Group | None, limits: Limits) -> tuple[str, ...]:
        """Make it; the files by which a process enters it. Raises OSError."""
        if group is None or self._tree is None:
            return ()
        self._tree.make(group, limits)
        return self._tree.joins(group)

    def clear(self, keep: set[str]) -> None:
        """End and remove every group that is of none of these tags. Blocks; meant for a thread."""
        for group in self._tree.others(keep) if self._tree else ():
            processes.end(partial(processes.grouped, group), group)
            group.remove()

    def groups(self) -> list[str]:
        """Directories of all groups there are."""
        return [path for group in (self._tree.others(set()) if self._tree else ()) for path in group.directories]

    def close(self) -> None:
        """Remove what is ours and empty; attempts go on in theirs."""
        if self._tree:
            self._tree.close()
