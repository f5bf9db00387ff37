"""Artifacts on this machine: taken whole or not at all, found again by their URI, nothing else reachable."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest

from headrace.artifacts import local
from headrace.artifacts.local import LocalStore
from headrace.artifacts.port import Corrupt, NotStorable, NotStored

pytestmark = pytest.mark.anyio

KEY = "run/execution/1/model"
#: Of bits, for each of three places.
FLIPS = int(os.environ.get("HEADRACE_FLIPS") or 100)


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


def test_the_store_s_own_folders_are_made_again_when_they_are_gone(store, file):
    shutil.rmtree(store.root)
    assert store.take(KEY, file).size_bytes == 7


def test_what_cannot_be_stored_stays_where_it_was(store, folder):
    (folder / "link").symlink_to("/nowhere")
    with pytest.raises(NotStorable):
        store.take(KEY, folder)
    (folder / "link").unlink()
    assert store.take(KEY, folder).size_bytes == 3


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


@pytest.mark.parametrize(
    "uri", ["file:///etc/passwd", "s3://bucket/a", "file://STORE/../outside", "file://STORE-too/a", "file://STORE", "x"]
)
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


@pytest.mark.parametrize("link", range(4))
async def test_no_link_in_the_store_is_followed_wherever_it_stands(link, store, folder, tmp_path):
    """Links cannot come in, but somebody may make one there: at the artifact, in the middle, or at the very end."""
    inside = folder / "sub" / "deep"
    inside.mkdir()
    (inside / "part").write_bytes(b"own")
    stored = store.take(KEY, folder)
    for directory, _, _ in os.walk(store.root):
        os.chmod(directory, 0o755)
    parts = [*KEY.split("/"), "sub", "deep", "part"]
    # Everything from there on lies elsewhere, and a link leads to it.
    at = store.root.joinpath(*parts[: 4 + link])
    at.rename(tmp_path / "elsewhere")
    at.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotStored):
        await content(store, stored.uri, member="sub/deep/part")


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


# --- nobody writes to what is in the store --------------------------------------------------------


def attack(path: str) -> list[int]:
    """Which of the deeds could be done."""
    target = os.path.join(path, "b") if os.path.isdir(path) else path
    deeds = [
        lambda: open(target, "w"),
        lambda: open(target, "a"),
        lambda: os.truncate(target, 0),
        lambda: os.unlink(target),
        lambda: os.rename(path, path + "-moved"),
        lambda: open(path + "-new", "w"),
        lambda: open(os.path.join(path, "sub", "new"), "w"),
        lambda: os.rename(os.path.join(path, "sub"), os.path.join(path, "bus")),
    ]
    done = []
    for number, deed in enumerate(deeds):
        try:
            deed()
            done.append(number)
        except OSError:
            pass
    return done


def as_user(user: int, deed, *args: object) -> str:
    """What a child process of that user answers."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(user)
            os.setuid(user)
            os.write(into, repr(deed(*args)).encode())
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as told:
        answer = told.read().decode()
    os.waitpid(child, 0)
    return answer


@pytest.mark.parametrize("shape", ["file", "folder"])
async def test_a_task_cannot_alter_an_artifact(shape, file, folder):
    """As whoever owns the files: root is asked to be somebody else, since permissions do not bind it."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        store = LocalStore(Path(place) / "store")
        stored = store.take(KEY, file if shape == "file" else folder)
        path = store.fetch(stored.uri, Path(), digest=stored.digest)
        user = os.getuid() or 65534
        for one in [store.root, *store.root.rglob("*")]:
            os.chown(one, user, -1)
        assert as_user(user, attack, str(path)) == "[]"
        assert await content(store, stored.uri, member="b" if shape == "folder" else "", digest=stored.digest)
        await store.delete("run")
        assert not path.exists()


async def test_a_folder_of_one_s_own_can_be_removed_by_hand(file, folder):
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        store = LocalStore(Path(place) / "store", seal_directories=False)
        stored = [store.take("run/execution/1/x", file), store.take("run/execution/1/y", folder)]
        user = os.getuid() or 65534
        for one in [store.root, *store.root.rglob("*")]:
            os.chown(one, user, -1)
        path = store.fetch(stored[0].uri, Path(), digest=stored[0].digest)
        assert as_user(user, os.access, str(path), os.W_OK) == "False"
        assert as_user(user, shutil.rmtree, str(store.root / "run")) == "None"
        assert not (store.root / "run").exists()


@pytest.mark.parametrize("member", ["", "b", "sub/a ä"])
async def test_every_bit_that_was_flipped_is_found(store, tmp_path, folder, member):
    """10,000 of them: HEADRACE_FLIPS=3400."""
    if member:
        for inside in ("b", "sub/a ä"):
            (folder / inside).write_bytes(os.urandom(64))
        stored = store.take(KEY, folder)
    else:
        (tmp_path / "plain").write_bytes(os.urandom(64))
        stored = store.take(KEY, tmp_path / "plain")
    path = store.fetch(stored.uri, Path(), digest=stored.digest)
    target = path / member if member else path
    target.chmod(0o644)
    whole = target.read_bytes()
    dice = random.Random(member)
    for _ in range(FLIPS):
        bit = dice.randrange(len(whole) * 8)
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        target.write_bytes(flipped)
        with pytest.raises(Corrupt):
            store.fetch(stored.uri, Path(), digest=stored.digest)
    target.write_bytes(whole)
    assert store.fetch(stored.uri, Path(), digest=stored.digest) == path
