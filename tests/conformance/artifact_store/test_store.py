"""What every artifact store does alike."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.artifacts.content import Entry, described, read_manifest
from headrace.artifacts.port import Corrupt, NotStorable, NotStored

pytestmark = pytest.mark.anyio

NAMES = ["plain", "with space", "ä ö", "100%", "%2E", "a?b#c", "new\nline", "back\\slash", "\udcff\udc80bytes", "é" * 120, "...", "<img src=x>", "-", "*[]{}^~|\"`&=+"]  # fmt: skip


async def read(bench, uri, **options) -> bytes:
    return b"".join([chunk async for chunk in bench.store.open_read(uri, **options)])


def a_file(tmp_path: Path, content: bytes = b"content", name: str = "file") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def a_folder(tmp_path: Path, files: dict[str, bytes], name: str = "folder") -> Path:
    path = tmp_path / name
    path.mkdir()
    for inside, content in files.items():
        (path / inside).parent.mkdir(parents=True, exist_ok=True)
        (path / inside).write_bytes(content)
    return path


def tree(path: Path) -> dict[str, bytes | None]:
    """Everything below, None for directories."""
    return {
        str(one.relative_to(path)): None if one.is_dir() else one.read_bytes()
        for one in sorted(path.rglob("*"))
        if not one.is_symlink()
    }


async def test_a_file(bench, tmp_path):
    content = os.urandom(100_000)
    stored = bench.store.take(bench.key("model"), a_file(tmp_path, content))
    assert (stored.size_bytes, stored.is_directory) == (100_000, False)
    assert stored.digest == hashlib.sha256(content).hexdigest()
    assert await read(bench, stored.uri, digest=stored.digest) == content
    assert await read(bench, stored.uri, offset=3, limit=2, digest=stored.digest) == content[3:5]
    assert await read(bench, stored.uri, offset=99_990) == content[-10:]
    assert await read(bench, stored.uri, offset=200_000) == b""
    assert [(m.name, m.size_bytes) for m in await bench.store.members(stored.uri)] == [("", 100_000)]
    assert bench.store.fetch(stored.uri, tmp_path / "back", digest=stored.digest).read_bytes() == content


async def test_an_empty_file_and_an_empty_directory(bench, tmp_path):
    (tmp_path / "nothing").mkdir()
    for name, path in (("file", a_file(tmp_path, b"")), ("folder", tmp_path / "nothing")):
        stored = bench.store.take(bench.key(name), path)
        assert stored.size_bytes == 0
        assert await bench.store.exists(stored.uri, digest=stored.digest, size_bytes=0)
        back = bench.store.fetch(stored.uri, tmp_path / f"back-{name}", digest=stored.digest)
        assert back.is_dir() if name == "folder" else back.read_bytes() == b""


async def test_a_directory_comes_back_as_it_was(bench, tmp_path):
    files = {name: name.encode("utf-8", "surrogateescape") for name in NAMES}
    files |= {f"sub/{name}/deeper": b"2" for name in NAMES}
    folder = a_folder(tmp_path, files)
    (folder / "empty" / "er").mkdir(parents=True)
    expected = tree(folder)
    stored = bench.store.take(bench.key("model"), folder)
    assert stored.is_directory
    assert stored.size_bytes == sum(map(len, files.values()))
    back = bench.store.fetch(stored.uri, tmp_path / "back", digest=stored.digest)
    assert tree(back) == expected
    members = {member.name: member.size_bytes for member in await bench.store.members(stored.uri)}
    assert members["sub/ä ö/deeper"] == 1
    assert len(members) == len(files)
    assert await read(bench, stored.uri, member="sub/new\nline/deeper", digest=stored.digest) == b"2"
    with pytest.raises(NotStored):
        await read(bench, stored.uri)
    for member in ("../x", "none", "sub", "/etc/passwd", "empty/er/"):
        with pytest.raises(NotStored):
            await read(bench, stored.uri, member=member)


async def test_stores_agree_on_digests(bench, tmp_path):
    stored = bench.store.take(bench.key("model"), a_folder(tmp_path, {"b": b"22", "sub/a": b"1"}))
    lines = [
        f"{hashlib.sha256(data).hexdigest()} {len(data)} {name}\n" for name, data in (("b", b"22"), ("sub/a", b"1"))
    ]
    assert stored.digest == hashlib.sha256("".join(lines).encode()).hexdigest()


async def test_taking_again_replaces(bench, tmp_path):
    bench.store.take(bench.key("model"), a_file(tmp_path, b"first"))
    stored = bench.store.take(bench.key("model"), a_file(tmp_path, b"second"))
    assert await read(bench, stored.uri, digest=stored.digest) == b"second"


@pytest.mark.parametrize("kind", ["link", "link in folder", "pipe", "socket"])
def test_what_is_no_file_is_refused(bench, kind, tmp_path, monkeypatch):
    folder = a_folder(tmp_path, {"a": b"1"})
    path = tmp_path / "it"
    if kind == "link":
        path.symlink_to(folder / "a")
    elif kind == "link in folder":
        (folder / "passwords").symlink_to("/etc/passwd")
        path = folder
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("it")
    with pytest.raises(NotStorable, match="symbolic link|pipe|socket"):
        bench.store.take(bench.key("model"), path)


async def test_nothing_is_seen_of_a_directory_that_was_refused(bench, tmp_path):
    folder = a_folder(tmp_path, {f"a{n}": b"1" for n in range(20)})
    (folder / "z").symlink_to("/etc")
    with pytest.raises(NotStorable):
        bench.store.take(bench.key("model"), folder)
    uri = bench.key("model") if bench.is_remote else bench.store.uri(bench.key("model"))
    assert not await bench.store.exists(uri, digest="0" * 64)


def test_nothing_to_take(bench, tmp_path):
    with pytest.raises(FileNotFoundError):
        bench.store.take(bench.key("model"), tmp_path / "none")


async def test_what_is_not_there(bench, tmp_path):
    stored = bench.store.take(bench.key("model"), a_file(tmp_path))
    missing = stored.uri.replace("/1/", "/2/")
    assert await bench.store.exists(stored.uri, digest=stored.digest, size_bytes=7)
    assert not await bench.store.exists(stored.uri, digest=stored.digest, size_bytes=8)
    assert not await bench.store.exists(missing, digest=stored.digest)
    with pytest.raises(NotStored):
        bench.store.fetch(missing, tmp_path / "back", digest=stored.digest)
    assert not (tmp_path / "back").exists()
    with pytest.raises(NotStored):
        await read(bench, missing)
    with pytest.raises(NotStored):
        await bench.store.members(missing)


async def test_delete_takes_all_of_it_and_nothing_else(bench, tmp_path):
    kept = bench.store.take(bench.key("model", attempt=10), a_file(tmp_path))
    first = bench.store.take(bench.key("model"), a_folder(tmp_path, {"a": b"1", "sub/b": b"2"}))
    second = bench.store.take(bench.key("other"), a_file(tmp_path))
    await bench.store.delete(bench.key("model"))
    assert not await bench.store.exists(first.uri, digest=first.digest)
    assert await bench.store.exists(second.uri, digest=second.digest)
    await bench.store.delete(f"{bench.prefix}run/execution/1")
    await bench.store.delete(f"{bench.prefix}run/execution/1")
    assert not await bench.store.exists(second.uri)
    assert await bench.store.exists(kept.uri, digest=kept.digest)


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["one bit", "shorter", "longer", "gone"])
@pytest.mark.parametrize("shape", ["file", "directory"])
async def test_damage_is_found(bench, shape, damage, tmp_path, s3_or_files):
    if shape == "file":
        stored = bench.store.take(bench.key("model"), a_file(tmp_path, os.urandom(5000)))
        member = ""
    else:
        stored = bench.store.take(bench.key("model"), a_folder(tmp_path, {"a": os.urandom(5000), "b": b"1"}))
        member = "a"
    s3_or_files.damage(stored.uri, member, damage)
    with pytest.raises((Corrupt, NotStored)):
        bench.store.fetch(stored.uri, tmp_path / "back", digest=stored.digest)
    assert not (tmp_path / "back").exists()
    with pytest.raises((Corrupt, NotStored)):
        await read(bench, stored.uri, member=member, digest=stored.digest)
    if damage != "one bit":
        assert not await bench.store.exists(stored.uri, digest=stored.digest, size_bytes=stored.size_bytes)


# --- large ---------------------------------------------------------------------------------------


async def test_large_files_go_in_parts(bench, tmp_path):
    path = tmp_path / "large"
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for number in range(21):
            file.write(number.to_bytes(4, "big") + block[4:])
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    stored = bench.store.take(bench.key("model"), path)
    assert (stored.digest, stored.size_bytes) == (expected, 21 << 20)
    assert (
        await read(bench, stored.uri, offset=(20 << 20) + 2, limit=6, digest=stored.digest) == b"\x00\x14" + block[4:8]
    )
    found = hashlib.sha256()
    async for chunk in bench.store.open_read(stored.uri, digest=stored.digest):
        found.update(chunk)
    assert found.hexdigest() == expected


# --- manifests -----------------------------------------------------------------------------------

_file_names = st.binary(min_size=1, max_size=255).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
_paths = st.lists(_file_names, min_size=1, max_size=3).map(lambda parts: os.fsdecode(b"/".join(parts)))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(_paths, st.integers(0, 1 << 60), max_size=8))
def test_manifests_say_any_name(sizes):
    entries = [Entry(name=name, digest="a" * 64, size_bytes=size) for name, size in sizes.items()]
    content = described(entries)
    assert sorted(read_manifest(content.manifest, content.digest), key=lambda e: e.name) == sorted(
        entries, key=lambda e: e.name
    )


@pytest.mark.parametrize("line", [b"x", b"a 1 ../b", b"a 1 /etc/passwd", b"a 1 b//c", b"a one b", b"a 1 ."])
def test_manifests_that_lead_elsewhere_are_refused(line):
    with pytest.raises(Corrupt):
        read_manifest(line + b"\n")
