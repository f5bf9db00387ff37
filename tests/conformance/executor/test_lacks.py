"""A machine that has no descriptors or disk space for a moment: attempts wait, and what they came to is not lost."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.artifacts.local import LocalStore
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.port import Failed, Started, Succeeded, Waiting

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", ["process"], indirect=True)]


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """This process cannot open a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def waits_for(path: Path, end: str) -> str:
    return f"def f():\n    import os, time\n    while not os.path.exists({str(path)!r}):\n        time.sleep(0.01)\n    {end}\n"


@pytest.mark.parametrize(("end", "kind_of_end"), [("pass", Succeeded), ("raise ValueError('no')", Failed)])
async def test_without_descriptors_an_end_is_what_it_is(
    home: Path, open_watch: Any, order: Any, tmp_path: Path, end: str, kind_of_end: type
) -> None:
    watch = open_watch(home)
    asked = order(waits_for(tmp_path / "go", end))
    await watch.executor.launch(asked)
    await watch.until(asked.attempt, Started)
    with no_descriptors():
        (tmp_path / "go").mkdir()  # needs no descriptor
        waiting = await watch.until(asked.attempt, Waiting, after=len(watch.seen))
    assert waiting.reason.code == "STORING_OUTPUTS"
    assert isinstance(report := await watch.end_of(asked.attempt), kind_of_end)
    if isinstance(report, Failed):
        assert report.error.code == "USER_EXCEPTION"


async def test_without_descriptors_an_attempt_waits_for_its_start(home: Path, open_watch: Any, order: Any) -> None:
    watch = open_watch(home)
    first = order("def g():\n    pass\n", path="first")
    await watch.executor.launch(first)  # it makes the environment
    await watch.end_of(first.attempt)
    asked = order("def f():\n    pass\n")
    with no_descriptors():
        await watch.executor.launch(asked)
        waiting = await watch.until(asked.attempt, Waiting)
    assert waiting.reason.code == "WAITING_FOR_SYSTEM"
    assert os.strerror(errno.EMFILE) in waiting.reason.message
    assert isinstance(await watch.end_of(asked.attempt), Succeeded)


class _FullDisk(LocalStore):
    """A store whose disk is full until it is emptied."""

    full = True

    def _seal(self, incoming: Path) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(incoming))
        super()._seal(incoming)


async def test_a_full_disk_costs_no_finished_work(home: Path, open_watch: Any, order: Any, tmp_path: Path) -> None:
    store = _FullDisk(home / "artifacts")
    watch = open_watch(home, artifacts=store)
    source = "def f(out: Output[Dataset]):\n    open(out.path, 'w').write('content')\n"
    asked = order(source, makes={"out": "system.Dataset"})
    await watch.executor.launch(asked)
    waiting = await watch.until(asked.attempt, Waiting)
    assert (waiting.reason.code, "DISK_FULL" in waiting.reason.message) == ("STORING_OUTPUTS", True)
    store.full = False
    report = await watch.end_of(asked.attempt)
    assert isinstance(report, Succeeded), report
    assert await store.exists(report.artifacts["out"][0].uri, digest=report.artifacts["out"][0].digest)


async def test_a_full_disk_delays_a_start(
    home: Path, open_watch: Any, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True]
    make = AttemptDir.make

    def refuse(self: AttemptDir) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.root))
        make(self)

    monkeypatch.setattr(AttemptDir, "make", refuse)
    watch = open_watch(home)
    asked = order("def f():\n    pass\n")
    await watch.executor.launch(asked)
    waiting = await watch.until(asked.attempt, Waiting)
    assert waiting.reason.code == "WAITING_FOR_SYSTEM"
    assert os.strerror(errno.ENOSPC) in waiting.reason.message
    full[0] = False
    assert isinstance(await watch.end_of(asked.attempt), Succeeded)
