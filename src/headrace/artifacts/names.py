"""File names as keys of objects. What keys cannot say is written as `%` and two digits, as in URLs."""

from __future__ import annotations

import hashlib
import os
import re

#: Control characters, our own mark, what ends the path of a URI, and what some clients take for a slash.
_UNSAYABLE = re.compile(rb"[\x00-\x1f\x7f%?\\]")
#: S3 allows 1,024 bytes for the whole key.
_MAX_BYTES = 700


def key_of(name: str) -> str:
    """A path inside of an artifact, as the end of its key.

    Names that are too long for a key are kept under their sha256: the directory's manifest knows them.
    """
    key = "/".join(_part(part) for part in name.split("/"))
    if len(key.encode()) > _MAX_BYTES:
        return f".headrace-long/{hashlib.sha256(os.fsencode(name)).hexdigest()}"
    return key


def _part(part: str) -> str:
    data = os.fsencode(part)
    try:
        data.decode("utf-8")
        data = _UNSAYABLE.sub(lambda found: b"%%%02X" % found[0][0], data)
    except UnicodeDecodeError:
        data = re.sub(rb"[^A-Za-z0-9._ -]", lambda found: b"%%%02X" % found[0][0], data)
    text = data.decode("utf-8")
    # A name of dots alone leads elsewhere; it cannot be a file's, but an artifact's or a task's.
    return text.replace(".", "%2E") if text in (".", "..") else text
