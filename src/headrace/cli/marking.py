"""The request of `headrace mark`, from its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast

from headrace.cli.arguments import pairs, parse_as
from headrace.cli.board import Board
from headrace.cli.errors import CliError
from headrace.client.headrace import Headrace
from headrace.wire.api import ExecutionView, GraphNode, MarkExecution, RunChange

Json: TypeAlias = Any


def request(
    client: Headrace,
    run_id: str,
    task: str,
    word: str | None,
    outputs: tuple[str, ...],
    artifacts: tuple[str, ...],
    note: str,
) -> tuple[ExecutionView, MarkExecution]:
    """The execution and the request. Raises CliError TASK_NOT_FOUND, TASK_AMBIGUOUS, ARGUMENT_…, USAGE."""
    if word is None:
        raise CliError("Say what it came to.", code="USAGE", fix="Add --succeeded or --skipped.")
    view = client.get_run(run_id)
    board = Board(view)
    board.apply(RunChange(version=view.run.version, run=view.run, executions=view.executions))
    execution = _meant(board, task)
    spec = client.get_document(run_id).pipeline_spec if outputs else {}
    declared = _declared(spec, view.graph, execution.node) if outputs else {}
    given = {name: parse_as(name, text, declared) for name, text in pairs("--output", outputs).items()}
    ids = {name: [one for one in text.split(",") if one] for name, text in pairs("--artifact", artifacts).items()}
    state = cast(Literal["SUCCEEDED", "SKIPPED"], word)
    return execution, MarkExecution(state=state, parameters=given, artifacts=ids, note=note)


def _meant(board: Board, task: str) -> ExecutionView:
    exact = [one for one in board.tasks if task in (one.path, one.execution_id, board.label(one))]
    for found in (exact, [one for one in board.tasks if task in (one.task, one.node)]):
        if len(found) == 1:
            return found[0]
        if found:
            paths = ", ".join(one.path for one in found[:10])
            raise CliError(f"{task!r} means {len(found)} tasks.", code="TASK_AMBIGUOUS", fix=f"Name one: {paths}.")
    labels = sorted({board.label(one) for one in board.tasks})
    listed = ", ".join(labels[:30]) or "none yet"
    raise CliError(f"The run has no task {task!r}.", code="TASK_NOT_FOUND", fix=f"Its tasks: {listed}")


def _declared(spec: Mapping[str, Json], graph: list[GraphNode], node: str) -> dict[str, dict[str, Json]]:
    """Output parameters of the component at a path of the graph, as the document declares them."""
    nodes, found = graph, None
    for name in node.split("/"):
        found = next((one for one in nodes if one.name == name), None)
        nodes = found.children if found else []
    component = (spec.get("components") or {}).get(found.component if found else "") or {}
    return (component.get("outputDefinitions") or {}).get("parameters") or {}
