"""What an order comes down to on this machine: a command, its environment variables, and how to read its outputs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from typing import Protocol

import msgspec

from headrace.attempt.order import LaunchOrder
from headrace.engine.model import Reason
from headrace.executors.local.attempt_dir import AttemptDir
from headrace.executors.local.limits import AppliedLimits
from headrace.executors.local.resources import Allocation

#: What a task gets of our own environment: how to find programs and the network, how to speak, what the hardware is.
#: Nothing of ours (HEADRACE_*), no package index settings (they hold credentials), no keys of anybody's.
_PASSED_ON = re.compile(
    r"(?i:(?:https?|all|no|ftp)_proxy)|PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|LD_LIBRARY_PATH|(?:CUDA|NVIDIA|ROCR|HIP)_\w+|OMP_NUM_THREADS"
)


#: Where a command finds its request: a file without a name, which it inherits open.
REQUEST = "/dev/fd/3"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command ready to be started."""

    argv: tuple[str, ...]
    env: dict[str, str]
    #: What the command can read at `REQUEST`, once.
    request: bytes = b""
    #: Whether it is our runtime, which a parent process can fork as well (see `warm`).
    warm: bool = False
    #: Top-level names of the modules that it brings itself: it must find these and no others.
    own_modules: frozenset[str] = frozenset()


class AttemptMeta(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known of a started attempt when it ends, perhaps by a later server.

    It is a file while the attempt runs, so the names in JSON stay what they were in earlier releases.
    """

    #: `python` or `container`: the builder of its command.
    builder: str = msgspec.field(name="maker")
    #: The directory of outputs as the component sees it.
    outputs_seen_at: str = msgspec.field(name="seen_as")
    #: Where the component sees the content of its input artifacts, by URI.
    inputs_seen_at: dict[str, str] = msgspec.field(name="handed", default_factory=dict)
    #: Where that content is on this machine: it must not be removed while the attempt runs.
    fetched_paths: tuple[str, ...] = msgspec.field(name="on_this_machine", default=())
    #: Name of the container, if it is one.
    container: str = ""
    #: What it runs in: see `Executor.surroundings`.
    surroundings: dict[str, str] = {}
    #: Directories of its control group (see `cgroups`); none for a container, whose engine confines it.
    group: tuple[str, ...] = ()
    applied: AppliedLimits = msgspec.field(name="held", default=AppliedLimits())
    #: What it holds of the machine.
    allocation: Allocation = msgspec.field(name="grant", default=Allocation())
    #: How often this machine had killed a process for lack of memory before it was started.
    out_of_memory_kills: int = 0


class AttemptRecordFile(msgspec.Struct, frozen=True, kw_only=True):
    """What is on disk of an attempt from its launch until it is settled."""

    order: LaunchOrder
    meta: AttemptMeta = msgspec.field(name="kept")


class CommandBuilder(Protocol):
    """Builds the command of an order. Python components and containers each have one."""

    async def build(
        self, order: LaunchOrder, attempt_dir: AttemptDir, waiting: Callable[[Reason], None]
    ) -> tuple[Command, AttemptMeta]:
        """Prepare everything that the command needs, without starting it. Raises Refusal."""

    async def surroundings(self, order: LaunchOrder) -> dict[str, str]:
        """See Executor."""

    async def remove_container(self, meta: AttemptMeta) -> None:
        """End and remove the attempt's container, if it has one and it is still there."""

    async def cause_of_death(self, meta: AttemptMeta, status: int | None) -> Reason | None:
        """Ask the container engine why it has ended, then remove the container; None when it says nothing."""

    def explain_status(self, meta: AttemptMeta, status: int, log_end: str) -> Reason | None:
        """A better reason than the exit status alone, where this builder knows one."""


def task_environment() -> dict[str, str]:
    """The variables every task begins with."""
    return {"LANG": "C.UTF-8", **{name: value for name, value in os.environ.items() if _is_passed_on(name)}}


@cache
def _is_passed_on(name: str) -> bool:
    return _PASSED_ON.fullmatch(name) is not None
