"""The directory of an attempt on disk, and the files that say how far it has come.

<home>/attempts/<run>/<execution>/<number>/
    claim            written by the started process itself, exclusively: the one proof that it was started; its
                     supervisor adds the exit status
    log              stdout and stderr
    unconfined       there when it could not enter its control groups, and so was not run
    ending.json      why we are ending it, written before the first signal
    result.json      the report of its end, unless that follows from the other files
    kept.json        there when what it made is kept, for the next attempt to store (see `storing`)
    work/, outputs/, source/    see `attempt.layout`
<home>/workspaces/<run>/                            what the run's tasks share, where the document asks for it
<home>/attempts/.live/<run>.<execution>.<number>    from launch to settle: what was asked for, and what
                     must be known at its end

Making a file costs more than all else that we do for an attempt, so there are few.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import msgspec

from headrace.attempt.inputs import InputPaths
from headrace.attempt.layout import Layout
from headrace.engine.model import AttemptId

_SAFE = re.compile(r"[A-Za-z0-9_-]{1,128}")
_FEW = 8
T = TypeVar("T")


class AttemptDir(Layout):
    """The directory of one attempt: its layout, and the files by which it is found again."""

    def __init__(self, root: Path, workspace: Path | None = None) -> None:
        super().__init__(root, workspace or root.parent.parent / ".workspace")
        #: Carried by every process of the attempt as a variable: unique among all data directories of this machine.
        self.tag = str(root)

    @cached_property
    def log(self) -> Path:
        """Stdout and stderr."""
        return self.root / "log"

    @cached_property
    def claim(self) -> Path:
        """Whose it is."""
        return self.root / "claim"

    @cached_property
    def unconfined(self) -> Path:
        """Says that it could not enter its control groups."""
        return self.root / "unconfined"

    @cached_property
    def imports(self) -> str:
        """Where an attempt lists the modules that it has imported."""
        return f"{self.tag}/outputs/imports"

    def exists(self) -> bool:
        """Whether an attempt was ever prepared in it."""
        return os.path.isdir(self.tag)  # noqa: PTH112

    def make(self) -> None:
        """Make the directory, with what every attempt has in it."""
        execution = self.tag.rpartition("/")[0]
        try:
            os.mkdir(execution)  # noqa: PTH102 - hot, as all of this
        except FileNotFoundError:
            os.makedirs(execution, exist_ok=True)  # noqa: PTH103
        except FileExistsError:
            pass
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.tag)  # noqa: PTH102
        for directory in ("work", "outputs"):
            with contextlib.suppress(FileExistsError):
                os.mkdir(f"{self.tag}/{directory}")  # noqa: PTH102

    def write(self, name: str, value: object) -> None:
        """Write a file. One that a crash has cut off is as good as none, see `read`."""
        _write(f"{self.tag}/{name}", value)

    def read(self, name: str, kind: type[T]) -> T | None:
        """What a file holds; None when it is not there or not whole."""
        return _read(f"{self.tag}/{name}", kind)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Of several servers over this directory, one at a time."""
        lock = os.open(self.root / ".judging", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def log_problems(self, inputs: InputPaths) -> None:
        """Say in the log which inputs have no path: a command that fails for that should not be a riddle."""
        if inputs.problems:
            with self.log.open("a", encoding="utf-8") as log:
                log.writelines(f"headrace: {one.code}: {one.message}\n" for one in inputs.problems.values())

    def settle(self) -> None:
        """Remove everything but the log, the claim and the result. Blocks as long as that takes."""
        for path in self._to_remove():
            if not _is_removed(path):
                shutil.rmtree(path, ignore_errors=True)

    def _to_remove(self) -> list[str]:
        """Folders that are to go; files are gone already."""
        folders = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.tag) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.name not in ("log", "claim", "result.json"):
                    os.unlink(entry.path)  # noqa: PTH108
        return folders


class AttemptDirs:
    """All attempts under one home."""

    def __init__(self, home: Path, workspaces: Path | None = None, *, shared: bool = False) -> None:
        self.root = home / "attempts"
        #: Other servers write here too, so what cannot be read may be on its way.
        self._shared = shared
        self._workspaces = workspaces or home / "workspaces"
        self._live = self.root / ".live"
        self._live.mkdir(parents=True, exist_ok=True)

    def of(self, attempt: AttemptId) -> AttemptDir:
        """The attempt's directory, which may not exist yet."""
        run, execution = attempt.run_id, attempt.execution_id
        if not _SAFE.fullmatch(run) or attempt.number < 1:
            raise ValueError(f"not an attempt: {attempt!r}")
        return AttemptDir(self.root / run / execution / str(attempt.number), self._workspaces / run)

    def delete(self, run_id: str) -> None:
        """Remove all attempts of a run, and its workspace."""
        if not _SAFE.fullmatch(run_id):
            raise ValueError(f"not a run: {run_id!r}")
        shutil.rmtree(self.root / run_id, ignore_errors=True)
        shutil.rmtree(self._workspaces / run_id, ignore_errors=True)

    def write_record(self, attempt: AttemptId, record: object) -> None:
        """Write down that the attempt is to be looked at after a restart, and what must be known of it then."""
        try:
            _write(self._mark(attempt), record)
        except FileNotFoundError:
            self._live.mkdir(parents=True, exist_ok=True)  # somebody has removed it
            _write(self._mark(attempt), record)

    def read_record(self, attempt: AttemptId, kind: type[T]) -> T | None:
        """What was written down of an attempt that is not settled; None if nothing was."""
        return _read(self._mark(attempt), kind)

    def remove_record(self, attempt: AttemptId) -> None:
        """It is settled."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._mark(attempt))  # noqa: PTH108

    def _mark(self, attempt: AttemptId) -> str:
        return f"{self._live}/{attempt.run_id}.{attempt.execution_id}.{attempt.number}"

    def live(self, kind: type[T]) -> Iterator[tuple[T, AttemptDir]]:
        """Every attempt that any server has launched and not settled."""
        for mark in sorted(self._live.iterdir()) if self._live.is_dir() else ():
            run = mark.name.partition(".")[0]
            attempt_dir = AttemptDir(self.root.joinpath(*mark.name.split(".")), self._workspaces / run)
            record = _read(str(mark), kind)
            if record is not None:
                yield record, attempt_dir
            elif not self._shared:
                mark.unlink(missing_ok=True)  # cut off by a crash, so nothing had been started


def fetched_in_use(home: Path) -> frozenset[str]:
    """Names of the folders in `<home>/fetched` that attempts under way read from."""
    fetched = home / "fetched"
    paths = (Path(path) for record, _ in AttemptDirs(home).live(_RecordFile) for path in record.kept.on_this_machine)
    return frozenset(path.relative_to(fetched).parts[0] for path in paths if path.is_relative_to(fetched))


class _MetaFile(msgspec.Struct):
    on_this_machine: tuple[str, ...] = ()


class _RecordFile(msgspec.Struct):
    """The part of `command.AttemptRecordFile` that names content fetched for an attempt."""

    kept: _MetaFile


def _write(path: str, value: object) -> None:
    data = value if isinstance(value, bytes) else msgspec.json.encode(value)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _read(path: str, kind: type[T]) -> T | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return msgspec.json.decode(file.read(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _is_removed(path: str) -> bool:
    """Remove a folder of few files and no folders, in a tenth of the system calls that `rmtree` takes."""
    try:
        os.rmdir(path)  # noqa: PTH106
    except OSError:
        inside = os.listdir(path)  # noqa: PTH208
        if len(inside) > _FEW:
            return False
        try:
            for name in inside:
                os.unlink(f"{path}/{name}")  # noqa: PTH108
            os.rmdir(path)  # noqa: PTH106
        except OSError:
            return False
    return True
