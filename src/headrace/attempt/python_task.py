"""A Python component: the function that an order names, the request to our runtime, the user's source and modules.

The archive of the user's own modules comes with a document, so it is not trusted: its digest is computed here, and
nothing but files of bounded number and size, inside the target folder, is ever written.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

import msgspec

from headrace.attempt.codes import Code
from headrace.attempt.executor_input import shown_root
from headrace.attempt.layout import Layout
from headrace.attempt.order import LaunchOrder
from headrace.attempt.refusal import Refusal
from headrace.engine.model import Json, Reason
from headrace.spec.bootstrap import PythonEntry, recognise

_DIGEST = re.compile(r"^__HEADRACE_CODE_SHA256 = '([0-9a-f]{64})'$", re.MULTILINE)
_ARGUMENT = "--headrace-code="
_MAX_FILES = 20_000
_MAX_BYTES = 128 * 1024 * 1024


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """Where the component finds its own code, as paths that it sees."""

    #: The file with its source.
    source: str
    #: The folder of the user's own modules; "" when it brings none.
    code: str = ""
    #: The file in which it lists the modules that it imported; "": it does not.
    imports: str = ""


def python_entry(order: LaunchOrder) -> PythonEntry | None:
    """The Python function that the order is about; None when it is an ordinary command."""
    return _recognise(order.container.command, order.container.args) if order.container else None


#: Asked several times for each attempt, and for many attempts that differ in nothing but their inputs.
_recognise = lru_cache(maxsize=256)(recognise)


def request_of(
    entry: PythonEntry,
    order: LaunchOrder,
    document: dict[str, Json],
    layout: Layout,
    program: Program,
    problems: Mapping[str, Reason],
) -> bytes:
    """What the runtime reads: JSON, with paths as the component sees them. `layout` is its view too."""
    request: dict[str, Json] = {
        "executor_input": document,
        "source": program.source,
        "function": entry.function,
        "outcome": str(layout.outcome),
        "code": program.code,
        "imports": program.imports,
        "root": {"uri": shown_root(order, str(layout.outputs)), "path": str(layout.outputs)},
        "elsewhere": {uri: {"code": reason.code, "message": reason.message} for uri, reason in problems.items()},
    }
    if order.sources:
        request["lines"] = [[one.row, one.rows, one.file, one.line] for one in order.sources]
    return msgspec.json.encode(request)


def write_source(path: Path, entry: PythonEntry) -> None:
    """Write the component's source to a read-only file."""
    path.unlink(missing_ok=True)
    path.write_bytes(source_bytes(entry))
    path.chmod(0o444)


def source_bytes(entry: PythonEntry) -> bytes:
    """The source as it is written to disk."""
    return entry.source.encode("utf-8", "surrogatepass")


def code_digest(entry: PythonEntry) -> str | None:
    """Lower-hex sha256 of the archive of the user's own modules; None when the component brings none."""
    if not any(word.startswith(_ARGUMENT) for word in entry.extra_args):
        return None
    found = _DIGEST.search(entry.source)
    return found[1] if found else None


def unpack_code(entry: PythonEntry, digest: str, target: Path) -> None:
    """Unpack the archive of the user's own modules into a folder. Raises Refusal CODE_ARCHIVE_INVALID."""
    packed = _packed(entry, digest)
    try:
        with tarfile.open(fileobj=io.BytesIO(_plain(packed)), mode="r:") as tar:
            for number, member in enumerate(tar):
                if number >= _MAX_FILES:
                    raise _invalid(f"it holds more than {_MAX_FILES} files")
                _write(tar, member, target)
    except (tarfile.TarError, zlib.error, EOFError, UnicodeError, FileExistsError, NotADirectoryError) as error:
        raise _invalid(f"it cannot be read ({error})") from None


def _packed(entry: PythonEntry, digest: str) -> bytes:
    text = "".join(word[len(_ARGUMENT) :] for word in entry.extra_args if word.startswith(_ARGUMENT))
    try:
        packed = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _invalid("it is not base64") from None
    if hashlib.sha256(packed).hexdigest() != digest:
        raise _invalid("it is not the one that its digest names")
    return packed


def _plain(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    plain = unpacker.decompress(packed, _MAX_BYTES)
    if unpacker.unconsumed_tail:
        raise _invalid(f"it unpacks to more than {_MAX_BYTES} bytes")
    if not unpacker.eof:
        raise _invalid("it is cut off")
    return plain


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    name = PurePosixPath(member.name)
    inside = bool(name.parts) and not name.is_absolute() and ".." not in name.parts and "\0" not in member.name
    if not inside or not member.isreg() or member.issparse():
        raise _invalid(f"it holds {member.name!r}, which is not a file inside of it")
    content = tar.extractfile(member)
    assert content is not None
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444)
    with os.fdopen(descriptor, "wb") as out:
        os.fchmod(descriptor, 0o444)
        out.write(content.read())
    os.utime(target, (0, 0))


def _invalid(why: str) -> Refusal:
    return Refusal(
        Code.CODE_ARCHIVE_INVALID,
        f"The archive of the component's own modules cannot be used: {why}. Compile the pipeline again.",
        retryable=False,
    )
