"""Every document of the shared corpus is run, on processes and where it needs one in containers: see `e2e.corpus`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from e2e.corpus import EXPECTED, Expected
from harness import ROOT, end_attempts
from headrace.engine.model import Execution, Kind, State
from headrace.service.errors import Invalid
from headrace.service.service import NewRun
from headrace.service.settings import Settings
from headrace.spec.reading import read_pipeline
from images import import_image, python_files, settle_podman
from owned_service import Service

CORPUS = ROOT.parent / "shared" / "conformance" / "ir"
DOCUMENTS = {str(path.relative_to(CORPUS))[:-5]: path for path in sorted(CORPUS.rglob("*.yaml"))}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.skipif(not DOCUMENTS, reason="no corpus at ../shared/conformance/ir beside the repository"),
]
#: Images that the documents name and that need nothing but Python and a shell.
IMAGES = ("docker.io/library/alpine:latest", "docker.io/library/python:alpine3.9", "registry.access.redhat.com/ubi9/python-311:latest")  # fmt: skip
_APPLETS = ("mkdir", "dirname", "tee", "sh", "sleep", "cat", "echo")
_MARKS = {State.SUCCEEDED: "", State.SKIPPED: "-", State.FAILED: "!"}


def cases(container: bool) -> list[Any]:
    """The documents of the table, of one kind."""
    wanted = [name for name, expected in EXPECTED.items() if expected.container is container]
    return [pytest.param(name, id=name) for name in wanted]


def test_every_document_has_its_line():
    assert sorted(DOCUMENTS) == sorted(EXPECTED)


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tasks are run with: the same for all."""
    return tmp_path_factory.mktemp("envs")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Stand-ins for the images that the documents name: this machine's Python, and a shell."""
    folder = tmp_path_factory.mktemp("images")
    settle_podman(folder)
    files = {**python_files(), "/bin/busybox": "/bin/busybox"}
    links = {f"bin/{name}": "busybox" for name in _APPLETS if f"/bin/{name}" not in files}
    links |= {"usr/bin/python": "/usr/bin/python3"}
    import_image(folder / "images.tar", IMAGES, files, links)


@pytest.fixture
async def service(home: Path, environments: Path) -> AsyncIterator[Service]:
    """A service over this machine's own executor."""
    home.mkdir()
    (home / "envs").symlink_to(environments)
    one = await Service.open(Settings(home=home, max_parallel=2, caching=False))
    yield one
    await one.close()
    end_attempts(home)


@pytest.mark.parametrize("name", cases(container=False))
async def test_a_document_comes_to_the_state_that_it_asks_for(service: Service, name: str) -> None:
    await run(service, name)


@pytest.mark.container
@pytest.mark.parametrize("name", cases(container=True))
async def test_a_document_of_containers_comes_to_the_state_that_it_asks_for(
    service: Service, images: None, name: str
) -> None:
    await run(service, name)


async def run(service: Service, name: str) -> None:
    """Run the document and compare its end with its line."""
    expected = EXPECTED[name]
    pipeline_spec, platform_spec = read_pipeline(DOCUMENTS[name].read_bytes())
    new = NewRun(
        display_name=name,
        pipeline_spec=pipeline_spec,
        platform_spec=platform_spec,
        parameters=dict(expected.args),
    )
    if expected.state == "REFUSED":
        with pytest.raises(Invalid) as refusal:
            await service.create_run(new)
        assert refusal.value.code == expected.code
        return
    made = await service.create_run(new)
    async for change in service.watch_run(made.run_id):
        if expected.state == "CANCELED" and change.run.task_counts.get("RUNNING"):
            await service.terminate_run(made.run_id)
    record = await service.get_run(made.run_id)
    executions = await service.get_executions(made.run_id)
    told = "\n".join(f"{e.path} {e.state} {e.reason}" for e in executions)
    assert (record.state.value, record.error.code if record.error else "") == (
        expected.state,
        expected.code or ("RUN_CANCELED" if expected.state == "CANCELED" else ""),
    ), told
    if expected.tasks:
        assert different(expected, executions) == {}, told
    check_outputs(expected, next(one for one in executions if not one.path))


def different(expected: Expected, executions: tuple[Execution, ...]) -> dict[str, tuple[str | None, str]]:
    """Path -> (expected mark, what came) of all that is not as the line says."""
    ways = expected.ways()
    open_below = [path.removesuffix("**") for path, mark in ways.items() if path.endswith("/**") and mark == "?"]
    ways = {path: mark for path, mark in ways.items() if not path.endswith("/**")}
    came = {
        e.path: _MARKS.get(e.state, e.state.value)
        for e in executions
        if e.path and (e.kind in (Kind.TASK, Kind.IMPORTER) or e.state is State.SKIPPED)
    }
    wrong: dict[str, tuple[str | None, str]] = {}
    for path, mark in came.items():
        wanted = ways.get(path, "?" if path.startswith(tuple(open_below)) else None)
        if mark != wanted and not (wanted == "?" and mark in ("", "-")):
            wrong[path] = (wanted, mark)
    missing = {path: (mark, "absent") for path, mark in ways.items() if path not in came and mark != "?"}
    return wrong | missing


def check_outputs(expected: Expected, root: Execution) -> None:
    """The run's own outputs."""
    for name, wanted in expected.outputs.items():
        value = root.outputs.parameters.get(name)
        if isinstance(wanted, re.Pattern):
            assert wanted.fullmatch(json.dumps(value)), (name, value)
        else:
            assert value == wanted, name
