"""Puts the local executor together: Python components become processes, all else containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from headrace.engine.model import LaunchOrder
from headrace.executors.code import CodeFolders
from headrace.executors.container import ContainerMaker
from headrace.executors.environments import Environments
from headrace.executors.limits import Allowance
from headrace.executors.machine import Machine
from headrace.executors.outputs import Porter
from headrace.executors.process import ProcessExecutor
from headrace.executors.python import PythonMaker, python_entry
from headrace.executors.work import Maker


def make_executor(
    home: Path,
    *,
    porter: Porter,
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
) -> ProcessExecutor:
    """The executor of one machine, over the data directory `home`; `porter` takes in output artifacts.

    With `containers_only`, Python components too run in their image. `environments` is the home whose environments
    and unpacked code are shared, when not `home` itself.
    """
    allowance = allowance or Allowance()
    kept = (environments or home).absolute()
    code = CodeFolders(kept)
    makers: Mapping[str, Maker] = {
        "python": PythonMaker(Environments(kept), code),
        "container": ContainerMaker(container_engine, code, allowance),
    }
    return ProcessExecutor(
        home,
        makers=makers,
        choose=_choose if not containers_only else lambda order: "container",
        porter=porter,
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
    """Name of the maker for an order."""
    return "python" if python_entry(order) is not None else "container"
