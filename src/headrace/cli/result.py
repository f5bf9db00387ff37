"""The end of a run, printed: outputs, metrics and artifacts, or which task failed and why."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec

from headrace.cli.board import Board
from headrace.cli.terminal import Paint, between, duration, plain, shorten, size, table
from headrace.cli.why import failure_facts
from headrace.wire.api import ArtifactView, BundleView, ExecutionView, Explanation, ReasonView, RunView

Json: TypeAlias = Any
_ROWS = 40


class TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    """A task with outputs."""

    label: str
    outputs: BundleView


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A task that failed, with the last lines of its log."""

    label: str
    execution: ExecutionView
    log_tail: str
    explanation: Explanation | None = None


def summary(board: Board, view: RunView, paint: Paint) -> str:
    """`SUCCEEDED  breast-cancer  8.1 s  (9 tasks: 8 succeeded, 1 skipped)`."""
    run = view.run
    took = duration(between(run.started_at or run.created_at, run.finished_at))
    counts = ", ".join(f"{count} {state.lower()}" for state, count in sorted(run.task_counts.items()) if count)
    return "  ".join(
        part for part in (paint.bold(paint.state(run.state)), plain(run.display_name), took, paint.dim(counts)) if part
    )


def outputs(view: RunView, results: Sequence[TaskResult], paint: Paint) -> str:
    """The outputs of the pipeline, or else of its tasks; metrics; the paths of artifacts."""
    sections = [
        _section("Outputs", _parameters(view, results), paint),
        _section("Metrics", _metrics(results), paint),
        _artifacts(results, paint),
    ]
    return "\n\n".join(section for section in (*sections, _warnings(results, paint)) if section)


def _warnings(results: Sequence[TaskResult], paint: Paint) -> str:
    """A line for each artifact that was never written."""
    found = [(result.label, artifact.not_written) for result, artifact in _each_artifact(results)]
    return "\n".join(
        f"{paint.bold('warning:')} {plain(label)}: {plain(sentence)}" for label, sentence in found if sentence
    )


def failure(failed: Failure, paint: Paint) -> str:
    """The task that failed, why, and the end of its log."""
    reason = failed.execution.reason or ReasonView(code="UNKNOWN", message="No reason was recorded.")
    lines = [
        f"{paint.red('failed:')} {paint.bold(failed.label)}  {plain(reason.message)} {paint.dim(f'[{reason.code}]')}"
    ]
    lines += failure_facts(failed.explanation, failed.label, paint) if failed.explanation else ()
    if failed.log_tail:
        lines.append(paint.dim("  last lines of its log:"))
        lines.extend(f"    {line}" for line in plain(failed.log_tail).splitlines())
    return "\n".join(lines)


def local_path(uri: str) -> str:
    """A file URI as a path of this machine; any other as it is."""
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme == "file" else uri


def _section(title: str, rows: list[tuple[str, ...]], paint: Paint) -> str:
    if not rows:
        return ""
    more = [f"  … and {len(rows) - _ROWS} more"] if len(rows) > _ROWS else []
    return "\n".join([paint.bold(title), table(rows[:_ROWS], indent="  "), *more])


def _parameters(view: RunView, results: Sequence[TaskResult]) -> list[tuple[str, ...]]:
    own = view.outputs.parameters
    if own or view.outputs.artifacts:
        return [(name, _shown(value)) for name, value in own.items()]
    return [
        (result.label, name, _shown(value)) for result in results for name, value in result.outputs.parameters.items()
    ]


def _metrics(results: Sequence[TaskResult]) -> list[tuple[str, ...]]:
    return [
        (result.label, name, _number(value))
        for result, artifact in _each_artifact(results)
        if artifact.type == "system.Metrics"
        for name, value in artifact.metadata.items()
        if not isinstance(value, dict | list)
    ]


def _artifacts(results: Sequence[TaskResult], paint: Paint) -> str:
    """Paths are shown below the folder that all of them share."""
    found = list(_each_artifact(results))
    places = [local_path(artifact.uri) for _, artifact in found]
    folder = os.path.commonpath(places) if len(places) > 1 and all(place.startswith("/") for place in places) else ""
    rows: list[tuple[str, ...]] = [
        (
            result.label,
            artifact.name,
            artifact.type.removeprefix("system."),
            size(artifact.size_bytes) if artifact.size_bytes else "",
            _where(artifact, place, folder),
        )
        for (result, artifact), place in zip(found, places, strict=True)
    ]
    return _section(f"Artifacts{paint.dim(f' in {_home_short(folder)}') if folder else ''}", rows, paint)


def _where(artifact: ArtifactView, place: str, folder: str) -> str:
    if artifact.not_written:
        return "(never written)"
    if not artifact.size_bytes and artifact.metadata:
        return "(metadata only)"
    return os.path.relpath(place, folder) if folder else _home_short(place)


def _each_artifact(results: Sequence[TaskResult]) -> Iterator[tuple[TaskResult, ArtifactView]]:
    for result in results:
        for artifacts in result.outputs.artifacts.values():
            for artifact in artifacts:
                yield result, artifact


def _home_short(path: str) -> str:
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    return "~" + path[len(home) :] if home not in ("~", "/") and path.startswith(home + "/") else path


def _shown(value: Json) -> str:
    return shorten(value if isinstance(value, str) else json.dumps(value), 100)


def _number(value: Json) -> str:
    return f"{value:.6g}" if isinstance(value, float) else _shown(value)
