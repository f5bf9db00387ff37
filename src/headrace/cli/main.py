"""The entry point: it finds the command, imports only what the command needs, and prints errors in one style."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from headrace.cli.errors import FAILED, INTERRUPTED, OK, USAGE, CliError, Closed, render
from headrace.cli.terminal import Paint
from headrace.descriptors import open_missing_streams

#: Command -> module that has it (as `command`, or by the name behind a colon) and the line `--help` shows.
#: Nothing is imported to print the list.
COMMANDS = {
    "run": ("headrace.cli.run", "Run a pipeline and watch it."),
    "up": ("headrace.cli.up", "Start the server and the web UI, until Ctrl-C."),
    "runs": ("headrace.cli.runs", "List, show, cancel, retry and delete runs."),
    "recurring-runs": ("headrace.cli.recurring_runs", "Make runs again and again by a timetable."),
    "pause": ("headrace.cli.control:pause", "Pause a run: running tasks go on, no other task starts."),
    "resume": ("headrace.cli.control:resume", "Resume a paused run."),
    "cache": ("headrace.cli.cache", "List results that can be reused, and delete them."),
    "explain": ("headrace.cli.explain", "Explain why a run or a task is in its state, or what a code means."),
    "rerun": ("headrace.cli.control:rerun", "Re-run a run from a task; results before it are reused."),
    "mark": ("headrace.cli.control:mark", "Mark a task as succeeded or as skipped."),
    "ui": ("headrace.cli.ui", "Open the web UI of the running server."),
    "sessions": ("headrace.cli.sessions", "List the browsers that are signed in, and sign them out."),
    "init": ("headrace.cli.init", "Write a first pipeline to start from."),
    "compile": ("headrace.cli.compile", "Write a pipeline's document as YAML."),
    "component": ("headrace.cli.component", "Build images of components."),
    "lint": ("headrace.cli.lint", "Check a pipeline document."),
    "doctor": ("headrace.cli.doctor", "Check this machine: what is missing, and how to get it."),
    "completion": ("headrace.cli.completion", "Print the script that lets a shell complete commands."),
    "version": ("headrace.cli.version", "Print the version."),
}


#: Verbs of `headrace runs` that may be written without `runs`, and what they are called there.
VERBS_OF_RUNS = {
    "list": "list",
    "get": "get",
    "logs": "logs",
    "cancel": "terminate",
    "terminate": "terminate",
    "retry": "retry",
    "delete": "delete",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order in which people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported; None when there is no such command."""
        if cmd_name in VERBS_OF_RUNS:
            return _runs().commands[VERBS_OF_RUNS[cmd_name]]
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name or "command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; with a mistyped word, the error has the word that is most like it."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = difflib.get_close_matches(args[0], [*COMMANDS, *VERBS_OF_RUNS], n=1)
            fix = f"Did you mean: headrace {near[0]}" if near else "See: headrace --help"
            raise CliError(f"No such command {args[0]!r}.", code="USAGE", fix=fix, exit_code=USAGE)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """What a shell offers for the first word: commands with their one-line summaries, and options."""
        from click.shell_completion import CompletionItem

        known = {name: summary for name, (_, summary) in COMMANDS.items()}
        known |= {verb: f"The same as: headrace runs {name}" for verb, name in VERBS_OF_RUNS.items()}
        found = [CompletionItem(name, help=summary) for name, summary in known.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from their one-line summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        with formatter.section("Without `runs`, the same as with it"):
            formatter.write_text(", ".join(VERBS_OF_RUNS))


def _runs() -> click.Group:
    found = importlib.import_module("headrace.cli.runs").command
    assert isinstance(found, click.Group)
    return found


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Help on one command: headrace COMMAND --help",
)
@click.version_option(package_name="headrace", message="%(prog)s %(version)s")
def headrace() -> None:
    """Run machine-learning pipelines, here or on a server; written with headrace.dsl or kfp.dsl."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    from headrace.cli.guard import guard_terminals

    open_missing_streams()
    guard_terminals()
    _leave_missing_directory()
    status = call(sys.argv[1:] if argv is None else argv)
    _leave(status)


def _leave_missing_directory() -> None:
    """Go to the root where the current directory was removed: every path would be an error."""
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        os.chdir("/")
        print("warning: the current directory does not exist any more; relative paths begin at /", file=sys.stderr)


def call(argv: Sequence[str]) -> int:
    """Run one command; its exit status: 0 well, 1 failed, 2 wrong use or bad input, 130 interrupted."""
    try:
        result: Any = headrace.main(list(argv), prog_name="headrace", standalone_mode=False)
    except CliError as error:
        return _complain(error)
    except ModuleNotFoundError as error:
        from headrace.cli.server_part import server_missing

        if (missing := server_missing(error)) is None:
            raise
        return _complain(missing)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return USAGE
    except click.ClickException as error:
        return _complain(_usage(error))
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Closed as closed:
        return closed.status
    except BrokenPipeError:
        return FAILED
    return result if isinstance(result, int) else OK


def _complain(error: CliError) -> int:
    sys.stdout.flush()
    print(render(error, Paint.for_stream(sys.stderr)), file=sys.stderr)
    return error.exit_code


def _usage(error: click.ClickException) -> CliError:
    """Click's errors about options, in our words."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "headrace"
    return CliError(error.format_message(), code="USAGE", fix=f"See: {path} --help", exit_code=USAGE)


def _leave(status: int) -> None:
    """Exit. Where the reader of our output is gone, print no second error about it."""
    try:
        sys.stdout.flush()
    except OSError:  # a reader that has left, a terminal that is gone, a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or FAILED
    sys.exit(status)


if __name__ == "__main__":
    main()
