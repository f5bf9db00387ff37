"""The port that every executor implements: make attempts happen and report what they did.

`executors.local` is the executor of one machine, `executors.router` passes each attempt to one of several executors.
One conformance suite (`tests/conformance/executor`) shows the same behaviour of every executor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Set
from typing import Protocol, TypeAlias

import msgspec

from headrace.attempt.order import LaunchOrder
from headrace.attempt.result import ProducedArtifact
from headrace.engine.model import Artifact, AttemptId, Json, Reason
from headrace.executors.log_store import LogStore

#: In `Executor.surroundings`: settings of the task that would give it something, and do not here.
LACKING = "settings without effect"


class Report(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all reports: each names its attempt and when it happened (seconds since the epoch)."""

    attempt: AttemptId
    at: float


class Waiting(Report, frozen=True, kw_only=True):
    """Accepted, not started yet; the reason says for what it waits (slot, environment, image)."""

    reason: Reason


class Started(Report, frozen=True, kw_only=True):
    """The user's process exists, or has existed: said of every attempt that was started, also of one that is over."""


class Succeeded(Report, frozen=True, kw_only=True):
    """Ended well; outputs are read, checked against the declared types, and stored."""

    parameters: dict[str, Json] = {}
    artifacts: dict[str, tuple[ProducedArtifact, ...]] = {}
    #: Output artifacts that are recorded already, as they are; by name, like `artifacts`.
    recorded: dict[str, tuple[Artifact, ...]] = {}
    #: What it ran in, in the words of `Executor.surroundings`.
    surroundings: dict[str, str] = {}


class Failed(Report, frozen=True, kw_only=True):
    """Ended badly."""

    error: Reason
    retryable: bool = True


class Lost(Report, frozen=True, kw_only=True):
    """Gone without a trace of how it ended."""

    error: Reason


class Stopped(Report, frozen=True, kw_only=True):
    """Stopped on request; none of its processes is left."""


AnyReport: TypeAlias = Waiting | Started | Succeeded | Failed | Lost | Stopped
#: The reports that end an attempt.
FINAL = (Succeeded, Failed, Lost, Stopped)


class Executor(Protocol):
    """Makes attempts happen. Every method is idempotent; none raises for what the user's code does.

    Five words let go of attempts, and each means one thing: `stop` ends its processes; `settle` removes what a
    recorded attempt holds, but not its log; `delete_run` removes everything of a run, logs too; `hand_over` leaves a
    run's attempts to another server, untouched; `close` ends this object, and attempts go on.
    """

    @property
    def domain(self) -> str:
        """Where its attempts are: a data directory, a cluster and namespace.

        Executors of one domain reach the same attempts, whichever servers they belong to.
        """

    @property
    def logs(self) -> LogStore:
        """The logs of its attempts."""

    async def launch(self, order: LaunchOrder) -> None:
        """Accept the attempt and return at once: it never waits, neither for the attempt nor for anything else.

        If the attempt already exists (also from before a restart of the server) that is success: its reports
        (Started, Succeeded, Failed, Lost) are made again. What cannot be started is reported as Failed.
        """

    async def surroundings(self, order: LaunchOrder) -> Mapping[str, str]:
        """What the attempt would run in, as far as that decides what it makes and is known without starting it.

        By name (`image digest`, `packages`, `python`): a digest, or the name of what is not known here yet. Quick,
        without a network; the caller compares it with that of attempts that succeeded. What an attempt lacks because
        this executor does not act on its settings stands under `LACKING`; such an attempt is not cached.
        """

    def without_effect(self, settings: Mapping[str, Json]) -> tuple[str, ...]:
        """The fields of a task's settings for Kubernetes that this executor does not act on, sorted."""

    async def stop(self, attempt: AttemptId) -> None:
        """Begin to end its processes and return at once; report Stopped, or how it ended if it was quicker.

        Report Stopped also for an attempt that is not known.
        """

    async def settle(self, attempt: AttemptId) -> None:
        """Its outcome is recorded: remove everything of it except its log. Unknown attempts are ignored."""

    async def keep_only(self, attempts: Set[AttemptId], *, within: Set[str] | None = None) -> None:
        """Stop and settle every attempt that is not in the set: orphans of an earlier server.

        `within`: of these runs only, by id; the attempts of other runs are another server's.
        """

    async def live(self) -> Set[AttemptId]:
        """Every attempt in this domain that was launched and is not settled, by any server."""

    async def hand_over(self, run_id: str) -> None:
        """Another server drives the run: follow its attempts no longer, and touch nothing of them."""

    def reports(self) -> AsyncIterator[AnyReport]:
        """What attempts did, as it happens; for one reader. Begins with what is true of every live attempt."""

    async def delete_run(self, run_id: str) -> None:
        """Remove everything of the run's attempts, logs too. All of them are settled."""

    async def close(self) -> None:
        """Release what this object holds. Attempts go on, and a later executor of the same domain adopts them."""
