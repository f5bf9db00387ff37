"""How an attempt whose process has ended came out, from the files that it left. Blocks; meant for a thread."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from headrace.attempt.artifact_access import ArtifactAccess
from headrace.attempt.codes import Code
from headrace.attempt.order import LaunchOrder
from headrace.attempt.result import ResultFailed
from headrace.attempt.ship import ship
from headrace.engine.model import AttemptId, Reason
from headrace.executors.local import limits, processes
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.cgroups import ControlGroup
from headrace.executors.local.command import AttemptMeta, CommandBuilder
from headrace.executors.local.processes import ProcessIdentity
from headrace.executors.local.supervisor import signal_name
from headrace.executors.port import AnyReport, Failed, Lost, Stopped, Succeeded

#: Code in `ending.json` for an end that was asked for; never reported, since Stopped says it.
STOPPED = "STOPPED"
#: Bytes of the log's end that a builder may look at.
_LOG_END_BYTES = 4096
#: With less room than this an exit status could not be written down.
_NO_ROOM = 64 * 1024


class StoreAway(Exception):
    """What the attempt made is whole, and its store cannot take it now; the text says why."""


def determine_outcome(
    order: LaunchOrder,
    attempt_dir: AttemptDir,
    claim: ProcessIdentity,
    meta: AttemptMeta,
    status: int | None,
    builder: CommandBuilder,
    artifacts: ArtifactAccess,
    max_parameter_bytes: int,
    seen: Reason | None = None,
) -> AnyReport:
    """The attempt's last report. `status` is its exit status, None when it has left none.

    `seen` is why it failed, if the container engine knows that. Raises StoreAway, and OSError, when it cannot be known
    or stored now: calling it again later goes on where it was.
    """
    at = time.time() if status is None else processes.ended_at(attempt_dir.claim)
    ending = attempt_dir.read("ending.json", Reason)
    if ending is not None:
        if ending.code == Code.LOG_LIMIT:
            _cut(attempt_dir.log, ending)
        return Stopped(attempt=order.attempt, at=at) if ending.code == STOPPED else _failed(order.attempt, at, ending)
    if claim.boot not in ("", processes.boot_id()):
        return lost(order.attempt, at, "The machine was restarted while the attempt was running.")
    if status == 0:
        return store_outputs(order, attempt_dir, meta, artifacts, max_parameter_bytes, at)
    return _failed_or_lost(order, attempt_dir, meta, status, builder, at, seen)


def _failed_or_lost(
    order: LaunchOrder,
    attempt_dir: AttemptDir,
    meta: AttemptMeta,
    status: int | None,
    builder: CommandBuilder,
    at: float,
    seen: Reason | None,
) -> AnyReport:
    if attempt_dir.unconfined.exists():
        message = f"The attempt could not enter its control group, so it was not begun. {log_end(attempt_dir.log)}"
        return _failed(order.attempt, at, Reason(code=Code.LAUNCH_FAILED, message=message))
    outcome = attempt_dir.read("outputs/outcome.json", Reason)
    group = ControlGroup(meta.group) if meta.group else None
    if (reason := seen or limits.outgrown(meta.applied, group, outcome) or outcome) is not None:
        return _failed(order.attempt, at, reason)
    if status is None:
        if shutil.disk_usage(attempt_dir.root).free < _NO_ROOM:
            message = (
                f"The disk of {attempt_dir.root} is full, so it is not known how the attempt ended. Free some space."
            )
            return Lost(attempt=order.attempt, at=at, error=Reason(code=Code.DISK_FULL, message=message))
        return lost(order.attempt, at, "The attempt's supervisor was killed; how the attempt ended is not known.")
    reason = builder.explain_status(meta, status, log_end(attempt_dir.log)) or explain_status(status, meta)
    return _failed(order.attempt, at, reason)


def store_outputs(
    order: LaunchOrder,
    attempt_dir: AttemptDir,
    meta: AttemptMeta,
    artifacts: ArtifactAccess,
    max_parameter_bytes: int,
    at: float,
) -> AnyReport:
    """The report of an attempt that has ended with exit status 0: its outputs, stored. Raises StoreAway."""
    result = ship(
        order,
        attempt_dir,
        artifacts,
        outputs_seen_at=meta.outputs_seen_at,
        inputs_seen_at=meta.inputs_seen_at,
        max_parameter_bytes=max_parameter_bytes,
    )
    if isinstance(result, ResultFailed):
        if result.lost or result.error.code == Code.DISK_FULL:
            raise StoreAway(f"{result.error.message} [{result.error.code}]")
        return _failed(order.attempt, at, result.error)
    return Succeeded(
        attempt=order.attempt,
        at=at,
        parameters=result.parameters,
        artifacts=result.artifacts,
        surroundings=meta.surroundings,
    )


def _cut(log: Path, ending: Reason) -> None:
    """Off what was written beyond the limit before anybody looked."""
    limit = ending.details.get("limit")
    with contextlib.suppress(OSError):
        if isinstance(limit, int) and log.stat().st_size > limit:
            os.truncate(log, limit)


def _failed(attempt: AttemptId, at: float, reason: Reason) -> Failed:
    return Failed(attempt=attempt, at=at, error=reason)


def lost(attempt: AttemptId, at: float, message: str) -> Lost:
    """Gone without a trace."""
    return Lost(attempt=attempt, at=at, error=Reason(code=Code.ATTEMPT_LOST, message=message))


def explain_status(status: int, meta: AttemptMeta) -> Reason:
    """What an exit status says by itself."""
    name = signal_name(status)
    if not name:
        return Reason(
            code=Code.EXIT_CODE, message=f"The process ended with exit status {status}.", details={"exit_code": status}
        )
    exact = bool(meta.group) and ControlGroup(meta.group).tells_memory()
    if name == "SIGKILL" and not exact and out_of_memory_kills() > meta.out_of_memory_kills:
        if meta.container and meta.applied.limits.memory_bytes is not None:
            # Not every engine says so itself: with control groups of version 1, podman does not.
            return limits.out_of_memory(meta.applied, None)
        message = "The process was killed by the system because memory ran out."
        return Reason(code=Code.OUT_OF_MEMORY, message=message, details={"signal": name})
    message = f"The process was ended by signal {name} ({status - 128})."
    if name in _MEANINGS:
        message += f" {_MEANINGS[name]}"
    return Reason(code=Code.KILLED_BY_SIGNAL, message=message, details={"signal": name, "exit_code": status})


_MEANINGS = {
    "SIGSEGV": "It touched memory that is not its own, which compiled extensions do when they are broken.",
    "SIGABRT": "It gave up by itself, as compiled extensions do on a failed check.",
    "SIGKILL": "It is not known why; often memory ran out.",
}


def out_of_memory_kills() -> int:
    """How often this machine has killed a process for lack of memory since it started."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat", "rb") as file:  # noqa: PTH123
        return int(file.read().partition(b"\noom_kill ")[2].partition(b"\n")[0])
    return 0


def log_end(path: Path) -> str:
    """The last lines of a log."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LOG_END_BYTES))
        return file.read().decode("utf-8", "replace")
    return ""
