"""Puts the local executor together: Python components become processes, all else containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from headrace.attempt.artifact_access import ArtifactAccess
from headrace.attempt.order import LaunchOrder
from headrace.attempt.python_task import python_entry
from headrace.executors.local.code_folders import CodeFolders
from headrace.executors.local.command import CommandBuilder
from headrace.executors.local.container import ContainerCommandBuilder
from headrace.executors.local.environments import Environments
from headrace.executors.local.executor import LocalExecutor
from headrace.executors.local.limits import Allowance
from headrace.executors.local.machine import Machine
from headrace.executors.local.python import PythonCommandBuilder


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
) -> LocalExecutor:
    """The executor of one machine, over the data directory `home`; `artifacts` takes in output artifacts.

    With `containers_only`, Python components too run in their image. `environments` is the home whose environments
    and unpacked code are shared, when not `home` itself.
    """
    allowance = allowance or Allowance()
    shared_home = (environments or home).absolute()
    code = CodeFolders(shared_home)
    builders: Mapping[str, CommandBuilder] = {
        "python": PythonCommandBuilder(Environments(shared_home), code, artifacts),
        "container": ContainerCommandBuilder(container_engine, code, allowance, artifacts),
    }
    return LocalExecutor(
        home,
        builders=builders,
        choose=_choose if not containers_only else lambda order: "container",
        artifacts=artifacts,
        max_parallel=max_parallel,
        stop_grace_s=stop_grace_s,
        max_log_bytes=max_log_bytes,
        max_parameter_bytes=max_parameter_bytes,
        workspaces=workspaces,
        shared=shared,
        may_start=may_start,
        warm_starts=warm_starts,
        warm_patience_s=warm_patience_s,
        machine=machine,
        allowance=allowance,
    )


def _choose(order: LaunchOrder) -> str:
    """Name of the builder for an order."""
    return "python" if python_entry(order) is not None else "container"
