"""What a process does to the disk, in order: SQLite's writes and syncs, and the operating system's changes of directories.

Run as a program it lives a short life of the real service (see `main`) and writes what it saw to a file. That is a
process of its own, since what it puts in between is process-wide: SQLite's own file system layer (its VFS), where it
sees every write, and the functions of `os` that change directories or sync.
"""

from __future__ import annotations

import _sqlite3
import builtins
import ctypes
import os
import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from headrace.artifacts import content


class Entries(NamedTuple):
    """Names that came to stand for something in directories, or for nothing: at once, as a rename does."""

    changes: tuple[tuple[int, str, int | None], ...]


class DirectorySynced(NamedTuple):
    """The directory's entries are on disk, as they are."""

    directory: int
    entries: dict[str, int]


class FileSynced(NamedTuple):
    """The file's content is on disk."""

    file: int
    content: bytes


class Written(NamedTuple):
    """SQLite has written here."""

    file: int
    offset: int
    data: bytes


class Truncated(NamedTuple):
    """SQLite has cut the file."""

    file: int
    size: int


class Synced(NamedTuple):
    """SQLite has synced what it had written."""

    file: int


class Acknowledged(NamedTuple):
    """Somebody was told that this is recorded: run -> its version; None for one that is gone, -1 for one that goes."""

    runs: dict[str, int | None]


# --- recording -----------------------------------------------------------------------------------


class Recorder:
    """Sees what this process does below one directory."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self.log: list[Any] = []
        self._ids: dict[tuple[int, int], int] = {}
        self._next = 0
        self._lock = threading.RLock()
        self.top = self._id(self.root)

    def acknowledge(self, runs: dict[str, int | None]) -> None:
        self.log.append(Acknowledged(dict(runs)))

    # files and directories are known by a number of ours: the system's are used again
    def _id(self, path: str | int) -> int:
        found = os.stat(path, follow_symlinks=False) if isinstance(path, str) else os.fstat(path)
        key = (found.st_dev, found.st_ino)
        if key not in self._ids:
            self._next += 1
            self._ids[key] = self._next
        return self._ids[key]

    def _forget(self, path: str) -> None:
        found = os.stat(path, follow_symlinks=False)
        if found.st_nlink <= 1 or os.path.isdir(path):
            self._ids.pop((found.st_dev, found.st_ino), None)

    def _place(self, path: Any, dir_fd: int | None = None) -> str | None:
        """The path below our root; None for what is elsewhere."""
        text = os.fsdecode(path)
        base = os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else os.getcwd()
        whole = os.path.normpath(os.path.join(base, text))
        return whole if whole.startswith(self.root) else None

    def _entry(self, path: str, *, gone: bool = False) -> tuple[int, str, int | None]:
        directory, name = os.path.split(path)
        return self._id(directory), name, None if gone else self._id(path)

    # --- what the system is asked to do

    def install(self) -> None:
        """Begin to see."""
        for name in ("mkdir", "unlink", "remove", "rmdir"):
            setattr(os, name, self._one_path(getattr(os, name), gone=name != "mkdir"))
        for name in ("rename", "replace"):
            setattr(os, name, self._renaming(getattr(os, name)))
        os.link = self._linking(os.link)
        os.fsync = os.fdatasync = self._syncing(os.fsync)
        os.open = self._opening(os.open)
        content._sync_file_system = self._syncing_all(content._sync_file_system)
        builtins_open = builtins.open

        def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            place = None if isinstance(file, int) else self._place(file)
            new = place is not None and any(c in mode for c in "wxa") and not os.path.lexists(place)
            result = builtins_open(file, mode, *args, **kwargs)
            if new and place is not None:
                self.log.append(Entries((self._entry(place),)))
            return result

        builtins.open = opened
        import io

        io.open = opened
        # Kept: SQLite has only the addresses of its functions.
        self.vfs = _Vfs(self)
        self.vfs.install()

    def _one_path(self, do: Callable[..., None], *, gone: bool) -> Callable[..., None]:
        def done(path: Any, *args: Any, dir_fd: int | None = None, **kwargs: Any) -> None:
            with self._lock:
                place = self._place(path, dir_fd)
                entry = self._entry(place, gone=True) if place and gone and os.path.lexists(place) else None
                if entry and place:
                    self._forget(place)
                do(path, *args, dir_fd=dir_fd, **kwargs)
                if place:
                    self.log.append(Entries((entry or self._entry(place),)))

        return done

    def _renaming(self, do: Callable[..., None]) -> Callable[..., None]:
        def done(source: Any, target: Any, **kwargs: Any) -> None:
            with self._lock:
                old = self._place(source, kwargs.get("src_dir_fd"))
                new = self._place(target, kwargs.get("dst_dir_fd"))
                before = self._entry(old, gone=True) if old and os.path.lexists(old) else None
                do(source, target, **kwargs)
                changes = (*((before,) if before else ()), *((self._entry(new),) if new else ()))
                if changes:
                    self.log.append(Entries(changes))

        return done

    def _linking(self, do: Callable[..., None]) -> Callable[..., None]:
        def done(source: Any, target: Any, **kwargs: Any) -> None:
            with self._lock:
                do(source, target, **kwargs)
                if (new := self._place(target, kwargs.get("dst_dir_fd"))) is not None:
                    self.log.append(Entries((self._entry(new),)))

        return done

    def _opening(self, do: Callable[..., int]) -> Callable[..., int]:
        def done(path: Any, flags: int, *args: Any, dir_fd: int | None = None, **kwargs: Any) -> int:
            with self._lock:
                place = self._place(path, dir_fd) if flags & os.O_CREAT else None
                new = place is not None and not os.path.lexists(place)
                descriptor = do(path, flags, *args, dir_fd=dir_fd, **kwargs)
                if new and place is not None:
                    self.log.append(Entries((self._entry(place),)))
                return descriptor

        return done

    def _syncing(self, do: Callable[[int], None]) -> Callable[[Any], None]:
        def done(file: Any) -> None:
            descriptor = file if isinstance(file, int) else file.fileno()
            with self._lock:
                do(descriptor)
                path = os.readlink(f"/proc/self/fd/{descriptor}")
                if not path.startswith(self.root):
                    return
                if os.path.isdir(path):
                    self.directory_synced(path)
                else:
                    self.log.append(FileSynced(self._id(descriptor), Path(path).read_bytes()))

        return done

    def _syncing_all(self, do: Callable[[Path], None]) -> Callable[[Path], None]:
        """`syncfs`, of which only what lies below the path is believed."""

        def done(path: Path) -> None:
            with self._lock:
                do(path)
                for directory, _, names in os.walk(path):
                    self.directory_synced(directory)
                    for name in names:
                        file = os.path.join(directory, name)
                        self.log.append(FileSynced(self._id(file), Path(file).read_bytes()))

        return done

    def directory_synced(self, path: str) -> None:
        entries = {name: self._id(os.path.join(path, name)) for name in os.listdir(path)}
        self.log.append(DirectorySynced(self._id(path), entries))


# --- SQLite's file system layer ------------------------------------------------------------------

_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_WRITE = ctypes.CFUNCTYPE(_I, _P, _P, _I, _L)
_TRUNCATE = ctypes.CFUNCTYPE(_I, _P, _L)
_SYNC = ctypes.CFUNCTYPE(_I, _P, _I)
# The name is handed on as it is: SQLite keeps parameters of its own behind it.
_OPEN = ctypes.CFUNCTYPE(_I, _P, _P, _P, _I, _P)
_DELETE = ctypes.CFUNCTYPE(_I, _P, ctypes.c_char_p, _I)


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`, version 3."""

    _fields_ = (
        ("iVersion", _I), ("xClose", _P), ("xRead", _P), ("xWrite", _P), ("xTruncate", _P), ("xSync", _P),
        *((name, _P) for name in (
            "xFileSize", "xLock", "xUnlock", "xCheckReservedLock", "xFileControl", "xSectorSize",
            "xDeviceCharacteristics", "xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap", "xFetch", "xUnfetch",
        )),
    )  # fmt: skip


class _VfsStruct(ctypes.Structure):
    """`sqlite3_vfs`, as far as we need it."""

    _fields_ = (
        ("iVersion", _I), ("szOsFile", _I), ("mxPathname", _I), ("pNext", _P), ("zName", ctypes.c_char_p),
        ("pAppData", _P), ("xOpen", _P), ("xDelete", _P),
    )  # fmt: skip


class _Vfs:
    """Puts itself between SQLite and its unix VFS: each file gets a copy of its methods with three of them ours."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.files: dict[int, int] = {}
        #: Journals whose directory SQLite syncs with their first sync.
        self.fresh: dict[int, str] = {}
        self.kept: list[Any] = []
        self.copies: dict[int, _Methods] = {}

    def install(self) -> None:
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_VfsStruct)
        library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
        vfs = library.sqlite3_vfs_find(None).contents
        opened, deleted = _OPEN(vfs.xOpen), _DELETE(vfs.xDelete)
        recorder = self.recorder

        def x_open(this: int, name: int | None, file: int, flags: int, out: int) -> int:
            place = recorder._place(ctypes.string_at(name)) if name else None
            new = place is not None and not os.path.lexists(place)
            status = opened(this, name, file, flags, out)
            if status == 0 and place is not None:
                self._watch(file, place, new)
            return int(status)

        def x_delete(this: int, name: bytes, sync: int) -> int:
            place = recorder._place(name)
            entry = recorder._entry(place, gone=True) if place and os.path.lexists(place) else None
            if entry and place:
                recorder._forget(place)
            status = deleted(this, name, sync)
            if entry and place:
                recorder.log.append(Entries((entry,)))
                if sync:
                    recorder.directory_synced(os.path.dirname(place))
            return int(status)

        for field, function in (("xOpen", _OPEN(x_open)), ("xDelete", _DELETE(x_delete))):
            self.kept.append(function)
            setattr(vfs, field, ctypes.cast(function, _P).value)

    def _watch(self, file: int, place: str, new: bool) -> None:
        number = self.recorder._id(place)
        self.files[file] = number
        if new:
            self.recorder.log.append(Entries((self.recorder._entry(place),)))
            if place.endswith(("-wal", "-journal")):
                self.fresh[number] = os.path.dirname(place)
        # The first word of a `sqlite3_file` is the pointer to its methods.
        pointer = ctypes.cast(file, ctypes.POINTER(_P))
        original = pointer[0]
        assert original is not None
        if original not in self.copies:
            self.copies[original] = self._copy(original)
        pointer[0] = ctypes.addressof(self.copies[original])

    def _copy(self, original: int) -> _Methods:
        methods = _Methods.from_buffer_copy(ctypes.string_at(original, ctypes.sizeof(_Methods)))
        write, truncate, sync = _WRITE(methods.xWrite), _TRUNCATE(methods.xTruncate), _SYNC(methods.xSync)
        log = self.recorder.log

        def x_write(file: int, data: int, size: int, offset: int) -> int:
            log.append(Written(self.files[file], offset, ctypes.string_at(data, size)))
            return int(write(file, data, size, offset))

        def x_truncate(file: int, size: int) -> int:
            log.append(Truncated(self.files[file], size))
            return int(truncate(file, size))

        def x_sync(file: int, flags: int) -> int:
            status = int(sync(file, flags))
            number = self.files[file]
            log.append(Synced(number))
            if number in self.fresh:
                self.recorder.directory_synced(self.fresh.pop(number))
            return status

        for field, function in (
            ("xWrite", _WRITE(x_write)),
            ("xTruncate", _TRUNCATE(x_truncate)),
            ("xSync", _SYNC(x_sync)),
        ):
            self.kept.append(function)
            setattr(methods, field, ctypes.cast(function, _P).value)
        return methods


def main(home: str, seed: str, out: str) -> None:
    top = Path(home)
    recorder = Recorder(top)
    from powerloss.life import live

    recorder.install()
    live(recorder, top / "data" / "home", int(seed))
    Path(out).write_bytes(pickle.dumps((recorder.root, recorder.top, recorder.log)))


if __name__ == "__main__":
    from powerloss.recorder import main as real_main  # One module, one set of classes, for the pickle.

    real_main(*sys.argv[1:])
