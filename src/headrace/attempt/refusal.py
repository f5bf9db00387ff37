"""Why an attempt cannot be started, or did not end well: raised here and in executors, reported as Failed."""

from __future__ import annotations

import errno
from typing import Any

from headrace.attempt.codes import Code
from headrace.engine.model import Reason


class Refusal(Exception):
    """A failure of the attempt, with its code."""

    def __init__(
        self, code: Code | str, message: str, *, retryable: bool = True, passing: bool = False, **details: Any
    ) -> None:
        super().__init__(message)
        #: The infrastructure is to blame and may recover: the attempt counts as lost, not as failed.
        self.passing = passing
        self.reason = Reason(code=str(code), message=message, details=details)
        self.retryable = retryable


#: The machine has no more of something for the moment: descriptors, processes, memory. The task has done nothing wrong.
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})


def is_passing(error: OSError) -> bool:
    """Whether the machine lacks something for the moment only."""
    return error.errno in _PASSING


def system_refusal(error: OSError, what: str, **details: Any) -> Refusal:
    """What an error of the system comes to. A full disk has a code of its own, since only a person can free space.

    What the machine lacks for a moment only is passing: the attempt counts as lost, and there is another one.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refusal(
            Code.DISK_FULL, f"{what}, because the disk is full: {error}. Free some space, then try again.", **details
        )
    return Refusal(Code.LAUNCH_FAILED, f"{what}: {error}.", passing=is_passing(error), **details)
