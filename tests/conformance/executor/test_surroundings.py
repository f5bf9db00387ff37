"""What attempts need around them: packages, container engines, images."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import msgspec
import pytest

from conformance.executor.conftest import PYTHON_IMAGE
from harness import processes_of
from headrace.artifacts.local import LocalStore
from headrace.executors.local.assemble import make_executor
from headrace.executors.log_store import follow_log
from headrace.executors.port import LACKING, Failed, Stopped, Succeeded, Waiting
from orders import shell_order

pytestmark = pytest.mark.anyio


@pytest.fixture
def index(tmp_path: Path) -> str:
    """pip's option for a folder with one package in it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "tiny_thing-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_thing.py", "SAYS = 'hello from a package'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return f"--find-links={folder}"


# --- packages ---------------------------------------------------------------------------------

USES = "def f() -> str:\n    import tiny_thing\n    return tiny_thing.SAYS"


@pytest.mark.parametrize("kind", ["process", "warm"], indirect=True)
async def test_the_same_packages_are_installed_once(kind, home, open_watch, order, index):
    watch = open_watch(home)
    same = {"packages": ("tiny-thing==1.0", "--no-index", index), "gives": {"Output": "STRING"}}
    first, second, third = (order(USES, path=f"t{number}", **same) for number in range(3))
    for asked in (first, second):
        await watch.executor.launch(asked)
    for asked in (first, second):
        end = await watch.end_of(asked.attempt)
        assert isinstance(end, Succeeded), end
        assert end.parameters == {"Output": "hello from a package"}
    built = {path: path.stat().st_mtime_ns for path in (home / "envs").glob("*/ready")}
    await watch.executor.launch(third)
    assert isinstance(await watch.end_of(third.attempt), Succeeded)
    waits = [report.reason.code for report in watch.of(third.attempt) if isinstance(report, Waiting)]
    assert "BUILDING_ENVIRONMENT" not in waits
    assert {path: path.stat().st_mtime_ns for path in (home / "envs").glob("*/ready")} == built
    assert "BUILDING_ENVIRONMENT" in [r.reason.code for r in watch.of(first.attempt) if isinstance(r, Waiting)]


@pytest.mark.parametrize("kind", ["process", "warm"], indirect=True)
@pytest.mark.parametrize("package", ["no-such-package-anywhere", "tiny-thing==2.0"])
async def test_a_package_that_does_not_exist(package, kind, home, open_watch, order, index):
    watch = open_watch(home)
    asked = order("def f():\n    pass", packages=(package, "--no-index", index))
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Failed)
    assert (end.error.code, end.retryable) == ("PACKAGE_NOT_FOUND", False)
    assert package in end.error.message


async def test_what_an_attempt_ran_in_is_what_is_told_of_the_next_one(home, open_watch, order):
    watch = open_watch(home)
    asked = order("def f() -> str:\n    return 'x'", gives={"Output": "STRING"})
    before = await watch.executor.surroundings(asked)
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Succeeded), end
    assert end.surroundings
    assert await watch.executor.surroundings(asked) == end.surroundings
    # Told in full before anything ran, too, or by what is asked for.
    assert set(before) == set(end.surroundings)


@pytest.mark.parametrize("kind", ["process"], indirect=True)
async def test_other_packages_are_other_surroundings(kind, home, open_watch, order, index):
    watch = open_watch(home)
    plain = order("def f():\n    pass", path="plain")
    more = order("def f():\n    pass", path="more", packages=("tiny-thing==1.0", "--no-index", index))
    for asked in (plain, more):
        await watch.executor.launch(asked)
    ran_in = [(await watch.end_of(asked.attempt)).surroundings for asked in (plain, more)]
    assert ran_in[0]["python"] == ran_in[1]["python"]
    assert ran_in[0]["packages"] != ran_in[1]["packages"]
    assert all(one["packages"].startswith("sha256:") for one in ran_in)


async def test_a_task_that_uses_the_workspace_is_of_its_run_alone(home, open_watch, order):
    watch = open_watch(home)
    asked = order("def f(p: str):\n    pass", parameters={"p": "{{$.workspace_path}}/x"})
    assert asked.attempt.run_id in (await watch.executor.surroundings(asked))["workspace"]


# --- no engine --------------------------------------------------------------------------------


async def test_no_container_engine(home, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    for program in ("sh",):
        (tmp_path / "bin" / program).symlink_to(f"/bin/{program}")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    executor = make_executor(home, artifacts=LocalStore(home / "artifacts"), max_parallel=2)
    asked = shell_order("echo hello", image="alpine:3")
    await executor.launch(asked)
    async for report in executor.reports():
        assert isinstance(report, Failed), report
        break
    await executor.close()
    assert (report.error.code, report.retryable) == ("CONTAINER_ENGINE_MISSING", False)
    assert "alpine:3" in report.error.message
    assert "apt-get install podman" in report.error.message


# --- images -----------------------------------------------------------------------------------

container = pytest.mark.parametrize(
    "kind", [pytest.param("container", marks=[pytest.mark.container, pytest.mark.slow])], indirect=True
)


@container
async def test_a_command_in_an_image(kind, home, open_watch):
    watch = open_watch(home)
    asked = shell_order(
        'echo "$WHO"; echo "$0" > "$1"; echo rows > "$2"; echo to stderr >&2',
        "{{$.inputs.parameters['text']}}",
        "{{$.outputs.parameters['said'].output_file}}",
        "{{$.outputs.artifacts['data'].path}}",
        image=PYTHON_IMAGE,
        env={"WHO": "two words", "LINES": "a\nb"},
        parameters={"text": 'it\'s "$HOME"'},
        gives={"said": "STRING"},
        makes={"data": "system.Dataset"},
    )
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Succeeded), end
    assert end.parameters == {"said": 'it\'s "$HOME"\n'}
    (data,) = end.artifacts["data"]
    assert data.size_bytes == 5
    log = b"".join([chunk async for chunk in follow_log(watch.executor.logs, asked.attempt)])
    assert sorted(log.splitlines()) == [b"to stderr", b"two words"]


@container
async def test_an_image_counts_by_its_digest_and_by_its_name_while_it_is_not_here(kind, home, open_watch):
    watch = open_watch(home)
    here, missing = shell_order("true", image=PYTHON_IMAGE), shell_order("true", image="localhost/no-such-image:1")
    known = (await watch.executor.surroundings(here))["image digest"]
    assert known.startswith("sha256:") and len(known) == len("sha256:") + 64
    assert "no-such-image" in (await watch.executor.surroundings(missing))["image digest"]
    await watch.executor.launch(here)
    end = await watch.end_of(here.attempt)
    assert isinstance(end, Succeeded) and end.surroundings["image digest"] == known


@container
@pytest.mark.parametrize(
    ("script", "code", "exit_code"),
    [("exit 7", "EXIT_CODE", 7), ("no-such-command", "COMMAND_NOT_FOUND", 127), ("kill -KILL $$; sleep 9", None, None)],
)
async def test_how_a_command_ends(script, code, exit_code, kind, home, open_watch):
    watch = open_watch(home)
    asked = shell_order(script, image=PYTHON_IMAGE, timeout_s=None if code else 1.0)
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Failed), end
    assert end.error.code == (code or "TIMEOUT")
    assert end.error.details.get("exit_code") == exit_code


@container
async def test_an_image_that_does_not_exist(kind, home, open_watch):
    watch = open_watch(home)
    asked = shell_order("echo hello", image="localhost/headrace-test/no-such-image:1")
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Failed), end
    assert end.error.code == "IMAGE_NOT_FOUND"
    assert "no-such-image" in end.error.message


@container
async def test_a_stopped_container_is_gone(kind, home, open_watch):
    watch = open_watch(home)
    asked = shell_order("trap '' TERM; echo begun; sleep 600 & wait; wait", image=PYTHON_IMAGE)
    await watch.executor.launch(asked)
    async for chunk in follow_log(watch.executor.logs, asked.attempt, follow=True):
        if b"begun" in chunk:
            break
    await watch.executor.stop(asked.attempt)
    assert isinstance(await watch.end_of(asked.attempt), Stopped)
    assert processes_of(home) == []
    assert not any(b"headrace-" in name and str(home).encode() in name for name in command_lines())


def command_lines() -> list[bytes]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:
            continue
    return found


# --- settings for Kubernetes --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["process", "warm"], indirect=True)
async def test_what_a_task_lacks_for_want_of_kubernetes_is_told_before_and_after(kind, home, open_watch, order):
    watch = open_watch(home)
    asked = msgspec.structs.replace(
        order("def f() -> str:\n    return 'x'", gives={"Output": "STRING"}),
        kubernetes={"secretAsEnv": [{"secretName": "s"}], "nodeSelector": {"labels": {"a": "b"}}},
    )
    before = await watch.executor.surroundings(asked)
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Succeeded), end
    assert before[LACKING] == end.surroundings[LACKING] == "secretAsEnv"
    assert watch.executor.without_effect(asked.kubernetes) == ("nodeSelector", "secretAsEnv")
