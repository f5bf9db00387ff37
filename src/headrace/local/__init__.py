"""Run a component or a pipeline by calling it: the same engine, a store in memory, processes of this machine.

There is no HTTP. After this process has ended, only the artifacts of its local runs are left.
"""

from __future__ import annotations

from headrace.local.config import DockerRunner as DockerRunner
from headrace.local.config import SubprocessRunner as SubprocessRunner
from headrace.local.config import init as init
from headrace.local.errors import LocalRunError as LocalRunError
from headrace.local.running import run_component as run_component
from headrace.local.task import LocalTask as LocalTask
from headrace.local.testing import ComponentResult as ComponentResult
from headrace.local.testing import try_component as try_component

__all__ = [
    "ComponentResult",
    "DockerRunner",
    "LocalRunError",
    "LocalTask",
    "SubprocessRunner",
    "init",
    "run_component",
    "try_component",
]
