"""Rows as values: what the store hands to the service, and the service to the server.

Times are seconds since the Unix epoch (UTC, float). Ids are UUID texts.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from headrace.engine.model import Artifact, Json, Origin, Reason, State

T = TypeVar("T")
#: What a tick does while as many runs as may be are unfinished: wait, make no run, or cancel the oldest ones.
AtLimit: TypeAlias = Literal["wait", "skip", "cancel"]


#: The states, as tables hold them, in which a run has ended.
FINAL_STATES = tuple(state.value for state in State if state.final)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all records."""


class ExperimentRecord(Record, frozen=True, kw_only=True):
    """A folder of runs."""

    experiment_id: str
    display_name: str
    description: str = ""
    namespace: str = ""
    created_at: float
    #: The user who made it; "" when that is not known.
    created_by: str = ""
    last_run_created_at: float | None = None
    archived: bool = False


class PipelineRecord(Record, frozen=True, kw_only=True):
    """A named pipeline."""

    pipeline_id: str
    name: str
    display_name: str
    description: str = ""
    namespace: str = ""
    tags: dict[str, str] = {}
    created_at: float
    #: The user who made it; "" when that is not known.
    created_by: str = ""


class VersionRecord(Record, frozen=True, kw_only=True):
    """One immutable uploaded document of a pipeline."""

    pipeline_version_id: str
    pipeline_id: str
    #: Its pipeline's.
    namespace: str = ""
    name: str
    display_name: str
    description: str = ""
    code_source_url: str = ""
    tags: dict[str, str] = {}
    created_at: float
    #: The user who made it; "" when that is not known.
    created_by: str = ""
    #: The document: PipelineSpec, and PlatformSpec or None, as plain JSON objects.
    pipeline_spec: dict[str, Json]
    platform_spec: dict[str, Json] | None = None


class RunRecord(Record, frozen=True, kw_only=True):
    """One submission of a document with arguments, without its executions."""

    run_id: str
    display_name: str
    description: str = ""
    experiment_id: str
    experiment_name: str
    namespace: str = ""
    pipeline_name: str
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None
    recurring_run_id: str | None = None
    service_account: str = ""
    pipeline_root: str = ""
    state: State
    archived: bool = False
    #: Arguments as given (not merged with defaults).
    parameters: dict[str, Json] = {}
    created_at: float
    #: The user who made it; "" when that is not known.
    created_by: str = ""
    scheduled_at: float
    started_at: float | None = None
    finished_at: float | None = None
    error: Reason | None = None
    #: [(at, state, error)] in order, beginning with PENDING.
    state_history: tuple[tuple[float, State, Reason | None], ...] = ()
    #: Executions of kind TASK and IMPORTER by state.
    task_counts: dict[State, int] = {}
    #: The run it was made from, and what of that was to run again.
    origin: Origin | None = None
    #: Optimistic lock; grows by one with each committed change.
    version: int = 0


class StoredTimetable(Record, frozen=True, kw_only=True):
    """When a recurring run is due, as it is stored: see `schedules.ticks.Timetable`. Times: seconds of the epoch."""

    cron: str | None = None
    #: "kfp" (seconds first) or "classic" (five fields).
    dialect: Literal["kfp", "classic"] = "kfp"
    interval_s: int | None = None
    #: IANA name.
    zone: str = "UTC"
    #: "each" or "once": what counts where the clocks change.
    clocks: Literal["each", "once"] = "each"
    start: float | None = None
    end: float | None = None
    #: "all", "latest" or "none".
    catch_up: Literal["all", "latest", "none"] = "all"
    #: With "all": only so many missed ticks make runs, the latest ones.
    most_missed: int | None = None
    #: When the timetable was last changed: ticks before that do not count.
    since: float | None = None


class RecurringRunRecord(Record, frozen=True, kw_only=True):
    """Runs that are made again and again by a timetable."""

    recurring_run_id: str
    display_name: str
    #: What the names of its runs begin with.
    short_name: str
    description: str = ""
    namespace: str = ""
    experiment_id: str
    created_by: str = ""
    #: What its runs are made from: the latest version of a pipeline, a version, or a document (its digest).
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None
    document: str | None = None
    #: Arguments as given, with their macros.
    parameters: dict[str, Json] = {}
    pipeline_root: str = ""
    service_account: str = ""
    #: Runs of it that may be unfinished at the same time.
    max_concurrency: int
    at_limit: AtLimit = "wait"
    timetable: StoredTimetable
    enabled: bool
    created_at: float
    updated_at: float
    #: How many runs it has made.
    tick_index: int = 0
    last_tick_at: float | None = None
    #: The tick after the last one, past or future; None: there is none any more.
    next_tick_at: float | None = None


class TickRecord(Record, frozen=True, kw_only=True):
    """One tick that was handled: it has made a run, or could not."""

    tick_at: float
    handled_at: float
    #: Ticks before it that were missed and left out.
    skipped: int = 0
    run_id: str | None = None
    #: Why it made no run.
    reason: Reason | None = None


class ArtifactRecord(Record, frozen=True, kw_only=True):
    """A committed artifact and the execution that made it."""

    artifact: Artifact
    run_id: str | None
    execution_id: str | None
    #: The namespace of the run that made it; it stays when that run is deleted.
    namespace: str = ""
    created_at: float
    #: The user who made that run; "" when that is not known.
    created_by: str = ""
    is_directory: bool = False
    #: Whether the execution's own attempt has put the content into the artifact store, under its URI as key.
    owned: bool = False


class Predicate(Record, frozen=True, kw_only=True):
    """One clause of a list filter, already checked: key is one of the noun's keys, value has the right type."""

    key: str
    #: EQUALS, NOT_EQUALS, GREATER_THAN, GREATER_THAN_EQUALS, LESS_THAN, LESS_THAN_EQUALS, IN, IS_SUBSTRING.
    operation: str
    value: Any


class ListQuery(Record, frozen=True, kw_only=True):
    """What a list call asks for. `page_token` alone is enough to go on; a bad one raises Invalid."""

    page_size: int = 20
    page_token: str = ""
    #: Key to sort by (KFP's names, see store.queries), then by id. "": as the page token says, else `created_at`.
    sort_by: str = ""
    descending: bool = False
    predicates: tuple[Predicate, ...] = ()
    namespace: str | None = None
    #: Things of these namespaces only, which no page token widens; None: of all.
    namespaces: frozenset[str] | None = None
    experiment_id: str | None = None


class Page(Record, Generic[T], frozen=True, kw_only=True):
    """One page of a list."""

    items: tuple[T, ...]
    total_size: int
    next_page_token: str = ""


Parameters: TypeAlias = dict[str, Json]


class BrowserSession(Record, frozen=True, kw_only=True):
    """A browser that has signed in, until it signs out or the time is over."""

    session_id: str
    user: str
    #: Hash of the token whose owner has signed in: a new token ends the sessions of the old one.
    token_hash: str
    #: Hash of the secret that the page keeps and sends beside the cookie.
    secret_hash: str
    #: What the browser calls itself (its User-Agent).
    browser: str = ""
    created_at: float
    #: When it was last used, to some minutes.
    used_at: float
    expires_at: float
