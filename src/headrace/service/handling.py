"""Which runs this process is handling: notes that survive it, so that a run that ends servers is found out.

A note is a small file in the data directory, written before a run is loaded, its events are folded or its next step is
worked out, and emptied afterwards. It stays locked as long as its process lives. The next server counts, for each run
in a note without a process, one crash. The system keeps what was written when a process is killed, so nothing has to
wait for the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

_FOLDER = "handling"
_log = logging.getLogger(__name__)


class HandlingNotes:
    """The notes of this process."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a path nothing is noted."""
        self._ids: Counter[str] = Counter()
        #: Runs that were being handled when a server died: one of them did it, perhaps.
        self._suspects: set[str] = set()
        self._path = path
        self._file = -1
        if path is not None:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)

    @classmethod
    def open(cls, home: Path) -> tuple[HandlingNotes, Counter[str]]:
        """The notes of this process, and how many processes died while they handled each of these runs.

        Without room for a note there is none: a full disk must not keep a server from starting.
        """
        folder = home / _FOLDER
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            return cls(folder / uuid.uuid4().hex), _left_behind(folder)
        except OSError:
            _log.warning("what is being handled cannot be noted in %s", folder, exc_info=True)
            return cls(), Counter()

    def suspect(self, run_id: str) -> None:
        """Handle this run by itself from now on, so that the next crash says which run it was."""
        self._suspects.add(run_id)

    def apart(self, run_ids: Iterable[str]) -> list[list[str]]:
        """These runs in groups to be handled one after the other: each suspect by itself, all others together."""
        ids = list(run_ids)
        alone = [[run_id] for run_id in ids if run_id in self._suspects]
        together = [run_id for run_id in ids if run_id not in self._suspects]
        return [together, *alone] if together else alone

    @contextlib.contextmanager
    def of(self, run_ids: Iterable[str]) -> Iterator[None]:
        """Note that these runs are being handled."""
        ids = list(run_ids)
        self._ids.update(ids)
        self._write()
        try:
            yield
        finally:
            self._ids.subtract(ids)
            self._ids = +self._ids
            self._write()

    def _write(self) -> None:
        if self._file < 0:
            return
        text = "".join(f"{run_id}\n" for run_id in self._ids).encode()
        # Without the note, too, the run is handled.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))

    def close(self) -> None:
        """Nothing is handled any more."""
        if self._file >= 0 and self._path is not None:
            os.close(self._file)
            self._file = -1
            self._path.unlink(missing_ok=True)


def _left_behind(folder: Path) -> Counter[str]:
    """How often each run is named by the notes of processes that are gone; the notes go too."""
    found: Counter[str] = Counter()
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.update(os.read(descriptor, 1 << 20).decode("ascii", "replace").split())
                path.unlink()
            except BlockingIOError:
                continue  # its process lives
            finally:
                os.close(descriptor)
    return found
