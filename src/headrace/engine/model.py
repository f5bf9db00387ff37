"""The engine's values: what a run is, what can happen to it, what it can want.

Nothing here does I/O, reads a clock or draws a random number. Times are seconds since the
Unix epoch (UTC, float), handed in with each event.
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from headrace.engine.maps import Map

#: Any JSON value: None, bool, int, float, str, list, dict.
Json: TypeAlias = Any

_EXECUTIONS = uuid.UUID("5c0a4f0e-6f0c-4c55-8a0e-5d2d8a4a9d10")


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of the engine's values: frozen, keyword-only, JSON-serialisable by msgspec.

    They are trees, which cannot become garbage in circles: the collector need not look at them (`gc=False`), or a
    run of 100,000 tasks would stop the server for seconds at each of its rounds.
    """


class State(StrEnum):
    """KFP v2beta1's eight states; runs and executions share them."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    PAUSED = "PAUSED"

    @property
    def final(self) -> bool:
        """True when nothing more will happen to what is in this state."""
        return self in _FINAL


_FINAL = frozenset({State.SUCCEEDED, State.SKIPPED, State.FAILED, State.CANCELED})


class Kind(StrEnum):
    """What an execution is."""

    ROOT = "ROOT"  #: the run's own DAG; path ""
    TASK = "TASK"  #: a container or Python component: has attempts
    IMPORTER = "IMPORTER"  #: registers an existing artifact: has attempts, done by the server itself
    DAG = "DAG"  #: nested pipeline, condition group, exit-handler body, or one iteration of those
    LOOP = "LOOP"  #: an iterator; its children are iterations `name[i]`


class Reason(Value, frozen=True, kw_only=True):
    """Why something waits, failed or was skipped: a stable code and a sentence."""

    #: UPPER_SNAKE, stable, documented in docs/reference/error-codes.md.
    code: str
    #: One or more sentences for a person: what, where, how to fix it.
    message: str
    #: Typed facts behind the sentence, JSON.
    details: dict[str, Json] = {}


class ArtifactType(Value, frozen=True, kw_only=True):
    """`artifactType` of the document."""

    schema_title: str = "system.Artifact"
    schema_version: str = "0.0.1"


class Artifact(Value, frozen=True, kw_only=True):
    """One artifact as tasks hand it on. `artifact_id` is minted by the service, never by the engine."""

    artifact_id: str
    name: str
    type: ArtifactType
    #: `file:///…` for the local store, else `s3://…`, `gs://…`.
    uri: str
    metadata: dict[str, Json] = {}
    #: Lower-hex sha256 of the content (a directory: of its manifest); "" when not ours to know.
    digest: str = ""
    size_bytes: int = 0
    #: A sentence that says that the task never wrote it; "" when there is content. Its consumers find nothing at its
    #: path, as on KFP.
    not_written: str = ""


class Bundle(Value, frozen=True, kw_only=True):
    """Resolved inputs, or outputs: parameters by name, artifacts by name (lists keep their order)."""

    parameters: dict[str, Json] = {}
    artifacts: dict[str, tuple[Artifact, ...]] = {}


class AttemptId(Value, frozen=True, kw_only=True):
    """One launch of one execution."""

    run_id: str
    #: Execution path, e.g. `train/for-loop-1[3]/evaluate`.
    path: str
    #: From 1.
    number: int

    @property
    def execution_id(self) -> str:
        """The id the API and the file system know this attempt's execution by."""
        return execution_id(self.run_id, self.path)


@lru_cache(maxsize=4096)  # asked several times for each attempt
def execution_id(run_id: str, path: str) -> str:
    """The execution's public id: a UUID that follows from run and path, so that nothing needs to remember it."""
    return str(uuid.uuid5(_EXECUTIONS, f"{run_id}/{path}"))


class AttemptRecord(Value, frozen=True, kw_only=True):
    """What is known of one attempt, kept on its execution."""

    number: int
    state: State
    started_at: float | None = None
    ended_at: float | None = None
    error: Reason | None = None
    #: What it waits for while PENDING (a free slot, an environment being built, an image pull).
    waiting: Reason | None = None


class CacheNote(Value, frozen=True, kw_only=True):
    """The cache's answer for an execution."""

    #: The fingerprint that was looked up (see `engine.fingerprint`); "" when none was.
    fingerprint: str = ""
    #: Why nothing was reused, or for whom it waits; None for a hit.
    reason: Reason | None = None


class Mark(Value, frozen=True, kw_only=True):
    """A user has decided the outcome of a task."""

    #: SUCCEEDED or SKIPPED.
    state: State
    #: Who, why (may be empty), and when.
    by: str = ""
    note: str = ""
    at: float
    #: The outputs that the user gave; empty when the execution has them as its own.
    outputs: Bundle = Bundle()


class Reusable(Value, frozen=True, kw_only=True):
    """What an execution may reuse of the execution at the same path in the earlier run."""

    #: Id of the earlier execution.
    execution_id: str
    #: SUCCEEDED: its outputs are reused; SKIPPED: it was skipped by its condition; else only `inputs` (a loop's item)
    #: count.
    state: State
    inputs: Bundle = Bundle()
    outputs: Bundle = Bundle()
    #: For a loop: how many iterations it had.
    iteration_count: int | None = None
    #: What differs between the run's document and the earlier one: words such as `image`, `command`.
    changed: tuple[str, ...] = ()


class Origin(Value, frozen=True, kw_only=True):
    """The earlier run of a rerun."""

    run_id: str
    #: Paths of the tasks that the user chose to run again.
    again: tuple[str, ...] = ()


class Execution(Value, frozen=True, kw_only=True):
    """One task of one run, at one place in its loops."""

    path: str
    #: Name in the enclosing DAG, without an iteration suffix.
    task: str
    kind: Kind
    state: State
    #: Path of the enclosing execution; None for the root.
    parent: str | None = None
    #: Place in the enclosing loop, from 0; None when not an iteration.
    iteration: int | None = None
    #: For a loop: how many iterations it has, once known.
    iteration_count: int | None = None
    inputs: Bundle = Bundle()
    outputs: Bundle = Bundle()
    attempts: tuple[AttemptRecord, ...] = ()
    #: When the next attempt is due, while a retry waits.
    retry_at: float | None = None
    #: Attempts lost to infrastructure; not counted against the retry policy.
    lost_count: int = 0
    #: Execution id whose outputs were reused.
    cached_from: str | None = None
    #: Execution id in the earlier run whose outputs were reused.
    reused_from: str | None = None
    #: Set when a user has decided its outcome. While it is not final, its attempt is being stopped for that.
    marked: Mark | None = None
    #: Why it waits, failed, was skipped or cancelled.
    reason: Reason | None = None
    #: True while the cache is being asked, or an execution that does the same is waited for.
    looking_up: bool = False
    #: What the cache said, if it was asked.
    cache: CacheNote | None = None
    #: Inputs are resolved and the condition held: it is under way, though perhaps waiting for a retry or a slot.
    begun: bool = False
    #: For a DAG: how often its retry policy has begun it again.
    retries: int = 0
    #: Attempts made before the last reset (a retried run or DAG); they count against no retry policy.
    earlier_attempts: int = 0
    created_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def is_attempted(self) -> bool:
        """True while its latest attempt is not over: one waits to start, runs, or is being stopped."""
        return bool(self.attempts) and not self.attempts[-1].state.final


class ChildCounts(Value, frozen=True, kw_only=True):
    """Counts about the children of a DAG or loop that is under way."""

    #: Children that are not final.
    open: int
    #: For a loop: iterations begun and not final.
    active: int = 0
    #: For a loop: no iteration before this one waits to be begun.
    next: int = 0


class Index(Value, frozen=True, kw_only=True):
    """What makes `advance` cheap. Follows from the executions (see `engine.index`); never stored."""

    #: By path of a DAG or loop that has been begun and is not final.
    child_counts: Map[str, ChildCounts] = Map()
    #: By path of a task whose DAG is under way: upstream tasks that are not final; absent when none.
    unmet: Map[str, int] = Map()
    #: Retries that wait, by path.
    due: Map[str, float] = Map()


class RunState(Value, frozen=True, kw_only=True):
    """A whole run: all that `advance` needs apart from the document."""

    run_id: str
    state: State
    #: Resolved root inputs (arguments over defaults).
    inputs: Bundle
    #: By path; the root's path is "".
    executions: Map[str, Execution]
    created_at: float
    #: Display name of the run: placeholder `{{$.pipeline_job_name}}`.
    display_name: str = ""
    scheduled_at: float | None = None
    #: The namespace that the run belongs to; "" is the one of a server without namespaces.
    namespace: str = ""
    #: The Kubernetes service account that its tasks run as; "" when none was named.
    service_account: str = ""
    #: The user who made the run; "" when unknown.
    created_by: str = ""
    #: Where the run's artifacts go: a directory of the server's machine, or a URI in an object store, without `/` at
    #: its end. Placeholder `{{$.pipeline_root}}`.
    pipeline_root: str = ""
    #: Whether tasks may use the cache in this run; None: as each task says.
    caching: bool | None = None
    cancel_requested: bool = False
    paused: bool = False
    #: When the run's own time limit is over; None: it has none.
    deadline_at: float | None = None
    #: The limit has passed: a cancel was asked for by the clock.
    timed_out: bool = False
    error: Reason | None = None
    started_at: float | None = None
    ended_at: float | None = None
    #: The run this one was made from.
    origin: Origin | None = None
    #: What may be reused of that run, by path. RunStarted brings it; it is not stored a second time.
    reuse: dict[str, Reusable] = {}
    #: Derived, never stored: `engine.restore` makes it.
    index: Index = Index()


# --- events: what happened -------------------------------------------------------------------


class Event(Value, frozen=True, kw_only=True, tag=True, tag_field="event"):
    """Base of all events: a recorded fact about a run."""

    at: float


class RunStarted(Event, frozen=True, kw_only=True):
    """The run begins; a rerun brings what it may reuse of the earlier run."""

    origin: Origin | None = None
    #: By path.
    reuse: dict[str, Reusable] = {}


class CacheHit(Event, frozen=True, kw_only=True):
    """The cache had an entry for this execution."""

    path: str
    outputs: Bundle
    cached_from: str
    fingerprint: str = ""


class CacheMissed(Event, frozen=True, kw_only=True):
    """The cache had nothing, or could not be asked; `reason` says why."""

    path: str
    fingerprint: str = ""
    reason: Reason | None = None


class CacheWaiting(Event, frozen=True, kw_only=True):
    """Another execution does the same now; the answer of the cache follows when that one ends."""

    path: str
    reason: Reason
    fingerprint: str = ""


class AttemptWaiting(Event, frozen=True, kw_only=True):
    """The executor holds the attempt back; `reason` says for what."""

    attempt: AttemptId
    reason: Reason


class AttemptStarted(Event, frozen=True, kw_only=True):
    """The user's code is running."""

    attempt: AttemptId


class AttemptSucceeded(Event, frozen=True, kw_only=True):
    """The attempt succeeded and its outputs are stored."""

    attempt: AttemptId
    outputs: Bundle
    #: What it ran in (digests of image, packages), for the fingerprint: see `port.Succeeded`.
    surroundings: dict[str, str] = {}


class AttemptFailed(Event, frozen=True, kw_only=True):
    """The attempt failed, by the user's code or by its own limits."""

    attempt: AttemptId
    error: Reason
    #: False when trying again cannot help (no container engine, bad document).
    retryable: bool = True


class AttemptLost(Event, frozen=True, kw_only=True):
    """The attempt is gone, and how it ended is unknown (host restart, evicted pod)."""

    attempt: AttemptId
    error: Reason


class AttemptStopped(Event, frozen=True, kw_only=True):
    """The attempt was stopped on request and has left nothing running."""

    attempt: AttemptId


class CancelRequested(Event, frozen=True, kw_only=True):
    """A user cancels the run."""


class RetryRequested(Event, frozen=True, kw_only=True):
    """A user retries a failed or cancelled run: what did not succeed runs again."""


class ExecutionMarked(Event, frozen=True, kw_only=True):
    """A user decides the outcome of a task: SUCCEEDED with these outputs, or SKIPPED."""

    path: str
    state: State
    outputs: Bundle = Bundle()
    by: str = ""
    note: str = ""


class PauseRequested(Event, frozen=True, kw_only=True):
    """A user pauses the run: nothing more begins until it is resumed."""


class ResumeRequested(Event, frozen=True, kw_only=True):
    """A user resumes the run."""


class Tick(Event, frozen=True, kw_only=True):
    """Time has passed; sent when `wake_at` said so."""


AnyEvent: TypeAlias = (
    RunStarted
    | CacheHit
    | CacheMissed
    | CacheWaiting
    | AttemptWaiting
    | AttemptStarted
    | AttemptSucceeded
    | AttemptFailed
    | AttemptLost
    | AttemptStopped
    | CancelRequested
    | RetryRequested
    | ExecutionMarked
    | PauseRequested
    | ResumeRequested
    | Tick
)


# --- commands: what the engine wants ---------------------------------------------------------


class LookUpCache(Value, frozen=True, kw_only=True, tag=True, tag_field="command"):
    """Ask the cache; answer with CacheHit or CacheMissed, perhaps after CacheWaiting."""

    path: str


class Launch(Value, frozen=True, kw_only=True, tag=True, tag_field="command"):
    """Run this attempt. If it runs already, there is nothing to do."""

    attempt: AttemptId


class Stop(Value, frozen=True, kw_only=True, tag=True, tag_field="command"):
    """Stop this attempt; any event that ends the attempt is the answer."""

    attempt: AttemptId


Command: TypeAlias = LookUpCache | Launch | Stop


class Step(Value, frozen=True, kw_only=True):
    """What one call of `advance` decided."""

    state: RunState
    commands: tuple[Command, ...]
    #: Paths of the executions that are new or differ, in the order they were touched.
    changed: tuple[str, ...]
