"""An image with this Python, kfp and headrace in it, made of what is installed: there may be no registry and no index."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

import headrace

PYTHON = Path(os.path.realpath(sys.executable))
_BASE = {"base": sys.base_prefix, "installed_base": sys.base_prefix}
LIBRARY = Path(sysconfig.get_path("stdlib", vars=_BASE))
PACKAGES = LIBRARY / "site-packages"
PROGRAMS = (PYTHON, Path("/bin/sh"), Path("/bin/cat"))
_LEFT_OUT = {"site-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3", "__pycache__"}


def import_image(name: str, scratch: Path) -> None:
    """Make the image with podman; in it pip finds the requirements of kfp and headrace satisfied."""
    files = {inside: path for path, inside in _files(scratch)}
    with tarfile.open(scratch / "image.tar", "w") as tar:
        for inside, path in files.items():
            tar.add(os.path.realpath(path), str(inside), recursive=False)
        for library in _libraries(path for path in files.values() if path.suffix == ".so" or path in PROGRAMS):
            tar.add(os.path.realpath(library), library, recursive=False)
        _add_link(tar, "usr/local/bin/python3", str(PYTHON))
        for folder in ("tmp", "proc", "sys", "dev", "etc"):
            _add_folder(tar, folder)
    subprocess.run(["podman", "import", scratch / "image.tar", name], check=True, capture_output=True)


def _files(scratch: Path) -> Iterator[tuple[Path, Path]]:
    """What is to be in the image, and where."""
    yield from ((program, program) for program in PROGRAMS)
    yield from ((path, path) for path in LIBRARY.rglob("*") if path.is_file() and _is_wanted(path))
    yield from _package_files()
    yield from _headrace_files(scratch)
    yield from _pip_files(scratch)


def _is_wanted(path: Path) -> bool:
    parts = path.relative_to(LIBRARY).parts
    return not _LEFT_OUT & set(parts) and not parts[0].startswith("config-") and path.suffix != ".a"


def _package_files() -> Iterator[tuple[Path, Path]]:
    for distribution in _closure("kfp", "click", "msgspec", "pyyaml"):
        for file in distribution.files or []:
            path = Path(str(distribution.locate_file(file)))
            if path.is_file() and ".." not in file.parts and path.suffix != ".pyc":
                yield path, PACKAGES / file


def _closure(*names: str) -> list[importlib.metadata.Distribution]:
    """Distributions that are installed here, with all that they need."""
    found: dict[str, importlib.metadata.Distribution] = {}
    left = list(names)
    while left:
        name = left.pop().lower().replace("_", "-")
        if name not in found:
            found[name] = importlib.metadata.distribution(name)
            needed = map(Requirement, found[name].requires or [])
            left += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return list(found.values())


def _headrace_files(scratch: Path) -> Iterator[tuple[Path, Path]]:
    source = Path(headrace.__file__).parent
    yield from ((path, PACKAGES / "headrace" / path.relative_to(source)) for path in source.rglob("*.py"))
    metadata = scratch / "METADATA"
    metadata.write_text(f"Metadata-Version: 2.1\nName: headrace\nVersion: {headrace.__version__}\n")
    yield metadata, PACKAGES / f"headrace-{headrace.__version__}.dist-info" / "METADATA"


def _pip_files(scratch: Path) -> Iterator[tuple[Path, Path]]:
    unpacked = scratch / "pip"
    with zipfile.ZipFile(next((LIBRARY / "ensurepip" / "_bundled").glob("pip-*.whl"))) as wheel:
        wheel.extractall(unpacked)
    yield from ((path, PACKAGES / path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file())
    script = scratch / "pip.sh"
    script.write_text(f'#!/bin/sh\nexec {PYTHON} -m pip --disable-pip-version-check "$@"\n')
    script.chmod(0o755)
    yield script, Path("/usr/local/bin/pip")


def _libraries(programs: Iterator[Path]) -> set[str]:
    """The shared libraries that these load."""
    told = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    return {word for word in told.split() if word.startswith("/") and not word.endswith(":")}


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, target
    tar.addfile(link)


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    folder = tarfile.TarInfo(name)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
    tar.addfile(folder)
