"""`headrace completion`: the script that lets a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from headrace.cli.errors import OK

_SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print the script that lets a shell complete commands.")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the script that lets a shell complete commands and options.

    \b
    bash  add to ~/.bashrc: eval "$(headrace completion bash)"
    zsh   add to ~/.zshrc: eval "$(headrace completion zsh)"
    fish  headrace completion fish > ~/.config/fish/completions/headrace.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, shell
    print(kind(context.find_root().command, {}, "headrace", "_HEADRACE_COMPLETE").source())
    return OK
