"""Standard descriptors that the calling program has closed, as some daemons do: opened on nothing."""

from __future__ import annotations

import os
import sys


def open_missing_streams() -> None:
    """Open the standard descriptors that the calling program has closed, as some daemons do, on nothing.

    Otherwise the next files and sockets that are opened take their numbers, and what is printed goes into them. Must
    be called before anything else is opened.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            _open_nothing(number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _open_nothing(number: int) -> None:
    found = os.open(os.devnull, os.O_RDWR)
    if found != number:
        os.dup2(found, number)
        os.close(found)
    os.set_inheritable(number, True)
