"""What became of an attempt whose process has ended, from the files it left. Blocks; meant for a thread."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from headrace.engine.model import AttemptId, LaunchOrder, Reason
from headrace.executors import limits, processes
from headrace.executors.cgroups import Group
from headrace.executors.codes import Code
from headrace.executors.inputs import check_inputs, check_workspace
from headrace.executors.outputs import Porter, Reader
from headrace.executors.places import Place
from headrace.executors.port import AnyReport, Failed, Lost, Stopped, Succeeded
from headrace.executors.processes import Claim, Family
from headrace.executors.refusal import Refusal
from headrace.executors.supervisor import exit_status, signal_name
from headrace.executors.work import Kept, Maker

#: Code in `ending.json` for an end that was asked for; never reported, since Stopped says it.
STOPPED = "STOPPED"
#: Bytes of the log's end that a maker may look at.
_LOG_END_BYTES = 4096
#: With less room than this an exit status could not be written down.
_NO_ROOM = 64 * 1024


def sweep(family: Family) -> None:
    """Kill whatever the attempt left running, and see it gone."""
    processes.end(family.members, family.group)


def judge(
    order: LaunchOrder,
    place: Place,
    claim: Claim,
    kept: Kept,
    maker: Maker,
    porter: Porter,
    max_parameter_bytes: int,
    seen: Reason | None = None,
) -> AnyReport:
    """The attempt's last report; `seen` is why it failed, if somebody outside has seen that."""
    at = ended_at(place)
    ending = place.read("ending.json", Reason)
    if ending is not None:
        if ending.code == Code.LOG_LIMIT:
            _cut(place.log, ending)
        return Stopped(attempt=order.attempt, at=at) if ending.code == STOPPED else _failed(order.attempt, at, ending)
    if claim.boot not in ("", processes.boot_id()):
        return lost(order.attempt, at, "The machine was restarted while the attempt was running.")
    status = exit_status(place)
    if place.unconfined.exists():
        message = f"The attempt could not enter its control group, so it was not begun. {log_end(place.log)}"
        return _failed(order.attempt, at, Reason(code=Code.LAUNCH_FAILED, message=message))
    told = place.read("outputs/outcome.json", Reason)
    group = Group(kept.group) if kept.group else None
    if status != 0 and (reason := seen or limits.outgrown(kept.held, group, told)) is not None:
        return _failed(order.attempt, at, reason)
    if status != 0 and told is not None:
        return _failed(order.attempt, at, told)
    if status is None:
        if shutil.disk_usage(place.path).free < _NO_ROOM:
            message = f"The disk of {place.path} is full, so nobody knows how the attempt ended. Free some space."
            return _failed(order.attempt, at, Reason(code=Code.DISK_FULL, message=message))
        return lost(order.attempt, at, "The attempt's supervisor was killed; how the attempt ended is not known.")
    if status != 0:
        reason = maker.explain(kept, status, log_end(place.log)) or explain_status(status, kept)
        return _failed(order.attempt, at, reason)
    reader = Reader(
        order=order,
        place=place,
        porter=porter,
        max_parameter_bytes=max_parameter_bytes,
        seen_as=kept.seen_as,
        handed=kept.handed,
    )
    try:
        check_inputs(order, porter)
        check_workspace(order, place)
        outputs = reader.read(must_answer=kept.must_answer)
    except Refusal as refusal:
        if refusal.passing:
            return Lost(attempt=order.attempt, at=at, error=refusal.reason)
        return _failed(order.attempt, at, refusal.reason)
    return Succeeded(
        attempt=order.attempt,
        at=at,
        parameters=outputs.parameters,
        artifacts=outputs.artifacts,
        surroundings=kept.surroundings,
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


def explain_status(status: int, kept: Kept) -> Reason:
    """What an exit status says by itself."""
    name = signal_name(status)
    if not name:
        return Reason(
            code=Code.EXIT_CODE, message=f"The process ended with exit status {status}.", details={"exit_code": status}
        )
    exact = bool(kept.group) and Group(kept.group).tells_memory()
    if name == "SIGKILL" and not exact and out_of_memory_kills() > kept.out_of_memory_kills:
        if kept.container and kept.held.limits.memory_bytes is not None:
            # Not every engine says so itself: with control groups of version 1, podman does not.
            return limits.out_of_memory(kept.held, None)
        message = "The process was killed by the system because memory ran out."
        return Reason(code=Code.OUT_OF_MEMORY, message=message, details={"signal": name})
    message = f"The process was ended by signal {name} ({status - 128})."
    if name in _MEANINGS:
        message += f" {_MEANINGS[name]}"
    return Reason(code=Code.KILLED_BY_SIGNAL, message=message, details={"signal": name, "exit_code": status})


_MEANINGS = {
    "SIGSEGV": "It touched memory that is not its own, which compiled extensions do when they are broken.",
    "SIGABRT": "It gave up by itself, as compiled extensions do on a failed check.",
    "SIGKILL": "Nobody says why; often memory ran out.",
}


def out_of_memory_kills() -> int:
    """How often this machine has killed a process for want of memory since it started."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat", "rb") as file:  # noqa: PTH123
        return int(file.read().partition(b"\noom_kill ")[2].partition(b"\n")[0])
    return 0


def ended_at(place: Place) -> float:
    """When the supervisor wrote down the exit status, else now."""
    return time.time() if exit_status(place) is None else place.claim.stat().st_mtime


def log_end(path: Path) -> str:
    """The last lines of a log."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LOG_END_BYTES))
        return file.read().decode("utf-8", "replace")
    return ""
