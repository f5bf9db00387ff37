"""`headrace cache`: list results that can be reused, and delete them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.errors import OK, CliError
from headrace.cli.options import home_option

if TYPE_CHECKING:
    from headrace.cli.connection import Connection
    from headrace.client.headrace import Headrace
    from headrace.wire.api import CacheEntryView, DropCache

_PAGE = 200
#: Ids of one request: far below the server's limit of a body.
_IDS = 5000


@click.group(short_help="List results that can be reused, and delete them.")
def command() -> None:
    """List results that can be reused, and delete them from the cache.

    A task with the same component, inputs, command, image and packages as an earlier one reuses that one's outputs.
    """


_pipeline_option = click.option("--pipeline", metavar="NAME", help="Only results of this pipeline.")
_task_option = click.option("--task", metavar="NAME", help="Only results of this task.")


@command.command("list")
@_pipeline_option
@_task_option
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API gives it.")
@home_option
def list_command(pipeline: str | None, task: str | None, limit: int, as_json: bool, home: Path | None) -> int:
    """List results that can be reused, newest first."""

    def act(connection: Connection) -> int:
        page = connection.client.list_cache(
            pipeline_name=pipeline or "", task=task or "", page_size=min(limit, _PAGE)
        )  # fmt: skip
        if as_json:
            from headrace.cli.terminal import json_text

            print(json_text(page))
        elif not page.entries:
            print("The cache is empty." if not (pipeline or task) else "No such results are in the cache.")
        else:
            _print(page.entries, page.total_size)
        return OK

    return _with_connection(home, act)


@command.command("drop")
@click.argument("run", metavar="RUN", required=False)
@click.argument("task_of_run", metavar="TASK", required=False)
@_pipeline_option
@_task_option
@click.option("--all", "everything", is_flag=True, help="All results.")
@home_option
def drop_command(
    run: str | None,
    task_of_run: str | None,
    pipeline: str | None,
    task: str | None,
    everything: bool,
    home: Path | None,
) -> int:
    """Delete results from the cache: those that a run (or one TASK of it) made or reused, of a pipeline, or of a task.

    They are not reused any more. The outputs, artifacts and runs themselves stay.
    """
    ways = [run is not None, pipeline is not None or task is not None, everything]
    if sum(ways) != 1:
        raise CliError(
            "Say in one way which results to delete.",
            code="USAGE",
            fix="headrace cache drop RUN [TASK], or --pipeline NAME and --task NAME, or --all",
        )

    def act(connection: Connection) -> int:
        count = sum(connection.client.drop_cache(which) for which in _wanted(connection.client))
        print(f"{count or 'No'} {'result' if count == 1 else 'results'} deleted from the cache.")
        return OK

    def _wanted(client: Headrace) -> Iterator[DropCache]:
        from headrace.wire.api import DropCache

        if run is None:
            yield DropCache(pipeline_name=pipeline, task=task, everything=everything)
            return
        ids = _ids(client, run, task_of_run)
        yield from (DropCache(execution_ids=ids[at : at + _IDS]) for at in range(0, len(ids), _IDS))

    return _with_connection(home, act)


def _ids(client: Headrace, run: str, task: str | None) -> list[str]:
    """Executions whose results the run, or one task of it, made or reused."""
    from headrace.cli.lists import resolve
    from headrace.cli.tasks import board_of, named

    board = board_of(client.get_run(resolve(client, run)))
    meant = board.tasks if task is None else named(board, task)
    return list(dict.fromkeys(one.cached_from or one.execution_id for one in meant))


def _print(entries: list[CacheEntryView], total: int) -> None:
    from headrace.cli.terminal import Paint, local_time, more_line, table

    paint = Paint.for_stream(sys.stdout)
    expire = any(one.expires_at for one in entries)
    rows = [
        (one.pipeline_name, one.task, one.run_id[:8], local_time(one.created_at), local_time(one.expires_at))
        for one in entries
    ]
    heads = ("pipeline", "task", "of run", "made", "expires")
    width = len(heads) if expire else len(heads) - 1
    print(table([row[:width] for row in rows], heads=heads[:width], paint=paint))
    if total > len(entries):
        print(more_line(len(entries), total, paint))


def _with_connection(home: Path | None, act: Callable[[Connection], int]) -> int:
    from headrace.cli.connection import connected, settings_for

    with connected(settings_for(home), drive=False) as connection:
        return act(connection)
