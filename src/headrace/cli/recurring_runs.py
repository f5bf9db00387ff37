"""`headrace recurring-runs`: runs that are made again and again by a timetable."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from headrace.cli.errors import OK, CliError
from headrace.cli.options import home_option
from headrace.cli.recurring_run_views import print_coming, print_json, print_list, print_one, print_ticks
from headrace.cli.timetables import in_zone, timetable, timetable_options

if TYPE_CHECKING:
    from headrace.client.headrace import Headrace
    from headrace.wire.recurring_runs import RecurringRunView

F = TypeVar("F", bound=Callable[..., Any])
_PAGE = 200
_ID_LENGTH = 36


@click.group(short_help="Make runs again and again by a timetable.")
def command() -> None:
    """Make runs again and again: at an interval, or as a cron expression says, in a time zone.

    RECURRING_RUN is an id, or how it begins, or a name. The server must stay: `headrace up`.
    """


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API gives it.")
_one = click.argument("recurring_run", metavar="RECURRING_RUN")


def _limit_options(function: F) -> F:
    function = click.option(
        "--at-limit",
        type=click.Choice(["wait", "skip", "cancel"]),
        help="When so many are unfinished, a tick waits, makes no run, or cancels the oldest. [default: wait]",
    )(function)
    return click.option(
        "--max-concurrency",
        type=click.IntRange(1, 10),
        help="How many of its runs may be unfinished at the same time. [default: 1]",
    )(function)


@command.command("list")
@click.option("--search", metavar="TEXT", default="", help="Only those whose name contains this text.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@_json_option
@home_option
def list_command(search: str, limit: int, as_json: bool, home: Path | None) -> int:
    """List recurring runs, newest first."""

    def act(client: Headrace) -> int:
        page = client.list_recurring_runs(page_size=min(limit, _PAGE), search=search)
        if as_json:
            print_json(page)
        elif not page.recurring_runs:
            print("No recurring runs." if not search else "No recurring run has this in its name.")
        else:
            print_list(page.recurring_runs, page.total_size)
        return OK

    return _with_client(home, act)


@command.command("get")
@_one
@_json_option
@home_option
def get_command(recurring_run: str, as_json: bool, home: Path | None) -> int:
    """Show one recurring run."""

    def act(client: Headrace) -> int:
        found = _find(client, recurring_run)
        if as_json:
            print_json(found)
        else:
            print_one(found)
        return OK

    return _with_client(home, act)


@command.command("create")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--pipeline", metavar="NAME", help="Which pipeline of a Python file that has several.")
@click.option(
    "--pipeline-id", metavar="ID", help="Instead of FILE: an uploaded pipeline; each tick takes its latest version."
)
@click.option("--version-id", metavar="ID", help="Instead of FILE: one version of an uploaded pipeline.")
@click.option("--name", help="A name. [default: the pipeline's name]")
@click.option("--description", default="", help="What it is for.")
@click.option(
    "--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="A value for an input; may be given several times."
)
@click.option("--experiment", metavar="NAME", help="The runs' experiment; created if it does not exist.")
@timetable_options
@_limit_options
@click.option("--disabled", is_flag=True, help="Make no runs until it is enabled.")
@home_option
def create_command(
    file: Path | None,
    pipeline: str | None,
    pipeline_id: str | None,
    version_id: str | None,
    name: str | None,
    description: str,
    arguments: tuple[str, ...],
    experiment: str | None,
    max_concurrency: int | None,
    at_limit: str | None,
    disabled: bool,
    home: Path | None,
    **when: str | None,
) -> int:
    """Make runs of a pipeline by a timetable, and show when the next ones come.

    FILE is a Python file with a pipeline, or a compiled document. Macros in the values are replaced in each run:
    `--arg day='[[ScheduledTime.2006-01-02]]'`.
    """
    from headrace.wire.recurring_runs import CreateRecurringRun

    if sum(one is not None for one in (file, pipeline_id, version_id)) != 1:
        fix = "headrace recurring-runs create FILE --cron '30 2 * * *', or --pipeline-id ID, or --version-id ID"
        raise CliError("Say in one way what the runs are made from.", code="USAGE", fix=fix)
    due = timetable(when)
    text, title, parameters = _source(file, pipeline, arguments)
    wanted = CreateRecurringRun(
        display_name=name or title or "Recurring run",
        description=description,
        document=text,
        pipeline_id=pipeline_id,
        pipeline_version_id=version_id,
        experiment_name=experiment,
        parameters=parameters,
        timetable=due,
        max_concurrency=max_concurrency or 1,
        at_limit=at_limit or "wait",  # type: ignore[arg-type]
        enabled=not disabled,
    )

    def act(client: Headrace) -> int:
        made = client.create_recurring_run(wanted)
        print(f"Recurring run {made.recurring_run_id} ({made.display_name}) is made.")
        print_coming(client.list_ticks(made.recurring_run_id, past=0), made.timetable)
        return OK

    return _with_client(home, act)


@command.command("edit")
@_one
@click.option("--name", help="Another name.")
@click.option("--description", help="Another description.")
@click.option(
    "--version-id", metavar="ID", help="Another version of its pipeline; latest: the latest one at each tick."
)
@click.option(
    "--arg",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another value for an input, as JSON or a text; the others stay.",
)
@timetable_options
@_limit_options
@home_option
def edit_command(
    recurring_run: str,
    name: str | None,
    description: str | None,
    version_id: str | None,
    arguments: tuple[str, ...],
    max_concurrency: int | None,
    at_limit: str | None,
    home: Path | None,
    **when: str | None,
) -> int:
    """Change a recurring run in place, from its next tick on: its id, its runs and its history stay."""
    from headrace.wire.recurring_runs import EditRecurringRun

    def act(client: Headrace) -> int:
        found = _find(client, recurring_run)
        given = {key: text for key, text in when.items() if text is not None}
        wanted = EditRecurringRun(
            display_name=name,
            description=description,
            pipeline_version_id="" if version_id == "latest" else version_id,
            parameters={**found.parameters, **_values(arguments, found.parameters)} if arguments else None,
            timetable=timetable(given, found.timetable) if given else None,
            max_concurrency=max_concurrency,
            at_limit=at_limit,  # type: ignore[arg-type]
        )
        if wanted == EditRecurringRun():
            fix = "headrace recurring-runs edit RECURRING_RUN --cron '0 3 * * *', for instance"
            raise CliError("Say what is to change.", code="USAGE", fix=fix)
        edited = client.edit_recurring_run(found.recurring_run_id, wanted)
        print(f"Recurring run {edited.recurring_run_id} ({edited.display_name}) is changed.")
        print_coming(client.list_ticks(edited.recurring_run_id, past=0), edited.timetable)
        return OK

    return _with_client(home, act)


@command.command("enable")
@_one
@home_option
def enable_command(recurring_run: str, home: Path | None) -> int:
    """Let it make runs."""
    return _with_client(home, lambda client: _set_enabled(client, recurring_run, True))


@command.command("disable")
@_one
@home_option
def disable_command(recurring_run: str, home: Path | None) -> int:
    """Let it make no more runs; those that it has made go on."""
    return _with_client(home, lambda client: _set_enabled(client, recurring_run, False))


@command.command("delete")
@_one
@home_option
def delete_command(recurring_run: str, home: Path | None) -> int:
    """Delete it; its runs stay."""

    def act(client: Headrace) -> int:
        found = _find(client, recurring_run)
        client.delete_recurring_run(found.recurring_run_id)
        print(f"Recurring run {found.recurring_run_id} ({found.display_name}) is deleted; its runs stay.")
        return OK

    return _with_client(home, act)


@command.command("explain")
@_one
@click.option("--past", type=click.IntRange(0, 1000), default=20, show_default=True, help="Past ticks at most.")
@click.option("--coming", type=click.IntRange(0, 100), default=5, show_default=True, help="Coming ticks at most.")
@_json_option
@home_option
def explain_command(recurring_run: str, past: int, coming: int, as_json: bool, home: Path | None) -> int:
    """Say of each past and coming tick whether it made a run, and if not, why."""

    def act(client: Headrace) -> int:
        found = _find(client, recurring_run)
        listed = client.list_ticks(found.recurring_run_id, past=past, coming=coming)
        if as_json:
            print_json(listed)
            return OK
        print_one(found)
        print_ticks(listed, found.timetable)
        return OK

    return _with_client(home, act)


@command.command("preview")
@timetable_options
@click.option("-n", "--count", type=click.IntRange(1, 100), default=5, show_default=True, help="How many times.")
@home_option
def preview_command(count: int, home: Path | None, **when: str | None) -> int:
    """Show when a timetable would be due. Nothing is made."""
    due = timetable(when)

    def act(client: Headrace) -> int:
        for at in client.preview_timetable(due, count=count):
            print(in_zone(at, due))
        return OK

    return _with_client(home, act)


# --- what is asked -------------------------------------------------------------------------------


def _source(
    file: Path | None, pipeline: str | None, arguments: tuple[str, ...]
) -> tuple[str | None, str, dict[str, Any]]:
    """The document's text, its pipeline's name, and the arguments."""
    from headrace.cli.arguments import collect
    from headrace.cli.sources import load, verified

    if file is None:
        return None, "", _values(arguments, {})
    source = verified(load(file, pipeline))
    parameters = collect(source.pipeline_spec, arguments, None)
    return source.text, str((source.pipeline_spec.get("pipelineInfo") or {}).get("name", "")), parameters


def _values(arguments: tuple[str, ...], known: dict[str, Any]) -> dict[str, Any]:
    """Arguments for a document that is on the server: JSON where it is JSON, texts where the known value is a text."""
    import json

    from headrace.cli.arguments import pairs

    found: dict[str, Any] = {}
    for name, text in pairs("--arg", arguments).items():
        try:
            found[name] = text if isinstance(known.get(name), str) else json.loads(text)
        except (ValueError, RecursionError):
            found[name] = text
    return found


def _find(client: Headrace, text: str) -> RecurringRunView:
    """By its id, the beginning of its id, or its name. Raises CliError."""
    if len(text) == _ID_LENGTH:
        return client.get_recurring_run(text)
    found, token = [], ""
    while True:
        page = client.list_recurring_runs(page_size=_PAGE, page_token=token)
        found += [
            one
            for one in page.recurring_runs
            if one.recurring_run_id.startswith(text.lower()) or one.display_name == text
        ]
        token = page.next_page_token
        if not token:
            break
    if len(found) == 1:
        return found[0]
    if not found:
        raise CliError(
            f"There is no recurring run with the id or the name {text!r}.",
            code="RECURRING_RUN_NOT_FOUND",
            fix="See: headrace recurring-runs list",
        )
    raise CliError(
        f"{len(found)} recurring runs have this name, or an id that begins so.",
        code="RECURRING_RUN_AMBIGUOUS",
        fix="Give more of the id.",
        story="\n".join(f"{one.recurring_run_id}  {one.display_name}" for one in found[:10]),
    )


def _set_enabled(client: Headrace, text: str, enabled: bool) -> int:
    from headrace.wire.recurring_runs import EditRecurringRun

    found = _find(client, text)
    client.edit_recurring_run(found.recurring_run_id, EditRecurringRun(enabled=enabled))
    print(f"Recurring run {found.recurring_run_id} ({found.display_name}) is {'enabled' if enabled else 'disabled'}.")
    print_coming(client.list_ticks(found.recurring_run_id, past=0), found.timetable)
    return OK


def _with_client(home: Path | None, act: Callable[[Headrace], int]) -> int:
    from headrace.cli.connection import connected, settings_for

    with connected(settings_for(home), drive=False) as connection:
        code = act(connection.client)
        if not connection.drives:
            print("No server is running, so no runs are made: headrace up starts one.", file=sys.stderr)
        return code
