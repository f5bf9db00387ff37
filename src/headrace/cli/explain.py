"""`headrace explain`: why a run or a task is in its state, or what a code means."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.errors import OK, CliError
from headrace.cli.options import home_option

if TYPE_CHECKING:
    from headrace.cli.connection import Connection

#: What may be (part of) a run's id.
_ID = re.compile(r"[0-9A-Fa-f-]+")
#: Tasks of one name that are explained at once.
_SHOWN = 10


@click.command(short_help="Explain why a run or a task is in its state, or what a code means.")
@click.argument("run", metavar="RUN|CODE", default="last")
@click.argument("task", metavar="TASK", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API gives it.")
@home_option
def command(run: str, task: str | None, as_json: bool, home: Path | None) -> int:
    """Explain why a run, or one TASK of it, is in its state: what it waits for, what failed and where, why it was
    skipped, whether a cached result was reused and what was different. Without RUN, the newest run.

    With a CODE, such as OUT_OF_MEMORY: what it means, an example, and how to fix it. Needs no server.
    """
    if task is None and ("_" in run or run.isupper()) and not _ID.fullmatch(run):
        return _explain_code(run, as_json)

    from headrace.cli.connection import connected, settings_for

    with connected(settings_for(home), drive=False) as connection:
        return _explain(connection, run, task, as_json)


def _explain_code(code: str, as_json: bool) -> int:
    from headrace.cli.terminal import Paint, json_text
    from headrace.cli.why import code_text
    from headrace.wire import codes

    page = codes.find(code)
    if page is None:
        near = codes.near(code)
        fix = f"Did you mean {' or '.join(near)}?" if near else "All codes: docs/reference/error-codes.md"
        raise CliError(f"There is no code {code!r}.", code="CODE_UNKNOWN", fix=fix)
    print(json_text(page) if as_json else code_text(page, Paint.for_stream(sys.stdout)))
    return OK


def _explain(connection: Connection, run: str, task: str | None, as_json: bool) -> int:
    from headrace.cli.lists import resolve, tell_undriven
    from headrace.cli.running import home_words, log_tail
    from headrace.cli.tasks import board_of, named
    from headrace.cli.terminal import Paint, json_text, this_command
    from headrace.cli.why import Names, run_text, task_text

    client, paint = connection.client, Paint.for_stream(sys.stdout)
    run_id = resolve(client, run)
    board = board_of(client.get_run(run_id))
    names = Names(
        labels={one.execution_id: board.label(one) for one in board.executions},
        command=this_command(),
        home=home_words(connection.settings),
    )
    if task is None:
        found = client.explain_run(run_id)
        if as_json:
            print(json_text(found))
            return OK
        tail = log_tail(client, found.cause.execution_id) if found.cause and found.cause.failure else ""
        print(run_text(found, names, tail, paint))
        if found.state in ("PENDING", "RUNNING", "CANCELING"):
            tell_undriven(connection, paint)
        return OK
    meant = named(board, task, among=[one for one in board.executions if one.kind != "ROOT"])
    explained = [client.explain_execution(one.execution_id) for one in meant[:_SHOWN]]
    if as_json:
        print(json_text(explained[0] if len(meant) == 1 else explained))
        return OK
    for number, one in enumerate(explained):
        tail = log_tail(client, one.execution_id) if one.failure else ""
        print(("\n" if number else "") + task_text(one, names, tail, paint))
    if len(meant) > _SHOWN:
        print(paint.dim(f"\n… and {len(meant) - _SHOWN} more: name one, such as {board.label(meant[_SHOWN])}"))
    return OK
