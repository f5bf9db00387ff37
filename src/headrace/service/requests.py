"""What the service is asked to make."""

from __future__ import annotations

from typing import Literal

import msgspec

from headrace.engine.model import Json
from headrace.store.records import AtLimit, StoredTimetable


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a client sends along so that the same request, sent again, makes no second run."""

    #: Chosen by the client, new for each run.
    value: str
    #: Which of our routes it was sent to: a key means one request of one route.
    route: str


class GivenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline document in one of two forms; nothing of it has been checked."""

    #: A file as it arrived: a text of YAML or JSON; as bytes also a zip or a tar.gz. Or
    document: str | bytes | None = None
    #: … plain JSON objects.
    pipeline_spec: dict[str, Json] | None = None
    platform_spec: dict[str, Json] | None = None

    @property
    def has_document(self) -> bool:
        """Whether there is one."""
        return self.document is not None or self.pipeline_spec is not None


class TickOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The tick that a run is made for."""

    #: Seconds since the epoch.
    scheduled_at: float
    #: The number of the run among those of the recurring run, from 1.
    index: int


class NewRun(GivenDocument, frozen=True, kw_only=True):
    """What a run is made from: a document, or the latest version of a pipeline, or a version."""

    display_name: str = ""
    description: str = ""
    #: Ids of what was uploaded, when no document is given.
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None
    experiment_id: str | None = None
    #: Found or made when no id is given; "" means the default experiment.
    experiment_name: str = ""
    #: Where an experiment named by `experiment_name` is looked for or made; the run is in its experiment's namespace.
    namespace: str = ""
    parameters: dict[str, Json] = {}
    pipeline_root: str = ""
    service_account: str = ""
    #: The user who asks for the run.
    created_by: str = ""
    #: Whether the run is made though its document's root needs an artifact, which no argument can be: as in KFP, the
    #: tasks that read it then fail.
    artifacts_may_be_missing: bool = False
    #: None: as each task says; False: no cache is read.
    caching: bool | None = None
    #: The recurring run that it belongs to.
    recurring_run_id: str | None = None
    #: The tick of that, when it was due.
    tick: TickOrigin | None = None


class NewRecurringRun(GivenDocument, frozen=True, kw_only=True):
    """What a recurring run is made from: a document, the latest version of a pipeline at each tick, or a version."""

    display_name: str
    description: str = ""
    pipeline_id: str | None = None
    pipeline_version_id: str | None = None
    #: Of the experiment, or
    experiment_id: str | None = None
    #: … the name of one, which is made when it does not exist; "": the default experiment.
    experiment_name: str = ""
    namespace: str = ""
    #: Arguments of each run; macros in texts are replaced when the run is made.
    parameters: dict[str, Json] = {}
    pipeline_root: str = ""
    service_account: str = ""
    timetable: StoredTimetable
    #: From 1 to `schedules.ticks.MAX_CONCURRENCY`.
    max_concurrency: int = 1
    #: What a tick does when so many are unfinished.
    at_limit: AtLimit = "wait"
    enabled: bool = True
    #: The user who asks for it.
    created_by: str = ""


class RecurringRunEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What changes of a recurring run; None leaves a field as it is. Its id, its runs and its history stay."""

    display_name: str | None = None
    description: str | None = None
    #: Another version of its pipeline from the next tick on; "": the latest one at each tick.
    pipeline_version_id: str | None = None
    #: All of its arguments.
    parameters: dict[str, Json] | None = None
    timetable: StoredTimetable | None = None
    max_concurrency: int | None = None
    at_limit: AtLimit | None = None
    enabled: bool | None = None


class Rerun(GivenDocument, frozen=True, kw_only=True):
    """A run to be made from an earlier one, which leaves to it what need not run again.

    Without a document it is made from the earlier run's.
    """

    #: Tasks to run again, with all that depends on them: paths, or names where these are unique. None: what had not
    #: succeeded.
    again: tuple[str, ...] = ()
    #: Arguments over those of the earlier run.
    parameters: dict[str, Json] = {}
    display_name: str = ""
    #: The user who asks for the run.
    created_by: str = ""
    #: None: as in the earlier run, but nothing is looked up in the cache where tasks are named: they are to run.
    caching: bool | None = None


class NewMark(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says a task came to."""

    state: Literal["SUCCEEDED", "SKIPPED"]
    #: Outputs, for SUCCEEDED.
    parameters: dict[str, Json] = {}
    #: Output name -> ids of artifacts that exist.
    artifacts: dict[str, tuple[str, ...]] = {}
    #: Why.
    note: str = ""
    #: Who.
    by: str = ""


class NewVersion(GivenDocument, frozen=True, kw_only=True):
    """An uploaded document, or one that is fetched."""

    name: str
    #: Where to fetch it, instead of a document.
    package_url: str = ""
    display_name: str = ""
    description: str = ""
    code_source_url: str = ""
    tags: dict[str, str] = {}
    #: The user who uploads it.
    created_by: str = ""
