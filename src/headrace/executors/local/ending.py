"""Ends attempts: a polite signal to all processes, a grace period, then an end that cannot be refused."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from headrace.executors.local import processes
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.cgroups import ControlGroup
from headrace.executors.local.command import AttemptMeta
from headrace.executors.local.processes import ProcessIdentity, ProcessSet
from headrace.threads import ThreadPool

_BETWEEN_KILLS_S = 0.1
_BETWEEN_LOOKS_S = 0.05
_threads = ThreadPool(64)
_log = logging.getLogger(__name__)
T = TypeVar("T")


def process_set(
    first: ProcessIdentity, attempt_dir: AttemptDir, meta: AttemptMeta | None, *, seen_alive: bool
) -> ProcessSet:
    """The attempt's processes, by their session, tag and group. The engine ends those inside of a container."""
    tag = "" if meta is not None and meta.container else attempt_dir.tag
    return ProcessSet(first, tag, group=control_group(meta), seen_alive=seen_alive)


def control_group(meta: AttemptMeta | None) -> ControlGroup | None:
    """The group that the attempt is in; None where there is none."""
    return ControlGroup(meta.group) if meta is not None and meta.group else None


async def end_processes(found: ProcessSet, ended: asyncio.Event, grace_s: float) -> None:
    """Send SIGTERM, wait at most `grace_s` until `ended`, then kill until it is set."""
    processes.send(await _members(found), signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), grace_s)
    while not ended.is_set():
        if found.group is not None:
            found.group.end()
        processes.send(await _members(found), signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _BETWEEN_KILLS_S)


async def end_unwatched(found: ProcessSet, grace_s: float) -> None:
    """As `end_processes`, for an attempt that no server follows any more."""
    processes.send(await _members(found), signal.SIGTERM)
    await until_gone(found, time.monotonic() + grace_s)
    await in_own_thread(partial(kill_all, found))
    processes.reap(found.first.pid)


async def in_own_thread(work: Callable[[], T]) -> T:
    """Ending waits for no other work: it has threads of its own."""
    return await _threads.run(work)


async def _members(found: ProcessSet) -> Mapping[int, int]:
    """Whom there is to end. None when the machine cannot say that now: the next look may."""
    try:
        return await in_own_thread(found.members)
    except (OSError, RuntimeError):
        _log.warning("the processes of an attempt cannot be looked for now", exc_info=True)
        return {}


async def until_gone(found: ProcessSet, until: float) -> None:
    """Wait until no process is left, or until that time of the monotonic clock."""
    while time.monotonic() < until:
        if not await _members(found):
            return
        await asyncio.sleep(_BETWEEN_LOOKS_S)


def kill_all(found: ProcessSet) -> None:
    """Kill whatever the attempt left running, and wait until it is gone. Blocks."""
    processes.end(found.members, found.group)
