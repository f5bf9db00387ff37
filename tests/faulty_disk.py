"""A disk that fails: SQLite's own way to the operating system, with a write, sync or truncation answered by EIO.

A VFS of SQLite that hands everything to the ordinary one, put in front of it in this process's library by ctypes.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
from collections.abc import Callable, Iterator
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, cast

_IOERR_WRITE, _IOERR_FSYNC, _IOERR_TRUNCATE = 10 | 3 << 8, 10 | 4 << 8, 10 | 6 << 8

_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(Structure):
    _fields_ = [
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("rest", c_void_p * 14),
    ]


class _Methods(Structure):
    _fields_ = [
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", c_void_p),
        ("truncate", c_void_p),
        ("sync", c_void_p),
        ("rest", c_void_p * 13),
    ]


class Disk:
    """Counts what is done to it, and fails at the `at`-th thing; with `for_good`, at all after that, too."""

    def __init__(self, at: int | None = None, *, for_good: bool = False) -> None:
        self.at = at
        self.for_good = for_good
        self.done = 0

    def fails(self) -> bool:
        """One thing more is done to it."""
        self.done += 1
        return self.at is not None and (self.done == self.at or (self.for_good and self.done > self.at))


@contextlib.contextmanager
def faulty(disk: Disk) -> Iterator[Disk]:
    """Files that SQLite opens inside the block are on this disk."""
    library = ctypes.CDLL(ctypes.util.find_library("sqlite3") or "libsqlite3.so.0")
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    library.sqlite3_vfs_find.argtypes = [c_char_p]
    library.sqlite3_vfs_register.argtypes = [POINTER(_Vfs), c_int]
    library.sqlite3_vfs_unregister.argtypes = [POINTER(_Vfs)]
    real = library.sqlite3_vfs_find(None)
    really_open = cast(real.contents.open, _OPEN)

    def open_(_: int, path: int, file: int, flags: int, out: int) -> int:
        status = really_open(cast(real, c_void_p), path, file, flags, out)
        place = cast(file, POINTER(c_void_p))
        if status == 0 and place.contents.value:
            place[0] = _replaced(place.contents.value, disk)
        return status

    ours = _Vfs.from_buffer_copy(real.contents)
    ours.name = b"faulty"
    opener = _OPEN(open_)
    ours.open = cast(opener, c_void_p)
    _KEPT.append((ours, opener))
    library.sqlite3_vfs_register(ctypes.byref(ours), 1)
    try:
        yield disk
    finally:
        library.sqlite3_vfs_unregister(ctypes.byref(ours))
        library.sqlite3_vfs_register(real, 1)


#: What SQLite may still hold pointers to, for as long as the process lives.
_KEPT: list[object] = []


def _replaced(address: int, disk: Disk) -> int:
    """The file's methods, with those that write asking the disk first."""
    real = _Methods.from_address(address)
    ours = _Methods.from_buffer_copy(real)
    write, truncate, sync = cast(real.write, _WRITE), cast(real.truncate, _TRUNCATE), cast(real.sync, _SYNC)

    def asked(do: Callable[..., int], status: int) -> Callable[..., int]:
        return lambda *words: status if disk.fails() else do(*words)

    kept = (
        _WRITE(asked(write, _IOERR_WRITE)),
        _TRUNCATE(asked(truncate, _IOERR_TRUNCATE)),
        _SYNC(asked(sync, _IOERR_FSYNC)),
    )
    ours.write, ours.truncate, ours.sync = (cast(function, c_void_p) for function in kept)
    _KEPT.append((ours, kept))
    return ctypes.addressof(ours)
