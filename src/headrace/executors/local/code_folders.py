"""Source and modules of components, written down once on this machine for all attempts that bring the same.

The source lies at `<home>/sources/<digest>`, the user's own modules unpacked at `<home>/code/<digest>`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from headrace.attempt.layout import SOURCE_FILE
from headrace.attempt.python_task import code_digest, source_bytes, unpack_code, write_source
from headrace.spec.bootstrap import PythonEntry


class CodeFolders:
    """All of them under one home."""

    def __init__(self, home: Path) -> None:
        self._root = home / "code"
        self._sources = home / "sources"
        self._unpacking = asyncio.Lock()
        self._written: set[str] = set()

    def source(self, entry: PythonEntry) -> str:
        """Path of a file that holds the component's source. Read-only, as is its folder: many attempts share it."""
        folder = f"{self._sources}/{hashlib.sha256(source_bytes(entry)).hexdigest()[:40]}"
        path = f"{folder}/{SOURCE_FILE}"
        if path not in self._written or not os.path.exists(path):  # noqa: PTH110 - hot
            if not Path(path).exists():
                self._put(Path(folder), lambda part: write_source(part / SOURCE_FILE, entry))
            self._written.add(path)
        return path

    async def get(self, entry: PythonEntry) -> Path | None:
        """The folder of the component's own modules; None when it brings none. Raises Refusal."""
        digest = code_digest(entry)
        if digest is None:
            return None
        folder = self._root / digest
        async with self._unpacking:
            if not folder.is_dir():
                await asyncio.to_thread(self._put, folder, lambda part: unpack_code(entry, digest, part))
        return folder

    @lru_cache(maxsize=64)  # noqa: B019 - there is one of these for each server
    def names(self, folder: Path | None) -> frozenset[str]:
        """Top-level names of the modules in a folder of `get`."""
        if folder is None:
            return frozenset()
        return frozenset(name.partition(".")[0] for name in os.listdir(folder))  # noqa: PTH208

    def _put(self, target: Path, fill: Callable[[Path], None]) -> None:
        """Fill a folder beside the target and move it there, so that it is whole wherever it is seen."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name[:12]}.", dir=target.parent))
        try:
            fill(part)
            for folder in (part, *(path for path in part.rglob("*") if path.is_dir())):
                folder.chmod(0o755)  # tasks in containers are not always this user
            part.rename(target)
        except OSError:
            if not target.is_dir():  # else another server was quicker
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
