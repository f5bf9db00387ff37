"""Python environments, one for each set of packages, built once with uv and shared by every attempt that asks for it.

An environment lies at `<home>/envs/<key>` and is usable once its `ready` file exists; the key
follows from what was asked for. Building happens under a lock file, so that two servers, or two
coroutines of one, never build the same one twice.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from headrace.attempt.codes import Code
from headrace.attempt.refusal import Refusal
from headrace.executors.local.pip_words import Installation, hide, installation
from headrace.executors.local.tools import run_tool

_READY = "ready"
#: Lines of uv's message that are kept.
_KEPT_LINES = 25
#: Passed on to uv from our own environment: where packages come from and how to reach it.
_PASSED_ON = re.compile(
    r"(?i)(UV_.*|PIP_(?:INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|CERT|CONFIG_FILE|FIND_LINKS|NO_INDEX)|(?:https?|all|no)_proxy"
    r"|SSL_CERT_(?:FILE|DIR)|NETRC|HOME|PATH|LANG|LC_ALL|TMPDIR|XDG_.*|USER|CC|CXX|CFLAGS|LDFLAGS)"
)
_NOT_FOUND = re.compile(
    r"not found in the package registry|there (?:is no version|are no versions) of|no wheels? with a matching"
    r"|Failed to parse|was not found in|only .* (?:is|are) available"
)


class Packages(msgspec.Struct, frozen=True, kw_only=True):
    """What a component asks to be installed."""

    requirements: tuple[str, ...] = ()
    #: The first is the index, the others are extra ones; none: as uv and pip are configured.
    index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()


class Environments:
    """All environments under one home."""

    def __init__(self, home: Path, *, python: str = "") -> None:
        self._root = home / "envs"
        self._python = python or getattr(sys, "_base_executable", "") or sys.executable
        self._building: dict[str, asyncio.Task[Path]] = {}
        self._digests: dict[Path, str] = {}
        self.builds = 0

    def key(self, packages: Packages) -> str:
        """Names the environment: what was asked for, for which Python on which platform."""
        has_options = any(one.startswith("-") for one in packages.requirements)
        asked = [
            list(packages.requirements) if has_options else sorted(packages.requirements),
            list(packages.index_urls),
            sorted(packages.trusted_hosts),
            self._python,
            sys.version,
            sysconfig.get_platform(),
        ]
        return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:40]

    def find(self, packages: Packages) -> Path | None:
        """The environment, if it is there already."""
        path = self._root / self.key(packages)
        return path if (path / _READY).exists() else None

    def digest(self, packages: Packages) -> str:
        """What is installed, as a digest of names and versions; what was asked for while nothing is."""
        path = self.find(packages)
        if path is None:
            return f"asked:{self.key(packages)}"
        if path not in self._digests:
            self._digests[path] = installed(path)
        return self._digests[path]

    async def get(self, packages: Packages, waiting: Callable[[], None]) -> Path:
        """The environment; built first if need be, after calling `waiting`. Refuses what cannot be installed."""
        found = self.find(packages)
        if found is not None:
            return found
        waiting()
        key = self.key(packages)
        if key not in self._building:
            self._building[key] = asyncio.create_task(self._build(key, packages))
            self._building[key].add_done_callback(lambda task: self._built(key, task))
        return await asyncio.shield(self._building[key])

    def _built(self, key: str, task: asyncio.Task[Path]) -> None:
        self._building.pop(key, None)
        if not task.cancelled():
            task.exception()  # those that still wait get it, if any do

    async def close(self) -> None:
        """Give up what is being built; the next call begins again."""
        for task in (building := list(self._building.values())):
            task.cancel()
        await asyncio.gather(*building, return_exceptions=True)

    async def _build(self, key: str, packages: Packages) -> Path:
        self._root.mkdir(parents=True, exist_ok=True)
        path = self._root / key
        lock = os.open(self._root / f".{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            if not (path / _READY).exists():
                await self._install(path, packages)
            return path
        except Refusal:
            shutil.rmtree(path, ignore_errors=True)
            raise
        finally:
            os.close(lock)

    async def _install(self, path: Path, packages: Packages) -> None:
        """Scripts in an environment name its path, so it is built where it stays; `ready` says it is whole."""
        self.builds += 1
        began = time.monotonic()
        shutil.rmtree(path, ignore_errors=True)
        asked = installation(packages.requirements, packages.index_urls, packages.trusted_hosts)
        uv = find_uv()
        await self._uv(asked, uv, "venv", "--python", self._python, "--no-project", "--quiet", str(path))
        if asked.requirements:
            python = str(path / "bin" / "python")
            options = ("--python", python, "--link-mode=hardlink", *asked.options)
            # Requirements go after `--`, so that none is taken for an option.
            await self._uv(asked, uv, "pip", "install", *options, "--", *asked.requirements)
        note = {"packages": asked.requirements, "seconds": round(time.monotonic() - began, 3)}
        (path / _READY).write_text(hide(msgspec.json.encode(note).decode(), asked.secrets()))

    async def _uv(self, asked: Installation, uv: str, *arguments: str) -> None:
        env = {**_uv_environment(), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
        if "UV_CACHE_DIR" not in env and not _can_write_cache(env):
            env["UV_CACHE_DIR"] = str(self._root.parent / "uv-cache")
        status, said = await run_tool(uv, *arguments, env=asked.variables(env), cwd=self._root)
        if status:
            raise failure(said, asked)


def _can_write_cache(env: dict[str, str]) -> bool:
    """Whether uv can make its cache where it makes it by itself; a service's user often has no home of its own."""
    home = env.get("XDG_CACHE_HOME") or f"{env.get('HOME') or os.path.expanduser('~')}/.cache"  # noqa: PTH111
    cache = Path(home, "uv")
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(cache, os.W_OK | os.X_OK)


def _uv_environment() -> dict[str, str]:
    passed = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    for ours, pips in (("UV_INDEX_URL", "PIP_INDEX_URL"), ("UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL")):
        if pips in passed and ours not in passed and "UV_DEFAULT_INDEX" not in passed:
            passed[ours] = passed[pips]
    if "PIP_CERT" in passed:
        passed.setdefault("SSL_CERT_FILE", passed["PIP_CERT"])
    return passed


def installed(environment: Path) -> str:
    """Digest of the names and versions of all that an environment holds."""
    names = sorted(path.name.lower() for path in environment.glob("lib/python*/site-packages/*.dist-info"))
    return "sha256:" + hashlib.sha256("\n".join(names).encode()).hexdigest()


def find_uv() -> str:
    """uv's program: the one of the `uv` package, else one on the PATH."""
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        message = "The program uv, which installs packages, is not there. Install it: pip install 'headrace[server]'."
        raise Refusal(Code.UV_MISSING, message, retryable=False)
    return found


def failure(said: str, asked: Installation) -> Refusal:
    """What uv's message means."""
    secrets = asked.secrets()
    last = "\n".join(hide(said, secrets).strip().splitlines()[-_KEPT_LINES:])
    names = [hide(one, secrets) for one in asked.requirements]
    if _NOT_FOUND.search(said):
        message = f"A package that the component asks for ({', '.join(names)}) cannot be had:\n{last}"
        return Refusal(Code.PACKAGE_NOT_FOUND, message, retryable=False, packages=names)
    what = f"The component's packages ({', '.join(names)})" if names else "The component's environment"
    message = f"{what} could not be {'installed' if names else 'made'}:\n{last}"
    return Refusal(Code.PACKAGE_INSTALL_FAILED, message, packages=names)
