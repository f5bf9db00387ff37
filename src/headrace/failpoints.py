"""Failpoints: named places before and after each side effect, where a test makes this process die.

`HEADRACE_FAILPOINT=commit.after:3` kills the process (SIGKILL, as a power cut would) the third time it passes
`commit.after`. Without the variable passing one costs a comparison. Names are literal texts in the source, so that
the test which goes through all of them (`tests/e2e/test_failpoints.py`) finds them there and misses none.

This room knows nothing of the others, and nothing in it is for production.
"""

from __future__ import annotations

import os
import signal

_VARIABLE = "HEADRACE_FAILPOINT"


class _Fuse:
    """Which failpoint kills, and how many passes are left."""

    def __init__(self, setting: str) -> None:
        name, _, number = setting.partition(":")
        self.name = name
        self.left = int(number or 1)

    def passed(self, name: str) -> None:
        if name != self.name:
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


_fuse = _Fuse(os.environ[_VARIABLE]) if os.environ.get(_VARIABLE) else None


def failpoint(name: str) -> None:
    """A place worth dying at: `name` is `noun.before` or `noun.after` of one side effect."""
    if _fuse is not None:
        _fuse.passed(name)
