"""What all attempts of one executor share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headrace.attempt.artifact_access import ArtifactAccess
from headrace.attempt.order import LaunchOrder
from headrace.executors.local.admission import Admission
from headrace.executors.local.attempt_dir import AttemptDirs
from headrace.executors.local.command import CommandBuilder
from headrace.executors.local.limits import Allowance, Confinement
from headrace.executors.local.storing import StoringPools
from headrace.executors.local.warm import WarmStarts


@dataclass(frozen=True, kw_only=True)
class Facilities:
    """The machine, as attempts of one executor use it."""

    dirs: AttemptDirs
    #: By name: `python`, `container`.
    builders: Mapping[str, CommandBuilder]
    #: The name of the builder for an order.
    choose: Callable[[LaunchOrder], str]
    artifacts: ArtifactAccess
    admission: Admission
    warm: WarmStarts
    confinement: Confinement
    allowance: Allowance
    #: No process is started while it says no: time passes, or the run goes to another server.
    may_start: Callable[[], bool]
    #: Other servers may be at work in the same directories.
    shared: bool
    stop_grace_s: float
    max_parameter_bytes: int
    storing: StoringPools
