"""The port every executor implements: make attempts happen and report what they did.

Three implementations: process, container, kubernetes. One conformance suite
(`tests/conformance/executor`) shows the same behaviour of all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Set
from typing import Protocol, TypeAlias

import msgspec

from headrace.attempt.order import LaunchOrder
from headrace.attempt.result import ProducedArtifact
from headrace.engine.model import AttemptId, Json, Reason


class Report(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all reports: each names its attempt and when it happened (seconds since the epoch)."""

    attempt: AttemptId
    at: float


class Waiting(Report, frozen=True, kw_only=True):
    """Accepted, not started yet; says for what it waits (slot, environment, image)."""

    reason: Reason


class Started(Report, frozen=True, kw_only=True):
    """The user's process exists."""


class Succeeded(Report, frozen=True, kw_only=True):
    """Ended well; outputs are read, checked against the declared types, and stored."""

    parameters: dict[str, Json] = {}
    artifacts: dict[str, tuple[ProducedArtifact, ...]] = {}
    #: What it ran in, as `Executor.surroundings` tells it.
    surroundings: dict[str, str] = {}


class Failed(Report, frozen=True, kw_only=True):
    """Ended badly."""

    error: Reason
    retryable: bool = True


class Lost(Report, frozen=True, kw_only=True):
    """Gone without a trace of how it ended."""

    error: Reason


class Stopped(Report, frozen=True, kw_only=True):
    """Stopped on request; no process of it is left."""


AnyReport: TypeAlias = Waiting | Started | Succeeded | Failed | Lost | Stopped


class Executor(Protocol):
    """Makes attempts happen. Every method is idempotent; none raises for what the user's code does."""

    async def launch(self, order: LaunchOrder) -> None:
        """Make the attempt run and return at once.

        If it already exists (also from before a restart of the server) that is success: its truth
        (Started, Succeeded, Failed, Lost) is reported again. What cannot be started is reported as Failed.
        """

    async def surroundings(self, order: LaunchOrder) -> Mapping[str, str]:
        """What the attempt would run in, as far as that decides what it makes and is known without starting it.

        By name (`image digest`, `packages`, `python`): a digest, or the name of what is not known here yet. Quick,
        and asks no network; whoever asks compares it with that of attempts that succeeded.
        """

    async def stop(self, attempt: AttemptId) -> None:
        """Make it not run and return at once; report Stopped (or how it ended, if it was quicker).

        If nothing is known of it, report Stopped.
        """

    async def settle(self, attempt: AttemptId) -> None:
        """Its outcome is recorded: free what it holds but keep its log. Unknown attempts are ignored."""

    async def keep_only(self, attempts: Set[AttemptId], *, within: Set[str] | None = None) -> None:
        """Stop and free every attempt that is not in the set: orphans of an earlier life.

        `within`: of these runs only; the others' attempts are another server's.
        """

    async def live(self) -> Set[AttemptId]:
        """Every attempt that was launched here and is not settled, by whichever server of this place."""

    async def hand_over(self, run_id: str) -> None:
        """Another server drives the run: care for its attempts no more, and touch nothing of them."""

    def reports(self) -> AsyncIterator[AnyReport]:
        """What attempts did, as it happens; one reader. Begins with the truth about every live attempt."""

    def logs(self, attempt: AttemptId, *, offset: int = 0, follow: bool = False) -> AsyncIterator[bytes]:
        """The attempt's combined stdout and stderr from byte `offset`, in chunks.

        With `follow`, goes on until the attempt has ended. An attempt without a log yields nothing.
        """

    async def log_size(self, attempt: AttemptId) -> int:
        """Bytes of log so far; 0 for an attempt without one."""

    async def delete_run(self, run_id: str) -> None:
        """Remove what is kept of the run's attempts, logs included. All of them are settled."""

    async def close(self) -> None:
        """Let go without stopping anything: attempts go on, and a later executor over the same place adopts them."""
