"""Prints a local run while it runs: a line for each change of a task, and what tasks print, marked with their names."""

from __future__ import annotations

import asyncio
import sys

from headrace.service.session import Session
from headrace.wire.api import ExecutionView, RunChange
from headrace.wire.plain_text import coloured_text

_SHOWN_STATES = frozenset({"RUNNING", "SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})


class Screen:
    """Prints to this process's output."""

    def __init__(self, session: Session, run_id: str) -> None:
        self._session = session
        self._run_id = run_id
        self._shown: set[tuple[str, str, int]] = set()
        self._logs: dict[tuple[str, int], asyncio.Task[None]] = {}

    def show(self, change: RunChange) -> None:
        """Print what is new in a change."""
        for execution in change.executions:
            if execution.kind in ("TASK", "IMPORTER"):
                self._execution(execution)

    def _execution(self, execution: ExecutionView) -> None:
        number = len(execution.attempts)
        key = (execution.path, execution.state, number)
        if execution.state not in _SHOWN_STATES or key in self._shown:
            return
        self._shown.add(key)
        if number and (execution.execution_id, number) not in self._logs:
            follow = self._follow(execution.execution_id, number, execution.path)
            self._logs[execution.execution_id, number] = asyncio.create_task(follow)
        if execution.state in ("RUNNING", "SUCCEEDED"):
            _print(execution.path, execution.state.lower())
        else:
            reason = f": {execution.reason.message}" if execution.reason else ""
            _print(execution.path, f"{execution.state.lower()}{reason}")

    async def _follow(self, execution_id: str, number: int, path: str) -> None:
        rest = b""
        async for chunk in self._session.read_log(execution_id, number, follow=True):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                _print(path, line.decode("utf-8", "replace"), mark="|")
        if rest:
            _print(path, rest.decode("utf-8", "replace"), mark="|")

    async def finish(self) -> None:
        """Wait until all logs are printed."""
        await asyncio.gather(*self._logs.values())


def _print(path: str, text: str, mark: str = "-") -> None:
    line = f"[{path}] {mark} {text}"
    print(coloured_text(line) if sys.stdout.isatty() else line, file=sys.stdout, flush=True)
