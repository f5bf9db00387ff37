"""The stores that the suite is run against."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
import pytest

from headrace.artifacts.local import LocalStore
from headrace.artifacts.port import ArtifactStore
from headrace.artifacts.remote import RemoteStore
from object_servers import BUCKET, S3Server


class Bench:
    """A store, and where it keeps what."""

    def __init__(self, store: ArtifactStore, prefix: str, files: Callable[[str], Path] | None) -> None:
        self.store = store
        #: Before each key: "" where keys are relative, else the root's URI.
        self.prefix = prefix
        self.is_remote = files is None

    def key(self, name: str, attempt: int = 1) -> str:
        return f"{self.prefix}run/execution/{attempt}/{name}"


@pytest.fixture(params=["local", "s3"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "local":
        root = tmp_path / "store"
        return Bench(LocalStore(root), "", root.joinpath)
    server: S3Server = request.getfixturevalue("s3")
    return Bench(RemoteStore(server.stores, patience_s=2.0, retries=1), f"s3://{BUCKET}/{uuid.uuid4()}/", None)


class Damage:
    """Changes content behind the store's back."""

    def __init__(self, server: S3Server | None) -> None:
        self._server = server

    def damage(self, uri: str, member: str, how: str) -> None:
        if self._server is None:
            self._to_file(
                Path(unquote(urlsplit(uri).path)) / member if member else Path(unquote(urlsplit(uri).path)), how
            )
            return
        bucket, place = self._server.stores.open(uri, retries=0, request_timeout_s=10)
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
def s3_or_files(request: pytest.FixtureRequest, bench: Bench) -> Damage:
    return Damage(request.getfixturevalue("s3") if bench.is_remote else None)
