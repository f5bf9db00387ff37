"""The port every artifact store implements. One conformance suite shows the same behaviour of all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar, Protocol

import msgspec


class StoredContent(msgspec.Struct, frozen=True, kw_only=True):
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

    #: Stable, as in docs/reference/error-codes.md.
    code: ClassVar[str] = "ARTIFACT_INVALID"
    #: Whether it may be well again by itself: nothing is wrong with the task or its artifacts.
    passing: ClassVar[bool] = False


class NotStorable(ArtifactError):
    """What was to be stored is neither a file nor a directory of files, or leads outside itself."""


class NotStored(ArtifactError):
    """The store has no such artifact or member, or the URI is not of this store."""

    code = "ARTIFACT_LOST"


class Corrupt(ArtifactError):
    """The content is not what was recorded: altered or cut short."""

    code = "ARTIFACT_CORRUPT"


class NotConfigured(ArtifactError):
    """No setting says how to reach the URI's store."""

    code = "OBJECT_STORE_NOT_CONFIGURED"


class Refused(ArtifactError):
    """The store answered that it will not: credentials, permissions, a bucket that is not there."""

    code = "OBJECT_STORE_REFUSED"


class Unreachable(ArtifactError):
    """The store did not answer, or answered that it cannot now, for as long as we were ready to try again."""

    code = "OBJECT_STORE_UNAVAILABLE"
    passing = True


class Expired(Unreachable):
    """The store does not take the credentials any more, whose time is over: others are to be expected."""


class ArtifactStore(Protocol):
    """Keeps artifacts under keys, which are URIs.

    A key belongs to one attempt (it begins with the attempt's artifact prefix), so no two takes of it ever bring
    different content.
    """

    def take(self, key: str, path: Path) -> StoredContent:
        """Hash what is at `path`, make it durable and have it under `key`; no reader sees it half done.

        A store on the same disk moves it there, others leave it. Taking the same key again replaces what was there.
        A take that was cut off by the end of the process is taken up again by the next one of the same key. Blocks;
        call it from a thread.
        """

    def begun(self, key: str) -> bool:
        """Whether what was at the path of a take may be here by now, moved."""

    def owns(self, uri: str) -> bool:
        """Whether the URI is one that this store can look up."""

    def fetch(self, uri: str, target: Path, *, digest: str = "") -> Path:
        """Have the content on this machine, checked against `digest` if that is known: where it is.

        That is `target`, which must not exist, or the place where it lies anyway, which is read-only. Blocks.
        Raises NotStored, Corrupt, Refused, Unreachable.
        """

    def at_hand(self, uri: str, *, digest: str = "") -> Path | None:
        """Where a task of this machine finds the content, checked; None for a URI of no store. Blocks.

        What is elsewhere is fetched first, once for all who want it. It is read-only. Raises as `fetch` does,
        and NotConfigured.
        """

    def open_read(
        self, uri: str, *, offset: int = 0, limit: int | None = None, member: str = "", digest: str = ""
    ) -> AsyncIterator[bytes]:
        """The bytes from `offset`, at most `limit`, in chunks; of one file of a directory by `member`.

        When they are all of it and `digest` is known, ends with Corrupt unless they are what was recorded.
        """

    async def members(self, uri: str) -> tuple[Member, ...]:
        """The files of the artifact, by name."""

    async def exists(self, uri: str, *, digest: str = "", size_bytes: int | None = None) -> bool:
        """Whether the content is there, as far as can be found out without reading all of it.

        A file by its size, a directory by its manifest and the sizes of its files. Raises Unreachable when that
        cannot be found out.
        """

    async def delete(self, prefix: str) -> None:
        """Remove every artifact whose key is `prefix` or begins with `prefix/`; missing ones are no error."""
