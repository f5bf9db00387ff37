"""Print explanations on a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

from headrace.cli.terminal import Paint, local_time, plain, shorten, table
from headrace.wire.api import CacheUse, CodeLine, CodePage, Explanation, FailureView, RunExplanation, TaskRef

_WIDTH = 110
_TABLE_ROWS = 40
_PARTS_SHOWN = 12
#: Not shown for a task that did not run: that the cache is off.
_NOT_RUN = frozenset({"PENDING", "SKIPPED", "CANCELED"})
#: Codes whose message the table does not repeat.
_PLAIN = frozenset({"SUCCEEDED", "RUNNING"})


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names of executions, and of the command itself, for the texts."""

    #: Label of each execution of the run, by id.
    labels: Mapping[str, str] = field(default_factory=dict)
    #: The command to type, with ` --home …` if it is needed.
    command: str = "headrace"
    home: str = ""

    def of(self, ref: TaskRef | Explanation, *, here: str) -> str:
        """The execution's name, as seen from the run `here`."""
        label = self.labels.get(ref.execution_id) or ref.path or "a task that is gone"
        if ref.run_id in ("", here) or isinstance(ref, Explanation):
            return label
        return f"{label} of run {ref.run_id[:8]}" + (f" ({plain(ref.run_name)})" if ref.run_name else "")


def run_text(found: RunExplanation, names: Names, log_tail: str, paint: Paint) -> str:
    """Why the run is in its state, then its tasks."""
    head = "  ".join(
        (paint.bold(paint.state(found.state)), paint.bold(plain(found.display_name)), paint.dim(f"run {found.run_id}"))
    )
    lines = [head, *_field("why", _reason(_first_line(found), found.reason.code, paint), paint)]
    if found.canceled_at:
        lines += _field("cancel", f"asked for at {local_time(found.canceled_at)}", paint)
    if len(found.causes) > 1:
        lines += _field("inside", " → ".join(names.of(ref, here=found.run_id) for ref in found.causes[:-1]), paint)
    for wait in found.waiting:
        noun = "1 task" if wait.count == 1 else f"{wait.count} tasks"
        such = "" if wait.count == 1 else "for instance "
        label = names.of(wait.example, here=found.run_id)
        lines += _field("waiting", f"{noun}: {such}{label}: {_reason(wait.message, wait.code, paint)}", paint)
    if found.fix and found.cause is None:
        lines += _fix(found.fix, names, found.run_id, "TASK", paint)
    if found.cause is not None:
        lines += ["", task_text(found.cause, names, log_tail, paint)]
    if found.tasks:
        lines += ["", *_task_table(found, names, paint)]
    return "\n".join([*lines, "", *_onward(found, names)])


def task_text(found: Explanation, names: Names, log_tail: str, paint: Paint) -> str:
    """Why one task is in its state."""
    label = names.of(found, here=found.run_id) if found.path else "the run"
    lines = [f"{paint.bold(label)}  {paint.state(found.state)}"]
    lines += _field("why", _reason(found.reason.message, found.reason.code, paint), paint)
    if found.canceled_at:
        lines += _field("cancel", f"asked for at {local_time(found.canceled_at)}", paint)
    lines += _chain(found.causes, names, found.run_id, paint)
    for ref in found.waiting_for:
        lines += _field("waits for", _mention(ref, names, found.run_id, paint), paint)
    if found.condition is not None:
        values = ", ".join(f"{name} = {value}" for name, value in found.condition.values.items())
        lines += _field("condition", f"{found.condition.condition}   with {values or 'no values'}", paint)
    lines += _failure(found.failure, log_tail, paint) if found.failure else ()
    lines += _retry(found, paint)
    if found.cache is not None and not (found.cache.use == "OFF" and found.state in _NOT_RUN):
        lines += _cache(found.cache, found.state, names, found.run_id, paint)
    lines += _fix(found.fix, names, found.run_id, label, paint)
    return "\n".join(lines)


def code_text(page: CodePage, paint: Paint) -> str:
    """What a code means."""
    lines = [paint.bold(page.code), *textwrap.wrap(page.meaning, _WIDTH)]
    for name, text in (("cause", page.cause), ("example", page.example), ("fix", page.fix)):
        if text:
            lines += ["", *_field(name, text, paint)]
    return "\n".join(lines)


def failure_facts(found: Explanation, label: str, paint: Paint) -> list[str]:
    """Where it failed and what to do, for the end of a run whose state was printed already."""
    lines = [*_where(found.failure, paint)] if found.failure else []
    return [*lines, *_retry(found, paint), *_fix(found.fix, Names(), found.run_id, label, paint)]


def _first_line(found: RunExplanation) -> str:
    """The message; only as much as fits a line if the task that explains it follows below."""
    return found.reason.message if found.cause is None else shorten(found.reason.message, _WIDTH - 40)


def _fix(text: str, names: Names, run_id: str, label: str, paint: Paint) -> Iterator[str]:
    """How to fix it, with the commands as they can be typed here."""

    def typed(match: re.Match[str]) -> str:
        words = re.sub(r"\bTASK\b", lambda _: quote(label), re.sub(r"\bRUN\b", run_id[:8], match[1]))
        return f"`{names.command} {words}{names.home if 'RUN' in match[1] else ''}`"

    if text:
        yield from _field("fix", re.sub(r"`headrace ([^`]*)`", typed, text), paint)


def _reason(message: str, code: str, paint: Paint) -> str:
    return f"{plain(message).strip()} {paint.dim(f'[{code}]')}"


def _field(name: str, text: str, paint: Paint) -> Iterator[str]:
    """`  name:     text`, with what follows below its beginning."""
    margin = 13
    head = (f"  {name}:" if name else "").ljust(margin)
    for number, line in enumerate(_wrapped(text, margin)):
        yield (paint.dim(head) if number == 0 else " " * margin) + line


def _wrapped(text: str, margin: int) -> Iterator[str]:
    for line in text.splitlines() or [""]:
        if len(plain(line)) <= _WIDTH - margin or line.startswith(("    ", "\t", "$ ")):
            yield line
        else:
            yield from textwrap.wrap(line, _WIDTH - margin, break_long_words=False, break_on_hyphens=False)


def _chain(causes: Iterable[TaskRef], names: Names, here: str, paint: Paint) -> Iterator[str]:
    for ref in causes:
        yield from _field("because", _mention(ref, names, here, paint), paint)


def _mention(ref: TaskRef, names: Names, here: str, paint: Paint) -> str:
    state = f" is {ref.state}" if ref.state else ""
    words = f": {_reason(shorten(ref.reason.message, 200), ref.reason.code, paint)}" if ref.reason else ""
    return f"{names.of(ref, here=here)}{state}{words}"


def _failure(failure: FailureView, log_tail: str, paint: Paint) -> Iterator[str]:
    yield from _where(failure, paint)
    story, name = (log_tail, "log") if log_tail else (failure.traceback, "traceback")
    if story:
        yield paint.dim(f"  {name}:" + ("       its last lines" if name == "log" else ""))
        yield from (f"    {line}" for line in plain(story).splitlines())


def _where(failure: FailureView | None, paint: Paint) -> Iterator[str]:
    if failure is None or failure.line is None:
        return
    place = f"{failure.file}:{failure.line}" if failure.file else f"line {failure.line}"
    inside = f" in {failure.function}" if failure.function else ""
    source = f": {plain(failure.source_line).strip()}" if failure.source_line else ""
    yield from _field("where", f"{place}{inside}{source}", paint)
    if len(failure.lines) > 1:
        yield from _code(failure.lines, failure.line, paint)


def _code(lines: Sequence[CodeLine], failed: int, paint: Paint) -> Iterator[str]:
    """Lines with their numbers; the one that failed is marked."""
    width = len(str(lines[-1].number))
    margin = min((len(one.text) - len(one.text.lstrip()) for one in lines if one.text.strip()), default=0)
    for one in lines:
        text = f"{one.number:>{width}} | {plain(one.text[margin:])}".rstrip()
        yield f"           > {paint.bold(text)}" if one.number == failed else paint.dim(f"             {text}")


def _retry(found: Explanation, paint: Paint) -> Iterator[str]:
    retry = found.retry
    if retry is None:
        return
    parts = [f"{retry.number} of {retry.at_most}"] if retry.number else []
    if retry.due_at:
        parts.append(f"due at {local_time(retry.due_at)}")
    if retry.after is not None and found.reason.code != "WAITING_FOR_RETRY":
        parts.append(f"after: {_reason(shorten(retry.after.message, 160), retry.after.code, paint)}")
    if retry.lost:
        parts.append(f"{retry.lost} attempts were lost to the machine, and tried again at once")
    yield from _field("retry", ", ".join(parts), paint)


def _cache(use: CacheUse, state: str, names: Names, here: str, paint: Paint) -> Iterator[str]:
    if use.use == "HIT":
        if use.source is not None:
            yield from _field("from", names.of(use.source, here=here), paint)
    elif use.use != "NOT_ASKED":
        yield from _field("cache", _reason(use.reason.message, use.reason.code, paint), paint)
        if use.source is not None and use.source.path:
            yield from _field("nearest", names.of(use.source, here=here), paint)
    # For a failed task the key is left out: nothing was stored under it.
    shown = list(use.parts.items()) if state != "FAILED" else []
    for number, (name, text) in enumerate(shown[:_PARTS_SHOWN]):
        yield from _field("its key" if number == 0 else "", f"{name} = {shorten(text, 80)}", paint)


def _task_table(found: RunExplanation, names: Names, paint: Paint) -> Iterator[str]:
    rows = []
    for one in found.tasks[:_TABLE_ROWS]:
        words = "" if one.reason.code in _PLAIN else shorten(one.reason.message, 70)
        if one.cache is not None and one.cache.use == "HIT" and one.cache.source is not None:
            words = f"from {names.of(one.cache.source, here=found.run_id)}"
        rows.append((names.of(one, here=found.run_id), paint.state(one.state), one.reason.code, words))
    yield table(rows, heads=("task", "state", "code", "why"), paint=paint)
    left = found.omitted + max(0, len(found.tasks) - _TABLE_ROWS)
    if left:
        yield paint.dim(f"… and {left} more: {names.command} runs get {found.run_id[:8]}{names.home}")


def _onward(found: RunExplanation, names: Names) -> Iterator[str]:
    run = found.run_id[:8]
    task = quote(names.of(found.cause, here=found.run_id)) if found.cause else "TASK"
    rows = [("More of one task:", f"{names.command} explain {run} {task}{names.home}")]
    if found.state == "FAILED":
        code = found.cause.reason.code if found.cause else found.reason.code
        rows.append(("All of its logs:", f"{names.command} runs logs {run}{names.home}"))
        rows.append((f"What {code} means:", f"{names.command} explain {code}"))
    yield table(rows)
