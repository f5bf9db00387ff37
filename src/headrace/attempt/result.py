"""How an attempt ended, as `ship` tells it: versioned JSON, so that a server reads what an older porter wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from headrace.attempt.codes import Code
from headrace.attempt.refusal import Refusal
from headrace.engine.model import ArtifactType, Json, Reason

#: The format that is written. A reader refuses every other.
VERSION = 1


class ProducedArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """An output artifact, whose content is where its URI says."""

    name: str
    type: ArtifactType
    uri: str
    metadata: dict[str, Json] = {}
    digest: str = ""
    size_bytes: int = 0
    is_directory: bool = False
    #: Whether this attempt has put the content into the artifact store: then it goes when the run is deleted. What an
    #: attempt hands on, or has put into a store by itself, is not its own.
    owned: bool = False
    #: A sentence that says that the component never wrote it; "" when there is content.
    not_written: str = ""


class ResultSucceeded(msgspec.Struct, frozen=True, kw_only=True, tag="succeeded", tag_field="state"):
    """All outputs are read, checked against the declared types, and stored."""

    version: int = VERSION
    parameters: dict[str, Json] = {}
    artifacts: dict[str, tuple[ProducedArtifact, ...]] = {}


class ResultFailed(msgspec.Struct, frozen=True, kw_only=True, tag="failed", tag_field="state"):
    """The inputs could not be fetched, or the outputs not read or stored."""

    version: int = VERSION
    error: Reason
    #: False when another attempt cannot help.
    retryable: bool = True
    #: The infrastructure is to blame: the attempt counts as lost, and no retry is spent.
    lost: bool = False


AttemptResult: TypeAlias = ResultSucceeded | ResultFailed


def failed(refusal: Refusal) -> ResultFailed:
    """The result that a refusal comes to."""
    return ResultFailed(error=refusal.reason, retryable=refusal.retryable, lost=refusal.passing)


def encode_result(result: AttemptResult) -> bytes:
    """As JSON."""
    return msgspec.json.encode(result)


def decode_result(data: bytes) -> AttemptResult:
    """Read what `encode_result` wrote. Raises Refusal RESULT_INVALID: for another version too."""
    try:
        version = msgspec.json.decode(data, type=_Head).version
        if version == VERSION:
            return msgspec.json.decode(data, type=AttemptResult)  # type: ignore[no-any-return]
    except msgspec.DecodeError as error:
        raise Refusal(Code.RESULT_INVALID, f"The result of the attempt cannot be read: {error}.") from error
    message = (
        f"The result of the attempt has format {version!r}, and this server reads format {VERSION}: it was written by "
        "another release of Headrace. Use images and a server of the same release."
    )
    raise Refusal(Code.RESULT_INVALID, message, retryable=False, version=version)


class _Head(msgspec.Struct):
    version: Any = None


def write_result(path: Path, result: AttemptResult) -> None:
    """Write it whole or not at all, and durably. Everything that it speaks of must be stored before."""
    part = path.with_name(f".{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(encode_result(result))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
