"""What tasks print is shown once, in order, and not without bound."""

from __future__ import annotations

from typing import Any

from headrace.cli import task_logs
from headrace.cli.task_logs import TaskLogs
from headrace.client.headrace import LogPart
from headrace.wire.api import AttemptView, ExecutionView, RunChange, RunSummary


class Logs:
    """A client that reads logs from memory, in pieces of seven bytes."""

    def __init__(self, **content: bytes) -> None:
        self.content = content

    def read_log(self, execution_id: str, *, attempt: int, offset: int, limit: int) -> LogPart:
        log = self.content[f"{execution_id}{attempt}"]
        piece = log[offset : offset + 7]
        return LogPart(content=piece, offset=offset + len(piece), size=len(log))


def change(*states: str, execution: str = "a") -> RunChange:
    attempts = [AttemptView(number=number, state=state) for number, state in enumerate(states, start=1)]
    view: Any = ExecutionView(
        execution_id=execution,
        path="train",
        node="train",
        task="train",
        kind="TASK",
        state=states[-1],
        attempts=attempts,
    )
    run = RunSummary(
        run_id="r", display_name="d", state="RUNNING", storage_state="AVAILABLE", experiment_id="e",
        experiment_name="e", pipeline_name="p", created_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    return RunChange(version=1, run=run, executions=[view])


def shown(client: Any, *changes: RunChange, all_: bool = True) -> list[str]:
    lines: list[str] = []
    logs = TaskLogs(client, lambda execution: execution.task, lines.extend, all_=all_)
    for one in changes:
        logs.apply(one)
    return lines


def test_each_line_is_shown_once_when_the_attempt_has_ended() -> None:
    client = Logs(a1="erste Zeile ä\n10%\r20%\r100%\nno end".encode(), a2=b"again\n")
    ended = change("FAILED", "SUCCEEDED")
    assert shown(client, change("RUNNING"), change("FAILED", "RUNNING"), ended, ended) == [
        "[train] | erste Zeile ä",
        "[train] | 100%",
        "[train] | no end",
        "[train] | again",
    ]


def test_attempts_that_ended_before_are_left_out_where_that_is_asked_for() -> None:
    client = Logs(a1=b"old\n", a2=b"new\n")
    changes = (change("FAILED", "RUNNING"), change("FAILED", "SUCCEEDED"))
    assert shown(client, *changes, all_=False) == ["[train] | new"]


def test_an_endless_log_is_cut(monkeypatch: Any) -> None:
    monkeypatch.setattr(task_logs, "_MOST_BYTES", 21)
    lines = shown(Logs(a1=b"0123456\n" * 100), change("SUCCEEDED"))
    assert lines[:2] == ["[train] | 0123456", "[train] | 0123456"]
    assert "headrace logs" in lines[-1] and len(lines) == 3
