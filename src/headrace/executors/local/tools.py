"""Runs the programs that executors themselves need: `uv`, `podman`, `docker`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path


async def run_tool(*argv: str, env: Mapping[str, str], cwd: Path | None = None) -> tuple[int, str]:
    """`(exit status, all it said)`. Ends the program, and sees it gone, when the caller is cancelled.

    It speaks into a file: a pipe could be held open by what it leaves behind, as engines leave their monitors.
    """
    with tempfile.TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(
            *argv, env=dict(env), cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            status = await process.wait()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        said.seek(0)
        return status, said.read().decode("utf-8", "replace")
