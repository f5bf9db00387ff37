"""What a disk may hold after the power went: everything that was synced, and of the rest whatever it likes.

The rules, which are harsher than any one file system's: an unsynced write is lost, there, or torn at a sector of 512
bytes, each by itself and in any order; an unsynced change of a directory is there or not, each by itself (a rename as
one: it is atomic on every file system we know); a file that was never synced holds nothing anybody may rely upon.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from powerloss.recorder import Acknowledged, DirectorySynced, Entries, FileSynced, Synced, Truncated, Written

_SECTOR = 512


class Found(NamedTuple):
    """A disk, when the power is back."""

    #: Directory -> its names.
    entries: dict[int, dict[str, int]]
    #: Files whose content was synced by whoever wrote them.
    contents: dict[int, bytes]
    #: SQLite's files.
    written: dict[int, bytes]


class Disk:
    """Follows a log of operations; `crashed` may be asked at any point of it."""

    def __init__(self) -> None:
        self.entries: dict[int, dict[str, int]] = {}
        self.moving: list[Entries] = []
        self.contents: dict[int, bytes] = {}
        self.durable: dict[int, bytearray] = {}
        self.pending: dict[int, list[Written | Truncated]] = {}
        #: Run -> version that was acknowledged; None when it must be gone.
        self.acknowledged: dict[str, int | None] = {}
        #: Runs that are being deleted.
        self.going: set[str] = set()

    def apply(self, operation: Any) -> None:
        match operation:
            case Entries():
                self.moving.append(operation)
            case DirectorySynced(directory, entries):
                for move in [m for m in self.moving if any(d == directory for d, _, _ in m.changes)]:
                    _move(self.entries, move)
                    self.moving.remove(move)
                self.entries[directory] = dict(entries)
            case FileSynced(file, content):
                self.contents[file] = content
            case Written(file) | Truncated(file):
                self.pending.setdefault(file, []).append(operation)
            case Synced(file):
                content = self.durable.setdefault(file, bytearray())
                for change in self.pending.pop(file, ()):
                    _write(content, change, None)
            case Acknowledged(runs):
                for run_id, version in runs.items():
                    if version == -1:
                        self.going.add(run_id)
                    else:
                        self.acknowledged[run_id] = version

    def crashed(self, rng: Random) -> Found:
        """One of the states in which this disk may be found, were the power to go now."""
        chance = rng.choice((0.0, 1.0, rng.random(), rng.random()))
        entries = {directory: dict(names) for directory, names in self.entries.items()} if self.moving else self.entries
        for move in self.moving:
            if rng.random() < chance:
                _move(entries, move)
        written = {file: bytes(content) for file, content in self.durable.items() if file not in self.pending}
        for file, changes in self.pending.items():
            content = bytearray(self.durable.get(file, b""))
            for change in _some(changes, chance, rng):
                _write(content, change, rng if rng.random() < 0.2 else None)
            written[file] = bytes(content)
        return Found(entries, self.contents, written)


def _some(changes: list[Any], chance: float, rng: Random) -> Iterator[Any]:
    for change in changes:
        if rng.random() < chance:
            yield change


def _move(entries: dict[int, dict[str, int]], move: Entries) -> None:
    for directory, name, file in move.changes:
        names = entries.setdefault(directory, {})
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file


def _write(content: bytearray, change: Written | Truncated, torn: Random | None) -> None:
    """Change the content; with `torn`, only some of the sectors."""
    if isinstance(change, Truncated):
        del content[change.size :]
        return
    end = change.offset + len(change.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if torn is None:
        content[change.offset : end] = change.data
        return
    at = change.offset
    while at < end:
        stop = min(end, (at // _SECTOR + 1) * _SECTOR)
        if torn.random() < 0.5:
            content[at:stop] = change.data[at - change.offset : stop - change.offset]
        at = stop
