"""Where an attempt lives on disk, and the files that hold its truth.

<home>/attempts/<run>/<execution>/<number>/
    order.json       what was asked for
    claim            taken by the started process itself, exclusively: the one proof that it was started
    log              stdout and stderr
    exit             its exit status, written by its supervisor
    unconfined       there when it could not enter its control groups, and so was not run
    kept.json        what must be known at its end
    ending.json      why we are ending it, written before the first signal
    result.json      the report of its end
    source/          the component's source and request
    work/            its current directory
    outputs/         what it makes; outcome.json among it tells how it failed
<home>/workspaces/<run>/                            what the run's tasks share, where the document asks for it
<home>/attempts/.live/<run>.<execution>.<number>    exists from launch to settle
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from headrace.engine.model import AttemptId, LaunchOrder, Reason

_SAFE = re.compile(r"[A-Za-z0-9_-]{1,128}")
T = TypeVar("T")


class Place:
    """The directory of one attempt."""

    def __init__(self, path: Path, workspace: Path | None = None) -> None:
        self.path = path
        #: Shared by all tasks of the run; made for the first that names it.
        self.workspace = workspace or path.parent.parent / ".workspace"
        self.log = path / "log"
        self.claim = path / "claim"
        self.exit = path / "exit"
        self.unconfined = path / "unconfined"
        self.source = path / "source"
        self.work = path / "work"
        self.outputs = path / "outputs"
        self.outcome = self.outputs / "outcome.json"
        #: Where its input artifacts are on this machine, by URI; known from its launch on, while this object lives.
        self.handed: dict[str, str] = {}
        #: Why others are not, by URI.
        self.problems: dict[str, Reason] = {}

    @property
    def tag(self) -> str:
        """What marks every process of the attempt: unique among all homes on this machine."""
        return str(self.path)

    def make(self, order: LaunchOrder) -> None:
        """Make the directory, with the order in it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for directory in (self.path, self.work, self.outputs):
            directory.mkdir(exist_ok=True)
        self.write("order.json", order)

    def write(self, name: str, value: object) -> None:
        """Write a file whole or not at all."""
        part = self.path / f".{name}.part"
        part.write_bytes(value if isinstance(value, bytes) else msgspec.json.encode(value))
        part.replace(self.path / name)

    def read(self, name: str, kind: type[T]) -> T | None:
        """What a file holds; None when it is not there or not whole."""
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def free(self) -> None:
        """Remove all but the log, the claim and the result."""
        for name in ("work", "outputs", "source"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in ("order.json", "kept.json", "exit", "ending.json", "variables", "unconfined"):
            (self.path / name).unlink(missing_ok=True)


class Places:
    """All attempts under one home."""

    def __init__(self, home: Path, workspaces: Path | None = None) -> None:
        self.root = home / "attempts"
        self._workspaces = workspaces or home / "workspaces"
        self._live = self.root / ".live"
        self._live.mkdir(parents=True, exist_ok=True)

    def of(self, attempt: AttemptId) -> Place:
        """The attempt's place, which may not exist yet."""
        run, execution = attempt.run_id, attempt.execution_id
        if not _SAFE.fullmatch(run) or attempt.number < 1:
            raise ValueError(f"not an attempt: {attempt!r}")
        return Place(self.root / run / execution / str(attempt.number), self._workspaces / run)

    def remove(self, run_id: str) -> None:
        """Remove all attempts of a run, and its workspace."""
        if not _SAFE.fullmatch(run_id):
            raise ValueError(f"not a run: {run_id!r}")
        shutil.rmtree(self.root / run_id, ignore_errors=True)
        shutil.rmtree(self._workspaces / run_id, ignore_errors=True)

    def mark_live(self, attempt: AttemptId) -> None:
        """Note that the attempt is to be looked at after a restart."""
        self._mark(attempt).touch()

    def unmark_live(self, attempt: AttemptId) -> None:
        """It is settled."""
        self._mark(attempt).unlink(missing_ok=True)

    def _mark(self, attempt: AttemptId) -> Path:
        return self._live / f"{attempt.run_id}.{attempt.execution_id}.{attempt.number}"

    def live(self) -> Iterator[tuple[LaunchOrder, Place]]:
        """Every attempt launched and not settled, whoever launched it."""
        for mark in sorted(self._live.iterdir()):
            run = mark.name.partition(".")[0]
            place = Place(self.root.joinpath(*mark.name.split(".")), self._workspaces / run)
            order = place.read("order.json", LaunchOrder)
            if order is None:
                mark.unlink(missing_ok=True)
            else:
                yield order, place
