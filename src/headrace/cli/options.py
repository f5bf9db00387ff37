"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def home_option(function: F) -> F:
    """`--home`: the data directory; the command gets it as `home`, absolute, or None for the default."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        callback=lambda _ctx, _param, value: None if value is None else value.expanduser().absolute(),
        help="Data directory. [default: $HEADRACE_HOME, else ~/.headrace]",
    )(function)
