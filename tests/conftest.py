"""What all tests share: a home, a server, a report of each failure, and a list of what was skipped."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness import ROOT, Server, end_attempts, failure_report
from object_servers import S3Server, s3_server
from postgres import Postgres, binaries

#: On CI everything is installed: a skip is a failure there.
FORBID_SKIPS = os.environ.get("HEADRACE_TEST_FORBID_SKIPS") == "1"
#: Rewrite the files in tests/golden and beside the examples instead of comparing with them (`make golden`).
REWRITE_GOLDEN = os.environ.get("HEADRACE_REWRITE_GOLDEN") == "1"


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A data directory of this test's own; whatever runs over it ends with the test."""
    place = tmp_path / "home"
    yield place
    end_attempts(place)


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    """`headrace up` over `home`, on a free port."""
    one = Server(home)
    try:
        yield one.start()
    finally:
        one.end()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server, for all tests of a process that do nothing to it."""
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    server = Postgres(found)
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """The address of a database with our schema, of this test's own."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server with one bucket; one for all tests of a process."""
    with s3_server(tmp_path_factory.mktemp("s3") / "data") as one:
        yield one


#: Without these Chromium looks for the network, which need not be there.
_CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright; one for all tests of a process."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=_CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def golden() -> Any:
    """`golden(path, text)`: the text equals the file's; with `make golden`, it becomes the file's."""

    def compare(path: Path, text: str) -> None:
        if REWRITE_GOLDEN:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        expected = path.read_text() if path.exists() else f"(there is no {path.relative_to(ROOT)}: make golden)"
        assert text == expected

    return compare


# --- what a machine may lack -------------------------------------------------------------------


@cache
def _missing_engine() -> str:
    for name in ("podman", "docker"):
        found = shutil.which(name)
        if found and subprocess.run([found, "info"], capture_output=True, check=False).returncode == 0:
            return ""
    return "podman or docker is missing: apt-get install podman runc"


@cache
def _missing_browser() -> str:
    if not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        return "Chromium is missing: apt-get install chromium"
    if not (ROOT / "src/headrace/server/static/index.html").exists():
        return "the web UI is not built: make ui"
    return ""


@cache
def _missing_kfp() -> str:
    return "" if importlib.util.find_spec("kfp") else "the kfp package is missing: make setup-dev"


_NEEDS = {"container": _missing_engine, "browser": _missing_browser, "kfp": _missing_kfp}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: Playwright keeps an event loop running in their process, which async tests cannot share."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run on this machine, saying how it could."""
    for marker, missing in _NEEDS.items():
        if item.get_closest_marker(marker) and (what := missing()):
            pytest.skip(what)


# --- what the tests say afterwards -------------------------------------------------------------


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure reports what is in its data directory; on CI a skip is a failure."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    place = getattr(item, "funcargs", {}).get("home")
    if report.when == "call" and report.failed and isinstance(place, Path) and place.exists():
        report.sections.append(("what the data directory has", failure_report(place)))
        said = place.with_name(f"{place.name}-server.log")
        if said.exists():
            report.sections.append(("server's output", said.read_text(errors="replace")[-5000:]))
    if report.skipped and FORBID_SKIPS and not hasattr(report, "wasxfail"):
        where = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, which HEADRACE_TEST_FORBID_SKIPS forbids: {where}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name what was skipped, and how to have it run."""
    skipped: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        skipped[reason] = skipped.get(reason, 0) + 1
    if skipped:
        terminalreporter.section("skipped on this machine")
        for reason, count in sorted(skipped.items()):
            terminalreporter.write_line(f"{count:>4}  {reason}")
