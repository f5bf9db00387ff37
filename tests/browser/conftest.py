"""Fixtures: a real Chromium, a real `headrace up`, real runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from harness import ROOT, Server

SCREENSHOTS = ROOT / "tests/browser/screenshots"


class Site:
    """The server, and functions that start runs on it."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        #: A file that exists: a run whose gate it is does not wait.
        self.open_gate = folder / "open"
        self.open_gate.touch()

    @property
    def url(self) -> str:
        return self.server.url

    def run(self, pipeline: str, name: str, **parameters: Any) -> str:
        """Start a run of a pipeline of tour.py. Returns the run's ID."""
        body = {"display_name": name, "document": self.document(pipeline), "parameters": parameters}
        return self.server.post("/api/runs", body)["run_id"]

    def document(self, pipeline: str) -> str:
        """The pipeline's document, compiled once, as a user would."""
        target = self.folder / f"{pipeline}.yaml"
        if not target.exists():
            program = (
                "import sys; from headrace import compiler; from browser import tour;"
                f"compiler.Compiler().compile(tour.{pipeline}, sys.argv[1])"
            )
            command = [sys.executable, "-c", program, str(target)]
            subprocess.run(command, check=True, cwd=ROOT / "tests", timeout=60)
        return target.read_text()

    def tour(self, name: str, **parameters: Any) -> str:
        """Start a run of the pipeline `tour` and wait for its end. Returns the run's ID."""
        run_id = self.run("tour", name, **{"gate": str(self.open_gate), **parameters})
        self.server.finished(run_id)
        return run_id

    def sign_in_link(self) -> str:
        return self.server.post("/api/session/link", {})["url"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for all browser tests. Each test uses only its own runs."""
    folder = tmp_path_factory.mktemp("site")
    server = Server(folder / "home")
    try:
        yield Site(server.start(), folder)
    finally:
        server.end()


@pytest.fixture(scope="session")
def finished(site: Site) -> str:
    """A run of the tour that succeeded."""
    return site.tour("Tour of everything")


@pytest.fixture(scope="session")
def failed(site: Site) -> str:
    """A run in which one iteration of a loop failed."""
    return site.tour("A depth too deep", settings=[{"depth": 3}, {"depth": 99, "broken": True}, {"depth": 9}])


@pytest.fixture
def signed_in(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """`signed_in(**options)`: a page in a new browser profile that is signed in.

    At the end of the test, no page may have an error in its console or a violation of the content security policy.
    """
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def make(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        context.add_init_script(
            "window.violations = [];"
            "document.addEventListener('securitypolicyviolation', (event) =>"
            " window.violations.push(event.violatedDirective + ' ' + event.blockedURI))"
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: problems.append(f"{message.text} {message.location}") if message.type == "error" else None,
        )
        page.goto(site.sign_in_link())
        page.wait_for_url("**/runs")
        return page

    yield make
    for context in contexts:
        for page in context.pages:
            problems.extend(page.evaluate("window.violations"))
        context.close()
    assert problems == []


@pytest.fixture
def page(signed_in: Callable[..., Page]) -> Page:
    return signed_in()


@pytest.fixture
def picture() -> Callable[..., None]:
    """`picture(page, name)`: save a screenshot for people to look at."""

    def take(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")

    return take
