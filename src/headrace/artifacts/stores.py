"""All the stores of a server behind one port: its own directory, and the object stores that it can reach."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Set
from pathlib import Path

from headrace.artifacts.content import examine
from headrace.artifacts.local import LocalStore
from headrace.artifacts.object_stores import ObjectStoreConfig, ObjectUri
from headrace.artifacts.port import ArtifactStore, Member, NotConfigured, NotStorable, StoredContent
from headrace.artifacts.remote import RemoteStore
from headrace.artifacts.verified_paths import VerifiedPaths
from headrace.failpoints import failpoint

#: Bytes of fetched content kept for the next task that wants it.
MAX_FETCHED_BYTES = 20 << 30
_JUST_NOW_S = 3600


class Stores:
    """Artifacts by their URI, wherever they are. What tasks are given from object stores is kept here for a while.

    Fetched content lies at `<home>/fetched/<id>/<name>`, where the id follows from its digest (or, for content that is
    not ours, from what the store says of it), so it is fetched once for all tasks that want the same.
    """

    def __init__(
        self,
        home: Path,
        objects: ObjectStoreConfig | None = None,
        *,
        patience_s: float = 120.0,
        max_fetched_bytes: int = MAX_FETCHED_BYTES,
        seal_directories: bool = True,
    ) -> None:
        self.local = LocalStore(home / "artifacts", seal_directories=seal_directories)
        self.objects = objects or ObjectStoreConfig()
        self.remote = RemoteStore(self.objects, patience_s=patience_s)
        self._fetched = home / "fetched"
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._verified = VerifiedPaths()
        self._max_fetched_bytes = max_fetched_bytes
        #: Bytes fetched since `trim` last looked.
        self._since_trim = 0
        #: Names of places in `fetched` that running tasks read from.
        self.in_use: Callable[[], Set[str]] = frozenset

    def _of(self, uri: str) -> ArtifactStore:
        if ObjectUri.parse(uri) is None:
            return self.local
        return self.remote

    def take(self, key: str, path: Path) -> StoredContent:
        """See the port."""
        return self._of(key).take(key, path)

    def begun(self, key: str) -> bool:
        """See the port."""
        return self._of(key).begun(key)

    def owns(self, uri: str) -> bool:
        """See the port."""
        return self._of(uri).owns(uri)

    def fetch(self, uri: str, target: Path, *, digest: str = "") -> Path:
        """See the port."""
        return self._of(uri).fetch(uri, target, digest=digest)

    def at_hand(self, uri: str, *, digest: str = "") -> Path | None:
        """See the port."""
        if ObjectUri.parse(uri) is None:
            return self.local.at_hand(uri, digest=digest)
        self.objects.locate(uri)  # raises NotConfigured
        content = digest or self.remote.identity(uri)
        place = self._fetched / hashlib.sha256(content.encode()).hexdigest()
        with self._one_at_a_time(place.name):
            found = _only_entry(place)
            if found is not None and not self._is_whole(found, digest):
                remove_tree(place)
                found = None
            if found is None:
                found = self._fetch_to(place, uri, digest)
                self._verified.remember(found)
                self._since_trim += _size(found)
            os.utime(place)
        if self._since_trim > self._max_fetched_bytes // 10:
            self._since_trim = 0
            self.trim()
        return found

    def _is_whole(self, found: Path, digest: str) -> bool:
        """Whether what was fetched is still what it was; read again when an earlier server has fetched it."""
        if self._verified.is_same(found):
            return True
        if self._verified.knows(found) or not digest:
            return False
        try:
            whole = examine(found).digest == digest
        except (OSError, NotStorable):
            return False
        if whole:
            self._verified.remember(found)
        return whole

    def _fetch_to(self, place: Path, uri: str, digest: str) -> Path:
        """Beside its place and then moved there, so that it is whole wherever it is seen."""
        self._fetched.mkdir(mode=0o700, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=self._fetched))
        try:
            name = uri.rstrip("/").rpartition("/")[2].encode("utf-8", "surrogateescape")[:200]
            self.remote.fetch(uri, part / os.fsdecode(name or b"content"), digest=digest)
            part.chmod(0o755)
            failpoint("fetch.before")
            part.rename(place)
            failpoint("fetch.after")
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        for directory, _, files in os.walk(place, topdown=False):
            for file in files:
                Path(directory, file).chmod(0o444)
            Path(directory).chmod(0o555)
        found = _only_entry(place)
        assert found is not None, "it was moved there"
        return found

    def _one_at_a_time(self, name: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())

    def trim(self) -> int:
        """Remove what was fetched, the longest unused first, down to `max_fetched_bytes`; bytes removed. Blocks.

        What running tasks read from stays (`in_use`, asked after the places were listed), and what was handed out in
        the last hour, so that a task that begins meanwhile has its own.
        """
        if not self._fetched.is_dir():
            return 0
        known = sorted((p for p in self._fetched.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
        sizes = {place: _size(place) for place in known}
        left, removed, busy = sum(sizes.values()), 0, self.in_use()
        for place in known:
            if left - removed <= self._max_fetched_bytes:
                break
            if place.name in busy or place.stat().st_mtime > time.time() - _JUST_NOW_S:
                continue
            with self._one_at_a_time(place.name):
                remove_tree(place)
            removed += sizes[place]
        return removed

    def open_read(
        self, uri: str, *, offset: int = 0, limit: int | None = None, member: str = "", digest: str = ""
    ) -> AsyncIterator[bytes]:
        """See the port."""
        return self._of(uri).open_read(uri, offset=offset, limit=limit, member=member, digest=digest)

    async def members(self, uri: str) -> tuple[Member, ...]:
        """See the port."""
        return await self._of(uri).members(uri)

    async def exists(self, uri: str, *, digest: str = "", size_bytes: int | None = None) -> bool:
        """See the port. False for what no store of this server has."""
        try:
            return self.owns(uri) and await self._of(uri).exists(uri, digest=digest, size_bytes=size_bytes)
        except NotConfigured:
            return False

    async def delete(self, prefix: str) -> None:
        """See the port."""
        await self._of(prefix).delete(prefix)


def _only_entry(place: Path) -> Path | None:
    try:
        return next(place.iterdir(), None)
    except FileNotFoundError:
        return None


def _size(place: Path) -> int:
    if place.is_file():
        return place.stat().st_size
    return sum(Path(at, file).lstat().st_size for at, _, files in os.walk(place) for file in files)


def remove_tree(path: Path) -> None:
    """Remove a directory, also a read-only one."""
    for directory, _, _ in os.walk(path):
        Path(directory).chmod(0o755)
    shutil.rmtree(path, ignore_errors=True)
