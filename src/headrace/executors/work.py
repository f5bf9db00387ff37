"""What an order comes down to on this machine: a command, its environment variables, and how to read its outputs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from typing import Protocol

import msgspec

from headrace.engine.model import LaunchOrder, Reason
from headrace.executors.limits import Held
from headrace.executors.places import Place
from headrace.executors.resources import Grant

#: What a task gets of our own environment: how to find programs and the network, how to speak, what the hardware is.
#: Nothing of ours (HEADRACE_*), no package index settings (they hold credentials), nobody's keys.
_PASSED_ON = re.compile(
    r"(?i:(?:https?|all|no|ftp)_proxy)|PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|LD_LIBRARY_PATH|(?:CUDA|NVIDIA|ROCR|HIP)_\w+|OMP_NUM_THREADS"
)


#: Where a command finds its request: a file without a name, handed on open.
REQUEST = "/dev/fd/3"


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A command ready to be started."""

    argv: tuple[str, ...]
    env: dict[str, str]
    #: What the command can read at `REQUEST`, once.
    request: bytes = b""
    #: Whether it is our runtime, which a parent can fork as well (see `warm`).
    warm: bool = False
    #: Top-level names of the modules that it brings itself: it must find these and no others.
    own_modules: frozenset[str] = frozenset()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known of a started attempt when it ends, perhaps by a later server."""

    #: `python` or `container`: who started it.
    maker: str
    #: The outputs' directory as the component sees it.
    seen_as: str
    #: Whether a missing ExecutorOutput means that the component did not return.
    must_answer: bool
    #: Where the component found its input artifacts, by URI.
    handed: dict[str, str] = {}
    #: Those of its inputs that were fetched: where they are for us.
    on_this_machine: tuple[str, ...] = ()
    #: Name of the container, if it is one.
    container: str = ""
    #: What it runs in: see `Executor.surroundings`.
    surroundings: dict[str, str] = {}
    #: Directories of its control group (see `cgroups`); none for a container, whose engine confines it.
    group: tuple[str, ...] = ()
    held: Held = Held()
    #: What it holds of the machine.
    grant: Grant = Grant()
    #: How often this machine had killed for want of memory before it was started.
    out_of_memory_kills: int = 0


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """What is noted of an attempt until it is settled."""

    order: LaunchOrder
    kept: Kept


class Maker(Protocol):
    """Turns an order into work. Python components and containers each have one."""

    async def make(self, order: LaunchOrder, place: Place, waiting: Callable[[Reason], None]) -> tuple[Work, Kept]:
        """Prepare all that is needed, without starting anything; a Refusal says why it cannot be."""

    async def surroundings(self, order: LaunchOrder) -> dict[str, str]:
        """See Executor."""

    async def remove(self, kept: Kept) -> None:
        """End and remove what lives outside the attempt's own processes; what is gone is no error."""

    async def autopsy(self, kept: Kept, status: int | None) -> Reason | None:
        """What those outside of the attempt's own processes know of how it ended, and let go of them."""

    def explain(self, kept: Kept, status: int, log_end: str) -> Reason | None:
        """A better word for an exit status, where this maker knows one."""


def task_environment() -> dict[str, str]:
    """The variables every task begins with."""
    return {"LANG": "C.UTF-8", **{name: value for name, value in os.environ.items() if _is_passed_on(name)}}


@cache
def _is_passed_on(name: str) -> bool:
    return _PASSED_ON.fullmatch(name) is not None
