"""The user's own modules, shipped with a component: which files, as which bytes, and how the task finds them.

The archive is the same for the same content, whatever the machine, the user, the current directory and the dates.
It travels in the arguments of the component's command, in pieces, because Linux takes no single argument above 128 KiB.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import os
import tarfile
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from headrace.dsl.errors import DslTypeError, DslValueError, SourceLocation, function_location

Code: TypeAlias = str | Path | Sequence[str | Path]

#: Compressed; above it Kubernetes, which stores a run's pods with all their arguments, may refuse the run.
WARN_BYTES = 1024 * 1024
#: Compressed; above it the document itself becomes too large for servers.
MAX_BYTES = 8 * 1024 * 1024
#: Of a file that is not Python and was not named itself.
MAX_DATA_BYTES = 1024 * 1024
#: More files than this are refused: the user has probably named a home directory, or `/`.
MAX_FILES = 10_000
MAX_UNPACKED_BYTES = 64 * 1024 * 1024

_PIECE = 100_000
_ARGUMENT = "--headrace-code="
#: Left out, and also every name that begins with a dot (.git, .venv, .env ...): environments, caches, results, keys.
_LEFT_OUT_NAMES = frozenset({"__pycache__", "node_modules", "venv", "local_outputs"})
_LEFT_OUT_SUFFIXES = frozenset({".pyc", ".pyo", ".egg-info", ".dist-info", ".ipynb", ".log", ".pem", ".key"})
_PYTHON = frozenset({".py", ".pyi"})

# The names in it are what our executors look for: they unpack once per machine, and set __HEADRACE_CODE_PLACE.
_HELPER = """__HEADRACE_CODE_SHA256 = '@DIGEST@'


def __headrace_code():
    # The component's own modules, from the arguments of this process, onto the path.
    import base64
    import io
    import sys
    import tarfile
    import tempfile

    global __headrace_code_folder
    place = globals().get('__HEADRACE_CODE_PLACE')
    if not place:
        __headrace_code_folder = tempfile.TemporaryDirectory(prefix='headrace-code-')
        place = __headrace_code_folder.name
        mark = '--headrace-code='
        packed = base64.b64decode(''.join(word[len(mark):] for word in sys.argv if word.startswith(mark)))
        safely = {'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}
        with tarfile.open(fileobj=io.BytesIO(packed), mode='r:gz') as archive:
            archive.extractall(place, **safely)
    sys.path.insert(0, place)


__headrace_code()"""


class Shipment(NamedTuple):
    """The parts of the document that carry the code."""

    #: Source that puts the modules on the task's path.
    helper: str
    #: The archive, for the component's command.
    arguments: list[str]


class _SourceFile(NamedTuple):
    """One file of the archive."""

    name: str
    path: Path
    size: int


def shipment(code: Code, func: Callable[..., Any]) -> Shipment:
    """The files that `code` names, relative to the file that defines the function, as parts of the document."""
    selection = _Selection(base_of(func), function_location(func))
    try:
        contents = tuple((file.name, file.path.read_bytes()) for file in selection.files(code))
    except OSError as error:
        raise DslValueError(
            f"What code={code!r} names cannot be read: {error}.",
            code="CODE_UNREADABLE",
            hint="name only what you can read.",
            location=selection.location,
        ) from None
    packed = _checked(_archive(contents), selection)
    text = base64.b64encode(packed).decode("ascii")
    pieces = [f"{_ARGUMENT}{text[start : start + _PIECE]}" for start in range(0, len(text), _PIECE)]
    return Shipment(_HELPER.replace("@DIGEST@", hashlib.sha256(packed).hexdigest()), pieces)


def base_of(func: Callable[..., Any]) -> Path:
    """The folder of the file that defines the function; the current folder for a function of a notebook or console."""
    location = function_location(func)
    file = Path(location.file) if location else None
    return file.resolve().parent if file is not None and file.is_file() else Path.cwd()


def warn(message: str, location: SourceLocation | None) -> None:
    """Warn, with the line of the user's file."""
    if location is None:
        warnings.warn(message, UserWarning, stacklevel=3)
    else:
        warnings.warn_explicit(message, UserWarning, location.file, location.line)


# which files


class _Selection:
    """The files of one component, as they are found."""

    def __init__(self, base: Path, location: SourceLocation | None) -> None:
        self.base = base
        self.location = location
        self.found: dict[str, _SourceFile] = {}
        self._left_out: list[str] = []
        self._bytes = 0

    def files(self, code: Code) -> list[_SourceFile]:
        """All files, in the order of their names."""
        if isinstance(code, str | Path):
            self._add_alone(self._existing(code))
        elif isinstance(code, list | tuple):
            for item in code:
                self._add_named(self._existing(item))
        else:
            raise self._wrong(code)
        if not any(Path(name).suffix in _PYTHON for name in self.found):
            raise DslValueError(
                f"code={code!r} holds no Python files.",
                code="CODE_EMPTY",
                hint="name the folder that your modules are in, or the packages and modules one by one.",
                location=self.location,
            )
        self._tell_left_out()
        return [self.found[name] for name in sorted(self.found)]

    def _wrong(self, code: object) -> DslTypeError:
        return DslTypeError(
            f"code={code!r} is neither a path nor a list of paths.",
            code="CODE_INVALID",
            hint='write code="." or code=["my_package", "my_module.py"].',
            location=self.location,
        )

    def _existing(self, item: object) -> Path:
        if not isinstance(item, str | Path):
            raise self._wrong(item)
        path = self.base / item
        if not path.exists():
            raise DslValueError(
                f"code names {str(item)!r}, but there is no {path}.",
                code="CODE_NOT_FOUND",
                hint="paths are relative to the file that defines the component.",
                location=self.location,
            )
        return path.resolve()

    def _add_alone(self, path: Path) -> None:
        """A folder's content goes onto the path, unless the folder is a package itself."""
        if path.is_dir() and not (path / "__init__.py").exists():
            self._add_folder(path, "", (path,))
        else:
            self._add_named(path)

    def _add_named(self, path: Path) -> None:
        if any(name.partition("/")[0] == path.name for name in self.found):
            raise DslValueError(
                f"code names two things called {path.name!r}; only one of them could be imported.",
                code="CODE_NAME_TWICE",
                hint="name each once, or rename one.",
                location=self.location,
            )
        if path.is_dir():
            self._add_folder(path, f"{path.name}/", (path,))
        elif path.is_file():
            self._add_file(path.name, path, path.stat().st_size)
        else:
            raise self._wrong(str(path))

    def _add_folder(self, folder: Path, prefix: str, around: tuple[Path, ...]) -> None:
        """`around`: this folder and the folders around it, up to the one that was named."""
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            name, path = f"{prefix}{entry.name}", folder / entry.name
            if entry.name.startswith(".") or entry.name in _LEFT_OUT_NAMES or path.suffix in _LEFT_OUT_SUFFIXES:
                continue
            if entry.is_symlink() and not path.resolve().is_relative_to(around[0]):
                self._left_out.append(f"{name} (a link that leads out of {around[0]})")
            elif entry.is_dir():
                if path.resolve() not in around and not (path / "pyvenv.cfg").exists():
                    self._add_folder(path, f"{name}/", (*around, path.resolve()))
            elif entry.is_file():
                self._add_found_file(name, path, entry.stat().st_size)

    def _add_found_file(self, name: str, path: Path, size: int) -> None:
        if path.suffix not in _PYTHON and size > MAX_DATA_BYTES:
            self._left_out.append(f"{name} ({_readable(size)} of data)")
        elif not _is_compiled_pipeline(path):
            self._add_file(name, path, size)

    def _add_file(self, name: str, path: Path, size: int) -> None:
        self.found[name] = _SourceFile(name, path, size)
        self._bytes += size
        if len(self.found) > MAX_FILES or self._bytes > MAX_UNPACKED_BYTES:
            raise self.too_large(
                f"more than {MAX_FILES} files" if len(self.found) > MAX_FILES else f"{_readable(self._bytes)} and more"
            )

    def too_large(self, much: str) -> DslValueError:
        largest = sorted(self.found.values(), key=lambda file: (-file.size, file.name))[:5]
        largest_files = ", ".join(f"{file.name} ({_readable(file.size)})" for file in largest)
        return DslValueError(
            f"What code names is too large to travel with a component: {much}. The largest files: {largest_files}.",
            code="CODE_TOO_LARGE",
            hint="name only the packages the component imports, and hand data over as artifacts.",
            location=self.location,
        )

    def _tell_left_out(self) -> None:
        if self._left_out:
            left_out = ", ".join(self._left_out)
            warn(
                f"Not shipped with the component: {left_out}. Name a file itself in code=[...] to ship it.",
                self.location,
            )


def _is_compiled_pipeline(path: Path) -> bool:
    """Compiled pipelines are left out: otherwise every compile would change the next one."""
    if path.suffix not in (".yaml", ".yml", ".json"):
        return False
    content = path.read_bytes()
    return b"pipelineInfo" in content and b"schemaVersion" in content


def _readable(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB" if size >= 100_000 else f"{max(size / 1024, 0.1):.1f} kB"


# as which bytes


@functools.lru_cache(maxsize=4)
def _archive(contents: tuple[tuple[str, bytes], ...]) -> bytes:
    """The archive; made once for all components of a pipeline with the same files."""
    return _compressed(_tar(contents))


def _tar(contents: tuple[tuple[str, bytes], ...]) -> bytes:
    """Names and contents only: every file has the same mode, owner and date."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in contents:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(content))
    return plain.getvalue()


def _compressed(plain: bytes) -> bytes:
    """As gzip, with a header of our own: Python's names the operating system."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(plain) + deflate.flush()
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    return b"".join(
        (header, packed, zlib.crc32(plain).to_bytes(4, "little"), (len(plain) & 0xFFFFFFFF).to_bytes(4, "little"))
    )


def _checked(packed: bytes, selection: _Selection) -> bytes:
    if len(packed) > MAX_BYTES:
        raise selection.too_large(f"{_readable(len(packed))} compressed, at most {_readable(MAX_BYTES)} can")
    if len(packed) > WARN_BYTES:
        warn(
            f"The component's code is large ({_readable(len(packed))} compressed); above {_readable(WARN_BYTES)} "
            "Kubernetes may refuse it. Put large files into an image or an artifact.",
            selection.location,
        )
    return packed
