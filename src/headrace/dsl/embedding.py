"""Files that travel inside a component's source, as a compressed archive."""

from __future__ import annotations

import base64
import gzip
import io
import tarfile
import warnings
from pathlib import Path

from headrace.dsl.errors import DslValueError

_LARGE_BYTES = 1024 * 1024

# Wire format, like the bootstrap: runtimes and users' code look for the names in it.
_HELPER = """__KFP_EMBEDDED_ARCHIVE_B64 = '@ARCHIVE@'

import base64 as __kfp_b64
import io as __kfp_io
import os as __kfp_os
import sys as __kfp_sys
import tarfile as __kfp_tarfile
import tempfile as __kfp_tempfile

# Extract embedded archive at import time to ensure sys.path and globals are set
__kfp_tmpdir = __kfp_tempfile.TemporaryDirectory()
__KFP_EMBEDDED_ASSET_DIR = __kfp_tmpdir.name
try:
    __kfp_bytes = __kfp_b64.b64decode(__KFP_EMBEDDED_ARCHIVE_B64.encode('ascii'))
    with __kfp_tarfile.open(fileobj=__kfp_io.BytesIO(__kfp_bytes), mode='r:gz') as __kfp_tar:
        __kfp_tar.extractall(path=__KFP_EMBEDDED_ASSET_DIR)
except Exception as __kfp_e:
    raise RuntimeError(f'Failed to extract embedded archive: {__kfp_e}')

# Always prepend the extracted directory to sys.path for import resolution
if __KFP_EMBEDDED_ASSET_DIR not in __kfp_sys.path:
    __kfp_sys.path.insert(0, __KFP_EMBEDDED_ASSET_DIR)
@FILE@
"""


def archive(path: Path) -> str:
    """A file or folder as base64 text; the same bytes for the same content."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        if path.is_dir():
            tar.add(path, arcname=".", filter=_without_times)
        else:
            tar.add(path, arcname=path.name, filter=_without_times)
    compressed = gzip.compress(plain.getvalue(), mtime=0)
    if len(compressed) > _LARGE_BYTES:
        warnings.warn(
            f"Embedded artifact archive is large ({len(compressed) / _LARGE_BYTES:.1f}MB compressed). "
            "Put large files into an image or object store.",
            UserWarning,
            stacklevel=5,
        )
    return base64.b64encode(compressed).decode("ascii")


def _without_times(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime = 0
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def extraction_helper(path_text: str) -> str:
    """Source that unpacks the archive when the module is imported."""
    path = Path(path_text)
    if not path.exists():
        raise DslValueError(f"embedded_artifact_path does not exist: {path}", code="EMBEDDED_PATH_MISSING")
    line = (
        f"\n__KFP_EMBEDDED_ASSET_FILE = __kfp_os.path.join(__KFP_EMBEDDED_ASSET_DIR, '{path.name}')\n"
        if path.is_file()
        else ""
    )
    return _HELPER.replace("@ARCHIVE@", archive(path)).replace("@FILE@", line)
