"""The port every artifact store implements. One conformance suite shows the same behaviour of all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import msgspec


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """Content that is in the store, whole."""

    uri: str
    #: Lower-hex sha256 of a file's bytes, or of a directory's manifest.
    digest: str
    size_bytes: int
    is_directory: bool


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a directory artifact; `name` is "" for an artifact that is a file."""

    name: str
    size_bytes: int


class ArtifactError(Exception):
    """Base: what is wrong with the artifact, for a person."""


class NotStorable(ArtifactError):
    """What was to be stored is neither a file nor a directory of files, or leads outside itself."""


class NotStored(ArtifactError):
    """The store has no such artifact or member, or the URI is not of this store."""


class ArtifactStore(Protocol):
    """Keeps artifacts under keys like `<run>/<execution>/<attempt>/<name>`."""

    def take(self, key: str, path: Path) -> Stored:
        """Hash what is at `path`, make it durable and move it in under `key`; nobody sees it half done.

        Taking the same key again replaces what was there. A take that was cut off by the end of the process is
        taken up again by the next one of the same key. Blocks; call it from a thread.
        """

    def begun(self, key: str) -> bool:
        """Whether the key has been taken, or a take of it was cut off: what was at its path may be here by now."""

    def owns(self, uri: str) -> bool:
        """Whether the URI is one of this store's own."""

    def open_read(
        self, uri: str, *, offset: int = 0, limit: int | None = None, member: str = ""
    ) -> AsyncIterator[bytes]:
        """The bytes from `offset`, at most `limit`, in chunks; of one file of a directory by `member`."""

    async def members(self, uri: str) -> tuple[Member, ...]:
        """The files of the artifact, by name."""

    async def delete(self, prefix: str) -> None:
        """Remove every artifact whose key is `prefix` or begins with `prefix/`; missing ones are no error."""
