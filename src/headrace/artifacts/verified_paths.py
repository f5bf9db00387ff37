"""What files looked like when they were last read whole: while they look the same, they need not be read again."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from pathlib import Path

from headrace.artifacts.content import walk
from headrace.artifacts.port import NotStorable

#: How many artifacts are remembered.
_REMEMBERED = 4096


class VerifiedPaths:
    """By path. For any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, str] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, path: Path) -> None:
        """Its content is known to be right, as it looks now."""
        looks = _appearance(path)
        with self._lock:
            self._known[path] = looks
            self._known.move_to_end(path)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def is_same(self, path: Path) -> bool:
        """Whether it still looks as when it was remembered."""
        with self._lock:
            known = self._known.get(path)
        return bool(known) and known == _appearance(path)

    def knows(self, path: Path) -> bool:
        """Whether it was ever remembered."""
        with self._lock:
            return path in self._known


def _appearance(path: Path) -> str:
    """Names, sizes and times of a file, or of all files of a directory; "" when they cannot be read."""
    try:
        stats = [("", path.lstat())]
        if path.is_dir():
            stats += [(name, file.lstat()) for name, file in walk(path)]
    except (NotStorable, OSError):
        return ""
    found = hashlib.sha256()
    for name, stat in stats:
        found.update(os.fsencode(name) + f"\0{stat.st_ino} {stat.st_size} {stat.st_mtime_ns}\0".encode())
    return found.hexdigest()
