"""Artifacts in object stores: S3 and what speaks like it, Google Cloud Storage, Azure's blobs.

A file is an object, its key what the URI says. A directory is its files, below that key, and its manifest, beside it
at `.headrace/<name>`: the manifest is written last and says what belongs to the directory, so what an upload that was
cut off has left is never seen. Directories of others, which have no manifest, are what their prefix lists.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from headrace.artifacts.content import (
    Content,
    Entry,
    altered,
    checked_kind,
    described,
    open_file,
    read_manifest,
    shown,
    verified,
    walk,
)
from headrace.artifacts.names import key_of
from headrace.artifacts.object_stores import ObjectStoreConfig, ObjectUri
from headrace.artifacts.port import Corrupt, Expired, Member, NotStored, Refused, StoredContent, Unreachable
from headrace.failpoints import failpoint
from headrace.retries import delays
from headrace.threads import check_canceled, in_background, passed_on, pause

#: Size of the parts that large objects are sent and read in: times `_PARTS_AT_ONCE`, the memory a transfer needs.
_PART = 8 << 20
_PARTS_AT_ONCE = 4
#: Files of a directory on their way at once.
_FILES_AT_ONCE = 8
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_MANIFESTS = ".headrace"
_MAX_MANIFEST_BYTES = 256 << 20
T = TypeVar("T")


class _File(NamedTuple):
    """A file of a directory, or an empty directory in it, and the key of its object."""

    entry: Entry
    key: str


class _Bucket:
    """An open bucket. It is opened again when there are other credentials than those it was opened with."""

    def __init__(self, config: ObjectStoreConfig, uri: str, retries: int, request_timeout_s: float) -> None:
        self._config = config
        self._uri = uri
        self._retries = retries
        self._request_timeout_s = request_timeout_s
        self._lock = threading.Lock()
        #: obstore's store.
        self.store: Any = None
        self.uri: ObjectUri
        #: What it was opened with, to be compared.
        self.credentials = config.credentials(uri)
        self._reopen()

    def _reopen(self) -> None:
        from headrace.artifacts.buckets import open_bucket

        self.store, self.uri = open_bucket(
            self._config, self._uri, retries=self._retries, request_timeout_s=self._request_timeout_s
        )

    def has_new_credentials(self, used: tuple[str, ...]) -> bool:
        """Look whether there are others than those that were used, by this thread or another; if so, open it again."""
        with self._lock:
            self._config.refresh()
            found = self._config.credentials(self._uri)
            if found != self.credentials:
                self._reopen()
                self.credentials = found
            return self.credentials != used


class RemoteStore:
    """Keeps artifacts where their keys, which are whole URIs, say."""

    def __init__(
        self, config: ObjectStoreConfig, *, patience_s: float = 120.0, request_timeout_s: float = 60.0, retries: int = 4
    ) -> None:
        self._config = config
        self._patience_s = patience_s
        self._request_timeout_s = request_timeout_s
        self._retries = retries
        self._open: dict[tuple[str, str], _Bucket] = {}

    # taking in --------------------------------------------------------------------------------

    def take(self, key: str, path: Path) -> StoredContent:
        """See the port. What is at `path` stays there."""
        bucket, at = self._at(key)
        failpoint("upload.before")
        if checked_kind(path) == "file":
            digest, size = self._send(bucket, at, path)
            content = Content(digest=digest, size_bytes=size, is_directory=False)
        else:
            content = self._send_directory(bucket, at, path)
        failpoint("upload.after")
        return StoredContent(
            uri=key, digest=content.digest, size_bytes=content.size_bytes, is_directory=content.is_directory
        )

    def begun(self, key: str) -> bool:
        """See the port: nothing is ever moved."""
        return False

    def _send_directory(self, bucket: _Bucket, at: str, path: Path) -> Content:
        def send(found: tuple[str, Path]) -> Entry:
            name, file = found
            if name.endswith("/"):
                return Entry(name=name, digest="", size_bytes=0)
            digest, size = self._send(bucket, f"{at}/{key_of(name)}", file)
            return Entry(name=name, digest=digest, size_bytes=size)

        with ThreadPoolExecutor(_FILES_AT_ONCE) as threads:
            content = described(threads.map(passed_on(send), walk(path)))
        failpoint("upload.files")
        self._put(bucket, _manifest_key(at), lambda: content.manifest)
        return content

    def _send(self, bucket: _Bucket, at: str, path: Path) -> tuple[str, int]:
        """Upload a file; `(sha256, size)` of what was sent."""
        reading = _Reading(path)
        self._put(bucket, at, reading.begin)
        return reading.digest.hexdigest(), reading.size

    def _put(self, bucket: _Bucket, at: str, content: Callable[[], bytes | Iterator[bytes]]) -> None:
        import obstore

        def put() -> None:
            obstore.put(bucket.store, at, content(), chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)

        self._patiently(bucket, put, f"the object {at!r}")

    # names ------------------------------------------------------------------------------------

    def owns(self, uri: str) -> bool:
        """See the port."""
        return self._config.knows(uri)

    def _at(self, uri: str) -> tuple[_Bucket, str]:
        """The URI's bucket, and the key in it."""
        parsed = ObjectUri.parse(uri)
        bucket = None if parsed is None else self._open.get((parsed.scheme, parsed.bucket))
        if parsed is None or bucket is None:
            bucket = _Bucket(self._config, uri, self._retries, self._request_timeout_s)
            parsed = bucket.uri
            self._open[parsed.scheme, parsed.bucket] = bucket
        if not parsed.key:
            raise NotStored(f"{uri} names no object, only a bucket.")
        return bucket, parsed.key

    def _patiently(self, bucket: _Bucket, do: Callable[[], T], what: str) -> T:
        """Try until it is done, refused for good, or `patience_s` is over. Raises Canceled.

        Where the store refuses the credentials, and others are to be found now, they are tried.
        """
        from headrace.artifacts.buckets import translated

        deadline = time.monotonic() + self._patience_s
        pauses = delays(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        while True:
            check_canceled()
            used = bucket.credentials
            try:
                with translated(what):
                    return do()
            except (Refused, Unreachable) as error:
                if isinstance(error, Refused | Expired) and bucket.has_new_credentials(used):
                    continue
                wait = next(pauses)
                if isinstance(error, Refused) or time.monotonic() + wait > deadline:
                    raise
                pause(wait)

    # giving back ------------------------------------------------------------------------------

    def fetch(self, uri: str, target: Path, *, digest: str = "") -> Path:
        """See the port."""
        bucket, at = self._at(uri)
        size = self._size_of(bucket, at)
        try:
            if size is not None:
                self._receive(bucket, at, target, size, digest)
            else:
                self._receive_directory(bucket, at, target, digest)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True) if target.is_dir() else target.unlink(missing_ok=True)
            raise
        return target

    def at_hand(self, uri: str, *, digest: str = "") -> Path | None:
        """Nothing of an object store is; `Stores` keeps what was fetched."""
        return None

    def identity(self, uri: str) -> str:
        """Text that changes when the content at the URI does; for content without a recorded digest."""
        bucket, at = self._at(uri)
        import obstore

        found = hashlib.sha256(uri.encode("utf-8", "surrogateescape"))
        try:
            meta = self._patiently(bucket, lambda: obstore.head(bucket.store, at), f"the object {at!r}")
            found.update(f"{meta['e_tag']} {meta['size']} {meta['last_modified']}".encode())
        except NotStored:
            for one in self._list(bucket, at):
                found.update(f"{one['path']}\0{one['e_tag']} {one['size']} {one['last_modified']}\0".encode())
        return found.hexdigest()

    def _receive(self, bucket: _Bucket, at: str, target: Path, size: int, digest: str) -> None:
        """Download part by part, each bounded in time, so that no slow sender holds a task without limit."""
        found = hashlib.sha256()
        if size == 0 and self._size_of(bucket, at) != 0:
            raise NotStored(f"the object {at!r} is not there any more, or has content now.")
        with target.open("wb") as file:
            for start in range(0, size, _PART):
                data = self._part(bucket, at, start, min(start + _PART, size), size)
                found.update(data)
                file.write(data)
        if digest and found.hexdigest() != digest:
            raise altered(digest, found.hexdigest())

    def _part(self, bucket: _Bucket, at: str, start: int, end: int, size: int) -> bytes:
        """Bytes of an object that has `size` of them. Raises Corrupt when it has not, or gives fewer."""
        import obstore

        def get() -> tuple[bytes, int]:
            answer = obstore.get(bucket.store, at, options={"range": (start, end)})
            return bytes(answer.bytes()), answer.meta["size"]

        data, whole = self._patiently(bucket, get, f"the object {at!r}")
        if whole != size or len(data) != end - start:
            raise Corrupt(f"the object {at!r} has {whole} bytes; {size} were expected.")
        return data

    def _receive_directory(self, bucket: _Bucket, at: str, target: Path, digest: str) -> None:
        files = self._files(bucket, at, digest)
        target.mkdir(parents=True)

        def receive(one: _File) -> None:
            entry = one.entry
            place = target / entry.name
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.is_directory:
                place.mkdir(exist_ok=True)
                return
            try:
                self._receive(bucket, one.key, place, entry.size_bytes, entry.digest)
            except NotStored as error:
                raise NotStored(f"its file {shown(entry.name)!r} is not there any more.") from error
            except Corrupt as error:
                raise Corrupt(f"its file {shown(entry.name)!r}: {error}") from error

        with ThreadPoolExecutor(_FILES_AT_ONCE) as threads:
            for _ in threads.map(passed_on(receive), files):
                pass

    def _files(self, bucket: _Bucket, at: str, digest: str = "") -> tuple[_File, ...]:
        """What belongs to the directory: by its manifest, or what is below its prefix. Raises NotStored, Corrupt."""
        manifest = self._manifest(bucket, at)
        if manifest is not None:
            entries = read_manifest(manifest, digest)
            return tuple(_File(entry, f"{at}/{key_of(entry.name)}") for entry in entries)
        if digest:
            raise NotStored(f"neither an object {at!r} nor the list of such a directory's files is there.")
        found = tuple(
            _File(Entry(name=key[len(at) + 1 :], digest="", size_bytes=size), key)
            for key, size in self._below(bucket, at).items()
            if not key.endswith("/")
        )
        if not found:
            raise NotStored(f"there is no object {at!r}, nor any whose key begins with it and a slash.")
        return found

    def _manifest(self, bucket: _Bucket, at: str) -> bytes | None:
        import obstore

        key = _manifest_key(at)
        size = self._size_of(bucket, key)
        if size is None:
            return None
        if size > _MAX_MANIFEST_BYTES:
            raise Corrupt(f"the list of the directory's files has {size} bytes.")
        if size == 0:
            return b""
        return self._patiently(bucket, lambda: bytes(obstore.get(bucket.store, key).bytes()), f"the object {key!r}")

    def _size_of(self, bucket: _Bucket, at: str) -> int | None:
        import obstore

        try:
            return int(self._patiently(bucket, lambda: obstore.head(bucket.store, at), f"the object {at!r}")["size"])
        except NotStored:
            return None

    def _list(self, bucket: _Bucket, at: str) -> list[Any]:
        """All objects below a prefix, by key."""
        import obstore

        listed = self._patiently(
            bucket, lambda: [one for many in obstore.list(bucket.store, at) for one in many], f"{at}/"
        )
        return sorted(listed, key=lambda one: str(one["path"]))

    def _below(self, bucket: _Bucket, at: str) -> dict[str, int]:
        """Sizes of all objects below a prefix, by key."""
        return {str(one["path"]): int(one["size"]) for one in self._list(bucket, at)}

    async def open_read(
        self, uri: str, *, offset: int = 0, limit: int | None = None, member: str = "", digest: str = ""
    ) -> AsyncIterator[bytes]:
        """See the port."""
        bucket, at, size, expected = await in_background(lambda: self._readable(uri, member, digest))
        end = size if limit is None else min(size, offset + limit)
        chunks = self._chunks(bucket, at, offset, end, size)
        whole = bool(expected) and offset == 0 and end == size
        async for chunk in verified(chunks, expected) if whole else chunks:
            yield chunk

    def _readable(self, uri: str, member: str, digest: str) -> tuple[_Bucket, str, int, str]:
        """`(bucket, key, size, digest or "")` of the file that is asked for."""
        bucket, at = self._at(uri)
        size = self._size_of(bucket, at)
        if size is not None:
            if member:
                raise NotStored(f"the artifact has no member {member!r}.")
            return bucket, at, size, digest
        files = self._files(bucket, at, digest)
        if not member:
            raise NotStored("the artifact is a directory; ask for one of its members.")
        file = next((one for one in files if shown(one.entry.name) == member and not one.entry.is_directory), None)
        if file is None:
            raise NotStored(f"the artifact has no member {member!r}.")
        entry, key = file
        found = self._size_of(bucket, key)
        if found is None:
            raise NotStored(f"the artifact's file {member!r} is not there any more.")
        if found != entry.size_bytes:
            raise Corrupt(f"its file {member!r} has {found} bytes; {entry.size_bytes} were recorded.")
        return bucket, key, found, entry.digest

    async def _chunks(self, bucket: _Bucket, at: str, start: int, end: int, size: int) -> AsyncIterator[bytes]:
        for begin in range(start, end, _PART):
            yield await in_background(partial(self._part, bucket, at, begin, min(begin + _PART, end), size))

    async def members(self, uri: str) -> tuple[Member, ...]:
        """See the port."""
        return await in_background(lambda: self._members(uri))

    def _members(self, uri: str) -> tuple[Member, ...]:
        bucket, at = self._at(uri)
        size = self._size_of(bucket, at)
        if size is not None:
            return (Member(name="", size_bytes=size),)
        entries = (one.entry for one in self._files(bucket, at))
        return tuple(Member(name=shown(e.name), size_bytes=e.size_bytes) for e in entries if not e.is_directory)

    async def exists(self, uri: str, *, digest: str = "", size_bytes: int | None = None) -> bool:
        """See the port."""
        return await in_background(lambda: self._exists(uri, digest, size_bytes))

    def _exists(self, uri: str, digest: str, size_bytes: int | None) -> bool:
        bucket, at = self._at(uri)
        size = self._size_of(bucket, at)
        if size is not None:
            return size_bytes is None or size == size_bytes
        try:
            files = self._files(bucket, at, digest)
        except (NotStored, Corrupt):
            return False
        wanted = {one.key: one.entry.size_bytes for one in files if not one.entry.is_directory}
        return wanted.items() <= self._below(bucket, at).items()

    # removing ---------------------------------------------------------------------------------

    async def delete(self, prefix: str) -> None:
        """See the port."""
        await in_background(lambda: self._delete(prefix))

    def _delete(self, prefix: str) -> None:
        import obstore

        bucket, at = self._at(prefix)
        keys = [at, _manifest_key(at), *(str(one["path"]) for one in self._list(bucket, at))]
        for start in range(0, len(keys), 1000):
            some = keys[start : start + 1000]
            with contextlib.suppress(NotStored):  # some stores tell who deletes what is gone
                self._patiently(bucket, lambda some=some: obstore.delete(bucket.store, some), f"{at}/")  # type: ignore[misc]


class _Reading:
    """A file being uploaded, hashed on its way; begun again by each try."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.digest = hashlib.sha256()
        self.size = 0

    def begin(self) -> bytes | Iterator[bytes]:
        """The content, from its beginning."""
        self.digest = hashlib.sha256()
        self.size = 0
        if self._path.lstat().st_size > _PART:
            return self._parts()
        with os.fdopen(open_file(self._path), "rb") as file:
            return self._seen(file.read())

    def _parts(self) -> Iterator[bytes]:
        with os.fdopen(open_file(self._path), "rb") as file:
            while chunk := file.read(_PART):
                yield self._seen(chunk)

    def _seen(self, chunk: bytes) -> bytes:
        check_canceled()
        self.digest.update(chunk)
        self.size += len(chunk)
        return chunk


def _manifest_key(at: str) -> str:
    parent, _, name = at.rpartition("/")
    return f"{parent}/{_MANIFESTS}/{name}".lstrip("/")
