"""The implementations that the suite is run against."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.executor.watching import Watch
from headrace.artifacts.local import LocalStore
from headrace.executors.local.assemble import make_executor
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.container import container_name
from images import import_image, python_files, settle_podman
from orders import python_order

PYTHON_IMAGE = "localhost/headrace-test/python:1"


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments shared by all tests: what is in them is the same for all."""
    return tmp_path_factory.mktemp("envs")


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An engine that works, with both images in it."""
    settle_podman(tmp_path_factory.mktemp("podman"))
    import_image(tmp_path_factory.mktemp("images") / "python.tar", [PYTHON_IMAGE], python_files())
    return "podman"


@pytest.fixture(params=["process", "warm", pytest.param("container", marks=[pytest.mark.container, pytest.mark.slow])])
def kind(request: pytest.FixtureRequest) -> str:
    """Which implementation this test is about."""
    if request.param == "container":
        request.getfixturevalue("podman")
    return str(request.param)


@pytest.fixture
def executor_over(kind: str, environments: Path) -> Callable[..., Any]:
    """Makes an executor over a home; a second one over the same home is a later server."""

    def make(home: Path, **changes: Any) -> Any:
        home.mkdir(exist_ok=True)
        if not (home / "envs").exists():
            (home / "envs").symlink_to(environments)
        options = {
            "artifacts": LocalStore(home / "artifacts"),
            "max_parallel": 2,
            "stop_grace_s": 0.5,
            "max_parameter_bytes": 100_000,
            **changes,
        }
        containers = kind == "container"
        options = {"warm_starts": kind == "warm", "warm_patience_s": 60, **options}
        return make_executor(home, containers_only=containers, **options)

    return make


@pytest.fixture
async def open_watch(
    executor_over: Callable[..., Any], request: pytest.FixtureRequest, kind: str, home: Path
) -> AsyncIterator[Callable[..., Watch]]:
    """Makes watched executors that are closed in the end."""
    opened: list[Watch] = []

    def make(home: Path, **changes: Any) -> Watch:
        opened.append(Watch(executor_over(home, **changes)))
        return opened[-1]

    yield make
    for watch in opened:
        await watch.close()
        # Else this would be a second run of the suite with cold starts.
        assert watch.executor.warm.declined == 0 or request.node.get_closest_marker("cold_too")
    if kind == "container":
        # Its engine's client ends with the test's other processes, and a container goes on without one.
        for place in (home / "attempts").glob("*/*/*"):
            if not (place / "result.json").exists():
                engine = ["podman", "rm", "--force", "--time=0", "--ignore", container_name(AttemptDir(place))]
                subprocess.run(engine, capture_output=True, check=False)


@pytest.fixture
def order() -> Callable[..., Any]:
    """Orders of Python functions, in an image that is there."""
    return lambda source, **changes: python_order(source, image=PYTHON_IMAGE, **changes)
