"""The stores that the suite is run against."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
import pytest

from headrace.artifacts.buckets import open_bucket
from headrace.artifacts.local import LocalStore
from headrace.artifacts.object_stores import ObjectStoreConfig
from headrace.artifacts.port import ArtifactStore
from headrace.artifacts.remote import RemoteStore
from object_servers import BUCKET, azurite


class Bench:
    """A store, and where it keeps what."""

    def __init__(self, store: ArtifactStore, prefix: str, stores: ObjectStoreConfig | None) -> None:
        self.store = store
        #: Before each key: "" where keys are relative, else the root's URI.
        self.prefix = prefix
        self.stores = stores
        self.is_remote = stores is not None

    def key(self, name: str, attempt: int = 1) -> str:
        return f"{self.prefix}run/execution/{attempt}/{name}"


#: The program `azurite-blob`, for who wants to have the suite run against Azure's emulator too.
AZURITE = os.environ.get("HEADRACE_TEST_AZURITE", "")


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStoreConfig]:
    with azurite(tmp_path_factory.mktemp("azure") / "data", AZURITE) as stores:
        yield stores


@pytest.fixture(params=["local", "s3", *(["azure"] if AZURITE else [])])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "local":
        root = tmp_path / "store"
        return Bench(LocalStore(root), "", None)
    if request.param == "azure":
        stores, scheme = request.getfixturevalue("azure"), "az"
    else:
        stores, scheme = request.getfixturevalue("s3").stores, "s3"
    return Bench(RemoteStore(stores, patience_s=2.0, retries=1), f"{scheme}://{BUCKET}/{uuid.uuid4()}/", stores)


class Damage:
    """Changes content behind the store's back."""

    def __init__(self, stores: ObjectStoreConfig | None) -> None:
        self._stores = stores

    def damage(self, uri: str, member: str, how: str) -> None:
        if self._stores is None:
            self._to_file(
                Path(unquote(urlsplit(uri).path)) / member if member else Path(unquote(urlsplit(uri).path)), how
            )
            return
        bucket, place = open_bucket(self._stores, uri, retries=0, request_timeout_s=10)
        key = f"{place.key}/{member}" if member else place.key
        if how == "gone":
            obstore.delete(bucket, [key])
        else:
            obstore.put(bucket, key, _damaged(bytes(obstore.get(bucket, key).bytes()), how))

    @staticmethod
    def _to_file(path: Path, how: str) -> None:
        path.parent.chmod(0o755)
        if how == "gone":
            path.unlink()
            return
        path.chmod(0o644)
        path.write_bytes(_damaged(path.read_bytes(), how))


def _damaged(data: bytes, how: str) -> bytes:
    if how == "one bit":
        return data[:2500] + bytes([data[2500] ^ 4]) + data[2501:]
    return data[:-1] if how == "shorter" else data + b"x"


@pytest.fixture
def s3_or_files(bench: Bench) -> Damage:
    return Damage(bench.stores)
