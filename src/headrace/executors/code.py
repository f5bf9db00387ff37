"""What components bring with them, written down once on this machine for all attempts that bring the same.

Their source lies at `<home>/sources/<digest>`, their own modules unpacked at `<home>/code/<digest>`. The archive
of these comes with a document, so it is not trusted: its digest is computed here, and nothing but files of bounded
number and size, inside that folder, is ever written.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import io
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path, PurePosixPath

from headrace.executors.codes import Code
from headrace.executors.refusal import Refusal
from headrace.spec.bootstrap import PythonEntry

#: The module's name in KFP, which pickles and tracebacks show.
SOURCE_FILE = "ephemeral_component.py"
_DIGEST = re.compile(r"^__HEADRACE_CODE_SHA256 = '([0-9a-f]{64})'$", re.MULTILINE)
_ARGUMENT = "--headrace-code="
_MAX_FILES = 20_000
_MAX_BYTES = 128 * 1024 * 1024


class CodeFolders:
    """All of them under one home."""

    def __init__(self, home: Path) -> None:
        self._root = home / "code"
        self._sources = home / "sources"
        self._unpacking = asyncio.Lock()
        self._written: set[str] = set()

    def source(self, entry: PythonEntry) -> str:
        """Path of a file that holds the component's source. Read-only, as is its folder: many attempts share it."""
        text = entry.source.encode("utf-8", "surrogatepass")
        folder = f"{self._sources}/{hashlib.sha256(text).hexdigest()[:40]}"
        path = f"{folder}/{SOURCE_FILE}"
        if path not in self._written or not os.path.exists(path):  # noqa: PTH110 - hot
            if not Path(path).exists():
                self._put(Path(folder), lambda part: _write_source(part / SOURCE_FILE, text))
            self._written.add(path)
        return path

    async def get(self, entry: PythonEntry) -> Path | None:
        """The folder of the component's own modules; None when it brings none."""
        digest = _digest(entry)
        if digest is None:
            return None
        place = self._root / digest
        async with self._unpacking:
            if not place.is_dir():
                await asyncio.to_thread(self._put, place, lambda part: _extract(_packed(entry, place.name), part))
        return place

    @lru_cache(maxsize=64)  # noqa: B019 - there is one of these for each server
    def names(self, place: Path | None) -> frozenset[str]:
        """Top-level names of the modules in a folder of `get`."""
        if place is None:
            return frozenset()
        return frozenset(name.partition(".")[0] for name in os.listdir(place))  # noqa: PTH208

    def _put(self, place: Path, fill: Callable[[Path], None]) -> None:
        """Beside its place and then moved there, so that it is whole wherever it is seen."""
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{place.name[:12]}.", dir=place.parent))
        try:
            fill(part)
            for folder in (part, *(path for path in part.rglob("*") if path.is_dir())):
                folder.chmod(0o755)  # tasks in containers are not always this user
            part.rename(place)
        except OSError:
            if not place.is_dir():  # else another server was quicker
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _digest(entry: PythonEntry) -> str | None:
    if not any(word.startswith(_ARGUMENT) for word in entry.extra_args):
        return None
    found = _DIGEST.search(entry.source)
    return found[1] if found else None


def _packed(entry: PythonEntry, digest: str) -> bytes:
    text = "".join(word[len(_ARGUMENT) :] for word in entry.extra_args if word.startswith(_ARGUMENT))
    try:
        packed = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _invalid("it is not base64") from None
    if hashlib.sha256(packed).hexdigest() != digest:
        raise _invalid("it is not the one that its digest names")
    return packed


def _extract(packed: bytes, place: Path) -> None:
    try:
        with tarfile.open(fileobj=io.BytesIO(_plain(packed)), mode="r:") as tar:
            for number, member in enumerate(tar):
                if number >= _MAX_FILES:
                    raise _invalid(f"it holds more than {_MAX_FILES} files")
                _write(tar, member, place)
    except (tarfile.TarError, zlib.error, EOFError, UnicodeError, FileExistsError, NotADirectoryError) as error:
        raise _invalid(f"it cannot be read ({error})") from None


def _plain(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    plain = unpacker.decompress(packed, _MAX_BYTES)
    if unpacker.unconsumed_tail:
        raise _invalid(f"it unpacks to more than {_MAX_BYTES} bytes")
    if not unpacker.eof:
        raise _invalid("it is cut off")
    return plain


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    name = PurePosixPath(member.name)
    inside = bool(name.parts) and not name.is_absolute() and ".." not in name.parts and "\0" not in member.name
    if not inside or not member.isreg() or member.issparse():
        raise _invalid(f"it holds {member.name!r}, which is not a file inside of it")
    content = tar.extractfile(member)
    assert content is not None
    target = place / name
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444)
    with os.fdopen(descriptor, "wb") as out:
        os.fchmod(descriptor, 0o444)
        out.write(content.read())
    os.utime(target, (0, 0))


def _write_source(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    path.chmod(0o444)


def _invalid(why: str) -> Refusal:
    return Refusal(
        Code.CODE_ARCHIVE_INVALID,
        f"The archive of the component's own modules cannot be used: {why}. Compile the pipeline again.",
        retryable=False,
    )
