"""Python components as processes of this machine: our runtime in an environment of their packages."""

from __future__ import annotations

import os
import platform
import sysconfig
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import msgspec

import headrace
from headrace.engine.model import Json, LaunchOrder, Reason
from headrace.executors.code import CodeFolders
from headrace.executors.codes import Code
from headrace.executors.environments import Environments, Packages
from headrace.executors.executor_input import executor_input, paths_by_uri
from headrace.executors.places import Place
from headrace.executors.refusal import Refusal
from headrace.executors.rendering import render_variables
from headrace.executors.warm import place_of_imports
from headrace.executors.work import REQUEST, Kept, Work, task_environment
from headrace.executors.workspace import make_workspace, uses_workspace, with_workspace
from headrace.spec.bootstrap import PythonEntry, recognise

#: Prints show at once; a crash of the interpreter leaves a traceback; a real `kfp` loads only its runtime half.
PYTHON_VARIABLES = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "_KFP_RUNTIME": "true"}
#: A task's variable that keeps it from being started warm.
SWITCH = "HEADRACE_WARM_STARTS"
_OFF = ("off", "0", "false", "no")
RUNTIME = Path(headrace.__file__).parent / "runtime" / "main.py"


class PythonMaker:
    """Makes work of orders that start a Python function in KFP's way."""

    def __init__(self, environments: Environments, code: CodeFolders) -> None:
        self._environments = environments
        self._code = code

    async def make(self, order: LaunchOrder, place: Place, waiting: Callable[[Reason], None]) -> tuple[Work, Kept]:
        """See Maker."""
        entry, container = python_entry(order), order.container
        if entry is None or container is None:
            raise Refusal(Code.ORDER_INVALID, "This is not a Python component.", retryable=False)
        environment = await self._environments.get(packages_of(entry), lambda: waiting(_building(entry)))
        code, source = await self._code.get(entry), self._code.source(entry)
        if uses_workspace(order):
            order = with_workspace(order, str(make_workspace(place.workspace)))
        document = executor_input(order, place.outputs, handed=place.handed)
        request = request_of(
            entry,
            order,
            document,
            place,
            source=source,
            outputs=place.outputs,
            outcome=str(place.outcome),
            code=str(code or ""),
            imports=place_of_imports(place),
        )
        own = render_variables(container, document, order.facts, paths_by_uri(order, place.outputs, place.handed))
        work = Work(
            argv=(str(environment / "bin" / "python"), str(RUNTIME), REQUEST),
            env={**task_environment(), **_activated(environment), **PYTHON_VARIABLES, **own},
            request=request,
            warm=own.get(SWITCH, "on").lower() not in _OFF and "run_notebook" not in entry.source,
            own_modules=self._code.names(code),
        )
        around = self._around(entry)
        return work, Kept(
            maker="python", seen_as=str(place.outputs), must_answer=True, handed=place.handed, surroundings=around
        )

    async def surroundings(self, order: LaunchOrder) -> dict[str, str]:
        """See Maker."""
        entry = python_entry(order)
        return self._around(entry) if entry is not None else {}

    def _around(self, entry: PythonEntry) -> dict[str, str]:
        """The Python, and the packages that were installed, or those asked for while nothing is installed yet."""
        packages = self._environments.digest(packages_of(entry))
        return {"python": f"{platform.python_version()} {sysconfig.get_platform()}", "packages": packages}

    async def remove(self, kept: Kept) -> None:
        """Its processes are all there is."""

    async def autopsy(self, kept: Kept, status: int | None) -> Reason | None:
        """Its processes are all there is."""
        return None

    def explain(self, kept: Kept, status: int, log_end: str) -> Reason | None:
        """The runtime tells all it knows in the outcome file."""
        return None


def python_entry(order: LaunchOrder) -> PythonEntry | None:
    """The Python function the order is about; None when it is an ordinary command."""
    return _recognise(order.container.command, order.container.args) if order.container else None


#: Asked twice of each attempt, and of many attempts that differ in nothing but their inputs.
_recognise = lru_cache(maxsize=256)(recognise)


def packages_of(entry: PythonEntry) -> Packages:
    """What is to be installed; not kfp itself, which our runtime stands in for."""
    return Packages(requirements=entry.requirements, index_urls=entry.index_urls, trusted_hosts=entry.trusted_hosts)


def _activated(environment: Path) -> dict[str, str]:
    """What activating the environment would set: its programs come first."""
    path = f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"VIRTUAL_ENV": str(environment), "PATH": path}


def request_of(
    entry: PythonEntry,
    order: LaunchOrder,
    document: dict[str, Json],
    place: Place,
    *,
    source: str,
    outputs: Path,
    outcome: str,
    code: str,
    imports: str = "",
) -> bytes:
    """What the runtime reads; paths are as the component sees them."""
    request = {
        "executor_input": document,
        "source": source,
        "function": entry.function,
        "outcome": outcome,
        "code": code,
        "imports": imports,
        "root": {"uri": order.artifact_prefix, "path": str(outputs)},
        "elsewhere": {uri: {"code": reason.code, "message": reason.message} for uri, reason in place.problems.items()},
    }
    return msgspec.json.encode(request)


def _building(entry: PythonEntry) -> Reason:
    return Reason(
        code=Code.BUILDING_ENVIRONMENT,
        message=f"Installing {', '.join(entry.requirements) or 'an empty environment'}.",
        details={"packages": list(entry.requirements)},
    )
