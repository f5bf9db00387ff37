"""What happens to runs when a command that is their server ends before them: a server in the background goes on.

Such a command ends early when its terminal is closed (SIGHUP), when it is asked to end (SIGTERM), when the reader of
its output is gone, or when the user leaves it with Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from headrace.cli.errors import Closed

_SIGNALS = (signal.SIGHUP, signal.SIGTERM)


@contextlib.contextmanager
def closed_by_signals() -> Iterator[None]:
    """Raise `Closed` for the first signal that asks this command to end, and pass over later ones.

    A signal that the parent process has set to be ignored (`nohup`) stays so.
    """
    before = {one: signal.getsignal(one) for one in _SIGNALS}
    taken = [one for one, handler in before.items() if handler == signal.SIG_DFL]
    for one in taken:
        signal.signal(one, _close)
    try:
        yield
    finally:
        for one in taken:
            signal.signal(one, before[one])


def _close(number: int, frame: FrameType | None) -> None:
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    if number == signal.SIGHUP:
        _leave_terminal()
    raise Closed(number)


def _leave_terminal() -> None:
    """Its terminal is gone: each further word to it would be an error."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (sys.stdout, sys.stderr):
            if stream.isatty():
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def hand_over(start: Callable[[], None]) -> None:
    """Have runs that have not ended driven by a server in the background, which `start` starts; say so."""
    try:
        start()
        words = "The runs that have not ended go on, with a server in the background: headrace runs list"
    except Exception as error:
        words = f"No server could be started for the runs that have not ended ({error}). Start one: headrace up"
    with contextlib.suppress(OSError, ValueError):
        print(words, file=sys.stderr, flush=True)
