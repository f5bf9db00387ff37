"""The shapes of Headrace's own HTTP API, below `/api`. KFP's shapes are in `wire.v2beta1`.

Field names are snake_case. Times are RFC 3339 strings with milliseconds and `Z`, or null. States are KFP's eight
words. Things are named by their ids: no path of the server's disk and no key of its store is in an answer. The routes,
with their queries, are in `openapi.json`.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

Json: TypeAlias = Any
StateWord: TypeAlias = Literal[
    "PENDING", "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED", "CANCELING", "CANCELED", "PAUSED"
]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all shapes."""


class ErrorBody(Shape, frozen=True, kw_only=True):
    """Every error of `/api`, with its HTTP status."""

    #: Stable UPPER_SNAKE code, documented in docs/reference/error-codes.md.
    code: str
    message: str
    details: dict[str, Json] = {}
    #: Where this server says what the code means: `/api/codes/{code}`.
    help: str = ""


class ReasonView(Shape, frozen=True, kw_only=True):
    """Why something waits, failed or was skipped."""

    code: str
    message: str
    details: dict[str, Json] = {}


class SessionView(Shape, frozen=True, kw_only=True):
    """`GET /api/session`: who the caller is, and what kind of server this is."""

    user: str
    version: str
    #: Origin that serves artifact content, without cookies: `http://localhost:PORT`.
    content_origin: str
    #: The browser's session; "" for a caller with a token.
    session_id: str = ""


class BrowserSessionView(Shape, frozen=True, kw_only=True):
    """A browser that is signed in."""

    session_id: str
    #: What the browser calls itself (its User-Agent).
    browser: str
    created_at: str
    #: When it was last used, to some minutes.
    used_at: str
    expires_at: str
    #: Whether it is the one that asks.
    current: bool = False


class BrowserSessionList(Shape, frozen=True, kw_only=True):
    """`GET /api/sessions`: the caller's signed-in browsers, newest first."""

    sessions: list[BrowserSessionView]


class SignedOut(Shape, frozen=True, kw_only=True):
    """The answer to a sign-out: how many sessions were ended."""

    ended: int


class RunSummary(Shape, frozen=True, kw_only=True):
    """A run as lists show it."""

    run_id: str
    display_name: str
    state: StateWord
    storage_state: Literal["AVAILABLE", "ARCHIVED"]
    experiment_id: str
    experiment_name: str
    #: `pipelineInfo.name` of the document.
    pipeline_name: str
    #: Null when the run was made from a document that was not uploaded.
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    error: ReasonView | None = None
    #: Number of executions with attempts (tasks) by state.
    task_counts: dict[StateWord, int] = {}
    #: The run it was made from, and the tasks that run again.
    rerun_of: str | None = None
    rerun_from: list[str] = []
    #: Grows with each change of the run.
    version: int = 0


class RunList(Shape, frozen=True, kw_only=True):
    """`GET /api/runs?page_size=&page_token=&state=&experiment_id=&storage_state=&search=`."""

    runs: list[RunSummary]
    total_size: int
    next_page_token: str = ""


class GraphNode(Shape, frozen=True, kw_only=True):
    """One task of the document, with the DAG below it: the run's plan, before anything has run."""

    #: Task name in its DAG.
    name: str
    display_name: str
    kind: Literal["TASK", "IMPORTER", "DAG", "LOOP"]
    #: What the author wrote, where it follows from the document.
    group: Literal["", "condition", "condition-branches", "for-loop", "exit-handler", "pipeline"] = ""
    component: str
    #: Sibling names this one waits for.
    depends_on: list[str] = []
    #: CEL text of the trigger condition.
    condition: str | None = None
    #: True for exit tasks and `ignore_upstream_failure`.
    runs_after_failure: bool = False
    image: str | None = None
    children: list[GraphNode] = []


class AttemptView(Shape, frozen=True, kw_only=True):
    """One launch of an execution."""

    number: int
    state: StateWord
    started_at: str | None = None
    ended_at: str | None = None
    error: ReasonView | None = None
    waiting: ReasonView | None = None


class MarkView(Shape, frozen=True, kw_only=True):
    """A user has marked a task as succeeded or as skipped."""

    state: Literal["SUCCEEDED", "SKIPPED"]
    by: str
    note: str
    at: str


class ExecutionView(Shape, frozen=True, kw_only=True):
    """One task of one run, in one iteration of its loops, without its inputs and outputs."""

    execution_id: str
    #: `train/for-loop-1[3]/evaluate`; "" for the root.
    path: str
    #: The same without iterations: `train/for-loop-1/evaluate`: where it is in the graph.
    node: str
    task: str
    kind: Literal["ROOT", "TASK", "IMPORTER", "DAG", "LOOP"]
    state: StateWord
    parent: str | None = None
    iteration: int | None = None
    iteration_count: int | None = None
    #: For an iteration: the loop item it got.
    item: Json = None
    attempts: list[AttemptView] = []
    retry_at: str | None = None
    cached_from: str | None = None
    #: Why no cached result was reused, if the cache was asked.
    cache_miss: ReasonView | None = None
    #: What it waits for before its first attempt, such as the same task of another run.
    waiting: ReasonView | None = None
    #: Execution of the earlier run whose outputs were reused, in a re-run.
    reused_from: str | None = None
    #: Set, too, while its attempt is being stopped for it.
    marked: MarkView | None = None
    reason: ReasonView | None = None
    started_at: str | None = None
    ended_at: str | None = None


class RunView(Shape, frozen=True, kw_only=True):
    """`GET /api/runs/{run_id}`: a run, its plan and its first executions."""

    run: RunSummary
    parameters: dict[str, Json]
    graph: list[GraphNode]
    #: Parents before children.
    executions: list[ExecutionView]
    #: Where `GET /api/runs/{run_id}/executions` goes on; "" when these are all executions.
    next_page_token: str = ""
    #: Outputs of the root DAG, once SUCCEEDED.
    outputs: BundleView
    #: What the user should know though nothing fails for it, such as settings that have no effect here.
    warnings: list[ReasonView] = []


class ExecutionPage(Shape, frozen=True, kw_only=True):
    """`GET /api/runs/{run_id}/executions`: more executions of a run, as they are now.

    What changed since the first page is in the run's events: connect with the first page's `run.version` as
    `Last-Event-ID`.
    """

    executions: list[ExecutionView]
    #: "" when no more follow.
    next_page_token: str = ""


class ArtifactView(Shape, frozen=True, kw_only=True):
    """An artifact, without its content."""

    artifact_id: str
    name: str
    #: `system.Metrics`, `system.HTML`, …
    type: str
    #: Shown, never accepted back.
    uri: str
    metadata: dict[str, Json]
    digest: str
    size_bytes: int
    created_at: str | None = None
    #: The execution that made it.
    execution_id: str | None = None
    run_id: str | None = None
    is_directory: bool = False
    #: A sentence that says that the task never wrote it, so that there is no content; "" when there is.
    not_written: str = ""


class BundleView(Shape, frozen=True, kw_only=True):
    """Inputs or outputs."""

    parameters: dict[str, Json] = {}
    artifacts: dict[str, list[ArtifactView]] = {}


class ExecutionDetail(Shape, frozen=True, kw_only=True):
    """`GET /api/executions/{execution_id}`: everything about one execution."""

    execution: ExecutionView
    run_id: str
    inputs: BundleView
    outputs: BundleView
    image: str | None = None
    command: list[str] = []
    args: list[str] = []
    #: Source text of a Python component, from the document.
    source: str | None = None


class RunChange(Shape, frozen=True, kw_only=True):
    """One server-sent event of `GET /api/runs/{run_id}/events` (event name `change`, id = version).

    The first one after connecting holds everything; `Last-Event-ID` is honoured by sending what
    changed since. The stream ends (event `end`) when the run is final.
    """

    version: int
    run: RunSummary
    executions: list[ExecutionView]


class ListChange(Shape, frozen=True, kw_only=True):
    """One server-sent event of `GET /api/events` (event name `runs`): these runs changed."""

    runs: list[RunSummary]


class LogChunk(Shape, frozen=True, kw_only=True):
    """One server-sent event of `GET /api/executions/{id}/logs/stream?attempt=N&offset=B` (event `log`).

    `offset` is the byte after this chunk, also sent as the event's id; invalid UTF-8 is shown as U+FFFD.
    The plain `GET /api/executions/{id}/logs?attempt=N&offset=B&limit=L` answers text/plain with the
    headers `X-Log-Offset` (byte after what was sent) and `X-Log-Size`.
    """

    offset: int
    text: str


class ContentLink(Shape, frozen=True, kw_only=True):
    """`POST /api/artifacts/{artifact_id}/link`: a signed URL on the content origin, good for minutes."""

    url: str
    expires_at: str


class CreateLink(Shape, frozen=True, kw_only=True):
    """Body of `POST /api/artifacts/{artifact_id}/link`; may be left out."""

    #: A file of a directory artifact, as `members` lists it.
    member: str = ""
    #: Whether a browser saves it instead of showing it.
    download: bool = False


class MemberView(Shape, frozen=True, kw_only=True):
    """A file of a directory artifact."""

    name: str
    size_bytes: int


class MemberList(Shape, frozen=True, kw_only=True):
    """`GET /api/artifacts/{artifact_id}/members`; an artifact that is a file has one member with the name ""."""

    members: list[MemberView]


class SignInLink(Shape, frozen=True, kw_only=True):
    """`POST /api/session/link` (token only): opens the UI in a browser and signs it in, once, within minutes."""

    url: str
    expires_at: str


class TaskRef(Shape, frozen=True, kw_only=True):
    """An execution that an explanation refers to."""

    run_id: str
    #: Set if it is in another run than the explained one.
    run_name: str = ""
    execution_id: str
    path: str
    #: Null when nothing is known of it any more.
    state: StateWord | None = None
    reason: ReasonView | None = None


class CodeLine(Shape, frozen=True, kw_only=True):
    """A line of the author's code, with its number in the author's file."""

    number: int
    text: str


class FailureView(Shape, frozen=True, kw_only=True):
    """The facts about a failure; unknown ones are "" or null."""

    exception_type: str = ""
    exception_message: str = ""
    #: Where in the user's own source: the innermost frame that is not a library's.
    file: str = ""
    line: int | None = None
    function: str = ""
    source_line: str = ""
    #: The lines around it, where they are known.
    lines: list[CodeLine] = []
    #: The last lines of the traceback.
    traceback: str = ""
    exit_code: int | None = None
    #: `SIGSEGV`, …
    signal: str = ""
    #: The module that could not be imported.
    module: str = ""
    #: For a module that is missing: what to write into packages_to_install. Else what was to be installed.
    packages: list[str] = []
    image: str = ""
    #: The last lines of what the installer or the container engine said.
    told: str = ""
    limit: str = ""


class RetryView(Shape, frozen=True, kw_only=True):
    """Attempts beyond the first."""

    #: The number of the retry that is due, running or the last one; from 1.
    number: int
    #: How many the policy allows.
    at_most: int
    #: When it is due, while it waits.
    due_at: str | None = None
    #: Why the attempt before it failed.
    after: ReasonView | None = None
    #: Attempts that were lost with their machine; they do not count as retries.
    lost: int = 0


class ConditionView(Shape, frozen=True, kw_only=True):
    """A condition, and the values it was evaluated with."""

    condition: str
    values: dict[str, str]


class DifferenceView(Shape, frozen=True, kw_only=True):
    """One part in which two executions differ; null where it has no such part."""

    part: str
    there: str | None
    here: str | None


class CacheUse(Shape, frozen=True, kw_only=True):
    """How the cache was used for a task."""

    use: Literal["HIT", "MISS", "WAITING", "OFF", "NOT_ASKED"]
    reason: ReasonView
    #: The execution whose outputs were reused, or the most similar one.
    source: TaskRef | None = None
    differs: list[DifferenceView] = []
    #: "" if it was never computed.
    fingerprint: str = ""
    #: What the fingerprint is made from: `parameter lr`, `image`, … -> JSON text, or a digest of it.
    parts: dict[str, str] = {}


class Explanation(Shape, frozen=True, kw_only=True):
    """`GET /api/executions/{execution_id}/explain`: why an execution is in its state."""

    run_id: str
    execution_id: str
    path: str
    task: str
    kind: Literal["ROOT", "TASK", "IMPORTER", "DAG", "LOOP"]
    state: StateWord
    #: Why: its code has a page at `GET /api/codes/{code}`.
    reason: ReasonView
    #: How to fix it; "" if nothing needs to be fixed.
    fix: str = ""
    waiting_for: list[TaskRef] = []
    #: The chain of causes, from the next one to the last one.
    causes: list[TaskRef] = []
    failure: FailureView | None = None
    retry: RetryView | None = None
    condition: ConditionView | None = None
    cache: CacheUse | None = None
    canceled_at: str | None = None


class WaitView(Shape, frozen=True, kw_only=True):
    """How many tasks of a run wait for the same kind of thing."""

    code: str
    count: int
    #: Of one of them.
    message: str
    example: TaskRef


class RunExplanation(Shape, frozen=True, kw_only=True):
    """`GET /api/runs/{run_id}/explain`: why a run is in its state."""

    run_id: str
    display_name: str
    state: StateWord
    reason: ReasonView
    fix: str = ""
    #: From the group below the run down to the task that explains it.
    causes: list[TaskRef] = []
    #: The task at the bottom of `causes`.
    cause: Explanation | None = None
    #: What its tasks wait for now.
    waiting: list[WaitView] = []
    #: Its tasks, without `parts`; the most informative ones first if there are more than were asked for.
    tasks: list[Explanation] = []
    omitted: int = 0
    canceled_at: str | None = None


class CodePage(Shape, frozen=True, kw_only=True):
    """`GET /api/codes/{code}`: what a code means."""

    code: str
    #: One sentence or two.
    meaning: str
    cause: str = ""
    example: str = ""
    fix: str = ""


class CacheEntryView(Shape, frozen=True, kw_only=True):
    """An entry of the cache: outputs of a task, which a task with the same fingerprint reuses."""

    fingerprint: str
    pipeline_name: str
    #: The task's path without iterations.
    task: str
    #: The execution that made the outputs.
    run_id: str
    execution_id: str
    created_at: str
    #: Null when entries do not expire.
    expires_at: str | None = None
    #: What the fingerprint was made from: `parameter lr`, `image`, `packages`, … -> JSON text, or a digest of it.
    parts: dict[str, str] = {}


class CacheList(Shape, frozen=True, kw_only=True):
    """`GET /api/cache?pipeline_name=&task=&run_id=&fingerprint=&page_size=&page_token=`."""

    entries: list[CacheEntryView]
    total_size: int
    next_page_token: str = ""


class DropCache(Shape, frozen=True, kw_only=True):
    """Body of `POST /api/cache/drop`: entries that match everything that is given."""

    pipeline_name: str | None = None
    task: str | None = None
    run_id: str | None = None
    fingerprint: str | None = None
    #: Entries whose outputs one of these executions made.
    execution_ids: list[str] | None = None
    #: Must be true to drop all entries.
    everything: bool = False


class Dropped(Shape, frozen=True, kw_only=True):
    """How many entries were dropped."""

    dropped: int


class CreateRun(Shape, frozen=True, kw_only=True):
    """`POST /api/runs`: a run from a document's text or an uploaded version."""

    display_name: str = ""
    #: Text of the pipeline document (YAML or JSON, one or two documents).
    document: str | None = None
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None
    experiment_id: str | None = None
    #: Used when `experiment_id` is not given: found or created.
    experiment_name: str | None = None
    parameters: dict[str, Json] = {}
    #: None: as each task says; False: no cache is read.
    caching: bool | None = None


class DocumentView(Shape, frozen=True, kw_only=True):
    """`GET /api/runs/{run_id}/document`: the document a run was made from, as JSON objects."""

    pipeline_spec: dict[str, Json]
    platform_spec: dict[str, Json] | None = None


class RerunRun(Shape, frozen=True, kw_only=True):
    """`POST /api/runs/{run_id}/rerun`: a new run that reuses results of an earlier one."""

    #: Tasks to run again, with all that depends on them: execution paths (`train/for-loop-1[3]/evaluate`; without
    #: numbers all iterations), or names where these are unique. Empty: all that have not succeeded.
    from_: list[str] = msgspec.field(default_factory=list, name="from")
    #: Arguments over those of the earlier run.
    parameters: dict[str, Json] = {}
    #: Text of another document.
    document: str | None = None
    display_name: str = ""
    #: None: as in the earlier run, except that the cache is not asked if tasks are named: they must run.
    caching: bool | None = None


class MarkExecution(Shape, frozen=True, kw_only=True):
    """`POST /api/runs/{run_id}/executions/{execution_id}/mark`: mark a task as succeeded or as skipped."""

    state: Literal["SUCCEEDED", "SKIPPED"]
    #: Output parameters, for SUCCEEDED; what no other task reads may be left out.
    parameters: dict[str, Json] = {}
    #: Output name -> ids of artifacts that exist.
    artifacts: dict[str, list[str]] = {}
    note: str = ""
