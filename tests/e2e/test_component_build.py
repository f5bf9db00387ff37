"""`headrace component build`: what it writes, what it refuses, and an image that really runs the components."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from harness import Answer, headrace
from images import settle_podman
from python_image import import_image

# One worker for all: they build images of one name, which they share with the engine.
pytestmark = pytest.mark.xdist_group("component images")

BASE_IMAGE = "localhost/headrace-test/components-base:1"
#: Of this process alone: tests of other workers build theirs at the same time.
TARGET_IMAGE = f"localhost/headrace-test/components-{uuid.uuid4().hex[:12]}:1"
WRITTEN = {"Dockerfile", "runtime-requirements.txt", "kfp_config.ini", ".dockerignore"}

GREET = f'''
from headrace import dsl
from helper import shout

@dsl.component(
    base_image="{BASE_IMAGE}",
    target_image="{TARGET_IMAGE}",
    packages_to_install=["six", "attrs==25.1"],
    pip_index_urls=["https://one.example/simple", "https://two.example/simple"],
    pip_trusted_hosts=["one.example"],
)
def greet(name: str = "x") -> str:
    """Greets."""
    return shout(name)
'''
COPY = f'''
from headrace import dsl

IMAGE = dict(base_image="{BASE_IMAGE}", target_image="{TARGET_IMAGE}")

@dsl.component(**IMAGE)
def double(old: dsl.Input[dsl.Dataset], new: dsl.Output[dsl.Dataset], note: dsl.OutputPath(str)) -> int:
    with open(old.path) as file:
        text = file.read() * 2
    with open(new.path, "w") as file:
        file.write(text)
    with open(note, "w") as file:
        file.write("done")
    new.metadata["length"] = len(text)
    return len(text)
'''
HELPER = "def shout(text):\n    return text.upper() + '!'\n"
LIGHT = "from headrace import dsl\n@dsl.component\ndef light() -> int:\n    return 1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two modules with components, a module they import, and what is none of the command's business."""
    found = tmp_path / "components"
    (found / "below").mkdir(parents=True)
    (found / ".hidden").mkdir()
    (found / "below" / "greeting.py").write_text(GREET)
    (found / "copying.py").write_text(COPY)
    (found / "helper.py").write_text(HELPER)
    (found / "light.py").write_text(LIGHT)
    (found / ".hidden" / "bad.py").write_text("raise RuntimeError")
    # No layer that the engine has kept of another test's folder fits this one.
    (found / "below" / "unique.txt").write_text(uuid.uuid4().hex)
    return found


def build(folder: Path, home: Path, *options: str, **more) -> Answer:
    return headrace("component", "build", folder, *options, home=home, **more)


def refused(answer: Answer, code: str, status: int = 2) -> str:
    assert answer.status == status, answer
    assert f"[{code}]" in answer.err, answer
    assert "headrace/cli" not in answer.err, "a traceback of ours"
    return answer.err


def body(path: Path, without: tuple[str, ...] = ()) -> list[str]:
    """The lines that mean something."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith(("#", *without))]


# --- files -----------------------------------------------------------------------------------------------------


@pytest.mark.kfp
@pytest.mark.slow
def test_the_files_are_those_that_kfp_writes(folder: Path, home: Path, tmp_path: Path):
    theirs = tmp_path / "theirs"
    shutil.copytree(folder, theirs, ignore=shutil.ignore_patterns(".hidden", "light.py"))
    for module in theirs.rglob("*.py"):
        module.write_text(module.read_text().replace("from headrace import", "from kfp import"))
    kfp = Path(sys.executable).with_name("kfp")
    subprocess.run([kfp, "component", "build", ".", "--no-build-image"], cwd=theirs, check=True, capture_output=True)

    answer = build(folder, home, "--no-build-image")
    assert answer.status == 0, answer

    assert (folder / "kfp_config.ini").read_text() == (theirs / "kfp_config.ini").read_text()
    assert body(folder / "runtime-requirements.txt") == body(theirs / "runtime-requirements.txt")
    assert set(body(folder / ".dockerignore")) >= set(body(theirs / ".dockerignore"))
    version = importlib.metadata.version("headrace")
    ours = [line.removesuffix(f" headrace=={version}") for line in body(folder / "Dockerfile")]
    assert ours == body(theirs / "Dockerfile")
    names = sorted(path.name for path in (theirs / "component_metadata").iterdir())
    assert names == ["double.yaml", "greet.yaml"] == sorted(p.name for p in (folder / "component_metadata").iterdir())
    for name in names:
        metadata = [root / "component_metadata" / name for root in (folder, theirs)]
        assert body(metadata[0], ("sdkVersion",)) == body(metadata[1], ("sdkVersion",))


def test_what_the_user_has_written_stays(folder: Path, home: Path):
    (folder / "Containerfile").write_text("FROM mine\n")
    (folder / ".dockerignore").write_text("mine\n")
    (folder / "kfp_config.ini").write_text("[Components]\nmine = my.py\n")
    answer = build(folder, home, "--no-build-image")
    assert answer.status == 0, answer
    assert (folder / "Containerfile").read_text() == "FROM mine\n"
    assert (folder / ".dockerignore").read_text() == "mine\n"
    assert not (folder / "Dockerfile").exists()
    assert body(folder / "kfp_config.ini") == [
        "[Components]", "mine = my.py", "double = copying.py", "greet = below/greeting.py",
    ]  # fmt: skip

    assert build(folder, home, "--no-build-image", "--overwrite-dockerfile").status == 0
    assert f"FROM {BASE_IMAGE}" in (folder / "Containerfile").read_text()


def test_packages_of_the_start_up_can_come_from_here(folder: Path, home: Path, tmp_path: Path):
    wheel = tmp_path / "kfp-9.9-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    url = "git+https://example.org/headrace@main"
    answer = build(folder, home, "--no-build-image", "--kfp-package-path", str(wheel), "--headrace-package-path", url)
    assert answer.status == 0, answer
    assert (folder / wheel.name).read_bytes() == b"a wheel"
    last = body(folder / "Dockerfile")[-3:]
    assert last[0] == f"COPY {wheel.name} {wheel.name}"
    assert last[1].endswith(f"--no-cache-dir {wheel.name} {url}")
    assert last[2] == "COPY . ."


# --- refusals ----------------------------------------------------------------------------------------------------


def test_components_that_do_not_fit_into_one_image(folder: Path, home: Path):
    other = folder / "other.py"
    other.write_text(COPY.replace("double", "triple").replace(f'target_image="{TARGET_IMAGE}"', 'target_image="b:2"'))
    said = refused(build(folder, home, "--no-build-image"), "TARGET_IMAGES_DIFFER")
    assert "'b:2' of triple" in said
    other.write_text(COPY.replace("double", "triple").replace(f'base_image="{BASE_IMAGE}"', 'base_image="b:2"'))
    assert "'b:2' of triple" in refused(build(folder, home, "--no-build-image"), "BASE_IMAGES_DIFFER")
    other.write_text(COPY)
    assert "copying.py and in other.py" in refused(build(folder, home, "--no-build-image"), "COMPONENT_NAME_TWICE")
    assert not WRITTEN & {path.name for path in folder.iterdir()}

    chosen = build(folder, home, "--no-build-image", "--component-filepattern", "below/*.py")
    assert chosen.status == 0, chosen
    assert [path.name for path in (folder / "component_metadata").iterdir()] == ["greet.yaml"]


def test_nothing_to_build(folder: Path, home: Path):
    light = ("--no-build-image", "--component-filepattern", "light.py")
    refused(build(folder, home, *light), "COMPONENTS_MISSING")
    refused(build(folder, home, "--component-filepattern", "*.txt", "--no-build-image"), "COMPONENT_FILES_MISSING")
    refused(build(folder, home, "--component-filepattern", "/*", "--no-build-image"), "USAGE")
    refused(build(folder / "no", home), "USAGE")
    (folder / "broken.py").write_text("import nothing_of_this_name\n")
    assert "broken.py:1" in refused(build(folder, home, "--no-build-image"), "IMPORT_FAILED")


def test_no_engine(folder: Path, home: Path, tmp_path: Path):
    nowhere = {"PATH": str(tmp_path)}
    assert "Neither podman" in refused(build(folder, home, env=nowhere), "BUILD_ENGINE_MISSING")
    assert "buildah is not" in refused(build(folder, home, "--engine", "buildah", env=nowhere), "BUILD_ENGINE_MISSING")
    assert not WRITTEN & {path.name for path in folder.iterdir()}


# --- images --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image in which pip finds all requirements satisfied."""
    scratch = tmp_path_factory.mktemp("base")
    settle_podman(scratch)
    import_image(BASE_IMAGE, scratch)
    return BASE_IMAGE


def executed(function: str, executor_input: dict, folder: Path) -> dict:
    """What the component answers in its image, started as its document says."""
    words = ["--executor_input", json.dumps(executor_input), "--function_to_execute", function]
    done = subprocess.run(
        ["podman", "run", "--rm", "--network=none", f"--volume={folder}:/io", TARGET_IMAGE]
        + ["python3", "-m", "kfp.dsl.executor_main", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "out" / "answer.json").read_text())


def platform() -> str:
    """This machine's, for which there is a base image."""
    return subprocess.check_output(["podman", "version", "--format", "{{.Client.OsArch}}"], text=True).strip()


def an_artifact(name: str, uri: str) -> dict:
    return {"artifacts": [{"name": name, "type": {"schemaTitle": "system.Dataset"}, "uri": uri}]}


@pytest.mark.container
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["podman", *filter(shutil.which, ["buildah"])])
def test_the_image_runs_the_components(folder: Path, home: Path, tmp_path: Path, base_image: str, engine: str):
    (folder / "below" / "greeting.py").write_text(GREET.replace('["six", "attrs==25.1"]', '["six"]'))
    answer = build(folder, home, "--engine", engine, "--platform", platform(), "--no-push-image")
    assert answer.status == 0, answer
    assert answer.out.splitlines()[-1] == f"built  {TARGET_IMAGE}"

    (tmp_path / "io" / "out").mkdir(parents=True)
    outputs = {"outputFile": "/io/out/answer.json"}
    greeted = executed("greet", {"inputs": {"parameterValues": {"name": "you"}}, "outputs": outputs}, tmp_path / "io")
    assert greeted["parameterValues"] == {"Output": "YOU!"}

    (tmp_path / "io" / "old").write_text("ab")
    outputs["artifacts"] = {"new": an_artifact("new", "/io/out/new")}
    outputs["parameters"] = {"note": {"outputFile": "/io/out/note"}}
    inputs = {"artifacts": {"old": an_artifact("old", "/io/old")}}
    doubled = executed("double", {"inputs": inputs, "outputs": outputs}, tmp_path / "io")
    assert doubled["parameterValues"] == {"Output": 4}
    assert doubled["artifacts"]["new"]["artifacts"][0]["metadata"] == {"length": 4}
    assert (tmp_path / "io" / "out" / "new").read_text() == "abab"
    assert (tmp_path / "io" / "out" / "note").read_text() == "done"


PIPELINE = """
from copying import IMAGE, double
from headrace import dsl

@dsl.component(**IMAGE)
def write(text: str, data: dsl.Output[dsl.Dataset]):
    with open(data.path, "w") as file:
        file.write(text)

@dsl.pipeline
def main(text: str = "ab") -> int:
    return double(old=write(text=text).outputs["data"]).outputs["Output"]
"""


@pytest.mark.container
@pytest.mark.slow
def test_a_pipeline_of_them_runs_here(folder: Path, home: Path, base_image: str):
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "below" / "greeting.py").unlink()
    built = build(folder, home, "--engine", "podman", "--platform", platform(), "--no-push-image")
    assert built.status == 0, built
    answer = headrace("run", folder / "pipeline.py", "--arg", "text=abc", home=home)
    assert answer.status == 0, answer
    assert "Output  6" in answer.out


@pytest.mark.container
@pytest.mark.slow
def test_what_the_engine_cannot_do(folder: Path, home: Path, base_image: str):
    (folder / "Dockerfile").write_text(f"FROM {base_image}\nRUN exit 3\n")
    said = refused(build(folder, home, "--engine", "podman"), "IMAGE_BUILD_FAILED", status=1)
    assert "podman could not build" in said
    (folder / "Dockerfile").write_text(f"FROM {base_image}\nCOPY . .\n")
    unreachable = "localhost:1/headrace-test/components:1"
    for module in (folder / "copying.py", folder / "below" / "greeting.py"):
        module.write_text(module.read_text().replace(TARGET_IMAGE, unreachable))
    refused(build(folder, home, "--engine", "podman"), "IMAGE_PUSH_FAILED", status=1)
