"""What an attempt needs of artifact stores."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from headrace.attempt.codes import Code
from headrace.attempt.refusal import Refusal, system_refusal
from headrace.engine.model import Json

#: A part of a key that stores keep for themselves.
RESERVED = ".headrace"


class StoredContent(Protocol):
    """What a store says of content that it has taken in."""

    @property
    def uri(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def is_directory(self) -> bool: ...


class ArtifactAccess(Protocol):
    """The part of an artifact store that attempts need; raises ValueError-like errors with a sentence for a person."""

    def take(self, key: str, path: Path) -> StoredContent:
        """Hash the content at `path`, make it durable and move it in; continues where an earlier call was cut off."""

    def begun(self, key: str) -> bool:
        """Whether what was at the path may be in the store by now."""

    def fetch(self, uri: str, target: Path, *, digest: str = "") -> Path:
        """Copy the content to `target`, or say where it lies already."""

    def at_hand(self, uri: str, *, digest: str = "") -> Path | None:
        """Where the content is on this machine, fetched if need be and checked; None for a URI of no store."""

    async def delete(self, prefix: str) -> None:
        """Remove everything whose key is `prefix` or begins with it and `/`."""


def refusal_of(error: Exception, what: str, **details: Json) -> Refusal:
    """What a store raised, as the end of the attempt. Its errors say what kind they are by `code` and `passing`."""
    if isinstance(error, OSError):
        return system_refusal(error, f"{what} could not be stored or read", **details)
    code, passing = getattr(error, "code", Code.ARTIFACT_INVALID), getattr(error, "passing", False)
    return Refusal(
        code, f"{what}: {error}", retryable=code == Code.ARTIFACT_INVALID or passing, passing=passing, **details
    )
