"""Container images made of what this machine has, where there may be no registry to pull any from."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

#: The smallest podman settings with which containers run as root on a machine without systemd.
_PODMAN = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"""
_LEFT_OUT = ("__pycache__", "/test", "/idlelib", "/tkinter", "/ensurepip", "/config-")


def settle_podman(folder: Path) -> None:
    """Where podman needs settings to run anything here, and has none, give it some."""
    bare = os.getuid() == 0 and shutil.which("runc") is not None and not Path("/run/systemd/system").exists()
    if bare and "CONTAINERS_CONF" not in os.environ:
        settings = folder / "containers.conf"
        settings.write_text(_PODMAN)
        os.environ["CONTAINERS_CONF"] = str(settings)


def python_files() -> dict[str, str]:
    """This machine's own Python and shell with all they load: place in the image -> file or folder here."""
    python = "/usr/bin/python3"
    asked = "import sysconfig, sys; print(sysconfig.get_path('stdlib')); print(sys.version_info[1])"
    library, _ = subprocess.check_output([python, "-c", asked], text=True).split()
    names = [os.path.realpath(python), os.path.realpath("/bin/sh"), "/bin/cat", "/bin/sleep", "/bin/echo"]
    loaded = [*names, *(str(path) for path in Path(library, "lib-dynload").glob("*.so"))]
    told = subprocess.run(["ldd", *loaded], capture_output=True, text=True, check=False).stdout
    libraries = {word for word in told.split() if word.startswith("/") and not word.endswith(":")}
    files = {path: path for path in [*names, *libraries, library]}
    return files | {"/bin/sh": os.path.realpath("/bin/sh"), python: os.path.realpath(python)}


def import_image(
    archive: Path, images: Iterable[str], files: Mapping[str, str], links: Mapping[str, str] | None = None
) -> None:
    """Make images of these names of these files and symbolic links."""

    def chosen(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if any(word in info.name for word in _LEFT_OUT) else info

    with tarfile.open(archive, "w") as tar:
        for inside, path in files.items():
            tar.add(os.path.realpath(path), inside, filter=chosen)
        for inside, target in (links or {}).items():
            link = tarfile.TarInfo(inside)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        for name in ("tmp", "proc", "sys", "dev", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(folder)
    first, *others = images
    subprocess.run(["podman", "import", str(archive), first], check=True, capture_output=True)
    for name in others:
        subprocess.run(["podman", "tag", first, name], check=True, capture_output=True)
