"""Puts the local executor together: Python components become processes, all else containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from headrace.attempt.artifact_access import ArtifactAccess
from headrace.attempt.order import LaunchOrder
from headrace.attempt.python_task import python_entry
from headrace.executors.local.admission import Admission
from headrace.executors.local.attempt_dir import AttemptDirs
from headrace.executors.local.code_folders import CodeFolders
from headrace.executors.local.command import CommandBuilder
from headrace.executors.local.container import ContainerCommandBuilder
from headrace.executors.local.environments import Environments
from headrace.executors.local.executor import LocalExecutor
from headrace.executors.local.facilities import Facilities
from headrace.executors.local.limit_monitor import LimitMonitor
from headrace.executors.local.limits import Allowance, Confinement
from headrace.executors.local.machine import Machine
from headrace.executors.local.python import PythonCommandBuilder
from headrace.executors.local.storing import StoringPools
from headrace.executors.local.warm import SWITCHED_OFF, WarmStarts


def make_executor(
    home: Path,
    *,
    artifacts: ArtifactAccess,
    max_parallel: int,
    stop_grace_s: float = 5.0,
    container_engine: str = "",
    containers_only: bool = False,
    max_log_bytes: int = 1 << 30,
    max_parameter_bytes: int = 1 << 20,
    environments: Path | None = None,
    workspaces: Path | None = None,
    shared: bool = False,
    may_start: Callable[[], bool] = lambda: True,
    warm_starts: bool = True,
    warm_patience_s: float = 0.0,
    machine: Machine | None = None,
    allowance: Allowance | None = None,
    domain: str = "",
) -> LocalExecutor:
    """The executor of one machine, over the data directory `home`; `artifacts` takes in output artifacts.

    `shared`: other servers may be at work in `home` too, and only what is asked of this executor is its own. No process
    is started while `may_start` says no. `machine` is what attempts may use together; None: nothing but `max_parallel`
    decides what begins. `domain`: see `Executor`; by default the path of `home`.
    With `containers_only`, Python components too run in their image. `environments` is the home whose environments
    and unpacked code are shared, when not `home` itself.
    """
    allowance = allowance or Allowance()
    home = home.absolute()
    shared_home = (environments or home).absolute()
    code = CodeFolders(shared_home)
    builders: Mapping[str, CommandBuilder] = {
        "python": PythonCommandBuilder(Environments(shared_home), code, artifacts),
        "container": ContainerCommandBuilder(container_engine, code, allowance, artifacts),
    }
    facilities = Facilities(
        dirs=AttemptDirs(home, workspaces, shared=shared),
        builders=builders,
        choose=_choose if not containers_only else lambda order: "container",
        artifacts=artifacts,
        admission=Admission(max_parallel, machine),
        warm=WarmStarts(home, "" if warm_starts else SWITCHED_OFF, warm_patience_s),
        confinement=Confinement.here(home, machine.memory_bytes if machine else None),
        allowance=allowance,
        may_start=may_start,
        shared=shared,
        stop_grace_s=stop_grace_s,
        max_parameter_bytes=max_parameter_bytes,
        storing=StoringPools(),
    )
    return LocalExecutor(facilities, LimitMonitor(home, allowance, max_log_bytes), domain or str(home))


def _choose(order: LaunchOrder) -> str:
    """Name of the builder for an order."""
    return "python" if python_entry(order) is not None else "container"
