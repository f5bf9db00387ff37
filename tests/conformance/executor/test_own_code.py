"""The user's own modules: on the path of every task that brings them, unpacked once for all, never trusted."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from conformance.executor.conftest import PYTHON_IMAGE
from headrace.attempt import python_task as module
from headrace.attempt.order import ContainerOrder, LaunchOrder
from headrace.executors.port import Failed, Succeeded
from orders import an_order
from unit.dsl.projects import load, project, write

pytestmark = pytest.mark.anyio
MARK = "--headrace-code="


@pytest.fixture
def component(tmp_path: Path) -> Any:
    """Command and arguments of a component that uses a package, a module and a data file of its project."""
    path = project(tmp_path / "project", pkg_SL___init___DOT_py="", pkg_SL_words_DOT_txt="from a file")
    body = """
    import os, helper, pkg
    text = open(os.path.join(os.path.dirname(pkg.__file__), "words.txt")).read()
    return helper.shout(text) + " " + helper.__file__
"""
    head = path.read_text().partition("    from helper")[0]
    write(path.parent, "pipe.py", head + body)
    return load(path).f.component_spec.implementation


def ordered(component: Any, *, path: str = "task", args: list[str] | None = None) -> LaunchOrder:
    spec = ContainerOrder(
        image=PYTHON_IMAGE, command=tuple(component.command), args=tuple(args or component.args), env={}
    )
    return an_order(spec, path=path, gives={"Output": "STRING"})


async def test_it_is_there_and_unpacked_once(kind, home, open_watch, component):
    watch = open_watch(home)
    orders = [ordered(component, path=f"t{number}") for number in range(3)]
    for one in orders:
        await watch.executor.launch(one)
    said = set()
    for one in orders:
        end = await watch.end_of(one.attempt)
        assert isinstance(end, Succeeded), end
        said.add(end.parameters["Output"])
    (folder,) = (home / "code").iterdir()
    where = f"{folder}/helper.py" if kind != "container" else "/headrace/code/helper.py"
    assert said == {f"FROM A FILE! {where}"}
    assert (folder / "pkg" / "words.txt").stat().st_mode & 0o777 == 0o444
    again = open_watch(home)
    late = ordered(component, path="late")
    began = folder.stat().st_ctime_ns
    await again.executor.launch(late)
    assert isinstance(await again.end_of(late.attempt), Succeeded)
    assert [folder] == list((home / "code").iterdir())
    assert folder.stat().st_ino and folder.stat().st_ctime_ns >= began


# --- archives that nobody should unpack -------------------------------------------------------


def a_tar(**members: bytes | str) -> bytes:
    """Files; a text is the target of a symbolic link."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return plain.getvalue()


def a_hole() -> bytes:
    """A file of 8 TB that is nothing but a hole, as GNU tar writes it."""
    info = tarfile.TarInfo("hole.py")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 43)}
    info.size = 512
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        tar.addfile(info, io.BytesIO(b"0\n".ljust(512, b"\0")))
    return plain.getvalue()


HOSTILE = {
    "hole": gzip.compress(a_hole()),
    "file as a folder": gzip.compress(a_tar(**{"a": b"", "a/b.py": b""})),
    "up": gzip.compress(a_tar(**{"../up.py": b"x = 1"})),
    "absolute": gzip.compress(a_tar(**{"/tmp/headrace-hostile.py": b"x = 1"})),
    "link": gzip.compress(a_tar(**{"a": "/etc", "a/b.py": b"x = 1"})),
    "link to a file": gzip.compress(a_tar(**{"a.py": "/etc/passwd"})),
    "cut off": gzip.compress(a_tar(**{"a.py": b"x = 1" * 500}))[:-30],
    "no gzip": b"hello",
    "no tar": gzip.compress(b"hello" * 500),
    "bomb": gzip.compress(bytes(3_000_000)),
    "many": gzip.compress(a_tar(**{f"a{number}.py": b"" for number in range(60)})),
    "twice": gzip.compress(a_tar(**{"a.py": b"1"})[:1024] + a_tar(**{"a.py": b"2"})),
}


@pytest.mark.parametrize("packed", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", ["process", "warm"], indirect=True)
async def test_hostile_archives_fail_the_attempt_and_leave_nothing(
    packed, kind, home, open_watch, component, monkeypatch
):
    monkeypatch.setattr(module, "_MAX_BYTES", 2_000_000)
    monkeypatch.setattr(module, "_MAX_FILES", 50)
    watch = open_watch(home)
    honest = module._DIGEST.search(component.command[-1])[1]
    component.command[-1] = component.command[-1].replace(honest, hashlib.sha256(packed).hexdigest())
    text = base64.b64encode(packed).decode()
    asked = ordered(component, args=[*component.args[:4], MARK + text])
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Failed), end
    assert (end.error.code, end.retryable) == ("CODE_ARCHIVE_INVALID", False), end.error.message
    assert list((home / "code").iterdir()) == []
    assert not Path("/tmp/headrace-hostile.py").exists()
    assert not list(home.rglob("up.py"))


@pytest.mark.parametrize("text", ["%%%", base64.b64encode(gzip.compress(a_tar(**{"helper.py": b"evil"}))).decode()])
@pytest.mark.parametrize("kind", ["process", "warm"], indirect=True)
async def test_an_archive_under_anothers_digest_is_not_taken(text, kind, home, open_watch, component):
    watch = open_watch(home)
    asked = ordered(component, args=[*component.args[:4], MARK + text])
    await watch.executor.launch(asked)
    end = await watch.end_of(asked.attempt)
    assert isinstance(end, Failed)
    assert end.error.code == "CODE_ARCHIVE_INVALID"
    honest = ordered(component, path="honest")
    await watch.executor.launch(honest)
    assert isinstance(await watch.end_of(honest.attempt), Succeeded)
