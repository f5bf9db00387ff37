"""What only `headrace[server]` brings, and how a command says that it is missing."""

from __future__ import annotations

import sys

from headrace.cli.errors import CliError

#: Modules that `headrace[server]` brings.
SERVER_PACKAGES = ("cel_expr_python", "psutil", "rpds", "sqlalchemy", "starlette", "uvicorn")


def server_missing(error: ModuleNotFoundError) -> CliError | None:
    """The error for a person, if a package of the server is missing; None for any other module."""
    if error.name is None or error.name.partition(".")[0] not in SERVER_PACKAGES:
        return None
    return CliError(
        f"This needs the server part of Headrace, which is not installed here (there is no module {error.name!r}).",
        code="SERVER_NOT_INSTALLED",
        fix=f"{sys.executable} -m pip install 'headrace[server]'",
    )
