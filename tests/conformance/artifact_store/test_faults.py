"""Object stores that fail: tried again within bounds, told apart, never taken for success."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
import time
import uuid
from pathlib import Path

import pytest

from faulty_proxy import faulty_proxy
from headrace.artifacts.buckets import open_bucket
from headrace.artifacts.object_stores import ObjectStoreConfig, StoreAccess
from headrace.artifacts.port import NotConfigured, Refused, Unreachable
from headrace.artifacts.remote import RemoteStore
from headrace.artifacts.stores import Stores
from headrace.threads import ThreadPool
from object_servers import BUCKET, KEY_ID, SECRET

pytestmark = pytest.mark.anyio


def store_at(endpoint: str, *, secret: str = SECRET, **options) -> RemoteStore:
    access = StoreAccess(endpoint=endpoint, access_key_id=KEY_ID, secret_access_key=secret)
    return RemoteStore(ObjectStoreConfig({"s3://": access}), **options)


@pytest.fixture
def root() -> str:
    return f"s3://{BUCKET}/{uuid.uuid4()}"


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_a_store_that_fails_often_loses_nothing(s3, root, tmp_path: Path, rate: float):
    contents = {f"{number}": os.urandom(size) for number, size in enumerate([0, 1, 1000, 100_000, 17 << 20])}
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    with faulty_proxy(s3.endpoint, rate=rate, seed=7) as proxy:
        store = store_at(proxy.endpoint, patience_s=60.0, retries=2)
        for round_ in range(2):
            stored = store.take(f"{root}/{round_}/folder", folder)
            back = store.fetch(stored.uri, tmp_path / f"back-{round_}", digest=stored.digest)
            assert {path.name: path.read_bytes() for path in back.iterdir()} == contents
        assert sum(count for fault, count in proxy.seen.items() if fault) > 10
        assert len(proxy.seen) > 4


def test_a_store_that_always_fails_is_given_up_in_time(s3, root, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x")
    with faulty_proxy(s3.endpoint, rate=1.0) as proxy:
        store = store_at(proxy.endpoint, patience_s=1.0, retries=1)
        began = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            store.take(f"{root}/1/file", tmp_path / "file")
        assert time.monotonic() - began < 30
        assert SECRET not in str(caught.value)


def test_a_store_that_says_nothing_is_given_up_in_time(root, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        held: list[socket.socket] = []
        threading.Thread(target=lambda: held.extend(_accepted(silent)), daemon=True).start()
        store = store_at(
            f"http://127.0.0.1:{silent.getsockname()[1]}", patience_s=0.5, request_timeout_s=0.5, retries=0
        )
        with pytest.raises(Unreachable):
            store.take(f"{root}/1/file", tmp_path / "file")


def _accepted(server: socket.socket):
    while True:
        try:
            yield server.accept()[0]
        except OSError:
            return


def test_a_store_that_refuses_is_not_asked_again(s3, root, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x")
    store = store_at(s3.endpoint, secret="wrong", patience_s=60.0)
    began = time.monotonic()
    with pytest.raises(Refused, match="credentials"):
        store.take(f"{root}/1/file", tmp_path / "file")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "RequestTimeTooSkewed"), (400, "RequestTimeout"), (400, "ThrottlingException"), (400, "ExpiredToken")],
)
def test_a_no_whose_code_says_not_now_is_asked_again(s3, root, tmp_path: Path, status: int, code: str):
    (tmp_path / "file").write_bytes(b"x")
    with faulty_proxy(s3.endpoint, rate=0.0) as proxy:
        proxy.answers = [(status, code)] * 2
        store = store_at(proxy.endpoint, patience_s=60.0)
        assert store.take(f"{root}/1/file", tmp_path / "file").size_bytes == 1
        assert proxy.answers == []


def test_credentials_that_have_expired_for_good_are_passing(s3, root, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x")
    with faulty_proxy(s3.endpoint, rate=0.0) as proxy:
        proxy.answers = [(400, "ExpiredToken")] * 1000
        with pytest.raises(Unreachable, match="expired"):
            store_at(proxy.endpoint, patience_s=0.1).take(f"{root}/1/file", tmp_path / "file")


@pytest.mark.parametrize("kept_in", ["a file of its own", "the settings"])
def test_credentials_that_were_changed_are_read_again(s3, root, tmp_path: Path, kept_in: str):
    (tmp_path / "file").write_bytes(b"x")
    settings, secret = tmp_path / "object-stores.yaml", tmp_path / "secret"

    def change(text: str) -> None:
        secret.write_text(text)
        word = f"secret_access_key_file: {secret}" if kept_in != "the settings" else f"secret_access_key: {text}"
        settings.write_text(f"s3://:\n  endpoint: {s3.endpoint}\n  access_key_id: {KEY_ID}\n  {word}\n")
        settings.chmod(0o600)

    change("wrong")
    store = RemoteStore(ObjectStoreConfig.read(tmp_path), patience_s=1.0)
    with pytest.raises(Refused):
        store.take(f"{root}/1/file", tmp_path / "file")
    change(SECRET)
    assert store.take(f"{root}/1/file", tmp_path / "file").size_bytes == 1
    change("wrong again")
    assert store.take(f"{root}/2/file", tmp_path / "file").size_bytes == 1  # what works is not replaced


async def test_what_nobody_wants_any_more_does_not_wait_for_its_store(root, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x")
    store = store_at("http://127.0.0.1:1", patience_s=3600.0, retries=0)
    sending = asyncio.create_task(ThreadPool(1).run(lambda: store.take(f"{root}/1/file", tmp_path / "file")))
    while not any(thread.name == "headrace-background" for thread in threading.enumerate()):
        await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(sending, 60)


def test_one_fetch_for_all_who_want_it_at_once(s3, root, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"content")
    stored = store_at(s3.endpoint).take(f"{root}/1/file", tmp_path / "file")
    with faulty_proxy(s3.endpoint, rate=0.0) as proxy:
        stores = Stores(tmp_path, ObjectStoreConfig({"s3://": store_access(proxy.endpoint)}))
        found: list[Path] = []
        threads = [
            threading.Thread(target=lambda: found.append(stores.at_hand(stored.uri, digest=stored.digest)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {path.read_bytes() for path in found} == {b"content"}
        assert len({*found}) == 1
        assert sum(proxy.seen.values()) == 2  # how large it is, and the content


def store_access(endpoint: str) -> StoreAccess:
    return StoreAccess(endpoint=endpoint, access_key_id=KEY_ID, secret_access_key=SECRET)


def test_what_was_fetched_and_altered_is_fetched_again(s3, root, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"content")
    stores = Stores(tmp_path, s3.stores)
    stored = stores.take(f"{root}/1/file", tmp_path / "file")
    first = stores.at_hand(stored.uri, digest=stored.digest)
    assert first is not None
    assert first.stat().st_mode & 0o222 == 0
    first.chmod(0o644)
    first.write_bytes(b"altered")
    again = stores.at_hand(stored.uri, digest=stored.digest)
    assert again is not None
    assert again.read_bytes() == b"content"


def test_what_an_earlier_server_has_fetched_is_read_anew_before_it_is_given_out(s3, root, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"content")
    first = Stores(tmp_path, s3.stores)
    stored = first.take(f"{root}/1/file", tmp_path / "file")
    fetched = first.at_hand(stored.uri, digest=stored.digest)
    assert fetched is not None
    whole = Stores(tmp_path, s3.stores).at_hand(stored.uri, digest=stored.digest)
    assert (whole, fetched.read_bytes()) == (fetched, b"content")
    # As a disk does that loses power: the size and the times are the same.
    times = fetched.stat()
    fetched.chmod(0o644)
    fetched.write_bytes(b"CONTENT")
    os.utime(fetched, ns=(times.st_atime_ns, times.st_mtime_ns))
    again = Stores(tmp_path, s3.stores).at_hand(stored.uri, digest=stored.digest)
    assert again is not None
    assert again.read_bytes() == b"content"


def test_content_whose_digest_nobody_knows_is_fetched_again_when_it_changes(s3, root, tmp_path: Path):
    stores = Stores(tmp_path, s3.stores)
    for content in (b"first", b"second"):
        (tmp_path / "file").write_bytes(content)
        stores.take(f"{root}/data", tmp_path / "file")
        found = stores.at_hand(f"{root}/data")
        assert found is not None
        assert found.read_bytes() == content


def test_what_was_fetched_goes_when_there_is_too_much_of_it(s3, root, tmp_path: Path):
    stores = Stores(tmp_path, s3.stores, max_fetched_bytes=1 << 20)
    places = []
    for number in range(4):
        (tmp_path / "file").write_bytes(bytes([number]) * 1000)
        stored = stores.take(f"{root}/{number}/file", tmp_path / "file")
        found = stores.at_hand(stored.uri, digest=stored.digest)
        assert found is not None
        places.append(found.parent)
        os.utime(found.parent, (number, number))  # long ago, one after the other
    os.utime(places[2], None)  # handed out just now
    assert stores.trim() == 0
    fewer = Stores(tmp_path, s3.stores, max_fetched_bytes=1000)
    fewer.in_use = lambda: {places[0].name}
    assert fewer.trim() == 2000
    assert [place.exists() for place in places] == [True, False, True, False]


# --- settings ------------------------------------------------------------------------------------


def test_the_file_of_the_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_")):
            monkeypatch.delenv(name)
    assert not ObjectStoreConfig.read(tmp_path).knows("s3://bucket/x")
    (tmp_path / "secret").write_text("s\n")
    (tmp_path / "object-stores.yaml").write_text(
        f"s3://:\n  region: eu-central-1\ns3://mine:\n  endpoint: http://127.0.0.1:1\n  access_key_id_env: WHO\n"
        f"  secret_access_key_file: {tmp_path / 'secret'}\n"
    )
    stores = ObjectStoreConfig.read(tmp_path)
    assert stores.knows("s3://bucket/x")
    assert not stores.knows("gs://bucket/x")
    assert not stores.knows("minio://bucket/x")
    with pytest.raises(NotConfigured, match="WHO"):
        open_bucket(stores, "s3://mine/x", retries=0, request_timeout_s=1)
    monkeypatch.setenv("WHO", "me")
    bucket, place = open_bucket(stores, "s3://mine/x/y", retries=0, request_timeout_s=1)
    assert (place.bucket, place.key) == ("mine", "x/y")
    assert bucket.config["endpoint"] == "http://127.0.0.1:1"
    other, _ = open_bucket(stores, "s3://mine-too/x", retries=0, request_timeout_s=1)
    assert other.config["region"] == "eu-central-1"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("- 1", "not an object"),
        ("s3://: {endpont: x}", "endpont"),
        ("s4://: {}", "s4"),
        ("s3: {}", "beginning of an object store's URI"),
        ("s3://: {region: 5}", "s3://.*str.*path_style"),
        ("&a [*a]", "alias"),
        ("s3://: {secret_access_key: abc}", "chmod 600"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, word: str):
    path = tmp_path / "object-stores.yaml"
    path.write_text(text)
    path.chmod(0o644)
    with pytest.raises(NotConfigured, match=word) as caught:
        ObjectStoreConfig.read(tmp_path)
    assert str(path) in str(caught.value)


def test_credentials_are_not_shown():
    access = StoreAccess(endpoint="http://127.0.0.1:1", secret_access_key=SECRET)
    assert SECRET not in repr(access) + repr({"s3://": access})
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    assert digest not in repr(access)
