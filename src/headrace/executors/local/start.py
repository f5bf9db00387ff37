"""Starts an attempt: prepares its command, waits for a place on the machine, and starts its first process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from headrace.attempt.order import LaunchOrder
from headrace.attempt.workspace import uses_workspace
from headrace.engine.model import Reason
from headrace.executors.local import processes
from headrace.executors.local.admission import Admission
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.command import AttemptMeta, AttemptRecordFile, Command
from headrace.executors.local.facilities import Facilities
from headrace.executors.local.limits import bounded
from headrace.executors.local.outcome import out_of_memory_kills
from headrace.executors.local.processes import ProcessIdentity
from headrace.executors.local.resources import Allocation, Resources, resources_of
from headrace.executors.local.supervisor import spawn
from headrace.executors.local.warm import ForkedProcess
from headrace.executors.port import LACKING
from headrace.failpoints import failpoint
from headrace.spec.settings import GIVING, without_effect

_MAY_START_LOOK_S = 0.1


@dataclass(frozen=True, kw_only=True)
class StartedProcess:
    """What was started."""

    identity: ProcessIdentity
    command: Command
    meta: AttemptMeta
    #: Set when a parent has forked it; else a supervisor of our own watches over it.
    forked: ForkedProcess | None


async def start(
    order: LaunchOrder,
    attempt_dir: AttemptDir,
    shared: Facilities,
    waiting: Callable[[Reason], None],
    earlier: AttemptRecordFile | None = None,
) -> StartedProcess:
    """Start the attempt's first process. Raises Refusal and OSError.

    `earlier` is what an earlier server has written down of the attempt. `waiting` gets what it waits for. On its way
    the attempt is written down, so that a later server knows of it.
    """
    attempt_dir.make()
    resources = resources_of(order.container.resources if order.container else {})
    shared.admission.check(resources)
    command, meta = await shared.builders[shared.choose(order)].build(order, attempt_dir, waiting)
    applied = shared.allowance.limits(resources)
    if meta.fetched_paths:
        # Content that was fetched must not be removed while the attempt waits for a place.
        shared.dirs.write_record(order.attempt, AttemptRecordFile(order=order, meta=meta))
    allocation = await _admit(shared.admission, resources, waiting)
    group = None
    try:
        if not meta.container:
            # A supervisor that an earlier server has just started would put its command into that server's group.
            group = shared.confinement.take(applied.limits, earlier.meta.group if earlier else ())
        meta = msgspec.structs.replace(
            meta,
            out_of_memory_kills=out_of_memory_kills(),
            surroundings={**meta.surroundings, **surroundings_of(order)},
            group=group.directories if group else (),
            applied=applied,
            allocation=allocation,
        )
        shared.dirs.write_record(order.attempt, AttemptRecordFile(order=order, meta=meta))
        while not shared.may_start():  # noqa: ASYNC110 - time passes, or the run is another server's
            await asyncio.sleep(_MAY_START_LOOK_S)
        command = _with_allocation(command, meta, allocation)
        joins = shared.confinement.joins(group)
        failpoint("spawn.before")
        forked = await shared.warm.start(command, attempt_dir, joins)
        pid = forked.pid if forked else spawn(attempt_dir, command.argv, command.env, joins, command.request)
        failpoint("spawn.after")
    except BaseException:
        if group is not None:
            group.remove()  # its name is in the record, so no other attempt may use it
        shared.admission.release(allocation)
        raise
    return StartedProcess(identity=processes.identity_of(pid), command=command, meta=meta, forked=forked)


async def _admit(admission: Admission, resources: Resources, waiting: Callable[[Reason], None]) -> Allocation:
    allocation = admission.take_now(resources)
    if allocation is None:
        waiting(admission.why(resources))
        allocation = await admission.take(resources)
    return allocation


def _with_allocation(command: Command, meta: AttemptMeta, allocation: Allocation) -> Command:
    """The command with the devices that are its own, and bounds where no group gives it any."""
    if allocation.devices and not meta.container:
        devices = ",".join(allocation.devices)
        command = msgspec.structs.replace(command, env={**command.env, "CUDA_VISIBLE_DEVICES": devices})
    memory = meta.applied.limits.memory_bytes
    if not meta.container and not meta.group and memory is not None:
        return msgspec.structs.replace(command, argv=bounded(command.argv, memory), warm=False)
    return command


def surroundings_of(order: LaunchOrder) -> dict[str, str]:
    """What every kind of task runs in. See `Executor.surroundings`."""
    # The content of a workspace differs with each run, and it is not known what a task reads there.
    workspace = {"workspace": f"of run {order.attempt.run_id}"} if uses_workspace(order) else {}
    lacking = [name for name in without_effect(order.kubernetes) if name in GIVING]
    return {**workspace, **({LACKING: ", ".join(lacking)} if lacking else {})}
