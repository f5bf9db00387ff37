"""Python components as processes of this machine: our runtime in an environment of their packages."""

from __future__ import annotations

import os
import platform
import re
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

import headrace
from headrace.attempt.artifact_access import ArtifactAccess
from headrace.attempt.codes import Code
from headrace.attempt.fetch import fetch
from headrace.attempt.order import LaunchOrder
from headrace.attempt.python_task import Program, python_entry
from headrace.attempt.refusal import Refusal
from headrace.attempt.rendering import render_variables
from headrace.engine.model import Reason
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.code_folders import CodeFolders
from headrace.executors.local.command import REQUEST, AttemptMeta, Command, task_environment
from headrace.executors.local.environments import Environments, Packages
from headrace.spec.bootstrap import PythonEntry

#: Prints show at once; a crash of the interpreter leaves a traceback; a real `kfp` loads only its runtime half.
PYTHON_VARIABLES = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "_KFP_RUNTIME": "true"}
#: A task's variable that keeps it from being started warm.
SWITCH = "HEADRACE_WARM_STARTS"
_OFF = ("off", "0", "false", "no")
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RUNTIME = Path(headrace.__file__).parent / "runtime" / "main.py"


class PythonCommandBuilder:
    """Builds commands of orders that start a Python function in KFP's way."""

    def __init__(self, environments: Environments, code: CodeFolders, artifacts: ArtifactAccess) -> None:
        self._environments = environments
        self._code = code
        self._artifacts = artifacts

    async def build(
        self, order: LaunchOrder, attempt_dir: AttemptDir, waiting: Callable[[Reason], None]
    ) -> tuple[Command, AttemptMeta]:
        """See CommandBuilder."""
        entry, container = python_entry(order), order.container
        if entry is None or container is None:
            raise Refusal(Code.ORDER_INVALID, "This is not a Python component.", retryable=False)
        environment = await self._environments.get(packages_of(entry), lambda: waiting(_building(entry)))
        code = await self._code.get(entry)
        program = Program(source=self._code.source(entry), code=str(code or ""), imports=attempt_dir.imports)
        fetched = await fetch(order, attempt_dir, self._artifacts, program=program, waiting=waiting)
        attempt_dir.log_problems(fetched.inputs)
        own = render_variables(container, fetched.document, fetched.order.facts, fetched.paths)
        command = Command(
            argv=(str(environment / "bin" / "python"), str(RUNTIME), REQUEST),
            env={**task_environment(), **_activated(environment), **PYTHON_VARIABLES, **own},
            request=_with_variables(fetched.request, own),
            warm=own.get(SWITCH, "on").lower() not in _OFF and "run_notebook" not in entry.source,
            own_modules=self._code.names(code),
        )
        return command, AttemptMeta(
            builder="python",
            outputs_seen_at=str(attempt_dir.outputs),
            inputs_seen_at=fetched.seen,
            fetched_paths=tuple(fetched.inputs.paths.values()),
            surroundings=self._surroundings(entry),
        )

    async def surroundings(self, order: LaunchOrder) -> dict[str, str]:
        """See CommandBuilder."""
        entry = python_entry(order)
        return self._surroundings(entry) if entry is not None else {}

    def _surroundings(self, entry: PythonEntry) -> dict[str, str]:
        """The Python, and the packages that were installed, or those asked for while nothing is installed yet."""
        packages = self._environments.digest(packages_of(entry))
        return {"python": f"{platform.python_version()} {sysconfig.get_platform()}", "packages": packages}

    async def remove_container(self, meta: AttemptMeta) -> None:
        """See CommandBuilder. There is none."""

    async def cause_of_death(self, meta: AttemptMeta, status: int | None) -> Reason | None:
        """See CommandBuilder. Its own processes are all there is."""
        return None

    def explain_status(self, meta: AttemptMeta, status: int, log_end: str) -> Reason | None:
        """See CommandBuilder. The runtime writes everything it knows to the outcome file."""
        return None


def _with_variables(request: bytes, variables: Mapping[str, str]) -> bytes:
    """The request, with the variables that a shell does not pass on because of their names, such as `my-var`.

    Kubernetes takes such names. The runtime sets them itself; they are never part of a command line.
    """
    odd = {name: value for name, value in variables.items() if not _SHELL_NAME.fullmatch(name)}
    return request if not odd else request[:-1] + b',"variables":' + msgspec.json.encode(odd) + b"}"


def packages_of(entry: PythonEntry) -> Packages:
    """What is to be installed; not kfp itself, which our runtime stands in for."""
    return Packages(requirements=entry.requirements, index_urls=entry.index_urls, trusted_hosts=entry.trusted_hosts)


def _activated(environment: Path) -> dict[str, str]:
    """What activating the environment would set: its programs come first."""
    path = f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"VIRTUAL_ENV": str(environment), "PATH": path}


def _building(entry: PythonEntry) -> Reason:
    return Reason(
        code=Code.BUILDING_ENVIRONMENT,
        message=f"Installing {', '.join(entry.requirements) or 'an empty environment'}.",
        details={"packages": list(entry.requirements)},
    )
