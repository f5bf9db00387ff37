"""The programs that build images: which there is, how it is asked, what it answers."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from headrace.cli.errors import FAILED, CliError

ENGINES = ("podman", "docker", "buildah")


def find_engine(wanted: str | None) -> str:
    """The path of the engine, or CliError."""
    for name in [wanted] if wanted else ENGINES:
        found = shutil.which(name)
        if found:
            return found
    missing = f"{wanted} is not installed" if wanted else "Neither podman nor docker nor buildah is installed"
    raise CliError(
        f"{missing}.",
        code="BUILD_ENGINE_MISSING",
        fix="Install podman, or add --no-build-image to write the files only.",
    )


def build(engine: str, *, folder: Path, build_file: Path, image: str, platform: str) -> None:
    """Build the image; the engine talks to the terminal."""
    status = _run([engine, "build", "--platform", platform, "-t", image, "-f", str(build_file), str(folder)])
    if status:
        raise CliError(
            f"{Path(engine).name} could not build {image} (exit status {status}); it says above why.",
            code="IMAGE_BUILD_FAILED",
            where=str(build_file),
            fix="Correct the components' packages or base_image; an existing build file is only replaced "
            "with --overwrite-dockerfile.",
            exit_code=FAILED,
        )


def push(engine: str, image: str) -> None:
    """Push it to the registry its name says."""
    status = _run([engine, "push", image])
    if status:
        raise CliError(
            f"{Path(engine).name} could not push {image} (exit status {status}); it says above why.",
            code="IMAGE_PUSH_FAILED",
            fix=f"Sign in ({Path(engine).name} login REGISTRY), or add --no-push-image to keep the image here.",
            exit_code=FAILED,
        )


def _run(words: list[str]) -> int:
    """The engine's own output is progress, not result: all of it goes to stderr."""
    sys.stderr.flush()
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), check=False).returncode


def local_package(given: str, folder: Path) -> tuple[str, list[str]]:
    """What pip is to install for a package path, and the files in `folder` this needs.

    A wheel is copied into the folder, a source folder is built into one; all else is a requirement or an address.
    """
    path = Path(given)
    if path.is_dir():
        path = _wheel_of(path)
    elif not path.is_file():
        return given, []
    target = folder / path.name
    if path.resolve() != target.resolve():
        shutil.copyfile(path, target)
    return path.name, [path.name]


def _wheel_of(source: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="headrace-wheel-"))
    uv = shutil.which("uv")
    if importlib.util.find_spec("pip") is not None:
        words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), str(source)]
    elif uv:
        words = [uv, "build", "--wheel", "--out-dir", str(folder), str(source)]
    else:
        raise CliError(
            "Building a package needs pip or uv, and neither is here.",
            code="PACKAGE_BUILD_FAILED",
            fix="Install uv, or give a wheel instead of a folder.",
        )
    status = _run(words)
    wheels = list(folder.glob("*.whl"))
    if status or len(wheels) != 1:
        raise CliError(
            "The package cannot be built; the output above says why.", code="PACKAGE_BUILD_FAILED", where=str(source)
        )
    return wheels[0]
