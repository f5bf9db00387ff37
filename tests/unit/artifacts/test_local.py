"""Artifacts on this machine: taken whole or not at all, found again by their URI, nothing else reachable."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from headrace.artifacts import local
from headrace.artifacts.local import LocalStore
from headrace.artifacts.port import NotStorable, NotStored

pytestmark = pytest.mark.anyio

KEY = "run/execution/1/model"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    (path / "sub").mkdir(parents=True)
    (path / "b").write_bytes(b"22")
    (path / "sub" / "a ä").write_bytes(b"1")
    return path


async def content(store: LocalStore, uri: str, **options: object) -> bytes:
    return b"".join([chunk async for chunk in store.open_read(uri, **options)])  # type: ignore[arg-type]


async def test_file(store, file):
    stored = store.take(KEY, file)
    assert (stored.size_bytes, stored.is_directory) == (7, False)
    assert stored.digest == hashlib.sha256(b"content").hexdigest()
    assert not file.exists()
    assert await content(store, stored.uri) == b"content"
    assert await content(store, stored.uri, offset=3, limit=2) == b"te"
    assert [member.name for member in await store.members(stored.uri)] == [""]


async def test_folder(store, folder):
    stored = store.take(KEY, folder)
    assert (stored.size_bytes, stored.is_directory) == (3, True)
    assert [(m.name, m.size_bytes) for m in await store.members(stored.uri)] == [("b", 2), ("sub/a ä", 1)]
    assert await content(store, stored.uri, member="sub/a ä") == b"1"
    with pytest.raises(NotStored):
        await content(store, stored.uri)


async def test_taking_again_replaces(store, file, folder):
    store.take(KEY, folder)
    stored = store.take(KEY, file)
    assert await content(store, stored.uri) == b"content"


@pytest.mark.parametrize("stage", ["_publish", "_seal"])
@pytest.mark.parametrize("across", [False, True], ids=["same file system", "another file system"])
async def test_a_take_that_was_cut_off_is_taken_up_again(stage, across, store, folder, monkeypatch):
    if across:
        monkeypatch.setattr(local.Path, "rename", rename_within(folder))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LocalStore, stage, killed)
        store.take(KEY, folder)
    assert not folder.exists()
    assert store.begun(KEY)
    later = LocalStore(store.root)
    stored = later.take(KEY, folder)
    assert stored.size_bytes == 3
    assert later.take(KEY, folder) == stored
    assert await content(later, stored.uri, member="b") == b"22"
    assert list((store.root / ".incoming").glob("*/*")) == []


def rename_within(outside: Path):
    plain = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self == outside:
            raise OSError(18, "Invalid cross-device link")
        return plain(self, target)

    return rename


def test_nothing_to_take(store, tmp_path):
    assert not store.begun(KEY)
    with pytest.raises(FileNotFoundError):
        store.take(KEY, tmp_path / "nothing")
    assert not store.begun(KEY)


def test_links_are_refused_and_leave_nothing(store, tmp_path, folder):
    (tmp_path / "link").symlink_to("/etc/passwd")
    (folder / "link").symlink_to("/etc")
    for path in (tmp_path / "link", folder):
        with pytest.raises(NotStorable, match="symbolic link"):
            store.take(KEY, path)
    assert not store.begun(KEY)


@pytest.mark.parametrize("key", ["", "/", "a//b", "../a", "a/../b", ".incoming/a", "a/\0"])
def test_what_is_no_key(key, store, file):
    with pytest.raises(ValueError, match="not a key"):
        store.take(key, file)
    assert file.exists()


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "s3://bucket/a", "file://STORE/../outside", "file://STORE", "x"])
async def test_what_is_not_in_the_store(uri, store):
    uri = uri.replace("STORE", str(store.root))
    assert not store.owns(uri)
    with pytest.raises(NotStored):
        await content(store, uri)


@pytest.mark.parametrize("member", ["../b", "/etc/passwd", "sub/../b", ".", "none", "sub"])
async def test_members_lead_nowhere_else(member, store, folder):
    stored = store.take(KEY, folder)
    with pytest.raises(NotStored):
        await content(store, stored.uri, member=member)


async def test_delete(store, file, folder):
    first, second = store.take("run/a/1/x", file), store.take("other/a/1/x", folder)
    await store.delete("run")
    await store.delete("run")
    with pytest.raises(NotStored):
        await store.members(first.uri)
    assert await store.members(second.uri)


async def test_deleting_a_run_deletes_what_was_cut_off(store, file, monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalStore, "_publish", killed)
    with pytest.raises(KeyboardInterrupt):
        store.take(KEY, file)
    assert store.begun(KEY)
    await store.delete("run")
    assert not store.begun(KEY)
