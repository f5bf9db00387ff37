"""The implementations that the suite is run against."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.executor.watching import Watch
from headrace.artifacts.local import LocalStore
from headrace.executors.select import make_executor
from orders import python_order

PYTHON_IMAGE = "localhost/headrace-test/python:1"
#: The smallest podman settings with which containers run as root on a machine without systemd.
_PODMAN = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"""


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments shared by all tests: what is in them is the same for all."""
    return tmp_path_factory.mktemp("envs")


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An engine that works, with both images in it."""
    if _needs_settings() and "CONTAINERS_CONF" not in os.environ:
        settings = tmp_path_factory.mktemp("podman") / "containers.conf"
        settings.write_text(_PODMAN)
        os.environ["CONTAINERS_CONF"] = str(settings)
    folder = tmp_path_factory.mktemp("images")
    _import(folder / "python.tar", PYTHON_IMAGE, _python_files())
    return "podman"


def _needs_settings() -> bool:
    """Root without systemd has no cgroup manager that podman expects."""
    return os.getuid() == 0 and shutil.which("runc") is not None and not Path("/run/systemd/system").exists()


def _python_files() -> dict[str, str]:
    """This machine's own Python and shell with all they load, as an image: there may be no registry to pull one from."""
    python = "/usr/bin/python3"
    asked = "import sysconfig, sys; print(sysconfig.get_path('stdlib')); print(sys.version_info[1])"
    library, _ = subprocess.check_output([python, "-c", asked], text=True).split()
    names = [os.path.realpath(python), os.path.realpath("/bin/sh"), "/bin/cat", "/bin/sleep", "/bin/echo"]
    loaded = [*names, *(str(path) for path in Path(library, "lib-dynload").glob("*.so"))]
    told = subprocess.run(["ldd", *loaded], capture_output=True, text=True, check=False).stdout
    libraries = {word for word in told.split() if word.startswith("/") and not word.endswith(":")}
    files = {path: path for path in [*names, *libraries, library]}
    return files | {"/bin/sh": os.path.realpath("/bin/sh"), python: os.path.realpath(python)}


def _import(archive: Path, image: str, files: dict[str, str]) -> None:
    def chosen(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        skipped = ("__pycache__", "/test", "/idlelib", "/tkinter", "/ensurepip", "/config-")
        return None if any(word in info.name for word in skipped) else info

    with tarfile.open(archive, "w") as tar:
        for inside, path in files.items():
            tar.add(os.path.realpath(path), inside, filter=chosen)
        for name in ("tmp", "proc", "sys", "dev", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(folder)
    subprocess.run(["podman", "import", str(archive), image], check=True, capture_output=True)


@pytest.fixture(params=["process", pytest.param("container", marks=[pytest.mark.container, pytest.mark.slow])])
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
        options = {"max_parallel": 2, "stop_grace_s": 0.5, "max_parameter_bytes": 100_000, **changes}
        containers = kind == "container"
        return make_executor(home, porter=LocalStore(home / "artifacts"), containers_only=containers, **options)

    return make


@pytest.fixture
async def open_watch(executor_over: Callable[..., Any]) -> AsyncIterator[Callable[..., Watch]]:
    """Makes watched executors that are closed in the end."""
    opened: list[Watch] = []

    def make(home: Path, **changes: Any) -> Watch:
        opened.append(Watch(executor_over(home, **changes)))
        return opened[-1]

    yield make
    for watch in opened:
        await watch.close()


@pytest.fixture
def order() -> Callable[..., Any]:
    """Orders of Python functions, in an image that is there."""
    return lambda source, **changes: python_order(source, image=PYTHON_IMAGE, **changes)
